"""When Python looks for garbage: between messages, once a second, and never all of the heap."""

from __future__ import annotations

import gc


def quiet() -> None:
    """Leave out of every later collection what lives now, and collect only when told to.

    Left to itself a full collection walks torch's hundred thousands of objects whenever counts say
    so: tens of milliseconds, in the middle of an impact.
    """
    gc.collect()
    gc.freeze()
    gc.disable()


def collect() -> None:
    """Collect what came since `quiet`."""
    gc.collect()


def usual() -> None:
    """Undo `quiet`."""
    gc.unfreeze()
    gc.enable()
