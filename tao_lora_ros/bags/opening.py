"""Open a ROS 1 or ROS 2 bag, or say what is wrong with it and what may mend it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2 import storage_mcap
from rosbags.typesys import Stores, get_typestore

from tao_lora_ros.bags.foreign_files import no_bag
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.texts import error_line

_EXPECTED = "expected a ROS 2 bag's folder, an .mcap or .db3 file, or a ROS 1 .bag file"
METADATA = "metadata.yaml"
_MOST_METADATA = 16 << 20  # bytes: it is read whole, a line or two a message type and file
_DATA = (".db3", ".mcap")  # of a ROS 2 bag's files


class BagError(TaoLoraError):
    """The bag cannot be read, or lacks a topic; the text names the bag and what is wrong."""


def open_bag(path: Path) -> AnyReader:
    """An opened reader of a ROS 1 or ROS 2 bag; close it.

    Raises:
        BagError: the bag is missing, cut short, or not a bag.
    """
    if not path.exists():
        raise BagError(f"{path}: no such bag")
    if path.is_dir() and not is_bag(path):
        bags = [entry for entry in within(path) if is_bag(entry)]
        found = f"a folder of {len(bags)} bags; name one, such as {bags[0]}" if bags else ""
        raise BagError(f"{path}: {found or f'no bag in this folder, {_EXPECTED}'}")
    for file in path.iterdir() if path.is_dir() else [path]:
        if file.exists() and not (file.is_file() or file.is_dir()):  # a FIFO would be waited for
            raise BagError(f"{file}: not a regular file")
    metadata = path / METADATA
    if metadata.is_file() and (size := metadata.stat().st_size) > _MOST_METADATA:
        raise BagError(f"{metadata}: {size} bytes, expected {_MOST_METADATA} at most")
    files = data_files(path)
    try:
        # rosbags takes a folder `x.bag` for a file of ROS 1.
        if files and (path.suffix == ".bag" or (len(files) == 1 and not metadata.exists())):
            return _opened(files)
        try:
            return _opened([path])
        except AnyReaderError as error:
            # Files that somebody renamed are not those that metadata.yaml names.
            if "files are missing" not in str(error) or not files:
                raise
            return _opened(files)
    except Exception as error:
        raise BagError(damage(path, "not a readable bag", error)) from error


def within(folder: Path) -> list[Path]:
    """What may be bags in a folder that is none itself."""
    if not folder.is_dir() or is_bag(folder):
        return []
    return [e for e in sorted(folder.iterdir()) if e.is_dir() or e.suffix == ".bag"]


def bags_in(paths: Iterable[Path]) -> list[Path]:
    """The bags themselves, and those in folders that are not bags."""
    return [bag for path in paths for bag in within(path) or [path]]


def is_bag(path: Path) -> bool:
    """Whether a path is called as a bag is, or a folder that holds one's files."""
    return path.suffix in (".bag", *_DATA) or (path / METADATA).exists() or bool(data_files(path))


def data_files(folder: Path) -> list[Path]:
    """The files of a ROS 2 bag's folder that hold its messages."""
    return sorted(file for suffix in _DATA for file in folder.glob(f"*{suffix}"))


def damage(path: Path, what: str, error: Exception) -> str:
    """What is wrong with a bag, and the tool that may mend it.

    rosbags reports a damaged file by whatever its parsing stumbled on.
    """
    if other := no_bag(path):
        return f"{path}: {what}: {other}"
    said = error_line(error)
    remedy = f"ros2 bag reindex {path}" if path.is_dir() and "metadata" in said else mending(path)
    return f"{path}: {what}: {said}; {f'to mend it: {remedy}' if remedy else _EXPECTED}"


def mending(path: Path) -> str:
    """The tool that may mend a damaged bag; empty where none is known."""
    file = next(iter(data_files(path)), path)
    remedies = {
        ".bag": f"rosbag reindex {path}",
        ".mcap": f"mcap recover {file} -o recovered.mcap",
        ".db3": f"sqlite3 {file} .recover | sqlite3 recovered.db3",
    }
    return remedies.get(file.suffix, "")


def _definition(schema: storage_mcap.Schema | None) -> MessageDefinition:
    """What a schema of an mcap says; of JSON, Protobuf and others nothing that is read here."""
    try:
        return _definition_of(schema)
    except KeyError:
        return MessageDefinition(MessageDefinitionFormat.NONE, "")


# Else rosbags refuses all of a file that has one channel of these.
_definition_of, storage_mcap.get_msgdef = storage_mcap.get_msgdef, _definition


def _opened(paths: Sequence[Path]) -> AnyReader:
    reader = AnyReader(paths, default_typestore=get_typestore(Stores.ROS2_JAZZY))
    reader.open()
    _check_metadata(reader)
    return reader


def _check_metadata(reader: AnyReader) -> None:
    """Refuse a metadata.yaml with other types than its numbers and names have; nobody else does."""
    numbers = [reader.duration, reader.start_time, *(c.msgcount for c in reader.connections)]
    names = [name for c in reader.connections for name in (c.topic, c.msgtype)]
    for values, kind, expected in ((numbers, int, "a whole number"), (names, str, "a name")):
        for value in values:
            if type(value) is not kind:
                raise ValueError(f"its metadata say {value!r}, expected {expected}")
