"""Messages in, inferences and events out: the same for every interleaving, whatever is bad."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, replace
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import LABELS, SMALL, small_artifact, with_thresholds
from recordings import PERIOD_NS, SECOND, START_NS, TOPICS, Message, imu, motion, wrench

from tao_lora_ros.contact.contact_model import ContactModel
from tao_lora_ros.contact.contacts import Contacts
from tao_lora_ros.detection.calibration import CalibrationError
from tao_lora_ros.engine.pipeline import Pipeline, TriggerError
from tao_lora_ros.engine.settings import Settings, SettingsError
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.results import Event, Inference, Kept, Kind, Phase, Result
from tao_lora_ros.messages.route import Route
from tao_lora_ros.signal.cdr import DECODERS

MS = 1_000_000
IMPACT_S = 3.0
IMPACT_NS = START_NS + int(IMPACT_S * SECOND)
STEADY = motion(4.0, seed=1)
STRUCK = motion(4.0, [IMPACT_S], seed=1)


def pipeline(**settings: Any) -> Pipeline:
    return Pipeline(Settings(**settings), small_artifact())


def results(subject: Pipeline, messages: Iterable[Message], flush: bool = True) -> list[Result]:
    out = [result for m in messages for result in subject.push(m.source, m.data).results]
    return [*out, *subject.flush()] if flush else out


def inferences(given_out: Iterable[Result]) -> list[Inference]:
    return [result for result in given_out if isinstance(result, Inference)]


def events(given_out: Iterable[Result]) -> list[Event]:
    return [result for result in given_out if isinstance(result, Event)]


def kept_of(given_out: Iterable[Result]) -> list[Kept]:
    return [result for result in given_out if isinstance(result, Kept)]


def delayed(messages: Sequence[Message], source: int, by_ns: int) -> list[Message]:
    """The messages with those of one source arriving later by so much."""
    return sorted(messages, key=lambda m: m.stamp_ns + (by_ns if m.source == source else 0))


def plain(result: Any) -> Any:
    """A result in a form that == compares, NaN equal to NaN."""
    if isinstance(result, np.ndarray):
        return result.tobytes()
    if isinstance(result, float):
        return np.float64(result).tobytes()
    if isinstance(result, tuple | list):
        return [plain(item) for item in result]
    return result


def row(result: Result) -> Any:
    """All but what was received: refused messages are kept, and change nothing else."""
    bare = replace(result, received=()) if isinstance(result, Kept) else result
    return plain(astuple(bare))


def same(first: Sequence[Result], second: Sequence[Result]) -> bool:
    return list(map(row, first)) == list(map(row, second))


@pytest.fixture(scope="module")
def struck() -> list[Result]:
    return results(pipeline(), STRUCK)


def test_the_result_does_not_depend_on_the_interleaving(struck: list[Result]) -> None:
    assert len(events(struck)) >= 2
    for source in (0, 1):
        for by_ms in (1, 60):
            again = results(pipeline(), delayed(STRUCK, source, by_ms * MS))
            assert same(struck, again), (source, by_ms)


def test_a_second_run_is_identical(struck: list[Result]) -> None:
    assert same(struck, results(pipeline(), STRUCK))


def test_steady_noise_gives_inferences_at_the_slow_hop_and_no_event() -> None:
    subject = pipeline()
    out = results(subject, STEADY)
    assert events(out) == []
    assert {inference.path for inference in out} == {Route.STEADY}
    ends = [inference.window_end_ns for inference in out]
    assert set(np.diff(ends).tolist()) == {16 * PERIOD_NS}
    assert subject.counts.steady == len(out) == -(-subject.counts.windows // 16)
    assert subject.counts.windows == subject.counts.rows - SMALL.window + 1
    assert subject.counts.messages == len(STEADY)
    assert not subject.intake.rejected


def test_an_inference_says_what_it_saw() -> None:
    first = results(pipeline(), STEADY)[0]
    assert first.frame_id == "imu_link"
    assert first.window_end_ns - first.window_start_ns == (SMALL.window - 1) * PERIOD_NS
    assert first.window_end_ns <= first.stamp_ns + PERIOD_NS
    assert len(first.probabilities) == len(LABELS)
    assert sum(first.probabilities) == pytest.approx(1.0)
    assert np.isnan(first.forecast_error)


def test_later_inferences_carry_a_forecast_error() -> None:
    errors = [inference.forecast_error for inference in results(pipeline(), STEADY)[1:]]
    assert np.isfinite(errors).all()
    assert min(errors) > 0


def test_an_impact_gives_one_onset_and_one_end(struck: list[Result]) -> None:
    onset, end = events(struck)
    assert (onset.phase, end.phase) == (Phase.ONSET, Phase.END)
    assert onset.sequence == end.sequence == 0
    assert abs(onset.onset_ns - IMPACT_NS) <= 10 * MS
    assert onset.onset_ns == end.onset_ns
    assert onset.end_ns == 0
    assert end.onset_ns <= end.peak_ns <= end.end_ns < IMPACT_NS + 100 * MS
    assert end.peak_score >= onset.peak_score >= 1.0
    assert onset.kind is end.kind is Kind.BLOW
    assert end.label in LABELS
    assert 0.0 < end.probability <= 1.0


def test_the_shares_are_those_above_a_hundredth_largest_first(struck: list[Result]) -> None:
    for event in events(struck):
        shares = [share for _, share in event.channels]
        assert shares == sorted(shares, reverse=True)
        assert min(shares) >= 0.01
        assert sum(shares) <= 1.0 + 1e-9
        source = event.channels[0][0].partition(".")[0]
        assert event.frame_id == {"imu": "imu_link", "wrench": "ft_link"}[source]


def test_raw_samples_are_complete_from_the_pre_roll_on_with_their_own_stamps(
    struck: list[Result],
) -> None:
    _, end = events(struck)
    last_ns = max(raw.stamps_ns[-1] for raw in end.raw)
    assert last_ns >= end.end_ns
    for source, raw in enumerate(end.raw):
        assert raw.source == ("imu", "wrench")[source]
        assert raw.frame_id == ("imu_link", "ft_link")[source]
        start_ns = end.onset_ns - 250 * MS
        sent = [m for m in STRUCK if m.source == source and start_ns <= m.stamp_ns <= last_ns]
        assert raw.stamps_ns.tolist() == [m.stamp_ns for m in sent]
        for message, values in zip(sent, raw.values, strict=True):
            np.testing.assert_array_equal(values, _values(message))


def test_the_onsets_raw_samples_are_the_first_of_the_ends(struck: list[Result]) -> None:
    onset, end = events(struck)
    for first, whole in zip(onset.raw, end.raw, strict=True):
        assert first.stamps_ns.tolist() == whole.stamps_ns[: len(first.stamps_ns)].tolist()
        assert len(first.stamps_ns) < len(whole.stamps_ns)


def test_in_a_transient_the_hop_is_short_and_the_onset_is_inferred_at_once(
    struck: list[Result],
) -> None:
    onset, end = events(struck)
    loud = [inference for inference in inferences(struck) if inference.path is Route.TRANSIENT]
    assert set(np.diff([inference.window_end_ns for inference in loud]).tolist()) == {4 * PERIOD_NS}
    at_onset = struck[struck.index(onset) - 1]
    assert at_onset is loud[0]
    assert onset.onset_ns <= loud[0].window_end_ns <= onset.onset_ns + 16 * MS
    assert loud[-1].window_end_ns > end.end_ns


def test_results_come_in_the_order_of_their_times(struck: list[Result]) -> None:
    stamps = [inference.window_end_ns for inference in inferences(struck)]
    assert stamps == sorted(set(stamps))


def test_two_impacts_are_two_events_with_rising_sequence() -> None:
    out = events(results(pipeline(), motion(5.0, [3.0, 4.0], seed=2)))
    assert [(event.sequence, event.phase) for event in out] == [
        (0, Phase.ONSET),
        (0, Phase.END),
        (1, Phase.ONSET),
        (1, Phase.END),
    ]


def test_flush_closes_the_event_that_is_open() -> None:
    subject = pipeline()
    cut = [m for m in STRUCK if m.stamp_ns < IMPACT_NS + 15 * MS]
    (onset,) = events(results(subject, cut, flush=False))
    end, kept = subject.flush()
    assert isinstance(end, Event)
    assert isinstance(kept, Kept)
    assert kept.event is end
    assert (end.phase, end.sequence, end.onset_ns) == (Phase.END, 0, onset.onset_ns)
    assert end.end_ns >= end.peak_ns
    assert list(subject.flush()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rate_hz": 250.0}, "has rate 250.0, the pipeline 500.0: configure the node anew"),
        ({"memories": (3, 5)}, "has memories (3, 5), the pipeline "),
        ({"scales": (1, 7)}, "has scales (1, 7), the pipeline (1, 3)"),
        ({"load_channels": ()}, "has loads (), the pipeline "),
    ],
)
def test_a_model_of_another_structure_is_refused(change: dict[str, Any], words: str) -> None:
    subject = pipeline()
    other = subject.artifact
    if "rate_hz" not in change:
        change = {"calibration": replace(other.calibration, **change)}
    with pytest.raises(SettingsError, match=re.escape(words)):
        subject.use(replace(other, **change), list)


@pytest.mark.parametrize("broken_part", ["pipeline.ChosenRuntime", "running.Inferrer.warm"])
def test_a_model_that_cannot_run_leaves_the_open_event_open(
    monkeypatch: pytest.MonkeyPatch, broken_part: str
) -> None:
    subject = pipeline()
    cut = sum(m.stamp_ns < IMPACT_NS + 15 * MS for m in STRUCK)
    (onset,) = events(results(subject, STRUCK[:cut], flush=False))

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no memory left")

    with monkeypatch.context() as patch:
        patch.setattr(f"tao_lora_ros.engine.{broken_part}", broken)
        with pytest.raises(SettingsError, match="cannot run: no memory left"):
            subject.use(subject.artifact, list)
    (end,) = events(results(subject, STRUCK[cut:]))
    assert (end.phase, end.sequence, end.onset_ns) == (Phase.END, 0, onset.onset_ns)


def test_a_model_that_fails_half_way_leaves_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, tries = pipeline(), []
    before = Contacts.recalibrate

    def fails_once(contacts: Contacts, models: Sequence[ContactModel]) -> None:
        tries.append(models)
        if len(tries) == 1:
            raise MemoryError
        before(contacts, models)

    old, runtime = subject.artifact, subject.runtime
    monkeypatch.setattr(Contacts, "recalibrate", fails_once)
    results(subject, STRUCK[: sum(m.stamp_ns < IMPACT_NS + 15 * MS for m in STRUCK)], flush=False)
    given: list[Result] = []
    assert subject.going_on == {0}
    with pytest.raises(MemoryError):
        subject.use(replace(old, version="2"), given.extend)
    assert [(event.phase, event.sequence) for event in events(given)] == [(Phase.END, 0)]
    assert subject.going_on == set()
    assert subject.artifact is old
    assert subject.runtime is runtime
    assert subject.calibration == old.calibration
    assert len(events(results(subject, STRUCK))) == 2


def test_its_settings_keep_as_much_past_as_the_model_needs() -> None:
    """Whoever keeps further topics around an event goes by them, as the sources' buffers do."""
    subject = pipeline(store_pre_roll_s=0.0)
    rows = max(subject.artifact.window, subject.artifact.calibration.warm_rows)
    assert subject.settings.store_pre_roll_s >= rows / subject.artifact.rate_hz
    subject.apply(replace(subject.settings, store_pre_roll_s=0.0))
    assert subject.settings.store_pre_roll_s >= rows / subject.artifact.rate_hz


