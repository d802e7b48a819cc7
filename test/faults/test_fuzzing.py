"""The harnesses of `make fuzz` on their seeds and on what random changes make of them."""

from __future__ import annotations

from importlib import import_module
from random import Random

import pytest
from fuzz.harness import ENTRIES

CHANGED = 150  # inputs of each


def changed(data: bytes, random: Random) -> bytes:
    """Some bytes replaced, removed or repeated."""
    out = bytearray(data)
    for _ in range(random.randint(1, 6)):
        at, length = random.randrange(len(out) + 1), random.randint(0, 12)
        match random.randrange(3):
            case 0:
                out[at : at + length] = random.randbytes(length)
            case 1:
                del out[at : at + length]
            case _:
                out[at:at] = out[at : at + length]
    return bytes(out)


@pytest.mark.parametrize("entry", ENTRIES)
def test_nothing_is_raised_but_refusals(entry: str) -> None:
    harness, random = import_module(f"fuzz.{entry}"), Random(0)
    seeds = harness.seeds()
    assert seeds
    for data in seeds:
        harness.one(data)
    for _ in range(CHANGED):
        harness.one(changed(random.choice(seeds), random))
