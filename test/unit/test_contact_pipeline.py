"""A press with taps within, through the whole pipeline: one lasting contact, and the blows."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from commands import json_of, tao_lora
from recordings import START_NS, Message, imu, wrench, write_ros2
from swung import CHANNELS, PRESS_S, RATE_HZ, TAPS_S, handled, messages_of, swung, swung_artifact

from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.bags.replay import replay
from tao_lora_ros.engine.calibration import Calibrated
from tao_lora_ros.engine.pipeline import Pipeline, Work
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.messages.results import ContactLoad, Event, Kept, Kind, Phase, Result
from tao_lora_ros.model.artifact import load_artifact, save_artifact
from tao_lora_ros.preservation.event_bag import write_bag
from tao_lora_ros.preservation.event_catalogue import read_entries, read_event
from tao_lora_ros.preservation.event_record import EventRecord
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.training.event_truth import calibrated_for, events_in
from tao_lora_ros.training.recordings import Reading

HANDLED = messages_of(handled())
S = 1_000_000_000


def pipeline(**settings: object) -> Pipeline:
    return Pipeline(Settings(**settings), swung_artifact())  # type: ignore[arg-type]


def results(subject: Pipeline, messages: list[Message], flush: bool = True) -> list[Result]:
    out = [result for m in messages for result in subject.push(m.source, m.data).results]
    return [*out, *subject.flush()] if flush else out


def events(found: list[Result], kind: Kind) -> list[Event]:
    return [event for event in found if isinstance(event, Event) and event.kind is kind]


def seconds(stamp_ns: int) -> float:
    return (stamp_ns - START_NS) / S


@pytest.fixture(scope="module")
def out() -> list[Result]:
    return results(pipeline(contact_wrench_hz=100.0), HANDLED)


def test_a_press_with_taps_within_gives_one_contact_and_the_blows(out: list[Result]) -> None:
    onset, end = events(out, Kind.LASTING_CONTACT)
    assert (onset.phase, end.phase) == (Phase.ONSET, Phase.END)
    assert onset.sequence == end.sequence
    assert 0.0 <= seconds(onset.onset_ns) - PRESS_S[0] <= 0.15
    assert 0.0 <= seconds(end.end_ns) - PRESS_S[1] <= 0.3
    assert end.size.mean_load == pytest.approx(8.0, abs=0.5)
    assert end.size.peak_force >= end.size.mean_load
    assert end.frame_id == "ft_link"
    assert {name.partition(".")[0] for name, _ in end.channels} == {"wrench"}
    blows = [event for event in events(out, Kind.BLOW) if event.phase is Phase.ONSET]
    for tap_s in TAPS_S:
        assert min(abs(seconds(blow.onset_ns) - tap_s) for blow in blows) <= 0.02
    numbers = [event.sequence for event in [onset, *blows]]
    assert sorted(numbers) == list(range(len(numbers)))


def test_the_contact_wrench_is_what_the_hand_does(out: list[Result]) -> None:
    loads = [load for load in out if isinstance(load, ContactLoad)]
    stamps = np.array([load.stamp_ns for load in loads])
    assert set(np.diff(stamps).tolist()) == {S // 100}
    assert {(load.wrench, load.frame_id) for load in loads} == {("wrench", "ft_link")}
    times = (stamps - START_NS) / S
    values = np.array([load.values for load in loads])
    held = (times > PRESS_S[0] + 0.05) & (times < TAPS_S[0] - 0.05)
    np.testing.assert_allclose(values[held].mean(axis=0)[:3], (4.8, 0.0, -6.4), atol=0.3)
    free = (times > 1.0) & (times < PRESS_S[0] - 0.05)
    assert np.linalg.norm(values[free, :3], axis=1).max() < 0.5
    assert np.isnan(values[times < 0.4]).all()  # the bias is not known yet


@pytest.mark.parametrize("lag_s", [0.3, -0.3])
def test_the_contact_wrench_is_in_the_time_of_its_sensor(lag_s: float) -> None:
    rows = swung(2.0, seed=2)
    lags_ns = (0, round(lag_s * S))
    late = [
        Message(m.source, stamp := m.stamp_ns + lags_ns[m.source], message_of(rows, i, stamp))
        for i, m in enumerate(messages_of(rows))
    ]
    found = []
    for lag, messages in ((0.0, messages_of(rows)), (lag_s, late)):
        subject = pipeline(contact_wrench_hz=100.0, wrench_lags_s=(lag,))
        loads = [r for r in results(subject, messages) if isinstance(r, ContactLoad)]
        found.append({load.stamp_ns: load.values for load in loads})
    assert len(found[0]) > 150
    for stamp_ns, values in found[0].items():
        np.testing.assert_array_equal(found[1][stamp_ns + lags_ns[1]], values)


def message_of(rows: np.ndarray, number: int, stamp_ns: int) -> bytes:
    """That of `messages_of` with another stamp."""
    row = rows[number // 2].tolist()
    return wrench(stamp_ns, row[6:]) if number % 2 else imu(stamp_ns, row[:6])


def test_without_a_model_of_the_load_there_are_no_contacts() -> None:
    artifact = replace(swung_artifact(), contacts=())
    found = results(Pipeline(Settings(contact_wrench_hz=100.0), artifact), HANDLED)
    assert events(found, Kind.LASTING_CONTACT) == []
    assert events(found, Kind.BLOW)
    assert not any(isinstance(load, ContactLoad) for load in found)


def test_the_end_of_the_input_closes_a_contact() -> None:
    found = results(pipeline(), HANDLED[: round(2 * 7.5 * RATE_HZ)])
    onset, end = events(found, Kind.LASTING_CONTACT)
    assert (end.phase, end.sequence) == (Phase.END, onset.sequence)
    assert any(isinstance(kept, Kept) and kept.event is end for kept in found)


def test_what_is_kept_of_a_contact_is_stored_and_read_back(
    out: list[Result], tmp_path: Path
) -> None:
    subject = pipeline()
    sources = [source.config.name for source in subject.intake.sources]
    with EventStore(tmp_path) as store:
        for kept in (kept for kept in out if isinstance(kept, Kept)):
            topics = [_topic(name) for name in sources]
            store.append(EventRecord.of(kept, topics))
    entries = [entry for entry in read_entries(tmp_path) if entry.mean_load]
    (end,) = (event for event in events(out, Kind.LASTING_CONTACT) if event.phase is Phase.END)
    (entry,) = entries
    assert (Kind(entry.kind), entry.sequence) == (Kind.LASTING_CONTACT, end.sequence)
    _, record = read_event(tmp_path, entry.number)
    assert (record.event.kind, record.event.size) == (end.kind, end.size)
    stamps = record.event.raw[1].stamps_ns
    assert seconds(stamps[0]) == pytest.approx(seconds(end.onset_ns) - 0.25, abs=0.02)
    assert np.diff(stamps).max() <= 1e9 / RATE_HZ + 1  # shorter than twice the longest: whole


def test_the_contact_and_the_blows_within_are_each_found_again(
    out: list[Result], tmp_path: Path
) -> None:
    subject = pipeline()
    configs = [source.config for source in subject.intake.sources]
    topics = [_topic(config.name) for config in configs]
    stored = [kept for kept in out if isinstance(kept, Kept)]
    for kept in stored:
        bag = tmp_path / str(kept.event.sequence)
        write_bag([EventRecord.of(kept, topics)], bag)
        with BagReader(bag, configs) as reader:
            again = replay(reader, pipeline()).events
        ends = [_said(event) for event in again if event.phase is Phase.END]
        assert _said(kept.event) in ends
        assert len(ends) == len(set(ends))
    assert {kept.event.kind for kept in stored} == {Kind.BLOW, Kind.LASTING_CONTACT}


def _said(event: Event) -> tuple[object, ...]:
    return event.kind, event.onset_ns, event.peak_ns, event.end_ns, event.peak_score


def _topic(name: str):  # type: ignore[no-untyped-def]
    from event_records import TOPICS

    return TOPICS[name]


def test_calibrating_what_was_seen_makes_a_model_and_reports_it() -> None:
    subject = Pipeline(Settings(), replace(swung_artifact(), contacts=()))
    results(subject, messages_of(swung(40.0, seed=4)), flush=False)
    assert subject.contact_models == {"wrench": None}
    assert "by imu; lasting contacts from" in subject.calibrate()[-1]
    model = subject.contact_models["wrench"]
    assert model is not None
    assert model.terms == 12
    subject.reset()
    assert len(events(results(subject, messages_of(handled(seed=5))), Kind.LASTING_CONTACT)) == 2


def test_messages_are_dealt_with_while_a_thread_calibrates() -> None:
    messages, cut = messages_of(swung(44.0, seed=4)), round(2 * 40.0 * RATE_HZ)
    alone, beside = pipeline(), pipeline()
    for subject in (alone, beside):
        results(subject, messages[:cut], flush=False)
    rest = iter(messages[cut:])

    def by_a_thread(work: Work) -> Calibrated:
        with ThreadPoolExecutor(1) as thread:
            made = thread.submit(work)
            while not made.done():
                results(beside, list(islice(rest, 10)), flush=False)
        return made.result()

    assert beside.calibrate(by_a_thread) == alone.calibrate()
    assert beside.counts.rows > alone.counts.rows
    assert beside.calibration == alone.calibration
    assert beside.contact_models == alone.contact_models


def test_calibrating_in_a_contact_closes_it() -> None:
    contact = np.zeros((round(42.0 * RATE_HZ), 6))
    contact[round(40.0 * RATE_HZ) :, 0] = 8.0
    messages, cut = messages_of(swung(42.0, seed=4, contact=contact)), round(2 * 41.0 * RATE_HZ)
    subject = pipeline()
    (onset,) = events(results(subject, messages[:cut], flush=False), Kind.LASTING_CONTACT)
    subject.calibrate()
    rest = results(subject, messages[cut:], flush=False)
    assert events(rest, Kind.LASTING_CONTACT)[0].sequence == onset.sequence
    assert events(rest, Kind.LASTING_CONTACT)[0].phase is Phase.END


def phases(found: list[Result]) -> list[tuple[Phase, int]]:
    return [(event.phase, event.sequence) for event in events(found, Kind.LASTING_CONTACT)]


def test_a_model_without_expected_loads_after_a_calibration_in_a_contact_ends_it_once() -> None:
    contact = np.zeros((round(42.0 * RATE_HZ), 6))
    contact[round(40.0 * RATE_HZ) :, 0] = 8.0
    messages, cut = messages_of(swung(42.0, seed=4, contact=contact)), round(2 * 41.0 * RATE_HZ)
    subject = pipeline()
    found = results(subject, messages[:cut], flush=False)
    subject.calibrate()
    subject.use(replace(subject.artifact, contacts=()), found.extend)
    found += results(subject, messages[cut:])
    number = events(found, Kind.LASTING_CONTACT)[0].sequence
    assert phases(found) == [(Phase.ONSET, number), (Phase.END, number)]


def test_a_calibration_that_learns_nothing_of_a_wrench_ends_its_contact_once() -> None:
    contact = np.zeros((round(22.0 * RATE_HZ), 6))
    contact[round(20.8 * RATE_HZ) :, 0] = 8.0
    messages = messages_of(swung(22.0, seed=4, contact=contact))
    late = [m for m in messages if m.source == 0 or m.stamp_ns > START_NS + 20 * S]
    subject, cut = pipeline(), START_NS + round(21.2 * S)
    found = results(subject, [m for m in late if m.stamp_ns <= cut], flush=False)
    assert [phase for phase, _ in phases(found)] == [Phase.ONSET]
    assert "not known, the recordings are too short" in subject.calibrate()[-1]
    assert subject.contact_models == {"wrench": None}
    found += results(subject, [m for m in late if m.stamp_ns > cut])
    number = phases(found)[0][1]
    assert phases(found) == [(Phase.ONSET, number), (Phase.END, number)]


def test_an_artifact_keeps_its_contact_models(tmp_path: Path) -> None:
    save_artifact(swung_artifact(), tmp_path)
    assert load_artifact(tmp_path).contacts == swung_artifact().contacts
    card = json.loads((tmp_path / "model.json").read_text())
    del card["contacts"]  # written before there were any
    (tmp_path / "model.json").write_text(json.dumps(card))
    assert load_artifact(tmp_path).contacts == ()


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("wrench", [0, 1, 2, 3, 4, 5], "contacts[0].wrench is [0, 1, 2, 3, 4, 5]"),
        ("wrench", [6, 7, 8, 9, 10, 99], "contacts[0].wrench"),
        ("accel", [0, 1], "contacts[0].accel"),
        ("accel", [6, 7, 8], "contacts[0].accel is the wrench's own force"),
        ("accel", [9, 10, 11], "contacts[0].accel"),
        ("gyro", [], "contacts[0].gains has rows that are not of 3 terms"),
        ("gains", [[0.0] * 12] * 5, "$.contacts[0].gains"),
        ("gains", [[1e7] * 12] * 6, "$.contacts[0].gains"),
        ("gains", [[None] * 12] * 6, "$.contacts[0].gains"),
        ("thresholds", [0.0, 1.0], "$.contacts[0].thresholds[0]"),
        ("thresholds", [1.0], "$.contacts[0].thresholds"),
        ("noise", [-1.0, 0.0], "$.contacts[0].noise[0]"),
    ],
)
def test_a_bad_contact_model_is_refused_by_its_field(
    tmp_path: Path, field: str, value: object, reason: str
) -> None:
    save_artifact(swung_artifact(), tmp_path)
    card = json.loads((tmp_path / "model.json").read_text())
    card["contacts"][0][field] = value
    (tmp_path / "model.json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match=r"model\.json") as refused:
        load_artifact(tmp_path)
    assert reason in str(refused.value)


def test_replay_lists_contacts_with_kind_and_load_and_draws_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steady = write_ros2(tmp_path / "steady", messages_of(swung(60.0, seed=1)))
    bag = write_ros2(tmp_path / "handled", HANDLED)
    model, page = tmp_path / "model", tmp_path / "page.html"
    assert tao_lora("calibrate", steady, out=model) == 0
    assert "contact load of wrench: " in capsys.readouterr().out
    rows = json_of("replay", bag, model=model, report=page)["events"]
    (contact,) = (row for row in rows if row["kind"] == "lasting_contact")
    mean_n = contact["size"]["mean_load"]
    assert mean_n == pytest.approx(8.0, abs=0.5)
    assert contact["onset_s"] == pytest.approx(PRESS_S[0], abs=0.15)
    assert all(row["size"]["mean_load"] is None for row in rows if row["kind"] == "blow")
    printed = capsys.readouterr().out
    assert any(
        "lasting contact" in line and f"{mean_n:.1f} N, at most" in line
        for line in printed.splitlines()
    )
    drawn = re.search(r'"kind": ?"lasting contact".*?"size": ?"([^"]*)"', page.read_text())
    assert f"{mean_n:.1f} N" in drawn[1]


def test_a_wrench_alone_tells_presses_by_their_lever(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No IMU: `calibrate` and `replay` of what the wrench alone sent, and its model once more."""
    contact = np.zeros((round(12.0 * RATE_HZ), 6))
    press = np.array((4.8, 0.0, -6.4))
    contact[round(PRESS_S[0] * RATE_HZ) : round(PRESS_S[1] * RATE_HZ)] = (
        *press,
        *np.cross((0.0, 0.1, 0.1), press),
    )
    steady, handled_alone, model = tmp_path / "steady", tmp_path / "handled", tmp_path / "model"
    write_ros2(steady, of_the_wrench(swung(60.0, seed=1, speed=0.1)))
    write_ros2(handled_alone, of_the_wrench(swung(12.0, seed=2, speed=0.1, contact=contact)))
    assert tao_lora("calibrate", steady, out=model) == 0
    assert "; its torque by its own force, which leaves " in capsys.readouterr().out
    rows = json_of("replay", handled_alone, model=model)["events"]
    (found,) = (row for row in rows if row["kind"] == "lasting_contact")
    assert found["onset_s"] == pytest.approx(PRESS_S[0], abs=0.15)
    assert found["end_s"] == pytest.approx(PRESS_S[1], abs=0.15)
    assert "torque expected by its own force" in capsys.readouterr().out