def test_a_lasting_change_is_accepted_after_the_longest_transient() -> None:
    rng = np.random.default_rng(3)
    louder = [
        Message(1, m.stamp_ns, wrench(m.stamp_ns, rng.normal(0, 20.0, 6)))
        if m.source == 1 and m.stamp_ns >= IMPACT_NS
        else m
        for m in motion(6.0, seed=3)
    ]
    out = events(results(pipeline(max_transient_s=0.5), louder, flush=False))
    assert out[0].phase is Phase.ONSET
    end = next(event for event in out if event.phase is Phase.END)
    assert 480 * MS <= end.end_ns - end.onset_ns <= 520 * MS
    assert end.regime_change
    assert end.kind is Kind.BLOW


def assert_kept(settings: Settings, kept: Kept, sent: Sequence[Message]) -> None:
    """Both sources' messages from the pre-roll to the end of the post-roll, each once."""
    decided_ns = max(raw.stamps_ns[-1] for raw in kept.event.raw)
    first_ns = kept.event.onset_ns - round(settings.store_pre_roll_s * 1e9)
    last_ns = max(kept.event.end_ns + round(settings.post_roll_s * 1e9), decided_ns)
    for source, messages in enumerate(kept.received):
        there = [m for m in sent if m.source == source and first_ns <= m.stamp_ns <= last_ns]
        assert messages.data == tuple(m.data for m in there)
        assert messages.times_ns.tolist() == [m.stamp_ns for m in there]


