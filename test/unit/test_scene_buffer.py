"""The newest messages of further topics: bounded, held for events, latched ones in each scene."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.preservation.scene_buffer import LATCHED_BYTES, SceneBuffer, Way

MS = 1_000_000


def filled(most_bytes: int = 1 << 20, until_ms: int = 3000, step_ms: int = 10) -> SceneBuffer:
    buffer = SceneBuffer(keep_s=0.5, most_bytes=most_bytes)
    for at_ms in range(0, until_ms, step_ms):
        buffer.push(at_ms * MS, "/a", at_ms.to_bytes(4, "big"))
    return buffer


def found(buffer: SceneBuffer, *spans_ms: tuple[int, int], topic: str = "/a") -> list[int]:
    spans = [(start * MS, end * MS) for start, end in spans_ms]
    return [int.from_bytes(data, "big") for data in buffer.cut(topic, spans).data]


def test_a_cut_has_all_of_its_spans_in_order_and_of_its_topic_alone() -> None:
    buffer = filled()
    buffer.push(2995 * MS, "/b", b"\0\0\0\1")
    assert found(buffer, (2600, 2650), (2900, 2910)) == [*range(2600, 2651, 10), 2900, 2910]
    assert found(buffer, (0, 5000), topic="/b") == [1]
    assert found(buffer, (0, 5000), topic="/c") == []


def test_old_ones_go_but_those_on_hold_until_the_event_asks_for_them() -> None:
    buffer = SceneBuffer(keep_s=0.5, most_bytes=1 << 20)
    buffer.hold(7, (1000 * MS, 1200 * MS))
    for at_ms in range(0, 5000, 10):
        buffer.push(at_ms * MS, "/a", at_ms.to_bytes(4, "big"))
    assert found(buffer, (0, 2000)) == [*range(1000, 1201, 10)]
    assert found(buffer, (4600, 5000)) == [*range(4600, 5000, 10)]
    buffer.release(7)
    for at_ms in range(5000, 7000, 10):
        buffer.push(at_ms * MS, "/a", at_ms.to_bytes(4, "big"))
    assert found(buffer, (0, 2000)) == []
    assert buffer.dropped.total() == buffer.gone_ns == 0


def test_a_hold_that_nobody_asks_for_ends() -> None:
    buffer = SceneBuffer(keep_s=0.5, most_bytes=1 << 30)
    buffer.hold(7, (0, 1000 * MS))
    for at_ms in range(0, 70_000, 100):
        buffer.push(at_ms * MS, "/a", b"1234")
    assert found(buffer, (0, 1000)) == []


def test_it_is_known_what_was_gone_when_an_event_was_first_heard_of() -> None:
    buffer = filled()  # 3 s, the newest half second kept
    gone_ms = buffer.aged_ns(7) / MS
    assert 1900 < gone_ms < 2500
    assert found(buffer, (0, 5000))[0] == gone_ms + 10
    buffer.hold(7, (2400 * MS, 4000 * MS))
    for at_ms in range(3000, 5000, 10):
        buffer.push(at_ms * MS, "/a", b"1234")
    assert buffer.aged_ns(7) == gone_ms * MS < buffer.aged_ns(8)


def test_a_late_message_has_the_time_of_one_that_is_not() -> None:
    sent = [at * 33 * MS for at in range(9)]
    for ahead_ms in (0, 700, -90_000):  # of the publisher's clock
        way = Way()
        ways_ms = [2, 3, 2, 180, 900, 2, 50, 2, 2]
        times = [
            way.time_ns(at, at + (late - ahead_ms) * MS)
            for at, late in zip(sent, ways_ms, strict=True)
        ]
        assert times == [at + (2 - ahead_ms) * MS for at in sent]


def test_a_publishers_clock_may_be_set() -> None:
    way = Way()
    for step_ms in (0, 5000, 100, -5000):
        for at in range(5):
            way.time_ns((at * 33 + step_ms) * MS, (at * 33 + 2) * MS)
        at_ns = way.time_ns((200 + step_ms) * MS, 202 * MS)
        assert at_ns == 202 * MS


@given(
    sizes=st.lists(st.integers(0, 400), max_size=60),
    most=st.integers(1, 2000),
    hold=st.booleans(),
)
def test_the_bound_holds_and_the_oldest_go_and_are_counted(
    sizes: list[int], most: int, hold: bool
) -> None:
    buffer = SceneBuffer(keep_s=100.0, most_bytes=most)
    if hold:
        buffer.hold(1, (0, 10**18))
    for at, size in enumerate(sizes):
        buffer.push(at, "/a", bytes(size))
        assert buffer.bytes <= most
    kept = buffer.cut("/a", [(0, 10**18)])
    assert [len(data) for data in kept.data] == sizes[len(sizes) - len(kept.data) :]
    assert buffer.dropped["/a"] == len(sizes) - len(kept.data)
    assert sum(map(len, kept.data)) == buffer.bytes


def test_what_is_latched_is_in_every_scene_at_its_beginning() -> None:
    buffer = SceneBuffer(keep_s=0.5, most_bytes=1 << 20)
    buffer.latch(10 * MS, "/a", b"\1", publishers=1)
    buffer.latch(20 * MS, "/a", b"\2", publishers=1)  # small: the older one stays
    buffer.latch(30 * MS, "/a", b"\2", publishers=1)  # a new subscription brings it again
    buffer.latch(5000 * MS, "/a", b"\3", publishers=1)
    cut = buffer.cut("/a", [(4000 * MS, 6000 * MS)])
    assert cut.data == (b"\1", b"\2", b"\3")
    assert cut.times_ns.tolist() == [4000 * MS, 4000 * MS, 5000 * MS]


def test_of_large_latched_ones_the_newest_stay_one_a_publisher() -> None:
    buffer = SceneBuffer(keep_s=0.5, most_bytes=1 << 30)
    maps = [bytes([at]) * LATCHED_BYTES for at in range(4)]
    for at, data in enumerate(maps):
        buffer.latch(at * MS, "/map", data, publishers=2)
    assert buffer.cut("/map", [(5000 * MS, 5001 * MS)]).data == tuple(maps[2:])
