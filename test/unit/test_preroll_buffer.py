"""The newest messages as they came, and the samples among them at their own stamps."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.messages.raw_data import RawMessages, RawSamples
from tao_lora_ros.preservation.preroll_buffer import PreRollBuffer
from tao_lora_ros.signal.cdr import IMU
from tao_lora_ros.signal.source import SourceConfig

MS = 1_000_000


def push(subject: PreRollBuffer, stamp_ms: int, place_ms: int | None = None) -> None:
    """A sample whose bytes are its stamp; by default no other source is ahead."""
    place_ns = (stamp_ms if place_ms is None else place_ms) * MS
    values = np.full(6, float(stamp_ms))
    subject.push(place_ns, str(stamp_ms).encode(), stamp_ms * MS, values)


def buffer(stamps_ms: list[int], lag_s: float = 0.0, keep_s: float = 1.0) -> PreRollBuffer:
    subject = PreRollBuffer(SourceConfig("imu", IMU, lag_s), keep_s)
    for stamp in stamps_ms:
        push(subject, stamp, stamp - round(lag_s * 1000))
    return subject


def cut(subject: PreRollBuffer, start_ms: int, end_ms: int) -> tuple[RawSamples, RawMessages]:
    return subject.cut(start_ms * MS, end_ms * MS, "imu_link")


def all_of(subject: PreRollBuffer) -> tuple[bytes, ...]:
    return cut(subject, 0, 10**9)[1].data


def test_cut_includes_both_ends_and_carries_the_names() -> None:
    raw, messages = cut(buffer([0, 10, 20, 30, 40]), 10, 30)
    assert (raw.source, raw.frame_id) == ("imu", "imu_link")
    assert raw.channels == SourceConfig("imu", IMU).channels
    assert raw.stamps_ns.tolist() == [10 * MS, 20 * MS, 30 * MS]
    assert raw.values.tolist() == [[10.0] * 6, [20.0] * 6, [30.0] * 6]
    assert (raw.stamps_ns.dtype, raw.values.dtype) == (np.int64, np.float64)
    assert messages.data == (b"10", b"20", b"30")
    assert messages.times_ns.tolist() == raw.stamps_ns.tolist()


def test_bytes_are_held_not_copied() -> None:
    subject, data = buffer([]), b"the message"
    subject.push(MS, data, MS, np.zeros(6))
    subject.push(MS, data)
    assert all(kept is data for kept in all_of(subject))


def test_cut_takes_times_without_the_lag_and_gives_stamps_as_sent() -> None:
    raw, messages = cut(buffer([0, 10, 20, 30], lag_s=0.010), 0, 10)
    assert raw.stamps_ns.tolist() == messages.times_ns.tolist() == [10 * MS, 20 * MS]


def test_a_cut_without_samples_keeps_its_shape() -> None:
    raw, messages = cut(buffer([0, 10]), 100, 200)
    assert raw.stamps_ns.shape == messages.times_ns.shape == (0,)
    assert raw.values.shape == (0, 6)
    assert messages.data == ()


def test_refused_messages_are_kept_where_they_came() -> None:
    subject = buffer([0, 10])
    subject.push(10 * MS, b"between")
    push(subject, 20)
    subject.push(20 * MS, b"last")
    raw, messages = cut(subject, 10, 20)
    assert raw.stamps_ns.tolist() == [10 * MS, 20 * MS]
    assert messages.data == (b"10", b"between", b"20", b"last")
    assert messages.times_ns.tolist() == [10 * MS, 10 * MS, 20 * MS, 20 * MS]


def test_what_another_source_was_ahead_of_stays_in_order_of_arrival() -> None:
    """The other source is 7 ms ahead; times never fall, and samples keep their stamps."""
    subject = buffer([])
    push(subject, 0, 7)
    subject.push(7 * MS, b"refused")
    push(subject, 2, 9)
    _, messages = cut(subject, 0, 5)
    assert messages.data == (b"0", b"refused", b"2")
    assert messages.times_ns.tolist() == [0, 2 * MS, 2 * MS]


def test_no_time_is_before_all_times() -> None:
    """A bag holds none; this source stamps a second early, and simulated time has just begun."""
    subject = buffer([], lag_s=-1.0)
    subject.push(300 * MS, b"refused")
    assert cut(subject, 0, 900)[1].times_ns.tolist() == [0]


def test_what_is_refused_before_the_first_sample_belongs_to_it() -> None:
    subject = buffer([])
    for _ in range(3):
        subject.push(0, b"refused")
    subject.begin(5000 * MS)
    push(subject, 5000)
    assert cut(subject, 4990, 5010)[1].data == (b"refused", b"refused", b"refused", b"5000")


def test_a_restart_keeps_what_was_refused_since_the_last_sample() -> None:
    subject = buffer([4000])
    subject.push(4000 * MS, b"old")
    push(subject, 4010)
    subject.push(4010 * MS, b"of the new time")
    subject.restart()
    assert subject.newest(9).shape == (0, 6)
    subject.begin(10 * MS)
    push(subject, 10)
    assert all_of(subject) == (b"of the new time", b"10")


def test_the_newest_values_pass_over_what_was_refused() -> None:
    subject = buffer([0, 10])
    subject.push(10 * MS, b"refused")
    push(subject, 20)
    assert subject.newest(2)[:, 0].tolist() == [20.0, 10.0]


def test_bytes_are_bounded_where_time_stands_still() -> None:
    """Every message is refused, so nothing ever grows old; the oldest go, and are counted."""
    subject, message = buffer([]), bytes(1 << 20)
    for _ in range(6):
        subject.push(0, message)
    assert len(all_of(subject)) == 4
    assert subject.dropped == 2
    subject.push(0, bytes(9 << 20))
    assert all_of(subject) == ()


@given(steps=st.lists(st.integers(1, 400), min_size=1, max_size=60))
def test_keeps_exactly_what_is_young_enough(steps: list[int]) -> None:
    stamps = np.cumsum(steps).tolist()
    raw, messages = cut(buffer(stamps), 0, 10**9)
    young = [stamp for stamp in stamps if stamp >= stamps[-1] - 1000]
    assert (raw.stamps_ns // MS).tolist() == young
    assert messages.data == tuple(str(stamp).encode() for stamp in young)


arrivals = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 20), st.booleans(), st.binary(max_size=5)),
    max_size=60,
)


@given(arrivals=arrivals, start=st.integers(0, 600), span=st.integers(0, 600))
def test_any_stretch_of_any_stream_is_whole(arrivals, start: int, span: int) -> None:
    """Steps between samples, how far another source is ahead, what is refused, and the bytes."""
    subject = buffer([], keep_s=3600.0)
    stamp, place, sent = 1, 1, []
    for step, ahead, accepted, data in arrivals:
        stamp += (1 + step) * accepted
        place = max(place, stamp + ahead)
        given = (stamp * MS, np.zeros(6)) if accepted else ()
        subject.push(place * MS, data, *given)
        sent.append((data, stamp if accepted else None, place))
    raw, messages = cut(subject, start, start + span)
    older = [i for i, (_, ms, _) in enumerate(sent) if ms is not None and ms < start]
    newer = [i for i, (_, ms, _) in enumerate(sent) if ms is not None and ms > start + span]
    between = sent[max(older, default=-1) + 1 : min(newer, default=len(sent))]
    kept = [(data, ms) for data, ms, place in between if ms is not None or place >= start]
    assert messages.data == tuple(data for data, _ in kept)
    inside = [ms for _, ms, _ in sent if ms is not None and start <= ms <= start + span]
    assert (raw.stamps_ns // MS).tolist() == inside
    assert (np.diff(messages.times_ns) >= 0).all()
    times = (messages.times_ns // MS).tolist()
    assert all(t == ms for t, (_, ms) in zip(times, kept, strict=True) if ms is not None)
