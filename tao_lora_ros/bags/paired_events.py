"""Which events of two replays of a recording are the same, for all that compares replays."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

Event = TypeVar("Event", bound=Mapping[str, Any])


def paired_events(
    old: Sequence[Event], new: Sequence[Event], onset: str, near: float
) -> Iterator[tuple[Event | None, Event | None]]:
    """The events in pairs, each once; None where one is alone.

    Of events so near those of one kind are paired first, and then the nearest.

    Args:
        old: events with a `kind`, in whose order the pairs come.
        new: of the other replay; those alone come last.
        onset: name of the onset in them.
        near: how far the onsets of one event may differ, in their unit.
    """
    later = sorted(range(len(new)), key=lambda j: new[j][onset])
    onsets = [new[j][onset] for j in later]
    candidates = []
    for i, event in enumerate(old):
        at = event[onset]
        for j in later[bisect_left(onsets, at - near) : bisect_right(onsets, at + near)]:
            candidates.append((event["kind"] != new[j]["kind"], abs(at - new[j][onset]), i, j))
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, _, i, j in sorted(candidates):
        if i not in pairs and j not in taken:
            pairs[i] = j
            taken.add(j)
    yield from ((event, new[pairs[i]] if i in pairs else None) for i, event in enumerate(old))
    yield from ((None, event) for j, event in enumerate(new) if j not in taken)
