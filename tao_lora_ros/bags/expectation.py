"""Whether a replay finds the events that are expected of it: those of a replay before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.messages.files import read_regular

TOLERANCE = {"onset_s": 0.02, "end_s": 0.1}  # seconds, where the file gives no "tolerance"
_SAME = ("kind", "label")
_MOST_BYTES = 1 << 26

Event = Mapping[str, Any]


def read_expected(file: Path) -> tuple[list[Event], dict[str, float]]:
    """Events and tolerances of what `tao-lora replay BAG --json FILE` wrote.

    Raises:
        BagError: it is no such file.
        OSError: it cannot be read.
    """
    try:
        content = json.loads(read_regular(file, _MOST_BYTES))
        events = content["events"]
        tolerance = TOLERANCE | {k: float(v) for k, v in content.get("tolerance", {}).items()}
        for event in events:
            _ = [event[name] for name in _SAME], [float(event[name]) for name in TOLERANCE]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        remedy = "tao-lora replay BAG --json FILE writes one"
        raise BagError(f"{file}: no file of expected events; {remedy}") from None
    if unknown := tolerance.keys() - TOLERANCE.keys():
        raise BagError(f"{file}: tolerance of '{min(unknown)}', expected {', '.join(TOLERANCE)}")
    return events, tolerance


def differences(
    expected: list[Event], found: list[Event], tolerance: Mapping[str, float]
) -> Iterator[str]:
    """A line for each event that is missing, that nobody expected, or that is another one.

    Two are the same event where their onsets differ by the tolerance at most, the nearest first.
    """
    left = list(found)
    for want in expected:
        near = min(left, key=lambda have: abs(have["onset_s"] - want["onset_s"]), default=None)
        if near is None or abs(near["onset_s"] - want["onset_s"]) > tolerance["onset_s"]:
            yield f"missing     {_text(want)}"
            continue
        left.remove(near)
        changed = [
            f"{n} {near[n] or '-'}, not {want[n] or '-'}" for n in _SAME if near[n] != want[n]
        ]
        if abs(near["end_s"] - want["end_s"]) > tolerance["end_s"]:
            changed.append(f"end {near['end_s']:.3f} s, not {want['end_s']:.3f} s")
        if changed:
            yield f"changed     {_text(want)}: {'; '.join(changed)}"
    yield from (f"unexpected  {_text(have)}" for have in left)


def _text(event: Event) -> str:
    return f"{event['onset_s']:.3f} s {event['kind'].replace('_', ' ')} {event['label'] or '-'}"