@pytest.mark.parametrize("post_roll_s", [0.0, 0.03, 0.25, 0.9])
def test_the_post_roll_is_kept_and_delays_no_event(
    post_roll_s: float, struck: list[Result]
) -> None:
    out = results(pipeline(post_roll_s=post_roll_s), STRUCK, flush=False)
    others = [result for result in out if not isinstance(result, Kept)]
    assert same(others, [result for result in struck if not isinstance(result, Kept)])
    (kept,) = kept_of(out)
    assert_kept(Settings(post_roll_s=post_roll_s), kept, STRUCK)


@given(
    gaps_s=st.lists(st.floats(0.02, 0.5), min_size=1, max_size=4),
    pre_roll_s=st.floats(0.0, 0.5),
    post_roll_s=st.floats(0.0, 1.0),
)
@hypothesis.settings(max_examples=10)
def test_overlapping_and_back_to_back_events_lose_nothing(
    gaps_s: list[float], pre_roll_s: float, post_roll_s: float
) -> None:
    sent = motion(5.0, 2.5 + np.cumsum([0.0, *gaps_s]) * 0.5, seed=2)
    rolls = dict(pre_roll_s=pre_roll_s, post_roll_s=post_roll_s)
    out = results(pipeline(**rolls), sent)
    ends = [event for event in events(out) if event.phase is Phase.END]
    kept = kept_of(out)
    assert [one.event for one in kept] == ends
    assert ends
    for one in kept:
        assert_kept(Settings(**rolls), one, sent)


