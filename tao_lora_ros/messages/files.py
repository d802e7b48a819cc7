"""Files that may be anything: read only where they are regular, and up to a bound.

A FIFO would wait for ever, a device never end, and a link lead out of the folder that is trusted.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(file: Path, links: bool = True) -> BinaryIO:
    """Open a regular file to read, without waiting.

    Args:
        file: the file.
        links: whether it may be a link to one.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW)
    descriptor = os.open(file, flags)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(file))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


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
