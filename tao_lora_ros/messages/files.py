"""Files that may be anything: read only where they are regular, and up to a bound.

A FIFO would wait for ever, a device never end, and a link lead out of the folder that is trusted.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tao_lora_ros.messages.errors import TaoLoraError

_REMEDIES = {
    errno.EACCES: "change its permissions, or choose another",
    errno.EISDIR: "expected a file",
    errno.ELOOP: "a link leads back to itself, choose another",
    errno.EMFILE: "raise the limit, ulimit -n",
    errno.ENAMETOOLONG: "choose a shorter one",
    errno.ENOSPC: "free some, or choose another disk",
    errno.EROFS: "choose another disk, or mount it to be written",
}


def refusal(error: OSError) -> str:
    """What the system refused, and what to do about it.

    >>> refusal(OSError(errno.ENOSPC, "No space left on device"))
    'No space left on device; free some, or choose another disk'
    """
    reason = error.strerror or str(error) or type(error).__name__
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{reason}; {remedy}" if remedy else reason


def refuse_existing(path: Path, error: type[TaoLoraError]) -> None:
    """Say that something of that name is there, before any work is done for it.

    Args:
        path: where something is to be written.
        error: what is raised where anything is, be it a link to nothing.
    """
    if os.path.lexists(path):
        raise error(f"{path}: exists already; --force writes over it")


@contextmanager
def naming(error: type[TaoLoraError], path: Path) -> Iterator[None]:
    """Have what the disk refuses within be an error of ours, which names the path and the reason.

    Args:
        error: what is raised.
        path: what to name where the disk names nothing.
    """
    try:
        yield
    except OSError as failed:
        raise error(f"{failed.filename or path}: {refusal(failed)}") from failed


def open_regular(file: Path, links: bool = True) -> BinaryIO:
    """Open a regular file to read, without waiting.

    Args:
        file: the file.
        links: whether it may be a link to one.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    return os.fdopen(regular_descriptor(file, os.O_RDONLY, links), "rb")


def regular_descriptor(file: Path, flags: int, links: bool = True) -> int:
    """Descriptor of a regular file, opened without waiting: a FIFO would wait for its other end.

    Args:
        file: the file.
        flags: of `os.open`.
        links: whether it may be a link to one.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    flags |= os.O_NONBLOCK | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW)
    descriptor = os.open(file, flags, 0o666)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
    raise OSError(errno.EINVAL, "not a regular file", str(file))


def replace_file(file: Path, data: bytes) -> None:
    """Write a file in one step: whoever reads finds the old or the new, and no FIFO is waited for.

    Raises:
        OSError: it cannot be written.
    """
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    new.write_bytes(data)
    new.replace(file)


def read_regular(file: Path, most_bytes: int, links: bool = True) -> bytes:
    """The content of a regular file.

    Args:
        file: the file.
        most_bytes: size above which it is refused, before it is read.
        links: whether it may be a link to one.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger.
    """
    with open_regular(file, links) as content:
        size = os.fstat(content.fileno()).st_size
        if size > most_bytes:
            reason = f"{size} bytes, expected {most_bytes} at most"
            raise OSError(errno.EFBIG, reason, str(file))
        data = content.read(size + 1)
    if len(data) > size:
        raise OSError(errno.EFBIG, "grew while it was read", str(file))
    return data
