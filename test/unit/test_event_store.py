"""The store loses nothing, keeps its bounds, and says what is wrong with a disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from event_records import MS, T0, assert_equal, event, message_count
from hypothesis import given, settings
from hypothesis import strategies as st

from tao_lora_ros.messages.results import Kind, Size
from tao_lora_ros.preservation import event_store
from tao_lora_ros.preservation.event_catalogue import (
    EVENTS,
    INDEX_FILE,
    default_store,
    read_entries,
    read_event,
)
from tao_lora_ros.preservation.event_entry import Entry
from tao_lora_ros.preservation.event_index import Index
from tao_lora_ros.preservation.event_record import StoreError
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.preservation.event_verify import verify
from tao_lora_ros.preservation.preroll_buffer import PreRollBuffer
from tao_lora_ros.signal.cdr import IMU, WRENCH
from tao_lora_ros.signal.source import SourceConfig

BIG = 2**30


def filled(folder: Path, count: int = 3) -> Path:
    with EventStore(folder, BIG, 0) as store:
        for sequence in range(count):
            store.append(event(sequence))
    return folder


def disk_use(store: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in (store / EVENTS).glob("*/**"))


def test_events_come_back(tmp_path):
    filled(tmp_path)
    assert [e.number for e in read_entries(tmp_path)] == [1, 2, 3]
    for number in (1, 2, 3):
        entry, record = read_event(tmp_path, number)
        assert_equal(record, event(number - 1))
        assert entry.folder == f"{number:06d}_20231114T221320Z"
        assert entry.messages == message_count(record)
    assert verify(tmp_path) == (3, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == [EVENTS, INDEX_FILE, "lock"]


def test_numbers_go_on_after_a_restart(tmp_path):
    filled(tmp_path)
    filled(tmp_path)
    assert [e.number for e in read_entries(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_number_is_not_used_twice(tmp_path):
    filled(tmp_path)
    shutil.rmtree(tmp_path / EVENTS)
    with EventStore(tmp_path, BIG, 0) as store:
        assert store.append(event()).number == 4


def test_one_writer_at_a_time(tmp_path):
    with EventStore(tmp_path), pytest.raises(StoreError, match="another process writes"):
        EventStore(tmp_path)
    EventStore(tmp_path).close()


# What the last writer left behind


def test_torn_index_line_is_repaired(tmp_path):
    index = filled(tmp_path) / INDEX_FILE
    whole = index.read_bytes()
    for cut in (1, 10, len(whole.splitlines()[-1]) + 1):
        index.write_bytes(whole[:-cut])
        assert [e.number for e in read_entries(tmp_path)] == [1, 2, 3]
        EventStore(tmp_path).close()
        assert [*Index(index).entries] == [1, 2, 3]
        assert verify(tmp_path) == (3, [])


BAD_LINES = ["{}", "[]", "null", "not json", '{"number": 7}', '{"next": "x"}', "\0" * 9]
BAD_LINES += ['{"next": true}', '{"next": 1e30}', f'{{"next": 1{"0" * 300}}}', '{"removed": -1}']
BAD_LINES += [f"{'[' * 100_000}", f'{{"next": {"9" * 5000}}}', '{"next": NaN}']


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: line[:20])
def test_bad_index_line_is_passed_over(tmp_path, line):
    index = filled(tmp_path) / INDEX_FILE
    index.write_text(line + "\n" + index.read_text())
    assert Index(index).damaged == 1
    assert [d.path for d in verify(tmp_path)[1]] == [INDEX_FILE]
    EventStore(tmp_path).close()
    assert verify(tmp_path) == (3, [])


BAD_FIELDS = [
    *(("number", value) for value in (None, "1", True, 1.0, 0, -1, 10**300)),
    *(("folder", value) for value in (7, "", "..", "../000001_x", "000002_x", "000001_\0")),
    *(("sequence", value) for value in (False, -1, "0")),
    *(("onset_ns", value) for value in (None, 1.7e18, 10**22, [float("nan")], "x")),
    *(("peak_score", value) for value in ("\ud800", None, 10**400, True)),
    *(("kind", value) for value in (6, {}, None, False)),
    *(("regime_change", value) for value in (float("nan"), 1, None)),
    *(("label", value) for value in (2, None, "\ud800")),
    *(("probability", value) for value in ("../x", [])),
    *(("channels", value) for value in ({}, ["ab"], [["a"]], [["a", "b"]], [[1, 1.0]], None)),
    *(("size", value) for value in (-1, 1.5, None)),
    *(("sha256", value) for value in ("abc", 5, None)),
]


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS, ids=lambda part: repr(part)[:20])
def test_bad_field_of_an_entry_is_named_and_its_event_put_back(tmp_path, field, value):
    index = filled(tmp_path, 2) / INDEX_FILE
    first, second = index.read_text().splitlines()
    row = json.loads(first) | {field: value}
    with pytest.raises(ValueError, match=f"'{field}' is "):
        Entry.from_row(row)
    index.write_text("\n".join([json.dumps(row), second, ""]))
    assert Index(index).damaged == 1
    assert [e.number for e in read_entries(tmp_path)] == [1, 2]
    with EventStore(tmp_path, BIG, 0) as store:
        assert store.append(event(2)).number == 3
    assert verify(tmp_path) == (3, [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=300)
@given(field=st.sampled_from([row.name for row in fields(Entry)]), value=JSON)
def test_any_json_in_the_place_of_a_field_is_taken_or_refused(field, value):
    good = dict(number=1, folder="000001_x", sequence=0, onset_ns=T0, peak_ns=T0, end_ns=T0)
    good |= dict(peak_score=1.0, kind=1, regime_change=False, label="", probability=0.5)
    good |= dict(channels=[["a", 1.0]], messages=1, size=1, sha256="0" * 64)
    Entry.from_row(good)
    with suppress(ValueError):
        entry = Entry.from_row(good | {field: value})
        assert Entry.from_json(entry.to_json()).to_json() == entry.to_json()
    with suppress(ValueError):
        Entry.from_row(value)


def test_an_entry_of_before_there_were_loads_is_a_blow(tmp_path):
    row = json.loads((filled(tmp_path, 1) / INDEX_FILE).read_text().splitlines()[-1])
    for name in ("peak_force", "impulse", "peak_torque", "acceleration_change", "mean_load"):
        del row[name]
    entry = Entry.from_row(row | {"kind": 2})  # once: it lasted longer than 0.15 s
    again = Entry.from_row(row | {"mean_load": 0.0, "peak_load": 0.0})  # and a little later
    assert entry.mean_load is again.mean_load is entry.peak_force is None
    assert Kind(entry.kind) is Kind.BLOW
    assert repr(entry.measured) == repr(Size(duration=entry.measured.duration))


def test_lost_index_is_made_again(tmp_path):
    index = filled(tmp_path) / INDEX_FILE
    index.unlink()
    EventStore(tmp_path).close()
    assert [*Index(index).entries] == [1, 2, 3]


def test_deleted_folder_leaves_the_index(tmp_path):
    filled(tmp_path)
    shutil.rmtree(next((tmp_path / EVENTS).glob("000002_*")))
    (damage,) = verify(tmp_path)[1]
    assert "event 2 is in it" in damage.reason
    EventStore(tmp_path).close()
    assert [*Index(tmp_path / INDEX_FILE).entries] == [1, 3]
    with pytest.raises(StoreError, match="no event 2; it holds 1 to 3"):
        read_event(tmp_path, 2)


def test_event_that_is_not_in_the_index_yet_is_taken_in(tmp_path):
    index = filled(tmp_path) / INDEX_FILE
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join(lines[:-1]))
    with EventStore(tmp_path, BIG, 0) as store:
        assert [e.number for e in store.entries] == [1, 2, 3]
        assert store.append(event()).number == 4


def test_unfinished_event_is_removed(tmp_path):
    filled(tmp_path, 1)
    left = tmp_path / "writing" / "000002_20231114T221320Z"
    left.mkdir(parents=True)
    (left / "x.mcap").write_bytes(b"half")
    EventStore(tmp_path).close()
    assert not left.parent.exists()


def test_folder_that_is_not_whole_is_left_and_named(tmp_path):
    filled(tmp_path, 1)
    odd = tmp_path / EVENTS / "000002_odd"
    odd.mkdir()
    (tmp_path / EVENTS / "notes").mkdir()
    with EventStore(tmp_path, BIG, 0) as store:
        assert store.append(event()).number == 3
    assert [(d.path, d.reason) for d in verify(tmp_path)[1]] == [
        (f"{EVENTS}/000002_odd", "not a whole event")
    ]
    assert odd.exists()


# Damage


def test_verify_names_what_is_damaged(tmp_path):
    filled(tmp_path, 5)
    first, second, third, fourth, _ = sorted((tmp_path / EVENTS).iterdir())
    mcap = first / f"{first.name}.mcap"
    content = bytearray(mcap.read_bytes())
    content[len(content) // 2] ^= 1
    mcap.write_bytes(content)
    (second / f"{second.name}.mcap").unlink()
    (third / "metadata.yaml").write_text("no: bag\n")
    text = (fourth / "event.json").read_text()
    (fourth / "event.json").write_text(text.replace("impact", "slip"))
    count, damage = verify(tmp_path)
    assert count == 5
    assert [d.path for d in damage] == [
        f"{EVENTS}/{f.name}" for f in (first, second, third, fourth)
    ]
    for found, reason in zip(
        damage, ("SHA-256", "No such file", "not readable", "differ"), strict=True
    ):
        assert reason in found.reason


def test_no_store_is_said(tmp_path):
    for check in (read_entries, verify):
        with pytest.raises(StoreError, match="no event store here"):
            check(tmp_path / "none")


# Bounds


def test_oldest_make_room(tmp_path):
    with EventStore(tmp_path, 400_000, 0) as store:
        for sequence in range(40):
            entry = store.append(event(sequence))
            assert store.entries[-1] == entry
            assert disk_use(tmp_path) + (tmp_path / INDEX_FILE).stat().st_size <= store.bytes_used
            assert store.bytes_used <= 400_000
    numbers = [e.number for e in read_entries(tmp_path)]
    assert numbers == list(range(numbers[0], 41))
    assert len(numbers) > 5
    assert verify(tmp_path) == (len(numbers), [])


def test_event_bigger_than_the_bound_is_refused(tmp_path):
    filled(tmp_path)
    with EventStore(tmp_path, 200_000, 0) as store:
        with pytest.raises(StoreError, match=r"event 9 refused.*200000 are allowed"):
            store.append(event(9, samples=5000))
        assert len(store.entries) == 3


def test_free_space_is_left(tmp_path, monkeypatch):
    """The oldest go while that helps; nothing is deleted where it cannot."""
    filled(tmp_path)
    free = [0]
    real = os.statvfs(tmp_path)

    class Disk:
        f_frsize = 1
        f_bavail = property(lambda self: free[0])

    monkeypatch.setattr(event_store.os, "statvfs", lambda _: Disk())
    assert real.f_bavail
    with EventStore(tmp_path, BIG, 10_000_000) as store:
        with pytest.raises(StoreError, match="10000000 stay free"):
            store.append(event())
        assert len(store.entries) == 3
        free[0] = 10_000_000 + 100_000
        store.append(event())
        assert [e.number for e in store.entries][-1] == 4
        assert len(store.entries) < 4


def test_index_does_not_grow_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("tao_lora_ros.preservation.event_index._SPARE_LINES", 10)
    with EventStore(tmp_path, 200_000, 0) as store:
        for _ in range(30):
            store.append(event(samples=2))
            assert (
                len((tmp_path / INDEX_FILE).read_text().splitlines()) < 2 * len(store.entries) + 13
            )
    assert verify(tmp_path) == (len(store.entries), [])


# Bad disks


@contextmanager
def mounted(*arguments: str):
    """A mount, where we may."""
    folder = arguments[-1]
    if os.geteuid() or subprocess.run(["mount", *arguments], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        yield Path(folder)
    finally:
        subprocess.run(["umount", folder], check=True)


def test_full_disk_is_reported_and_survived(tmp_path):
    with mounted("-t", "tmpfs", "-o", "size=600k", "tmpfs", str(tmp_path)):
        with EventStore(tmp_path / "store", BIG, 0) as store:
            kept = store.append(event())
            filler = tmp_path / "filler"
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass
            # the free space promised is taken by another before we write
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(EventStore, "_make_room", lambda *_: None)
                for _ in range(3):
                    with pytest.raises(StoreError, match="No space left on device"):
                        store.append(event(1))
            with pytest.raises(StoreError, match="refused"):
                store.append(event(2, samples=5000))
            filler.unlink()
            assert store.append(event(3)).number == kept.number + 1
        assert verify(tmp_path / "store") == (2, [])


def test_index_that_cannot_be_written_is_made_up_for(tmp_path):
    """The event itself is kept, by the folder it lies in."""
    index = tmp_path / INDEX_FILE
    with EventStore(tmp_path, BIG, 0) as store:
        store.append(event(0))
        index.unlink()
        index.mkdir()
        with pytest.raises(StoreError, match=r"index\.jsonl: Is a directory"):
            store.append(event(1))
        index.rmdir()
        store.append(event(2))
    assert [e.sequence for e in read_entries(tmp_path)] == [0, 1, 2]
    assert verify(tmp_path) == (3, [])


def test_read_only_disk_is_reported(tmp_path):
    filled(tmp_path / "store", 1)
    with mounted("--bind", "-o", "ro", str(tmp_path), str(tmp_path)):
        with pytest.raises(StoreError, match="Read-only file system"):
            EventStore(tmp_path / "store")
        with pytest.raises(StoreError, match="Read-only file system"):
            EventStore(tmp_path / "other")
        assert [e.number for e in read_entries(tmp_path / "store")] == [1]


def test_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="Not a directory"):
        EventStore(tmp_path / "store")
    with pytest.raises(StoreError, match="Not a directory"):
        read_entries(tmp_path / "store")


@pytest.mark.parametrize("then", [None, "folder", "another"])
def test_store_deleted_while_open(tmp_path, then):
    """It does not write to another's store that was put in its place either."""
    folder = tmp_path / "store"
    with EventStore(folder, BIG, 0) as store:
        store.append(event())
        assert not store.gone
        shutil.rmtree(folder)
        if then == "folder":
            folder.mkdir()
        elif then == "another":
            EventStore(folder).close()
        assert store.gone
        with pytest.raises(StoreError, match="deleted or replaced while in use"):
            store.append(event(1))


