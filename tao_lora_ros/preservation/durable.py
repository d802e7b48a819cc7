"""Files that are on the disk once they are written; links are not followed.

Who may write to a store's folder could else have us write through a link to any other file.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from tao_lora_ros.messages.files import regular_descriptor

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_END = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def write_durably(file: Path, text: str) -> None:
    """Write a new text file in place of whatever lies there, and wait until it is on the disk."""
    discard(file)
    _write(file, text, _NEW)


def append_durably(file: Path, text: str) -> None:
    """Append to a text file, which need not exist, and wait until that is on the disk."""
    _write(file, text, _END)


def _write(file: Path, text: str, flags: int) -> None:
    with os.fdopen(regular_descriptor(file, flags, links=False), "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())


def own_folder(folder: Path) -> None:
    """Make a folder where there is none.

    Raises:
        OSError: it cannot be made, or something else lies there, a link too.
    """
    folder.mkdir(exist_ok=True)
    if folder.is_symlink():
        raise NotADirectoryError(errno.ENOTDIR, "a link, expected a folder", str(folder))


def discard(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
