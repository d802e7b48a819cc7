"""Whether a replay finds the events that are expected of it: those of a replay before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tao_lora_ros.bags.paired_events import paired_events
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
        tolerance = TOLERANCE | {k: float(v) for k, v in content.get("tolerance", {}).items()}
        events = [e | {name: float(e[name]) for name in TOLERANCE} for e in content["events"]]
        _ = [event[name].strip() for event in events for name in _SAME]
    except (ValueError, OverflowError, LookupError, TypeError, AttributeError, RecursionError):
        remedy = "tao-lora replay BAG --json FILE writes one"
        raise BagError(f"{file}: no file of expected events; {remedy}") from None
    if unknown := tolerance.keys() - TOLERANCE.keys():
        raise BagError(f"{file}: tolerance of '{min(unknown)}', expected {', '.join(TOLERANCE)}")
    return events, tolerance


def differences(
    expected: list[Event], found: list[Event], tolerance: Mapping[str, float]
) -> Iterator[str]:
    """A line for each event that is missing, that nobody expected, or that is another one.

    Two are the same event as `paired_events` says, by the tolerance of the onset.
    """
    for want, have in paired_events(expected, found, "onset_s", tolerance["onset_s"]):
        if want is None or have is None:
            yield f"missing     {_text(want)}" if want else f"unexpected  {_text(have or {})}"
        elif changed := list(_changes(want, have, tolerance["end_s"])):
            yield f"changed     {_text(want)}: {'; '.join(changed)}"


def _changes(want: Event, have: Event, end_s: float) -> Iterator[str]:
    for name in _SAME:
        if have[name] != want[name]:
            yield f"{name} {have[name] or '-'}, not {want[name] or '-'}"
    if abs(have["end_s"] - want["end_s"]) > end_s:
        yield f"end {have['end_s']:.3f} s, not {want['end_s']:.3f} s"


def _text(event: Event) -> str:
    return f"{event['onset_s']:.3f} s {event['kind'].replace('_', ' ')} {event['label'] or '-'}"
