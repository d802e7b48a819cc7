"""What a command writes: looked at before any work, then written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from argparse import ArgumentParser, Namespace, _ActionsContainer
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tao_lora_ros.bags.opening import METADATA
from tao_lora_ros.cli.arguments import UsageError
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.model.artifact import training_folder
from tao_lora_ros.model.card import CARD, without_nan
from tao_lora_ros.preservation.durable import discard

_STDOUT = Path("-")
_READ = ("bag", "bags", "steady", "calibrate", "store")  # arguments that name what is read


def add_output(
    parser: _ActionsContainer,
    *names: str,
    folder: bool = False,
    model: bool = False,
    needs: str = "",
    **how: Any,
) -> None:
    """Add an argument that names what is written; `check_outputs` looks at it before any work.

    Args:
        parser: of the command, or a group of it.
        names: of the argument.
        folder: whether a folder is written, whose parents are made.
        model: an artifact's folder: it may be the one that `--model` or `model` names, which is
            made better in place.
        needs: a package that is not always there.
        how: as of `add_argument`.
    """
    action = parser.add_argument(*names, type=Path, **how)
    known = parser.get_default("outputs") or ()
    parser.set_defaults(outputs=(*known, (action.dest, folder or model, model, needs)))


def add_json_and_force(parser: ArgumentParser) -> None:
    """`--json [FILE]` for what `tell` is given, and `--force`."""
    what = "what was found as JSON, to FILE or instead of the text"
    add_output(parser, "--json", nargs="?", const=_STDOUT, metavar="FILE", help=what)
    parser.add_argument("--force", action="store_true", help="write over what is there")


def check_outputs(options: Namespace) -> None:
    """Look at all that a command is going to write.

    Raises:
        UsageError: something of that name is there, it cannot be written, or would be the end of
            what is read or of what else is written.
    """
    written_by: dict[str, str] = {}
    for name, folder, model, package in getattr(options, "outputs", ()):
        path = getattr(options, name)
        if path is None or path == _STDOUT:
            continue
        if package:
            need(package, f"--{name}")
        other = written_by.setdefault(os.path.realpath(path), name)
        if other != name:
            raise UsageError(f"{path}: both --{other} and --{name}; choose another name")
        started = getattr(options, "model", None) if model else None
        may_be_there = started is not None and os.path.realpath(started) == os.path.realpath(path)
        resumed = model and training_folder(path).is_dir() and not (path / CARD).exists()
        for read in _read_by(options, with_model=not model):
            _check_apart(path, read)
        check_output(path, folder, options.force or may_be_there or resumed)
        if folder:
            check_outside_bags(path)


def _read_by(options: Namespace, with_model: bool) -> Iterator[Path]:
    """Bags, stores and models that a command reads."""
    for name in (*_READ, *["model"] * with_model):
        value = getattr(options, name, None)
        yield from map(Path, value if isinstance(value, list) else filter(None, [value]))


def _check_apart(path: Path, read: Path) -> None:
    """Raise UsageError where writing a path would be the end of what is read."""
    there, here = os.path.realpath(path), os.path.realpath(read)
    within = any((read / name).exists() for name in (CARD, METADATA)) and path.exists()
    part = within and there.startswith(f"{here}{os.sep}")
    if part or there == here or here.startswith(f"{there}{os.sep}"):
        raise UsageError(f"{path}: writes over {read}, which is read; choose another name")


def check_outside_bags(folder: Path) -> None:
    """Raise UsageError where a folder would be part of a bag."""
    path = Path(os.path.realpath(folder))
    for place in (path, *path.parents):
        if (place / METADATA).is_file():
            raise UsageError(f"{folder}: lies in a bag, {place}; choose a folder outside of it")


def check_output(path: Path, folder: bool, force: bool) -> None:
    """Whether a file or a folder can be written.

    Raises:
        UsageError: something of that name is there and `force` does not hold, or it cannot be.
    """
    if _is_there(path):
        if not (force or _is_stream(path)):
            raise UsageError(f"{path}: exists already; --force writes over it")
        if path.is_dir() != folder and not _is_stream(path):
            raise UsageError(f"{path}: {'not a' if folder else 'a'} folder; choose another name")
    place = path.parent
    if folder:  # a root is always there
        place = next(parent for parent in path.parents if parent.exists())
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
            discard(path.with_name(made.name))
            made.replace(path.with_name(made.name))
    except TaoLoraError as error:
        raise type(error)(str(error).replace(str(aside), str(path.parent))) from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    finally:
        if aside:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one line why a folder that is changed in place cannot be written."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


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
