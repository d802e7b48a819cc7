"""What an event looks like in space: where it pushed, and how large it is drawn. Free of ROS."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.results import Event, Phase, name_text

LONGEST_M = 1.0
_M_PER_UNIT = {"force": 0.01, "accel": 0.02}  # of a force in N, of an acceleration in m/s²
_DIAMETER_M = 0.05  # of an event that just reaches the threshold
_LARGEST_SCORE = 6.0  # the score is a logarithm: larger ones are not seen


@dataclass(frozen=True)
class Push:
    """What an event did to a sensor, at most.

    Args:
        frame_id: the sensor's frame.
        quantity: `force` (N) or `accel` (m/s²).
        vector: [3], the contact force at its peak, or the largest change of the acceleration.
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
    """The push of the sensor that measured the most; None where no direction is known."""
    size = event.size
    for quantity, value in (("force", size.peak_force), ("accel", size.acceleration_change)):
        if isfinite(value) and isfinite(size.direction[0]):
            return Push(size.frame_id, quantity, value * np.array(size.direction))
    return None


def frame_of(event: Event) -> str:
    """The frame to place an event in: of what pushed, else of what shared most in it.

    A Wrench names no frame, and what is in none is not shown; then any sensor's will do.
    """
    push = push_of(event)
    frames = [push.frame_id if push else "", event.frame_id, *(raw.frame_id for raw in event.raw)]
    return next(filter(None, frames), "")


def diameter_m(score: float) -> float:
    """Diameter of an event's sphere: 5 cm at the threshold, growing with the score up to 6."""
    return _DIAMETER_M * float(np.clip(score, 1.0, _LARGEST_SCORE))


def caption(event: Event) -> str:
    """One line that names the event: number, label or kind, size, score."""
    name = name_text(event.label, event.probability)
    known = name if event.label else f"{name} {event.kind.text}".strip()
    size = f"{event.size.text}, " if event.size.text else ""
    still = ", open" * (event.phase is Phase.ONSET)
    return f"#{event.sequence} {known}, {size}score {event.peak_score:.1f}{still}"
