"""What people call stored events: kept beside each, who and when, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
import shutil

import pytest
from commands import complaint, json_of, tao_lora
from event_records import event

from tao_lora_ros.preservation.event_catalogue import EVENTS, INDEX_FILE, find_entry, read_entries
from tao_lora_ros.preservation.event_labels import (
    LABELS_FILE,
    label_event,
    read_history,
    read_labels,
    undo_label,
)
from tao_lora_ros.preservation.event_record import StoreError
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.preservation.event_verify import verify


@pytest.fixture
def store(tmp_path):
    with EventStore(tmp_path, 2**30, 0) as opened:
        for sequence in range(3):
            opened.append(event(sequence))
    return tmp_path


def file_of(store, number):
    return store / EVENTS / find_entry(store, number).folder / LABELS_FILE


def test_a_label_is_kept_beside_the_event_with_who_and_when(store):
    index = (store / INDEX_FILE).read_bytes()
    entry = find_entry(store, 2)
    label_event(store, entry, " door slam ", "anna")
    (line,) = file_of(store, 2).read_text().splitlines()
    row = json.loads(line)
    assert (row["label"], row["who"]) == ("door slam", "anna")
    label = read_labels(store, read_entries(store))[2]
    assert (label.name, label.who, label.time_ns) == ("door slam", "anna", row["time_ns"])
    assert (store / INDEX_FILE).read_bytes() == index
    assert verify(store) == (3, [])


def test_undo_keeps_the_history(store):
    entry = find_entry(store, 1)
    for name in ("slip", "impact"):
        label_event(store, entry, name, "anna")
    undo_label(store, entry)
    assert read_history(store, entry).label.name == "slip"
    label_event(store, entry, "")
    assert read_history(store, entry).label is None
    undo_label(store, entry)
    assert read_history(store, entry).label.name == "slip"
    undo_label(store, entry)
    assert read_labels(store, [entry]) == {}
    with pytest.raises(StoreError, match="no label to take back"):
        undo_label(store, entry)
    assert len(file_of(store, 1).read_text().splitlines()) == 6


@pytest.mark.parametrize(
    "tail",
    [b'{"label": "im', b'{"label": 3, "who": "x", "time_ns": 1}\n', b"\xff\xfe\n", b"[]\n"],
)
def test_what_a_crash_left_is_passed_over_and_said(store, tail):
    entry = find_entry(store, 1)
    label_event(store, entry, "slip", "anna")
    with file_of(store, 1).open("ab") as file:
        file.write(tail)
    assert read_history(store, entry).label.name == "slip"
    label_event(store, entry, "impact", "anna")
    history = read_history(store, entry)
    assert (history.label.name, history.damaged) == ("impact", 1)
    _, (damage,) = verify(store)
    assert damage.path.endswith(LABELS_FILE)
    assert damage.reason == "1 unreadable lines"


def test_every_cut_of_the_file_reads(store):
    entry = find_entry(store, 1)
    for name in ("slip", "impact"):
        label_event(store, entry, name, "anna")
    whole = file_of(store, 1).read_bytes()
    names = set()
    for length in range(len(whole) + 1):
        file_of(store, 1).write_bytes(whole[:length])
        label = read_history(store, entry).label
        names.add(label.name if label else None)
    assert names == {None, "slip", "impact"}


def test_a_label_goes_with_its_event(store, tmp_path):
    entry = find_entry(store, 1)
    label_event(store, entry, "slip")
    with EventStore(store, 1, 0) as opened, pytest.raises(StoreError):
        opened.append(event(9))
    shutil.rmtree(store / EVENTS / entry.folder)
    with pytest.raises(StoreError, match="No such file"):
        label_event(store, entry, "impact")


def test_a_node_deletes_events_with_labels(store):
    for entry in read_entries(store):
        label_event(store, entry, "slip")
    most = sum(path.stat().st_blocks * 512 for path in store.rglob("*")) + 300_000
    with EventStore(store, most, 0) as opened:
        for sequence in range(10, 20):
            opened.append(event(sequence))
    assert find_entry(store, 13)
    assert not (set(read_labels(store, read_entries(store))) & {1})
    assert verify(store)[1] == []


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_no_foreign_thing_is_followed(store, tmp_path, kind):
    file = file_of(store, 1)
    target = tmp_path / "target"
    target.write_text("mine\n")
    {
        "link": lambda: file.symlink_to(target),
        "fifo": lambda: os.mkfifo(file),
        "folder": file.mkdir,
    }[kind]()
    entry = find_entry(store, 1)
    assert read_history(store, entry).damaged == 1
    with pytest.raises(StoreError):
        label_event(store, entry, "slip")
    assert target.read_text() == "mine\n"


@pytest.mark.parametrize("size", [2**20 - 50, 2**40])
def test_a_label_that_nobody_could_read_is_refused(store, size):
    file, entry = file_of(store, 1), find_entry(store, 1)
    label_event(store, entry, "slip")
    os.truncate(file, size)
    before = read_history(store, entry)
    with pytest.raises(StoreError, match="1048576"):
        label_event(store, entry, "press")
    assert read_history(store, entry) == before
    assert file.stat().st_size == size


@pytest.mark.parametrize("name", ["a" * 65, "two\nlines", "\x1b[2J", "\ud800"])
def test_a_name_that_will_not_do(store, name):
    with pytest.raises(StoreError, match="expected at most 64 printable"):
        label_event(store, find_entry(store, 1), name)


def test_commands(store, capsys, monkeypatch):
    monkeypatch.setenv("LOGNAME", "anna")
    assert tao_lora("events", "label", 2, "slip", store=store) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].endswith("slip, by anna")
    assert out[1] == "event 2: slip"
    assert tao_lora("events", "list", store=store) == 0
    lines = capsys.readouterr().out.splitlines()
    assert " -  " in lines[1]
    assert lines[2].split().index("slip") + 1 == lines[2].split().index("impact")
    assert tao_lora("events", "list", label="slip", store=store) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 events")
    rows = json_of("events", "list", label="impact", store=store)
    assert [row["number"] for row in rows] == [1, 3]
    assert rows[0]["labelled_by"] is None
    capsys.readouterr()
    assert tao_lora("events", "show", 2, store=store) == 0
    out = capsys.readouterr().out
    assert "label     slip, by anna, " in out
    assert "model     impact 50%" in out
    assert tao_lora("events", "label", 2, clear=True, store=store) == 0
    assert tao_lora("events", "label", 2, undo=True, store=store) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "event 2: slip"
    said = [
        complaint(capsys, "events", "label", *wrong, store=store)
        for wrong in ((2, " "), (2, "x", "--undo"), (7, "x"))
    ]
    assert all(map(re.search, ("empty", "not both", "no event 7"), said))
