"""What a command writes: looked at before any work, then written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from argparse import ArgumentParser, Namespace, _ActionsContainer
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tao_lora_ros.bags.labels import labels_file
from tao_lora_ros.bags.opening import METADATA
from tao_lora_ros.cli.arguments import UsageError
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.files import refusal
from tao_lora_ros.messages.texts import encodable
from tao_lora_ros.model.artifact import training_folder
from tao_lora_ros.model.card import CARD, without_nan
from tao_lora_ros.preservation.durable import discard
from tao_lora_ros.preservation.event_catalogue import INDEX_FILE, RECEIPTS

_STDOUT = Path("-")
# Kinds of folders that are written, by what one holds.
BAG = (METADATA, "*.mcap", "*.db3")
CSV = ("*.csv",)
LEROBOT = ("meta/info.json",)
MODEL = (CARD, training_folder(Path()).name)
_MARKS = (CARD, METADATA, INDEX_FILE, RECEIPTS)  # of folders in which all may be read
_READ_FILES = (".bag", ".mcap", ".db3", ".csv", ".npz", ".yaml")
# Arguments that name what is read.
_BAGS = ("bag", "bags", "steady", "calibrate")
_READ = (*_BAGS, "store", "sources", "layout", "params_file", "old", "new", "model")


@dataclass(frozen=True)
class Output:
    """What a command writes.

    Args:
        argument: of the command, by its first name.
        kinds: of a folder, patterns of what such a folder holds, one at least; else it is a file.
        grows: whether it is a folder that is added to, so that it may be there; a `BAG` that grows
            is one, or a folder of many.
        needs: a package that is not always there.
    """

    argument: str
    kinds: tuple[str, ...] = ()
    grows: bool = False
    needs: str = ""

    @property
    def name(self) -> str:
        """In the options."""
        return self.argument.lstrip("-")


def add_output(
    parser: _ActionsContainer,
    argument: str,
    kinds: tuple[str, ...] = (),
    grows: bool = False,
    needs: str = "",
    **how: Any,
) -> None:
    """Add an argument that names what is written; `check_outputs` looks at it before any work.

    Args:
        parser: of the command, or a group of it.
        argument: its name; this and the next three as of `Output`.
        kinds: a `MODEL` may be the folder that `--model` or `model` names, which is made better in
            place.
        grows: as of `Output`.
        needs: as of `Output`.
        how: as of `add_argument`.
    """
    parser.add_argument(argument, type=Path, **how)
    known = parser.get_default("outputs") or ()
    parser.set_defaults(outputs=(*known, Output(argument, kinds, grows, needs)))


def add_json_and_force(parser: ArgumentParser) -> None:
    """`--json [FILE]` for what `tell` is given, and `--force`."""
    what = "what was found as JSON, to FILE or instead of the text"
    add_output(parser, "--json", nargs="?", const=_STDOUT, metavar="FILE", help=what)
    parser.add_argument("--force", action="store_true", help="write over what is there")


def check_outputs(options: Namespace) -> None:
    """Look at all that a command is going to write.

    Raises:
        UsageError: something of that name is there, the name is no UTF-8, it cannot be written, or
            would be the end of what is read or of what else is written.
    """
    written_by: dict[str, str] = {}
    for output in getattr(options, "outputs", ()):
        path = getattr(options, output.name)
        if path is None or path == _STDOUT:
            continue
        if not encodable(str(path)):  # a bag's metadata, Parquet and HTML are UTF-8
            raise UsageError(f"{path}: its name is no UTF-8; choose another name")
        if output.needs:
            need(output.needs, output.argument)
        other = written_by.setdefault(os.path.realpath(path), output.argument)
        if other != output.argument:
            raise UsageError(f"{path}: both {other} and {output.argument}; choose another name")
        if output.grows:
            _check_grown(path, of_bags=output.kinds == BAG)
            continue
        for read in _read_by(options, output):
            _check_apart(path, read)
        check_output(path, output.kinds, options.force or _goes_on(options, output, path))


def _goes_on(options: Namespace, output: Output, path: Path) -> bool:
    """Whether a model is made better in place, or its interrupted training goes on."""
    if output.kinds != MODEL:
        return False
    started = getattr(options, "model", None)
    in_place = started is not None and os.path.realpath(started) == os.path.realpath(path)
    return in_place or (training_folder(path).is_dir() and not (path / CARD).exists())


def _read_by(options: Namespace, output: Output) -> Iterator[Path]:
    """What a command reads beside this output; a model may be made better in place."""
    for name in _READ:
        if name != "model" or output.kinds != MODEL:
            value = getattr(options, name, None)
            yield from map(Path, value if isinstance(value, list) else filter(None, [value]))


def _check_apart(path: Path, read: Path) -> None:
    """Raise UsageError where writing a path would be the end of what is read."""
    there, here = Path(os.path.realpath(path)), Path(os.path.realpath(read))
    part = there.exists() and here in there.parents and _is_part(there, here)
    if part or there in (here, *here.parents, labels_file(here)):
        raise UsageError(f"{path}: writes over {read}, which is read; choose another name")


def _is_part(path: Path, folder: Path) -> bool:
    """Whether what lies in a folder is read with it: of a bag, model or store, and by its name."""
    places = [place for place in path.parents if place == folder or folder in place.parents]
    marked = any((place / name).exists() for place in places for name in _MARKS)
    return marked or path.suffix in _READ_FILES


def _check_outside_bags(folder: Path) -> None:
    """Raise UsageError where a folder would be part of a bag."""
    path = Path(os.path.realpath(folder))
    for place in (path, *path.parents):
        if (place / METADATA).is_file():
            raise UsageError(f"{folder}: lies in a bag, {place}; choose a folder outside of it")


def _check_grown(folder: Path, of_bags: bool) -> None:
    """Whether things can be put into a folder, which need not be there, or which may be a bag.

    Raises:
        UsageError: they cannot be.
    """
    if _is_there(folder) and not folder.is_dir():
        raise UsageError(f"{folder}: not a folder; choose another name")
    _check_outside_bags(folder.parent if of_bags else folder)
    _check_place(folder, True)


def check_output(path: Path, kinds: tuple[str, ...], force: bool) -> None:
    """Whether a file, or a folder of some kinds, can be written.

    Raises:
        UsageError: something of that name is there and `force` does not hold, it is a folder of
            something else, or nothing can be written there.
    """
    if _is_there(path):
        if not (force or _is_stream(path)):
            raise UsageError(f"{path}: exists already; --force writes over it")
        if path.is_dir() != bool(kinds) and not _is_stream(path):
            raise UsageError(f"{path}: {'not a' if kinds else 'a'} folder; choose another name")
        if path.is_dir() and any(path.iterdir()) and not any(map(any, map(path.glob, kinds))):
            raise UsageError(
                f"{path}: holds something else, which --force does not write over; "
                "choose another name"
            )
    if kinds:
        _check_outside_bags(path.parent)
    _check_place(path, bool(kinds))


def _check_place(path: Path, folder: bool) -> None:
    place = path.parent
    if folder:  # a root is always there
        place = next(place for place in (path, *path.parents) if place.exists())
    if not place.is_dir():
        raise UsageError(f"{path}: there is no folder {place}; mkdir -p makes it")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UsageError(f"{path}: no permission to write in {place}; choose another folder")


def need(package: str, what: str) -> None:
    """Raise UsageError, which says how to install it, where a package is not there."""
    if find_spec(package) is None:
        name = "rerun-sdk" if package == "rerun" else package
        raise UsageError(f"{what} needs {package}: pip install {name}")


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Where to write a file, or a folder with what lies beside it: it takes its place at the end.

    Nothing is left of what fails or is interrupted, and what was there before stays until then.

    Raises:
        UsageError: it cannot be written.
    """
    if _is_stream(path):
        yield path
        return
    aside: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(mkdtemp(prefix=".tao-lora-", dir=path.parent))
        yield aside / path.name
        for made in aside.iterdir():
            place = path.with_name(made.name)
            if place.is_dir() and not made.is_dir():
                raise UsageError(f"{place}: a folder; choose another name")
            discard(place)
            made.replace(place)
    except TaoLoraError as error:
        raise type(error)(str(error).replace(str(aside), str(path.parent))) from None
    except OSError as error:
        raise UsageError(f"{path}: {refusal(error)}") from None
    finally:
        if aside:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one line why a folder that is changed in place cannot be written."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path}: {refusal(error)}") from None


def table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Rows as lines, their cells below each other; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        yield "  ".join(padded).rstrip()


def tell(options: Namespace, found: Any, text: Iterable[str]) -> None:
    """Write what was found as `--json` asks for it; the text too, unless JSON takes its place."""
    if options.json:
        as_json = json.dumps(without_nan(found), indent=1, allow_nan=False)
        if options.json == _STDOUT:
            print(as_json)
            return
        with written(options.json) as file:
            file.write_text(f"{as_json}\n")
    for line in text:
        print(line)


def _is_there(path: Path) -> bool:
    """Whether anything is, be it a link to nothing; a name that cannot be raises OSError."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _is_stream(path: Path) -> bool:
    """A device or a pipe: written to as it is."""
    return path.exists() and not (path.is_file() or path.is_dir())
