"""Where the bags of a fleet are: in folders, by patterns, in lists, in object stores."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tao_lora_ros.fleet.errors import FleetError
from tao_lora_ros.messages.files import read_regular

_FILES = (".bag", ".mcap", ".db3")
_PIECE = 1 << 20  # bytes read at once
_MOST_LIST = 1 << 28  # bytes of a list of bags


@dataclass(frozen=True)
class Bag:
    """A bag to be replayed.

    Args:
        name: absolute path or URL, as text: what is no UTF-8 of it is escaped.
        robot: which robot it is of.
        size: bytes of its files.
        stamp: of its files: names, sizes and times; another one where a file was written anew.
        place: where it is; not in UTF-8 where its name is escaped.
    """

    name: str
    robot: str
    size: int
    stamp: str
    place: str


def find_bags(names: Sequence[str], robot: str = "") -> list[Bag]:
    """The bags that these names mean, each once.

    Args:
        names: bags, folders at any height above bags, patterns (`**` too), text files (`.txt`)
            with a name a line, URLs that fsspec knows.
        robot: regular expression; its first group, searched in a bag's name, is the robot. Empty:
            the folder that the bag lies in.

    Raises:
        FleetError: there is no bag of a name, or a bag's name does not tell its robot.
    """
    found: dict[str, str] = {}
    for place in (place for name in names for place in _places(name)):
        found.setdefault(place if "://" in place else os.path.realpath(place), place)
    return [_bag(place, robot) for place in found.values()]


def _places(name: str, within: tuple[str, ...] = ()) -> Iterator[str]:
    if "://" in name:
        yield from _remote_places(name)
    elif name.endswith(".txt"):
        if name in within:
            raise FleetError(f"{name}: this list of bags names itself")
        for line in _lines(Path(name)):
            yield from _places(line, (*within, name))
    elif glob.has_magic(name) and not os.path.exists(name):
        matches = sorted(glob.glob(name, recursive=True))
        if not matches:
            raise FleetError(f"{name}: nothing is called so")
        for match in matches:
            yield from _inside(Path(match))
    else:
        places = list(_inside(Path(name)))
        if not places and os.path.isdir(name):
            raise FleetError(f"{name}: no bag in this folder")
        yield from places or [name]  # a missing bag is a row with its reason


def _lines(file: Path) -> list[str]:
    """Of a list of bags, but blank ones."""
    try:
        text = read_regular(file, _MOST_LIST).decode()
    except UnicodeDecodeError as error:
        raise FleetError(f"{file}: no list of bags: {error}") from None
    if "\0" in text:
        raise FleetError(f"{file}: no list of bags: it holds a zero byte")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _inside(path: Path, above: tuple[str, ...] = ()) -> Iterator[str]:
    """The bag itself, or all below a folder; a folder with metadata.yaml is one bag."""
    place = os.path.realpath(path)
    try:
        entries = sorted(path.iterdir()) if path.is_dir() else []
        is_bag = path.suffix in _FILES and not path.is_dir()
    except OSError:  # there may be bags, so it is a row with this reason
        entries, is_bag = [], True
    if is_bag:
        yield os.path.normpath(path)
    elif place not in above:  # a link may lead in a circle
        if any(entry.name == "metadata.yaml" or entry.suffix == ".db3" for entry in entries):
            yield os.path.normpath(path)
            return
        for entry in entries:
            if not entry.name.startswith("."):
                yield from _inside(entry, (*above, place))


def _remote_places(url: str) -> Iterator[str]:
    """As `_inside` of local files, by one listing of all files below."""
    files, path = _files_at(url)
    names = sorted(files.glob(path) if glob.has_magic(path) else [path])
    for name in names:
        below = sorted(files.find(name))
        folders = {_parent(file) for file in below if file.endswith(("/metadata.yaml", ".db3"))}
        single = {file for file in below if file.endswith(_FILES) and _parent(file) not in folders}
        places = sorted(folders | single)
        if not places:
            raise FleetError(f"{url}: no bag here")
        yield from (str(files.unstrip_protocol(place)) for place in places)


def _parent(file: str) -> str:
    return file.rpartition("/")[0]


def _files_at(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    try:
        import fsspec

        files, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise FleetError(f"{url}: {error}; URLs need fsspec and its package for them") from None
    return files, path


def _bag(place: str, robot: str) -> Bag:
    # One bag has one name, wherever the command runs.
    place = place if "://" in place else os.path.abspath(place)
    name = place.encode(errors="backslashreplace").decode()
    listed = _listed(place)
    stamp = hashlib.sha256(json.dumps(listed, default=str).encode()).hexdigest()
    size = sum(size for _, size, _ in listed)
    return Bag(name, _robot(name, robot), size, stamp, place)


def _robot(name: str, expression: str) -> str:
    if not expression:
        return PurePosixPath(name).parent.name or "-"
    found = re.search(expression, name)
    if not found or not found.groups() or not found[1]:
        raise FleetError(f"{name}: its name has no group 1 of /{expression}/")
    return found[1]


def _listed(name: str) -> list[tuple[str, int, Any]]:
    """Name, size and time of each file of a bag; none of one that is not there."""
    if "://" in name:
        files, path = _files_at(name)
        found = sorted(files.find(path, detail=True).items())
        return [(file, info["size"] or 0, _time(info)) for file, info in found]
    try:
        stats = [(path, path.stat()) for path in files_of(Path(name))]
    except OSError:  # of a bag that cannot be read either
        return []
    return [(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def _time(info: dict[str, Any]) -> Any:
    """What a file system says of when a file was written, or of its content."""
    known = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "created")
    return next((str(info[key]) for key in known if info.get(key)), "")


def files_of(bag: Path) -> list[Path]:
    """The files of a bag, in order of their names."""
    paths = sorted(bag.rglob("*")) if bag.is_dir() else [bag]
    return [path for path in paths if path.is_file()]


@contextmanager
def at_hand(name: str) -> Iterator[Path]:
    """A bag as a local path; one at a URL is fetched, and removed afterwards.

    Raises:
        OSError: it cannot be fetched.
    """
    if "://" not in name:
        yield Path(name)
        return
    files, path = _files_at(name)
    with tempfile.TemporaryDirectory(prefix="tao_lora_bag_") as folder:
        local = Path(folder) / PurePosixPath(path).name
        files.get(path, str(local), recursive=files.isdir(path))
        yield local


def content_sha256(bag: Path) -> str:
    """SHA-256 of what a bag's files hold, in order of their names."""
    total = hashlib.sha256()
    for file in files_of(bag):
        total.update(file.stat().st_size.to_bytes(8, "big"))
        for piece in _pieces(file):
            total.update(piece)
    return total.hexdigest()


def _pieces(file: Path) -> Iterable[bytes]:
    with file.open("rb") as content:
        while piece := content.read(_PIECE):
            yield piece
