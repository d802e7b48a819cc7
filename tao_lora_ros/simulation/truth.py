"""Exact contact intervals from the contact forces of the physics."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .physics import Trace
from .scene import TIME_STEP_S

Mask = NDArray[np.bool_]
Steps = NDArray[np.float64]  # a number each step of the physics

_TOUCH_N = 0.01  # less is no contact
_CHATTER_S = 0.01  # shorter breaks of contact are bridged
_TOUCH_DOWN_S = 0.05  # the first moment of a contact with the table counts as impact
_SLIDE_M_S = 0.004  # above the creep of a loaded, sticking contact
_QUIET_S = 0.1  # what lies this far apart has nothing to do with each other, by the spans above
_SMOOTH_S = 0.04  # over which sliding is judged; shorter slides, as at lift-off, are none

_LABELS = ("", "impact", "contact", "slide")
_IMPACT, _CONTACT, _SLIDE = 1, 2, 3


@dataclass(frozen=True)
class ContactInterval:
    """One stretch of contact, in seconds from the first message's stamp.

    label: "impact", "contact", "slide" or "press"; peak_force_n: largest contact force on the tool;
    peak_sigma: that force in units of the recording's force noise per axis.
    """

    start_s: float
    end_s: float
    label: str
    peak_force_n: float
    peak_sigma: float


class Contacts:
    """The contacts of a course that comes part by part."""

    def __init__(self) -> None:
        self._rest = np.zeros((0, 4))  # from the last moment at which nothing touched
        self._first = 0  # step of the rest's first row
        self._found: list[tuple[int, int, str, float]] = []

    def add(self, trace: Trace) -> None:
        """Take in the next part."""
        part = (trace.tip_speed, trace.table_force, trace.ball_force, trace.press_force)
        steps = np.concatenate((self._rest, np.stack(part, axis=1)))
        until = _last_quiet(np.any(steps[:, 1:] > 0.0, axis=1))
        self._found += _intervals(steps[:until], self._first)
        self._rest, self._first = steps[until:], self._first + until

    def intervals(self, sigma_n: float, origin_s: float) -> list[ContactInterval]:
        """All contacts so far, ordered; disjoint but for presses, which others may fall into.

        sigma_n: RMS of the force noise of one axis (N); origin_s: physics time of the first stamp.
        """
        return [
            ContactInterval(
                start_s=max(0.0, float(start * TIME_STEP_S - origin_s)),
                end_s=float(end * TIME_STEP_S - origin_s),
                label=label,
                peak_force_n=peak_n,
                peak_sigma=peak_n / sigma_n,
            )
            for start, end, label, peak_n in (*self._found, *_intervals(self._rest, self._first))
        ]


def _last_quiet(touched: Mask) -> int:
    """The middle of the last stretch without contact that parts what comes before from the rest."""
    for start, end in reversed(_runs(~touched)):
        if (end - start) * TIME_STEP_S >= _QUIET_S:
            return (start + end) // 2
    return 0


def _intervals(steps: Steps, first: int) -> list[tuple[int, int, str, float]]:
    """(start, end, label, peak force in N) of all contacts, by start.

    steps [n, 4]: tip speed and the forces of table, ball and hand, from step `first` on.
    """
    tip_speed, table_force, ball_force, press_force = steps.T
    force = table_force + ball_force
    codes = _codes(tip_speed, table_force, ball_force)
    bounds = np.flatnonzero(np.diff(codes, prepend=0, append=0))
    found = [(a, b, _LABELS[codes[a]], force) for a, b in pairwise(bounds.tolist()) if codes[a]]
    found += [(a, b, "press", press_force) for a, b in _runs(press_force > _TOUCH_N)]
    ordered = sorted(found, key=lambda row: row[:2])
    return [
        (first + start, first + end, label, float(size[start:end].max()))
        for start, end, label, size in ordered
    ]


def _codes(tip_speed: Steps, table_force: Steps, ball_force: Steps) -> NDArray[np.int8]:
    """Label of every step, 0 out of contact."""
    ball = _bridge(ball_force > _TOUCH_N, _CHATTER_S)
    table = _bridge(table_force > _TOUCH_N, _CHATTER_S)
    width = round(_SMOOTH_S / TIME_STEP_S)
    speed = np.convolve(tip_speed, np.full(width, 1.0 / width), mode="same")
    touch_down = np.zeros_like(table)
    for start, end in _runs(table):
        touch_down[start : min(end, start + round(_TOUCH_DOWN_S / TIME_STEP_S))] = True
    settled = table & ~touch_down
    sliding = settled & _bridge(settled & (speed > _SLIDE_M_S), _SMOOTH_S)
    codes = np.zeros(len(ball), np.int8)
    codes[settled] = _CONTACT
    for start, end in _runs(sliding):
        if (end - start) * TIME_STEP_S >= _SMOOTH_S:
            codes[start:end] = _SLIDE
    codes[touch_down | ball] = _IMPACT
    return codes


def _bridge(mask: Mask, gap_s: float) -> Mask:
    """The mask with its gaps shorter than `gap_s` filled."""
    filled = mask.copy()
    runs = _runs(mask)
    for (_, end), (start, _) in pairwise(runs):
        if (start - end) * TIME_STEP_S < gap_s:
            filled[end:start] = True
    return filled


def _runs(mask: Mask) -> list[tuple[int, int]]:
    """(start, end) of every stretch of True, end excluded."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
