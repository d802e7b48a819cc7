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
from urllib.parse import quote

from tao_lora_ros.fleet.errors import FleetError
from tao_lora_ros.fleet.remote import bags_at, fetch, listed_at
from tao_lora_ros.messages.files import read_regular

_FILES = (".bag", ".mcap", ".db3")
_PIECE = 1 << 20  # bytes read at once
_MOST_LIST = 1 << 28  # bytes of a list of bags
_MOST_NAME = 255  # bytes of a folder's name


@dataclass(frozen=True)
class Bag:
    """A bag to be replayed.

    Args:
        name: absolute path or URL, as text: what is no UTF-8 of it is escaped.
        robot: which robot it is of.
        size: bytes of its files.
        stamp: of its files: names, sizes and times; another one where a file was written anew.
            Empty where a store does not say when it was.
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
        yield from bags_at(name, _FILES)
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


def _bag(place: str, robot: str) -> Bag:
    # One bag has one name, wherever the command runs.
    place = place if "://" in place else os.path.abspath(place)
    name = place.encode(errors="backslashreplace").decode()
    listed = _listed(place)
    known = all(time for *_, time in listed)  # else only its content tells whether it is the same
    stamp = hashlib.sha256(json.dumps(listed).encode()).hexdigest() if known else ""
    size = sum(size for _, size, _ in listed)
    return Bag(name, _robot(name, robot), size, stamp, place)


def _robot(name: str, expression: str) -> str:
    if expression:
        found = re.search(expression, name)
        if not found or not found.groups() or not found[1]:
            raise FleetError(f"{name}: its name has no group 1 of /{expression}/")
        robot = found[1]
    else:
        path = PurePosixPath(name)
        # The file of a recorder that did not end, RUN/RUN_0.mcap, has no metadata.yaml beside it.
        own = re.fullmatch(re.escape(path.parent.name) + r"(_\d+)?", path.stem)
        robot = (path.parent.parent if own else path.parent).name or "-"
    if len(robot_folder(robot).encode()) > _MOST_NAME:
        raise FleetError(
            f"{name}: a robot's name is too long for a folder; --robot tells a shorter"
        )
    return robot


def robot_folder(robot: str) -> str:
    """What a robot's folder in the tables is called; letters of all languages stay as they are."""
    return "robot=" + re.sub(r"[^\w.~-]", lambda found: quote(found[0], safe=""), robot)


def _listed(name: str) -> list[tuple[str, int, Any]]:
    """Name, size and time of each file of a bag; none of one that is not there."""
    if "://" in name:
        return listed_at(name)
    try:
        stats = [(path, path.stat()) for path in files_of(Path(name))]
    except OSError:  # of a bag that cannot be read either
        return []
    return [(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def is_gone(name: str) -> bool:
    """Whether there is nothing of a bag's name any more; False also where that cannot be told."""
    return not ("://" in name or "\\udc" in name or os.path.lexists(name))


def files_of(bag: Path) -> list[Path]:
    """The files of a bag, in order of their names."""
    paths = sorted(bag.rglob("*")) if bag.is_dir() else [bag]
    return [path for path in paths if path.is_file()]


@contextmanager
def at_hand(name: str) -> Iterator[Path]:
    """A bag as a local path; one at a URL is fetched, and removed afterwards.

    Raises:
        FleetError: it cannot be fetched.
    """
    if "://" not in name:
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="tao_lora_bag_") as folder:
        yield fetch(name, Path(folder))


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
