"""What the arm is told to do: rests and moves on end, strikes between them, presses meanwhile.

A script holds intentions only. Whether a strike hits, and when contact is made, is for the physics
to say (see `truth.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .kinematics import JOINTS

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Strike:
    """One throw of the ball at the tool.

    time_s: of launch; mass_kg; speed_m_s: relative to the struck point; gap_m: flight to the
    surface; contact_s: how long the ball would stay in contact with a wall (its hardness);
    along: where on the tool, 0 (sensor) to 1 (tip); azimuth_rad, elevation_rad: of the surface
    normal there, about the tool's axis and towards its end; aim_rad: off that normal.
    """

    time_s: float
    mass_kg: float
    speed_m_s: float
    gap_m: float
    contact_s: float
    along: float
    azimuth_rad: float
    elevation_rad: float
    aim_rad: float


@dataclass(frozen=True)
class Press:
    """One push of a hand on the tool.

    time_s: when it begins; rise_s, hold_s, fall_s: its three parts; force_n: while it is held, of
    which a share `sway` comes and goes `sway_hz` times a second; along: where on the tool, 0
    (sensor) to 1 (tip); direction [3]: unit vector in the tool's frame.
    """

    time_s: float
    rise_s: float
    hold_s: float
    fall_s: float
    force_n: float
    sway: float
    sway_hz: float
    along: float
    direction: Vector

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.time_s + self.rise_s + self.hold_s + self.fall_s

    def force(self, time_s: float) -> Vector:
        """Force [3] (N) on the tool at a time, in its frame; up and down as a minimum jerk."""
        since = time_s - self.time_s
        u = min(since / self.rise_s, (self.end_s - time_s) / self.fall_s, 1.0)
        if u <= 0.0:
            return np.zeros(3)
        swayed = 1.0 + self.sway * np.sin(2.0 * np.pi * self.sway_hz * since)
        size = self.force_n * swayed * u**3 * (10.0 + u * (-15.0 + 6.0 * u))
        return np.asarray(size * self.direction)


@dataclass(frozen=True)
class Segment:
    """Joints follow the polynomial `path` [degree + 1, JOINTS] in s, s going smoothly 0 to 1."""

    duration_s: float
    path: Vector

    def sample(self, time_s: Vector) -> Vector:
        """Joint targets [n, JOINTS] at times from the segment's start.

        s is the minimum-jerk time law of Flash and Hogan (1985): 10 u^3 - 15 u^4 + 6 u^5.
        """
        u = np.clip(time_s / self.duration_s, 0.0, 1.0)
        s = u**3 * (10.0 + u * (-15.0 + 6.0 * u))
        powers = s[:, None] ** np.arange(len(self.path))
        return np.asarray(powers @ self.path, np.float64)


@dataclass
class Script:
    """Joint segments on end, the strikes between them, and the presses meanwhile."""

    segments: list[Segment] = field(default_factory=list)
    strikes: list[Strike] = field(default_factory=list)
    presses: list[Press] = field(default_factory=list)
    duration_s: float = 0.0

    def add(self, segment: Segment) -> None:
        self.segments.append(segment)
        self.duration_s += segment.duration_s

    @property
    def pose(self) -> Vector:
        """Joint angles [JOINTS] at the script's end."""
        return np.asarray(self.segments[-1].path.sum(axis=0), np.float64)

    def targets(self, steps: range, step_s: float) -> Vector:
        """Joint targets [len(steps), JOINTS] on the clock of the physics."""
        time = np.arange(steps.start, steps.stop) * step_s
        starts = np.cumsum([0.0] + [segment.duration_s for segment in self.segments])
        bounds = np.searchsorted(time, starts)
        out = np.empty((len(steps), JOINTS))
        for segment, start, a, b in zip(
            self.segments, starts[:-1], bounds[:-1], bounds[1:], strict=True
        ):
            out[a:b] = segment.sample(time[a:b] - start)
        return out
