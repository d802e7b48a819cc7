"""Names learned from the labelled events of a store: what it had, what it doubts, what is next."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import complaint, tao_lora
from event_records import MS, T0, event, raw
from models import small_artifact

from tao_lora_ros.messages.results import Phase
from tao_lora_ros.model.artifact import default_artifact, load_artifact, save_artifact
from tao_lora_ros.model.event_features import event_features
from tao_lora_ros.preservation.event_catalogue import read_entries, read_event
from tao_lora_ros.preservation.event_labels import label_event
from tao_lora_ros.preservation.event_record import EventRecord
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.signal.cdr import IMU, WRENCH
from tao_lora_ros.training.event_names import EventNameError
from tao_lora_ros.training.store_names import learn_names


def record(
    sequence: int, onset_ns: int, push: float, length: int, late_ns: int = 0, lag_ns: int = 0
) -> EventRecord:
    """An event whose force is `push` for `length` samples from its onset on.

    Its wrench stamps late, and is known to be by `lag_ns`.
    """
    stamps = onset_ns - 250 * MS + np.arange(600) * MS
    sources = [
        raw(name, kind, stamps, sequence) for name, kind in (("imu", IMU), ("wrench", WRENCH))
    ]
    sources[1].values[250 : 250 + length, 2] += push
    sources[1] = replace(sources[1], stamps_ns=stamps + late_ns, lag_ns=lag_ns)
    return event(sequence, onset_ns=onset_ns, end_ns=onset_ns + length * MS, sources=sources)


SHAPES = {"tap": (40.0, 10), "push": (15.0, 200)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sessions of taps and pushes; of 18 events the first 12 are labelled, one wrongly."""
    folder = tmp_path_factory.mktemp("store")
    with EventStore(folder, 2**30, 0) as opened:
        for n in range(18):
            shape = SHAPES[("tap", "push")[n % 2]]
            opened.append(record(n % 6, T0 + n * 2000 * MS, *shape))
    for n, entry in enumerate(read_entries(folder)[:12]):
        label_event(folder, entry, "push" if n == 4 else ("tap", "push")[n % 2], "anna")
    return folder


def test_what_was_labelled_is_learned(store: Path) -> None:
    found = learn_names(store, small_artifact())
    assert found.counts == {"push": 7, "tap": 5}
    assert found.right[0] == 0  # without a head nothing has a name
    assert found.right[1] >= 9
    assert (5, "push", "tap") in [doubt[:3] for doubt in found.doubts]
    assert len(found.doubts) < 4
    head = found.artifact.event_head
    for number in range(13, 19):
        entry, kept = read_event(store, number)
        features = event_features(kept.event.raw, entry.onset_ns, entry.end_ns)
        said = head.probabilities(Phase.END, features)
        assert head.names[int(said.argmax())] == ("push", "tap")[number % 2]


def test_the_least_sure_is_to_be_labelled_next(store: Path) -> None:
    found = learn_names(store, small_artifact())
    margins = [margin for *_, margin in found.next]
    assert sorted(number for number, *_ in found.next) == list(range(13, 19))
    assert margins == sorted(margins)
    assert any("event 5 is labelled push, and looks like tap" in line for line in found.lines())


def test_names_that_nobody_labels_are_kept_or_it_is_said_that_they_are_not(store: Path) -> None:
    shipped = load_artifact(default_artifact()).event_head
    found = learn_names(store, replace(small_artifact(), event_head=shipped))
    assert {*shipped.names, "push", "tap"} == {*found.artifact.event_head.names}
    assert f"kept as they were, without labels: {', '.join(shipped.names)}" in found.lines()
    again = learn_names(store, found.artifact)
    assert again.right[0] >= 10
    assert "0 of 12 by the names so far (they have no push, no tap), " in "".join(found.lines())
    assert f"called as they are labelled: {again.right[0]} of 12 by the names so far, " in (
        "".join(again.lines())
    )
    old = replace(shipped, likeness=None)
    found = learn_names(store, replace(small_artifact(), event_head=old))
    assert found.artifact.event_head.names == ("push", "tap")
    assert {*found.forgotten, *found.replaced} == {*shipped.names}
    assert any(f"forgotten: {', '.join(found.forgotten)}" in line for line in found.lines())


