"""The route: steady or transient, with hysteresis, a hold and a longest freeze."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from tao_lora_ros.signal.compiled import inlined


class Change(IntEnum):
    """What a row changed."""

    NONE = 0
    ONSET = 1
    END = 2
    ACCEPTED = 3  # over because it lasted so long that it is the new steady state


@dataclass(frozen=True)
class RouterConfig:
    """Hysteresis of the route.

    Args:
        off_score: a transient is over once the score stayed below this (the on-score is 1) ...
        hold_rows: ... for this many rows, at least one.
        max_transient_rows: after this many rows the new regime is accepted as steady. Without
            it a baseline frozen below a lasting change would never let go.

    >>> route = new_route(RouterConfig(off_score=0.7, hold_rows=2, max_transient_rows=100))
    >>> [Change(follow(route, score)).name for score in (0.4, 1.2, 0.9, 0.6, 0.5)]
    ['NONE', 'ONSET', 'NONE', 'NONE', 'END']
    """

    off_score: float
    hold_rows: int
    max_transient_rows: int


_ROUTE = np.dtype(
    [
        ("off_score", np.float64),
        ("hold_rows", np.int64),
        ("max_transient_rows", np.int64),
        ("transient", np.int64),  # 1 or 0; the values of Route
        ("lasted", np.int64),  # rows of this transient
        ("below", np.int64),  # newest rows in turn that were below off_score
        ("anew", np.bool_),  # the next row begins a transient, whatever its score
    ]
)
_NONE, _ONSET, _END, _ACCEPTED = (int(change) for change in Change)


def new_route(config: RouterConfig) -> np.ndarray:
    """A steady route, [1]."""
    route = np.zeros(1, _ROUTE)
    configure(route, config)
    return route


def configure(route: np.ndarray, config: RouterConfig) -> None:
    """Take another configuration, between two rows."""
    route["off_score"] = config.off_score
    route["hold_rows"] = max(config.hold_rows, 1)
    route["max_transient_rows"] = config.max_transient_rows


@inlined
def follow(route, score, landed=False):
    """Take the score of one row and say what it changed, a value of `Change`.

    A touchdown (`landed`) is an event of its own: it ends one that went on before, and with the
    next row its own begins.
    """
    now = route[0]
    if not now.transient:
        if not (score >= 1.0 or now.anew):  # a NaN is no alarm
            return _NONE
        now.transient, now.lasted, now.below, now.anew = 1, 0, 0, False
        return _ONSET
    now.lasted += 1
    if landed and now.lasted > now.hold_rows:
        now.transient, now.anew = 0, True
        return _END
    now.below = now.below + 1 if score < now.off_score else 0
    if now.below >= now.hold_rows:
        now.transient = 0
        return _END
    if now.lasted >= now.max_transient_rows:
        now.transient = 0
        return _ACCEPTED
    return _NONE
