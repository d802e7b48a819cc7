"""Units that others write, as factors to SI."""

from __future__ import annotations

from math import isfinite, pi
from typing import Any

import numpy as np

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.messages.texts import shown
from tao_lora_ros.signal.units import GRAVITY

_POUND = 4.4482216152605  # N, of the international pound and standard gravity
_PART = np.longdouble(1)  # of a second: a stamp takes more digits than a float has
_TORQUES = {
    **{"nm": 1.0, "mnm": 1e-3, "knm": 1e3, "nmm": 1e-3, "ncm": 1e-2, "kgfm": GRAVITY},
    **{"kgfcm": GRAVITY / 100, "lbfin": _POUND * 0.0254, "lbfft": _POUND * 0.3048},
}
FACTORS: dict[str, dict[str, Any]] = {  # floats, of the widest kind for times
    "time": {"s": 1.0, "ms": _PART / 10**3, "us": _PART / 10**6, "ns": _PART / 10**9},
    "accel": {
        **{"m/s^2": 1.0, "cm/s^2": 1e-2, "mm/s^2": 1e-3, "ft/s^2": 0.3048},
        **{"g": GRAVITY, "mg": GRAVITY / 1e3},
    },
    "gyro": {
        **{"rad/s": 1.0, "mrad/s": 1e-3, "rpm": pi / 30},
        **{"deg/s": pi / 180, "mdeg/s": pi / 180e3},
    },
    "force": {"N": 1.0, "mN": 1e-3, "kN": 1e3, "kgf": GRAVITY, "lbf": _POUND},
    "torque": _TORQUES,
    "effort": _TORQUES,
}
_SPELLINGS = {
    **dict.fromkeys(("seconds", "second", "sec", "secs"), "s"),
    **dict.fromkeys(("milliseconds", "millis", "msec"), "ms"),
    **dict.fromkeys(("microseconds", "micros", "usec"), "us"),
    **dict.fromkeys(("nanoseconds", "nanos", "nsec"), "ns"),
    **dict.fromkeys(("m/s2", "m/s/s", "ms2", "mps2", "mss"), "m/s^2"),
    **{"cm/s2": "cm/s^2", "mm/s2": "mm/s^2", "ft/s2": "ft/s^2"},
    **dict.fromkeys(("rad", "rads", "rads1", "radps"), "rad/s"),
    **dict.fromkeys(("dps", "deg", "degs", "degs1", "degrees/s", "degree/s"), "deg/s"),
    **{"mdps": "mdeg/s", "n": "N", "mn": "mN", "kn": "kN"},
}


def unit_named(quantity: str, text: str) -> str | None:
    """The unit of a quantity that a text such as `m/s²`, `°/s` or `N·m` means; None: none of ours.

    >>> unit_named("accel", "m/s²"), unit_named("gyro", "°/sec"), unit_named("torque", "N·m")
    ('m/s^2', 'deg/s', 'nm')
    """
    plain = text.strip().lower()
    for theirs, ours in (("²", "2"), ("µ", "u"), ("μ", "u"), ("°", "deg"), ("/sec", "/s")):
        plain = plain.replace(theirs, ours)
    plain = "".join(c for c in plain if c.isalnum() or c == "/")
    unit = _SPELLINGS.get(plain, plain)
    return unit if unit in FACTORS[quantity] else None


def factor_of(quantity: str, text: str) -> float:
    """What a value in a unit, or in counts of so many SI units each, is multiplied by.

    Raises:
        BagError: it is neither a unit of the quantity nor a number.
    """
    unit = unit_named(quantity, text)
    if unit:
        return FACTORS[quantity][unit]
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not isfinite(factor) or not factor:
        there = ", ".join(FACTORS[quantity])
        raise BagError(
            f"unit {shown(repr(text))} of {quantity}: expected {there}, or SI units a count"
        )
    return factor
