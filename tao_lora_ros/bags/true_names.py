"""What an event truly was, by the labels of its recording."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

from tao_lora_ros.messages.label_span import LabelSpan
from tao_lora_ros.messages.results import Event, Kind

RELEASE = "release"  # an event with which what was labelled ends and nothing begins
_NEAR_S = 0.06  # of an onset, a label's begin or end belongs to it
_LATER_S = 0.25  # how long after its end an event shows what it led to
_JOINED_S = 0.01  # spans closer than this are one touch

Touch = Sequence[LabelSpan]


def true_name(event: Event, start_ns: int, touches: Sequence[Touch]) -> tuple[str, float]:
    """Name and size (sigma) of an event that is over; "" and NaN where nothing is labelled.

    Args:
        event: in its END phase.
        start_ns: the recording's first stamp.
        touches: labelled spans without the background, as `touches_in` joins them.
    """
    times_ns = event.onset_ns, event.peak_ns, event.end_ns
    onset_s, peak_s, end_s = ((time_ns - start_ns) * 1e-9 for time_ns in times_ns)
    if event.kind is Kind.LASTING_CONTACT:
        return longest_in(onset_s, end_s, [span for touch in touches for span in touch]), nan
    return name_of(onset_s, peak_s, end_s, touches)


def touches_in(spans: Sequence[LabelSpan]) -> list[list[LabelSpan]]:
    """Spans that follow each other at once, or overlap, together."""
    touches: list[list[LabelSpan]] = []
    for span in spans:
        if touches and span.start_s <= end_of(touches[-1]) + _JOINED_S:
            touches[-1].append(span)
        else:
            touches.append([span])
    return touches


def name_of(
    onset_s: float, peak_s: float, end_s: float, touches: Sequence[Sequence[LabelSpan]]
) -> tuple[str, float]:
    """Name and size (sigma) of an event that was found, by what the labels say; "" for none.

    With a touch that ends, and none that begins, it is a release. Else it is what begins with it
    and, of what that runs on into, what holds longest until soon after the event: a touchdown is
    the contact that it leads to. Where nothing begins, it is what goes on.
    """
    for touch in touches:
        ends_s = end_of(touch)
        begins = any(ends_s < other[0].start_s <= end_s for other in touches)
        ends_now = onset_s - _NEAR_S <= ends_s <= end_s + _NEAR_S / 2
        if touch[0].start_s < onset_s - _NEAR_S and ends_now and not begins:
            return RELEASE, max(s.peak_sigma for s in touch if s.end_s > ends_s - _LATER_S)
    latest_s = max(onset_s + _NEAR_S / 2, peak_s + _JOINED_S)
    for touch in touches:
        for first in touch:
            if onset_s - _NEAR_S <= first.start_s <= latest_s:
                return _begun(first, touch, end_s)
    now = [s for touch in touches for s in touch if s.start_s <= onset_s <= s.end_s]
    return (now[-1].label, now[-1].peak_sigma) if now else ("", nan)


def _begun(first: LabelSpan, touch: Sequence[LabelSpan], end_s: float) -> tuple[str, float]:
    before = {s.label for s in touch if s.start_s < first.start_s <= s.end_s + _JOINED_S}
    new = [s for s in touch if s.start_s > first.start_s and s.label not in before]
    name = longest_in(first.start_s, max(first.end_s, end_s + _LATER_S), [first, *new])
    of_it = [s for s in touch if s.start_s <= end_s and s.end_s > first.start_s]
    return name or first.label, max(s.peak_sigma for s in [first, *of_it])


def longest_in(start_s: float, end_s: float, spans: Sequence[LabelSpan]) -> str:
    """The label that holds longest between two times; "" where none does."""
    held: dict[str, float] = {}
    for span in spans:
        lasts_s = min(span.end_s, end_s) - max(span.start_s, start_s)
        if lasts_s > 0.0:
            held[span.label] = held.get(span.label, 0.0) + lasts_s
    return max(held, key=lambda label: held[label]) if held else ""


def end_of(touch: Sequence[LabelSpan]) -> float:
    """When the last span of a touch ends, s."""
    return max(span.end_s for span in touch)
