"""What an event looks like in space: where it pushed, and how large it is drawn. Free of ROS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import Event, Phase

LONGEST_M = 1.0
_M_PER_UNIT = {"force": 0.01, "accel": 0.02}  # of a force in N, of an acceleration in m/s²
_DIAMETER_M = 0.05  # of an event that just reaches the threshold
_LARGEST_SCORE = 6.0  # the score is a logarithm: larger ones are not seen


@dataclass(frozen=True)
class Push:
    """By how much an event changed a sensor's vector, at most.

    Args:
        frame_id: the sensor's frame.
        quantity: `force` (N) or `accel` (m/s²).
        vector: [3], the largest change against the time before the onset.
    """

    frame_id: str
    quantity: str
    vector: NDArray[np.float64]

    @property
    def arrow(self) -> NDArray[np.float64]:
        """Tip of an arrow from the frame's origin, [3] in m, at most `LONGEST_M` long."""
        tip = self.vector * _M_PER_UNIT[self.quantity]
        return tip * min(1.0, LONGEST_M / max(float(np.linalg.norm(tip)), 1e-12))


def push_of(event: Event) -> Push | None:
    """The push of the force sensor that changed the most, or of the Imu where no force is known.

    None where neither has samples from the onset on.
    """
    for quantity in ("force", "accel"):
        pushes = [push for raw in event.raw if (push := _push(raw, quantity, event.onset_ns))]
        if pushes:
            return max(pushes, key=lambda push: float(np.linalg.norm(push.vector)))
    return None


def frame_of(event: Event) -> str:
    """The frame to place an event in: of what pushed, else of what shared most in it.

    A Wrench names no frame, and what is in none is not shown; then any sensor's will do.
    """
    push = push_of(event)
    frames = [push.frame_id if push else "", event.frame_id, *(raw.frame_id for raw in event.raw)]
    return next(filter(None, frames), "")


def _push(raw: RawSamples, quantity: str, onset_ns: int) -> Push | None:
    names = [name.rpartition(".")[2] for name in raw.channels]
    axes = [f"{quantity}_{axis}" for axis in "xyz"]
    if not set(axes) <= set(names):
        return None
    values = raw.values[:, [names.index(axis) for axis in axes]]
    known = np.isfinite(values).all(axis=1)
    stamps_ns, values = raw.stamps_ns[known], values[known]
    before, during = values[stamps_ns < onset_ns], values[stamps_ns >= onset_ns]
    if not len(during):
        return None
    change = during - (np.median(before, axis=0) if len(before) else during[0])
    return Push(raw.frame_id, quantity, change[np.argmax((change**2).sum(axis=1))])


def diameter_m(score: float) -> float:
    """Diameter of an event's sphere: 5 cm at the threshold, growing with the score up to 6."""
    return _DIAMETER_M * float(np.clip(score, 1.0, _LARGEST_SCORE))


def caption(event: Event) -> str:
    """One line that names the event: number, label or kind, score."""
    known = f"{event.label} {event.probability:.0%}" if event.label else event.kind.text
    load = f"{event.peak_load:.1f} N, " if event.peak_load else ""
    still = ", open" * (event.phase is Phase.ONSET)
    return f"#{event.sequence} {known}, {load}score {event.peak_score:.1f}{still}"