def test_a_scene_that_somebody_asks_for_is_an_event_of_its_own() -> None:
    subject = pipeline()
    with pytest.raises(TriggerError, match="no source has sent anything yet"):
        subject.trigger("too early")
    assert events(results(subject, STRUCK[:500], flush=False)) == []
    onset, end = subject.trigger("a crack\ud800" + 2000 * "x")
    assert (onset.phase, end.phase) == (Phase.ONSET, Phase.END)
    assert onset.sequence == end.sequence == 0
    assert end.kind is Kind.MANUAL
    assert end.reason == "a crack?" + 992 * "x"
    assert end.onset_ns == end.end_ns <= STRUCK[499].stamp_ns
    rest = results(subject, STRUCK[500:])
    assert {event.sequence for event in events(rest)} == {1}
    (kept, _) = kept_of(rest)
    assert kept.event is end
    ((start_ns, until_ns),) = kept.spans_ns
    assert until_ns - end.end_ns == 250 * MS
    assert end.onset_ns - start_ns == 2000 * MS
    there = [m.data for m in STRUCK if m.source == 0 and start_ns <= m.stamp_ns <= until_ns]
    assert list(kept.received[0].data) == there


def assert_whole(kept: Kept, source: int, sent: list[bytes]) -> None:
    """All that came on a source from its first to its last sample of the event, in that order."""
    first_ns, last_ns = kept.event.raw[source].stamps_ns[[0, -1]].tolist()
    first, last = (
        next(m.data for m in STRUCK if m.source == source and m.stamp_ns == stamp_ns)
        for stamp_ns in (first_ns, last_ns)
    )
    came = sent[sent.index(first) : sent.index(last) + 1]
    data = kept.received[source].data
    at = data.index(first)
    assert list(data[at : at + len(came)]) == came