def test_newest_event_is_known_again(tmp_path):
    with EventStore(tmp_path, BIG, 0) as store:
        assert not store.holds(event(0))
        store.append(event(0))
        store.append(event(1))
    with EventStore(tmp_path, BIG, 0) as store:
        assert store.holds(event(1))
        assert not store.holds(event(0))
        assert not store.holds(event(1, peak_score=3.5))


# What others put there


def test_folder_that_we_make_is_its_owners_alone(tmp_path):
    EventStore(tmp_path / "a" / "store").close()
    assert (tmp_path / "a" / "store").stat().st_mode & 0o777 == 0o700
    (tmp_path / "own").mkdir(mode=0o755)
    EventStore(tmp_path / "own").close()
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["index.new", "index.jsonl", "writing", "lock", EVENTS])
def test_links_are_not_followed(tmp_path, name):
    """Replaced where the store makes them anew, else refused; what they name stays as it was."""
    store, secret = tmp_path / "store", tmp_path / "secret"
    store.mkdir()
    secret.mkdir()
    (secret / "file").write_text("keep")
    folder = name in ("writing", EVENTS)
    (store / name).symlink_to(secret if folder else secret / "file")
    if name in ("lock", EVENTS):
        with pytest.raises(StoreError, match=name):
            EventStore(store, BIG, 0)
    else:
        with EventStore(store, BIG, 0) as opened:
            opened.append(event())
            opened._index.rewrite()
        assert [e.number for e in read_entries(store)] == [1]
    assert [path.name for path in secret.iterdir()] == ["file"]
    assert (secret / "file").read_text() == "keep"


