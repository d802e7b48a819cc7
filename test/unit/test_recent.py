"""The newest stamps of a source."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.signal.recent import MOST, RecentStamps


@given(st.lists(st.integers(0, 3 * MOST), max_size=12))
def test_it_holds_what_a_queue_would(counts: list[int]) -> None:
    recent, expected, stamp = RecentStamps(), deque[int](maxlen=MOST), 0
    for count in counts:
        stamps = list(range(stamp, stamp + count))
        stamp += count
        recent.extend(stamps)
        expected.extend(stamps)
        assert recent.newest.tolist() == list(expected)
    assert (stamp - 1 in recent) == bool(expected)
    assert stamp not in recent
    recent.clear()
    assert not len(recent.newest)
    assert stamp - 1 not in recent
