"""Events of two replays, each paired once."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.bags.paired_events import paired_events

NEAR_MS = 50


def row(onset_ms: int, kind: str = "blow") -> dict[str, Any]:
    return {"onset_ms": onset_ms, "kind": kind}


def test_events_are_paired_once_of_one_kind_first_then_the_nearest() -> None:
    old = [row(0), row(40), row(500)]
    new = [row(42), row(430), row(45, "lasting contact")]
    pairs = list(paired_events(old, new, "onset_ms", NEAR_MS))
    assert pairs == [(row(0), new[2]), (row(40), row(42)), (row(500), None), (None, row(430))]


EVENTS = st.lists(st.builds(row, st.integers(0, 300), st.sampled_from(["blow", "lasting contact"])))


@given(EVENTS, EVENTS)
def test_every_event_comes_once_and_none_that_could_be_paired_is_left(
    old: list[dict[str, Any]], new: list[dict[str, Any]]
) -> None:
    pairs = list(paired_events(old, new, "onset_ms", NEAR_MS))
    firsts, seconds = zip(*pairs, strict=True) if pairs else ((), ())
    assert [event for event in firsts if event is not None] == old
    key = lambda event: (event["onset_ms"], event["kind"])  # noqa: E731
    assert sorted((e for e in seconds if e is not None), key=key) == sorted(new, key=key)
    lost = [first for first, second in pairs if second is None]
    gained = [second for first, second in pairs if first is None]
    assert all(abs(a["onset_ms"] - b["onset_ms"]) <= NEAR_MS for a, b in pairs if a and b)
    assert all(abs(a["onset_ms"] - b["onset_ms"]) > NEAR_MS for a in lost for b in gained)