def test_link_in_place_of_an_event_is_passed_over(tmp_path):
    filled(tmp_path / "other", 2)
    filled(tmp_path / "store", 1)
    (moved,) = (tmp_path / "other" / EVENTS).glob("000002_*")
    (tmp_path / "store" / EVENTS / moved.name).symlink_to(moved)
    assert [e.number for e in read_entries(tmp_path / "store")] == [1]


@pytest.mark.parametrize("name", ["lock", INDEX_FILE, "index.new"])
def test_fifo_makes_no_writer_wait(tmp_path, name):
    os.mkfifo(tmp_path / name)
    if name == "lock":
        with pytest.raises(StoreError, match="lock: "):
            EventStore(tmp_path)
        return
    with EventStore(tmp_path, BIG, 0) as store:
        store.append(event())
        store._index.rewrite()
    assert verify(tmp_path) == (1, [])


def test_fifo_makes_nobody_wait(tmp_path):
    (folder,) = (filled(tmp_path, 1) / EVENTS).iterdir()
    for file in (folder / f"{folder.name}.mcap", tmp_path / INDEX_FILE):
        file.unlink()
        os.mkfifo(file)
        assert verify(tmp_path)[1]
    with pytest.raises(StoreError, match="no event 1"):
        read_event(tmp_path, 1)
    with EventStore(tmp_path, BIG, 0) as store:
        store.append(event(1))
    assert [e.sequence for e in read_entries(tmp_path)] == [1]


