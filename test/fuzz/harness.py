"""What all harnesses share: an input as a file, and what may come of it.

A harness is a module beside this one:

    PARTS       modules whose branches guide the search
    seeds()     inputs to begin with
    one(data)   take one input; whatever it raises is a finding
"""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tao_lora_ros.messages.errors import TaoLoraError

CORPUS = Path(__file__).resolve().parents[1] / "faults" / "corpus"
ENTRIES = ("cdr", "card", "tensors", "parameters", "index", "labels", "table")


@cache
def folder() -> Path:
    """A folder of this process, in memory where there is such a place."""
    memory = Path("/dev/shm")
    path = Path(mkdtemp(dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def as_file(data: bytes, name: str = "input") -> Path:
    """The input as a file."""
    file = folder() / name
    file.write_bytes(data)
    return file


def in_corpus(kind: str) -> list[bytes]:
    """The hostile files of a kind that are kept."""
    return [file.read_bytes() for file in sorted(CORPUS.glob(f"{kind}_*"))]


@contextmanager
def refused() -> Iterator[None]:
    """A refusal is fine where it is one line of bounded length."""
    try:
        yield
    except TaoLoraError as error:
        text = str(error)
        assert text.isprintable(), repr(text)
        assert len(text) < 3000, f"{len(text)} characters"