def of_the_wrench(rows: np.ndarray) -> list[Message]:
    return [message for message in messages_of(rows) if message.source == 1]


def test_lasting_contacts_are_learned_as_they_are_found(tmp_path: Path) -> None:
    """A bag with labels calibrates for its robot by what nobody labelled."""
    bag = write_ros2(tmp_path / "handled", HANDLED)
    labels = [f"{PRESS_S[0]},{PRESS_S[1]},press", *(f"{at},{at + 0.01},impact" for at in TAPS_S)]
    file = Path(f"{bag}.labels.csv")
    file.write_text("\n".join(["start_s,end_s,label", *labels]))
    how, shipped = Reading(Settings(), RATE_HZ), replace(swung_artifact(), contacts=())
    own = calibrated_for(shipped, bag, how)
    assert own
    (lasting,) = (f for f in events_in(bag, own, how) if f.end.kind is Kind.LASTING_CONTACT)
    assert lasting.event.name == "press"
    assert seconds(lasting.end.onset_ns) == pytest.approx(PRESS_S[0], abs=0.15)
    assert seconds(lasting.end.end_ns) == pytest.approx(PRESS_S[1], abs=0.3)
    file.write_text("start_s,end_s,label\n0.1,11.9,press")
    assert calibrated_for(shipped, bag, how) is None


def test_all_channels_are_the_swung_tools() -> None:
    assert tuple(pipeline().intake.channels) == CHANNELS
