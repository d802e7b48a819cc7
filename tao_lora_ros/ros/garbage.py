"""When Python collects garbage: between messages, once a second, and never all of the heap."""

from __future__ import annotations

import gc

from tao_lora_ros.hardware.memory import give_back


def freeze() -> None:
    """Leave out of every later collection what lives now, and collect only by `collect`.

    What only the start needed is given back.

    Left to itself a full collection walks torch's hundred thousands of objects whenever counts say
    so: tens of milliseconds, in the middle of an impact.
    """
    gc.collect()
    give_back()
    gc.freeze()
    gc.disable()


def collect() -> None:
    """Collect what came since `freeze`."""
    gc.collect()


def unfreeze() -> None:
    """Undo `freeze`."""
    gc.unfreeze()
    gc.enable()