BAD: dict[str, bytes] = {
    "undecodable": b"\0\1nothing",
    "not_finite": imu(IMPACT_NS, [np.inf, 0, 0, 0, 0, 0]),
    "wrong_frame": imu(IMPACT_NS, frame="elsewhere"),
    "clock_jump": imu(START_NS + 10_000 * SECOND),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_messages_are_counted_and_change_nothing_else(kind: str, struck: list[Result]) -> None:
    subject, sent = pipeline(), []
    for i, message in enumerate(STRUCK):
        sent.append(message)
        if i >= 20 and i % 5 == 0:
            sent.append(Message(0, message.stamp_ns, BAD[kind]))
    out = results(subject, sent)
    bad = len(range(20, len(STRUCK), 5))
    assert subject.intake.rejected == {kind: bad}
    assert subject.counts.messages == len(STRUCK) + bad
    assert kind.replace("_", " ") in subject.intake.sources[0].reason
    assert same(struck, out)
    (kept,) = kept_of(out)
    for source in (0, 1):
        assert_whole(kept, source, [m.data for m in sent if m.source == source])


def test_messages_that_come_again_later_are_counted_and_change_nothing_else(
    struck: list[Result],
) -> None:
    subject, imus = pipeline(), [m for m in STRUCK if m.source == 0]
    sent = [imus[0], *(m for pair in zip(imus[1:], imus, strict=False) for m in pair)]
    wrenches = [m for m in STRUCK if m.source == 1]
    out = results(subject, heapq.merge(sent, wrenches, key=lambda m: m.stamp_ns))
    assert subject.intake.rejected == {"duplicate": len(imus) - 1}
    assert same(struck, out)
    (kept,) = kept_of(out)
    assert_whole(kept, 0, [m.data for m in sent])


def test_a_source_on_another_clock_is_refused_with_the_reason() -> None:
    subject = pipeline()
    subject.push(0, imu(10 * SECOND))
    subject.push(1, wrench(START_NS))
    for i in range(1, 200):
        subject.push(0, imu(10 * SECOND + i * MS))
        subject.push(1, wrench(START_NS + i * MS))
    assert subject.intake.sources[0].rejected["other_clock"] > 0
    assert "behind the others'" in subject.intake.sources[0].reason
    assert 0 < subject.counts.rows < 400


def test_every_message_twice_gives_the_same_as_once(struck: list[Result]) -> None:
    subject = pipeline()
    out = results(subject, [m for m in STRUCK for _ in range(2)])
    assert subject.intake.rejected == {"duplicate": len(STRUCK)}
    assert same(struck, out)
    (kept,), (once,) = kept_of(out), kept_of(struck)
    for messages, single in zip(kept.received, once.received, strict=True):
        assert messages.data[::2] == messages.data[1::2] == single.data


@pytest.mark.parametrize("size", [1e6, 1e12, 1e300])
def test_absurd_values_do_not_deafen_it(size: float) -> None:
    spoilt = list(STRUCK)
    for i in (1000, 1002, 1004):
        stamp = spoilt[i].stamp_ns
        spoilt[i] = Message(0, stamp, imu(stamp, [size * (i - 999), 0, 9.81, 0, 0, 0]))
    out = results(pipeline(), spoilt)
    for inference in inferences(out):
        assert np.isfinite(inference.probabilities).all()
        assert np.isfinite(inference.score)
    onsets = [event.onset_ns for event in events(out) if event.phase is Phase.ONSET]
    assert any(abs(onset - IMPACT_NS) <= 10 * MS for onset in onsets)


def test_one_bad_sample_of_one_channel_is_mended_and_counted() -> None:
    spoilt = list(STEADY)
    stamp = spoilt[3000].stamp_ns
    spoilt[3000] = Message(0, stamp, imu(stamp, [0, 50.0, 9.81, 0, 0, 0]))
    subject = pipeline()
    assert events(results(subject, spoilt)) == []
    assert subject.glitches == {"imu.accel_y": 1}


def test_a_bag_that_loops_resets_and_goes_on() -> None:
    subject = pipeline(clock_jump_s=1.0)
    first = results(subject, STRUCK, flush=False)
    second = results(subject, STRUCK)
    assert subject.counts.resets == 1
    # of both sources as many as make sure of it, 0.1 s at 500 Hz; the confirming ones are taken
    assert subject.intake.rejected == {"clock_jump": pytest.approx(2 * 50, abs=2)}
    onsets = [event for event in events([*first, *second]) if event.phase is Phase.ONSET]
    assert [event.sequence for event in onsets] == [0, 1]
    assert abs(onsets[0].onset_ns - onsets[1].onset_ns) <= 2 * MS
    assert len(inferences(second)) >= len(inferences(first)) - 4


def test_a_clock_jump_closes_the_open_event_before_anything_new() -> None:
    subject = pipeline()
    results(subject, [m for m in STRUCK if m.stamp_ns < IMPACT_NS + 15 * MS], flush=False)
    new = motion(0.1, seed=4, start_ns=START_NS + 100 * SECOND)
    out = results(subject, new, flush=False)
    (end,) = events(out)
    assert out[0] is end
    assert (end.phase, end.sequence) == (Phase.END, 0)
    assert end.raw[0].frame_id == "imu_link"
    # the first messages of the new time were refused, and are kept for it
    first = [m.data for m in new if m.stamp_ns < START_NS + 100 * SECOND + MS]
    buffers = subject.intake.buffers
    assert [buffer.cut(0, 1 << 62, "")[1].data[0] for buffer in buffers] == first


def test_reset_forgets_the_signals_but_no_counts() -> None:
    subject = pipeline()
    results(subject, STEADY[:1000])
    rows = subject.counts.rows
    assert subject.reset() == []
    assert subject.counts.rows == rows
    out = results(subject, motion(1.0, start_ns=START_NS - 50 * SECOND))
    assert not subject.intake.rejected
    assert inferences(out)[0].window_start_ns >= START_NS - 50 * SECOND


def test_a_gyro_that_is_not_reported_stops_nothing() -> None:
    without = []
    for m in STRUCK:
        data = imu(m.stamp_ns, _values(m), gyro=False) if m.source == 0 else m.data
        without.append(Message(m.source, m.stamp_ns, data))
    subject = pipeline()
    out = results(subject, without)
    assert not subject.intake.rejected
    # calibrated with all channels, so there may be a false alarm too, but a lesser one
    loudest = max(events(out), key=lambda event: event.peak_score)
    assert abs(loudest.onset_ns - IMPACT_NS) <= 10 * MS
    assert not any(name.startswith("imu.gyro") for name, _ in loudest.channels)


def test_a_source_that_stops_leaves_the_other_running() -> None:
    messages = [m for m in STRUCK if m.source == 1 or m.stamp_ns < START_NS + 2 * SECOND]
    out = results(pipeline(), messages)
    onset, _ = events(out)
    assert abs(onset.onset_ns - IMPACT_NS) <= 10 * MS
    assert all(name.startswith("wrench.") for name, _ in onset.channels)
    assert inferences(out)[-1].window_end_ns > START_NS + 3.9 * SECOND


def test_live_settings_take_hold_between_two_rows() -> None:
    subject = pipeline()
    results(subject, STEADY[:1000], flush=False)
    subject.apply(replace(Settings(), hop_steady=5))
    ends = [i.window_end_ns for i in inferences(results(subject, STEADY[1000:2000]))]
    assert set(np.diff(ends[1:]).tolist()) == {5 * PERIOD_NS}


def test_higher_thresholds_hear_less() -> None:
    deaf = Pipeline(Settings(), with_thresholds(small_artifact(), 10.0))
    assert events(results(deaf, STRUCK)) == []


def test_a_lagging_source_is_moved_back(struck: list[Result]) -> None:
    late = [
        Message(1, m.stamp_ns + 8 * MS, wrench(m.stamp_ns + 8 * MS, _values(m)))
        if m.source == 1
        else m
        for m in STRUCK
    ]
    out = results(pipeline(wrench_lags_s=(0.008,)), delayed(late, 0, 0))
    onset, again = events(struck)[0], events(out)[0]
    assert again.onset_ns == onset.onset_ns
    assert again.peak_score == onset.peak_score
    assert (again.raw[1].stamps_ns - 8 * MS).tolist() == onset.raw[1].stamps_ns.tolist()


def _values(message: Message) -> np.ndarray:
    return DECODERS[TOPICS[message.source][1]](message.data).values


def test_a_model_without_classes_still_reports_events() -> None:
    artifact = small_artifact(replace(SMALL, classes=0))
    out = results(Pipeline(Settings(), artifact), STRUCK)
    assert inferences(out)[0].probabilities == ()
    onset, end = events(out)
    assert (onset.label, end.label, end.probability) == ("", "", 0.0)


@pytest.mark.parametrize(
    ("settings", "given_channels"),
    [
        (dict(imus=("other",)), "other.accel_x"),
        (dict(wrenches=(), wrench_lags_s=()), "imu.gyro_z"),
        (dict(imus=("",), wrenches=("",)), "none"),
    ],
)
def test_sources_that_do_not_fit_the_model_are_refused(settings: dict, given_channels: str) -> None:
    with pytest.raises(SettingsError, match=r"model small reads channels imu\.accel_x") as caught:
        pipeline(**settings)
    assert given_channels in str(caught.value).partition("the sources give")[2]


def test_an_empty_name_is_no_source() -> None:
    assert source_configs(Settings(imus=("",))) == source_configs(Settings(imus=(), imu_lags_s=()))


def test_calibrating_on_what_it_saw_changes_the_thresholds_from_then_on() -> None:
    subject = Pipeline(Settings(), with_thresholds(small_artifact(), 10.0))
    results(subject, motion(6.0, seed=5), flush=False)
    thresholds, seconds, load, target, contact = subject.calibrate()
    assert contact.startswith("contact load of wrench: no IMU explains it: lasting contacts from")
    assert re.fullmatch(r"touchdowns: wrench always bears [\d.]+ N", load)
    assert re.fullmatch(
        r"thresholds 1\d\.\d\d, .* -> [12]\.\d\d, [12]\.\d\d and levels .*", thresholds
    )
    assert seconds == "5.6 s used, 0.0 s left out"
    assert target.startswith("1 false alarms an hour aimed at")
    later = motion(3.0, [2.0], seed=6, start_ns=START_NS + 6 * SECOND)
    onsets = [event for event in events(results(subject, later)) if event.phase is Phase.ONSET]
    assert min(abs(event.onset_ns - START_NS - 8 * SECOND) for event in onsets) <= 10 * MS


def test_calibrating_on_too_little_is_refused_and_changes_nothing() -> None:
    subject = pipeline()
    results(subject, STRUCK[:1000], flush=False)
    with pytest.raises(CalibrationError, match="at least 2 s are needed"):
        subject.calibrate()
    assert len(events(results(subject, STRUCK[1000:]))) == 2
