"""Memory that only a start needs, given back."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_COMPILER = "/libllvmlite.so"  # what compiled and linked the loops; it sleeps while they run
_MADV_DONTNEED = 4


def give_back() -> None:
    """Give back what is free, and the pages of the compiler's file, which come again when needed.

    Linux with glibc alone; elsewhere some of it or nothing is done.
    """
    libc = ctypes.CDLL(None)
    with suppress(AttributeError):  # musl has none
        libc.malloc_trim(0)
    for begin, end in clean_pages(_COMPILER):
        libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED)


def clean_pages(file: str) -> Iterator[tuple[int, int]]:
    """From where to where a file of this name lies in memory as it lies on the disk, unchanged.

    By proc(5); changed pages (`Anonymous`) would be lost with their mapping.
    """
    try:
        lines = Path("/proc/self/smaps").read_text().splitlines()
    except OSError:
        return
    begin = end = 0
    ours = False
    for line in lines:
        name, *rest = line.split(maxsplit=5)
        if not name.endswith(":"):
            begin, end = (int(address, 16) for address in name.split("-"))
            ours = line.endswith(file) and "w" not in rest[0]
        elif ours and line.split() == ["Anonymous:", "0", "kB"]:
            yield begin, end
