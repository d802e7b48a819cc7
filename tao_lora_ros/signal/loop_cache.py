"""Compiled loops from the disk, loaded without what numba needs to compile others.

Numba makes itself ready to compile whenever it loads a loop: it imports its implementations of
everything, and SciPy for some of them, which a process that compiles nothing keeps for nothing.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from llvmlite.binding import parse_bitcode
from numba.core import config as numba_config
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.environment import Environment, lookup_environment
from numba.core.runtime import rtsys

_config: Any = numba_config  # its attributes come from the environment, unseen by mypy


class NotKept(Exception):
    """A loop is not on the disk, and was not to be compiled here."""


class _Place:
    """Where a function is kept in $NUMBA_CACHE_DIR: by names and contents, wherever its file lies.

    So another clone, or an environment that was moved, finds what was compiled before.
    """

    def __init__(self, function: Callable, file: str) -> None:
        self._py_file = file  # numba warns by this name
        self._line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Callable, file: str) -> _Place | None:
        """None where nothing can be written."""
        place = cls(function, file)
        try:
            place.ensure_cache_path()
        except OSError:
            return None
        return place

    def get_cache_path(self) -> str:
        return str(Path(_config.CACHE_DIR) / Path(self._py_file).parent.name)

    def ensure_cache_path(self) -> None:
        folder = Path(self.get_cache_path())
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(folder)

    def get_source_stamp(self) -> str:
        return _hash_of(self._py_file)

    def get_disambiguator(self) -> str:
        return str(self._line)


@cache
def _hash_of(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


_kept_implementation: Any = FunctionCache._impl_class


class _Implementation(_kept_implementation):
    _locator_classes = (_Place,)


class LoopCache(FunctionCache):
    """Numba's cache of one function, for loops without Python objects in them.

    Raises:
        RuntimeError: no folder can be written.
    """

    _impl_class = _Implementation
    alone = False  # what is not kept is not compiled either

    def __init__(self, function: Callable) -> None:
        super().__init__(function)
        locator = self._impl.locator
        self._cache_file = _File(
            self._cache_path, self._impl.filename_base, locator.get_source_stamp()
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The loop for these types; None where it is not there, and has to be compiled."""
        rtsys.initialize(target_context)  # what allocates arrays in a loop
        key = self._index_key(sig, target_context.codegen())
        with self._guard_against_spurious_io_errors():
            if (kept := self._cache_file.load(key)) is None:
                if LoopCache.alone:
                    raise NotKept(self._name)
                return None
            loop = self._impl.rebuild(target_context, kept)
            _let_go_of_source(loop.library, kept)
            return loop


@contextmanager
def kept_alone() -> Iterator[None]:
    """Within, a loop that would have to be compiled is a `NotKept`."""
    LoopCache.alone = True
    try:
        yield
    finally:
        LoopCache.alone = False


class _File(IndexDataCacheFile):
    def _load_data(self, name: str) -> Any:
        with Path(self._data_path(name)).open("rb") as file:
            return _Unpickler(file).load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _environment if name == "_rebuild_env" else super().find_class(module, name)


def _let_go_of_source(library: Any, kept: tuple) -> None:
    """Keep what a loop was compiled of as bytes, until another that calls it is compiled."""
    (_, _, (_, bitcode)), *_ = kept
    library._shared_module = None
    library._get_module_for_linking = partial(parse_bitcode, bitcode)


def _environment(module: str, constants: list, name: str) -> Environment:
    """What a function has of its module: its constants, as only Python objects need the rest."""
    found = lookup_environment(name)
    if found is None:
        found = Environment({"__name__": module})
        found.consts[:] = constants
        found.env_name = name
        Environment._memo[name] = found
    return found
