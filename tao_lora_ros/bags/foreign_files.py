"""What a file is that is no table, or no bag, by its first bytes; and what to do with it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tao_lora_ros.messages.files import open_regular

_UNPACK = "unpack it"
_SAVE = "save it as CSV"
_ARRAYS = "write its arrays as CSV or NPZ"
_A_BAG = "it needs no import: tao-lora replay {file}"
_KINDS = (
    (b"ULog\x01\x12\x35", "a PX4 log", "ulog2csv {file} (of pyulog) makes CSV of it"),
    (b"\xa3\x95", "an ArduPilot log", "mavlogdump.py --format csv {file} makes CSV of it"),
    (b"PK\x03\x04", "an Excel or ZIP file", f"{_SAVE}, or {_UNPACK}"),
    (b"\xd0\xcf\x11\xe0", "an Excel file", _SAVE),
    (b"\x1f\x8b", "a gzip file", _UNPACK),
    (b"BZh", "a bzip2 file", _UNPACK),
    (b"\xfd7zXZ", "an xz file", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd file", _UNPACK),
    (b"MATLAB", "a MATLAB file", _ARRAYS),
    (b"\x89HDF", "an HDF5 file", _ARRAYS),
    (b"PAR1", "a Parquet file", _ARRAYS),
    (b"\x93NUMPY", "an NPY file", "write it as NPZ: numpy.savez"),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch what it stands for: git lfs pull"),
    (b"#ROSBAG V2.0", "a ROS 1 bag", _A_BAG),
    (b"\x89MCAP", "an mcap bag", _A_BAG),
    (b"SQLite format 3", "a ROS 2 bag's file", _A_BAG),
)
_TABLES = (".csv", ".tsv", ".txt", ".npz")
_A_TABLE = "a table, tao-lora import {file} --out BAGS makes a bag of it"
_LOOK = 256  # bytes that are text alone in a text file
_TEXT = {*b"\t\r\n", *range(0x20, 0x7F)}
_OF_TABLES = {*b",;\t0123456789"}


def no_table(file: Path) -> str:
    """What a file is instead of a table, and the remedy; empty: not known. OSError as opening."""
    with open_regular(file) as content:
        head = content.read(max(len(magic) for magic, _, _ in _KINDS))
    found = ((what, remedy) for magic, what, remedy in _KINDS if head.startswith(magic))
    return next((f"{what}, {remedy.format(file=file)}" for what, remedy in found), "")


def no_bag(file: Path) -> str:
    """What a file is instead of a bag, and the remedy; empty: not known, or a bag."""
    if file.name == "metadata.yaml":
        return f"it tells of one, name its folder: {file.parent}"
    if file.suffix.lower() in _TABLES:
        return _A_TABLE.format(file=file)
    with suppress(OSError):  # a folder, or what cannot be read, which whoever opens it says
        if found := no_table(file):
            return "" if _A_BAG.format(file=file) in found else found
        with open_regular(file) as content:
            head = content.read(_LOOK)
        first_line = head.partition(b"\n")[0]
        if set(first_line) & _OF_TABLES and all(byte in _TEXT for byte in head):
            return _A_TABLE.format(file=file)
    return ""