def test_few_labels_are_said_to_tell_little(store: Path, tmp_path: Path) -> None:
    assert not any("says little" in line for line in learn_names(store, small_artifact()).lines())
    few = tmp_path / "few"
    shutil.copytree(store, few)
    for entry in read_entries(few)[:8]:
        label_event(few, entry, "push")
    said = learn_names(few, small_artifact()).lines()
    assert "that says little with fewer than 5 labels: tap" in said


def test_a_new_word_takes_the_place_of_the_name_that_it_is_another_word_for(
    store: Path, tmp_path: Path
) -> None:
    first = learn_names(store, small_artifact()).artifact
    again = tmp_path / "again"
    shutil.copytree(store, again)
    for number, entry in enumerate(read_entries(again)[:12]):
        label_event(again, entry, ("knock", "thump")[number % 2])
    found = learn_names(again, first)
    assert found.replaced == {"push": "thump", "tap": "knock"}
    assert found.artifact.event_head.names == ("knock", "thump")
    assert found.right[1] > 9 > found.right[0]
    assert any("tap is now knock" in line for line in found.lines())
    for entry in read_entries(again)[:4]:
        label_event(again, entry, "tap")  # both, then
    assert "tap" not in learn_names(again, first).replaced


def test_lags_are_taken_off(tmp_path: Path) -> None:
    """A wrench that is known to stamp late teaches what one does that stamps in time."""
    heads = []
    for late_ns, lag_ns in ((0, 0), (100 * MS, 100 * MS), (100 * MS, 0)):
        folder = tmp_path / f"{late_ns} {lag_ns}"
        with EventStore(folder, 2**30, 0) as opened:
            for n in range(8):
                shape = SHAPES[("tap", "push")[n % 2]]
                opened.append(record(n, T0 + n * 2000 * MS, *shape, late_ns, lag_ns))
        for entry, name in zip(read_entries(folder), [*SHAPES] * 4, strict=True):
            label_event(folder, entry, name)
        heads.append(learn_names(folder, small_artifact()).artifact.event_head)
    np.testing.assert_allclose(heads[1].weights, heads[0].weights)
    assert not np.allclose(heads[2].weights, heads[0].weights)


def test_the_command(store: Path, tmp_path: Path, capsys) -> None:
    save_artifact(small_artifact(), tmp_path / "model")
    where = dict(store=store, model=tmp_path / "model")
    assert tao_lora("train", **where, out=tmp_path / "out") == 0
    out = capsys.readouterr().out
    assert "labels: push 7, tap 5; 6 events have none" in out
    assert "label next, the least sure first:" in out
    written = load_artifact(tmp_path / "out")
    assert written.event_head.names == ("push", "tap")
    assert written.provenance["named_events"] == {"push": 7, "tap": 5}
    again = replace(written, event_head=None)
    assert again.labels == small_artifact().labels
    for words, how in ((["bag"], where), ([], where | {"steady": "bag"}), (["bag"], {})):
        assert complaint(capsys, "train", *words, **how, out=tmp_path / "no")


def test_one_name_is_refused(tmp_path: Path) -> None:
    with EventStore(tmp_path, 2**30, 0) as opened:
        for n in range(3):
            opened.append(record(n, T0 + n * 2000 * MS, *SHAPES["tap"]))
    for entry in read_entries(tmp_path):
        label_event(tmp_path, entry, "tap")
    with pytest.raises(EventNameError, match="tap 3; expected two names"):
        learn_names(tmp_path, small_artifact())
