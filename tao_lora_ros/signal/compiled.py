"""Loops compiled for the processor at hand, kept on disk until their sources change."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import config as numba_config
from numba.core import event

from tao_lora_ros.signal.code_digest import COMPILED, digest
from tao_lora_ros.signal.loop_cache import LoopCache

Function = TypeVar("Function", bound=Callable)
CHECKED = "TAO_LORA_CHECK_ARRAYS"
COMPILING = "compiling for this processor, once: about a minute"
_UNUSED_S = 30 * 86_400.0  # then loops of other sources are deleted: some MB a version
_NAME = re.compile("[0-9a-f]{16}")


def compiled(function: Function | None = None, **options: Any) -> Any:
    """Numba's njit with a cache that holds as long as every compiled function is what it was.

    A decorator with or without options; those are njit's. A division by zero is no error, but
    infinite or NaN: no state ends a node.

    Numba itself looks at the file of a function alone, not at those of the functions and constants
    that it uses, and would go on with an old copy of these. The cache lies in $NUMBA_CACHE_DIR,
    else in `tao_lora_ros` of the user's cache folder, where what was not used for a month is
    deleted; where nothing can be written there is none.
    """
    if function is None:
        return partial(compiled, **options)
    config: Any = numba_config
    loop: Any = numba.njit(**{"error_model": "numpy"} | options)(function)
    before = config.CACHE_DIR
    config.CACHE_DIR = str(_folder(before))
    try:
        loop._cache = LoopCache(function)
    except RuntimeError:  # no folder can be written
        pass
    finally:
        config.CACHE_DIR = before
    return loop


# A part of a loop: it becomes one with what calls it, as to hand it all arrays of a state takes
# longer than most parts do.
inlined = compiled(forceinline=True)


def entry(function: Any, *arguments: Any) -> Callable[..., Any]:
    """A compiled function as it is called with arguments of these types, and with no others.

    Numba looks at the type of every array at each call, which takes longer than a short loop over
    them. This looks at none: other types, or arrays that are not in one piece, are misread. With
    `CHECKED` in the environment, as in all tests, they are a TypeError.
    """
    function.disable_compile(False)
    found: Callable[..., Any] = function.compile(tuple(map(numba.typeof, arguments)))
    if CHECKED not in os.environ:
        return found
    function.disable_compile()  # numba's own call finds these types or none
    checked: Callable[..., Any] = function
    return checked


@contextmanager
def announced(say: Callable[[str], None]) -> Iterator[None]:
    """Within, `say` is called once where something has to be compiled: nobody waits unsaid."""
    with event.install_listener("numba:compile", _First(say)):
        yield


class _First(event.Listener):
    def __init__(self, say: Callable[[str], None]) -> None:
        self._say: Callable[[str], None] | None = say

    def on_start(self, event: Any) -> None:
        say, self._say = self._say, None
        if say:
            say(COMPILING)

    def on_end(self, event: Any) -> None:
        pass


@cache
def _folder(base: str) -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = hashlib.sha256(f"{numba.__version__} {digest(COMPILED)}".encode()).hexdigest()[:16]
    if base:
        return Path(base) / name
    folder = Path(home) / "tao_lora_ros" / name
    _tidy(folder)
    return folder


def _tidy(folder: Path) -> None:
    """Note that this folder is used, and delete those beside it that nobody used for long.

    A process that still runs on one of these makes it anew when it compiles.
    """
    with suppress(OSError):
        os.utime(folder)
    with suppress(OSError):
        for other in folder.parent.iterdir():
            unused_s = time.time() - other.stat().st_mtime
            if _NAME.fullmatch(other.name) and other != folder and unused_s > _UNUSED_S:
                shutil.rmtree(other, ignore_errors=True)
