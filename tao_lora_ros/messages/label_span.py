"""A stretch of time with a name: what the labels of a recording are made of."""

from __future__ import annotations

from dataclasses import dataclass

FREE = "free"  # label of what no stretch covers: the background, which is no event's name


@dataclass(frozen=True)
class LabelSpan:
    """One labelled stretch, such as a contact, in seconds from the recording's first stamp.

    `peak_sigma` is its largest force in units of the sensor's noise, NaN where nobody knows.
    """

    start_s: float
    end_s: float
    label: str
    peak_sigma: float = float("nan")