# Nothing is lost

times = st.integers(0, 1500)


@settings(deadline=None, max_examples=12)
@given(
    layout=st.lists(st.tuples(times, st.integers(1, 400)), min_size=1, max_size=6),
    pre_roll=st.integers(0, 250),
    lag=st.integers(-20, 20),
)
def test_every_sample_of_every_stretch_is_kept(tmp_path_factory, layout, pre_roll, lag):
    """Apart, back to back or overlapping: every stretch is in its event, to the bit.

    Events begin `layout[i][0]` ms after the start and last `layout[i][1]` ms. Every seventh message
    is refused, and belongs to what came around it.
    """
    folder = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    count = 2500
    stamps = {IMU: T0 + np.arange(count) * MS, WRENCH: T0 + lag * MS + np.arange(count) * MS + 77}
    values = {kind: rng.normal(size=(count, 6)) for kind in stamps}
    sent = {kind: [rng.bytes(rng.integers(40)) for _ in range(count)] for kind in stamps}
    refused = np.arange(count) % 7 == 6
    buffers = {}
    for kind, name, lag_s in ((IMU, "imu", 0.0), (WRENCH, "wrench", lag * 1e-3)):
        buffers[kind] = PreRollBuffer(SourceConfig(name, kind, lag_s), 60.0)
        for i, stamp in enumerate(stamps[kind].tolist()):
            place = stamp - lag * MS * (kind == WRENCH)
            taken = () if refused[i] else (stamp, values[kind][i])
            buffers[kind].push(place, sent[kind][i], *taken)
    stretches = [
        (T0 + (300 + start) * MS, T0 + (300 + start + long) * MS) for start, long in layout
    ]
    with EventStore(folder, BIG, 0) as store:
        for number, (onset, end) in enumerate(stretches):
            cuts = [b.cut(onset - pre_roll * MS, end, "link") for b in buffers.values()]
            sources, received = zip(*cuts, strict=True)
            changes = dict(onset_ns=onset, end_ns=end, sources=sources, received=received)
            store.append(event(number, **changes))
    for number, (onset, end) in enumerate(stretches, start=1):
        _, record = read_event(folder, number)
        rows = zip(stamps, record.event.raw, record.received, strict=True)
        for kind, source, (_, messages) in rows:
            shift = lag * MS if kind == WRENCH else 0
            begun = stamps[kind] >= onset - pre_roll * MS + shift
            inside = begun & (stamps[kind] <= end + shift)
            assert inside.any()
            good = inside & ~refused
            np.testing.assert_array_equal(source.stamps_ns, stamps[kind][good])
            np.testing.assert_array_equal(source.values, values[kind][good])
            # what was refused goes along until the first sample after the event
            after = np.flatnonzero(begun & ~inside & ~refused)[:1]
            kept = [i for i in np.flatnonzero(begun) if not len(after) or i < after[0]]
            assert messages.data == tuple(sent[kind][i] for i in kept)
    assert verify(folder) == (len(layout), [])
    shutil.rmtree(folder)


def test_entry_is_one_line_of_json(tmp_path):
    with EventStore(tmp_path) as store:
        entry = store.append(event(label='two\nlines "quoted" ü'))
    assert "\n" not in entry.to_json()
    assert Entry.from_json(entry.to_json()) == entry
    assert read_entries(tmp_path) == [entry]


def test_default_store_is_where_ros_keeps_its_state(monkeypatch):
    monkeypatch.setenv("ROS_HOME", "/somewhere")
    assert default_store() == default_store("/") == Path("/somewhere/tao_lora/events")
    assert default_store("/left/arm") == Path("/somewhere/tao_lora/left/arm/events")
    monkeypatch.delenv("ROS_HOME")
    monkeypatch.setenv("HOME", "/home/robot")
    assert default_store() == Path("/home/robot/.ros/tao_lora/events")
