"""The folder of a fleet's tables: a receipt and rows a bag, and of them one file a robot and day.

    receipts/ID.json, ID.KEY.events.parquet, …   written as bags are done; what a run goes by
    events/robot=R/day=D/rows.parquet, bags/…, …   made of these; what everybody else reads

A receipt is written after the rows that it names, in one step. So whatever is killed, a bag is done
or is not; files of partitions that do not have their bags are made anew by the next run.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from tao_lora_ros.fleet.columns import TABLES
from tao_lora_ros.fleet.errors import FleetError
from tao_lora_ros.fleet.find import is_gone, robot_folder
from tao_lora_ros.fleet.task import Outcome, digest_of
from tao_lora_ros.messages.files import refusal, replace_file
from tao_lora_ros.preservation.event_catalogue import RECEIPTS
from tao_lora_ros.preservation.parquet import SCHEMA_VERSION, Row, arrow, arrow_table, write_parquet

_MADE_OF = b"tao_lora_made_of"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Receipt:
    """What is known of a bag that was done.

    Args:
        key: of `How`; empty where it is to be tried again.
        stamp: of the bag's files then.
        robot: whose it is.
        row: of the table of bags.
        files: size of each file of rows, by the table's name.
    """

    key: str
    stamp: str
    robot: str
    row: Row
    files: dict[str, int]

    @property
    def place(self) -> str:
        """Folder within each table."""
        # Of an unreadable bag the epoch: not every reader takes null for a partition's day.
        begun = _EPOCH + timedelta(microseconds=(self.row.get("first_ns") or 0) // 1000)
        return f"{robot_folder(self.robot)}/day={begun.date().isoformat()}"


def check_folder(folder: Path) -> None:
    """Whether tables can be written into a folder, which need not be there yet.

    Raises:
        FleetError: it is none, or holds something else or tables of another version of the schema.
    """
    if folder.exists() and not folder.is_dir():
        raise FleetError(f"{folder}: a file, expected a folder for the tables")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RECEIPTS).is_dir():
        raise FleetError(f"{folder}: holds something else than tables; choose another folder")
    for table in TABLES:
        if file := next((folder / table).glob("*/*/rows.parquet"), None):
            _check_schema(file)


class Table:
    """The tables of a folder, for one run at a time.

    Raises:
        FleetError: another run is writing there, or the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        check_folder(folder)
        self._folder = folder
        self._done = folder / RECEIPTS
        try:
            self._done.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno == errno.EWOULDBLOCK:
                remedy = "wait for it, or take another folder"
                raise FleetError(f"{folder}: another run is writing there; {remedy}") from None
            raise FleetError(f"{error.filename or folder}: {refusal(error)}") from None
        self.receipts = {receipt.row["bag"]: receipt for receipt in self._read()}

    def _read(self) -> Iterable[Receipt]:
        for file in sorted(self._done.glob("*.json")):
            with suppress(OSError, ValueError, TypeError, KeyError):  # damaged: done again
                receipt = Receipt(**json.loads(file.read_bytes()))
                files = ((self._rows(receipt, table), n) for table, n in receipt.files.items())
                if all(rows.stat().st_size == size for rows, size in files):
                    yield receipt

    def put(self, outcome: Outcome) -> None:
        """Keep what became of a bag; it is done from here on."""
        name, stamp = outcome.bag.name, outcome.bag.stamp
        if outcome.row is None:
            receipt = replace(self.receipts[name], stamp=stamp)
        else:
            sizes = {table: len(data) for table, data in outcome.files.items()}
            receipt = Receipt(outcome.key, stamp, outcome.bag.robot, outcome.row, sizes)
            for table, data in outcome.files.items():
                replace_file(self._rows(receipt, table), data)
        replace_file(self._done / f"{_id(name)}.json", json.dumps(asdict(receipt)).encode())
        self.receipts[name] = receipt
        kept = {self._rows(receipt, table) for table in receipt.files}
        for file in set(self._done.glob(f"{_id(name)}.*.parquet")) - kept:
            file.unlink()

    def forget_files_of(self, bags: Iterable[str]) -> None:
        """Forget bags that are files of these: a folder is a bag once its recorder has ended."""
        folders = set(bags)
        self._forget([name for name in self.receipts if name.rpartition("/")[0] in folders])

    def _forget_moved(self) -> None:
        """Forget bags that are gone from where they lay and were done where they lie now."""
        same: defaultdict[str, list[str]] = defaultdict(list)
        for name, receipt in self.receipts.items():
            if content := receipt.row.get("bag_sha256"):
                same[content].append(name)
        for names in same.values():
            gone = [name for name in names if len(names) > 1 and is_gone(name)]
            self._forget(gone if len(gone) < len(names) else [])

    def _forget(self, bags: Iterable[str]) -> None:
        for name in bags:
            del self.receipts[name]
            for file in self._done.glob(f"{_id(name)}.*"):
                file.unlink()

    def _rows(self, receipt: Receipt, table: str) -> Path:
        key = receipt.key[:16] or "failed"
        return self._done / f"{_id(receipt.row['bag'])}.{key}.{table}.parquet"

    def assemble(self) -> int:
        """Bring the files that others read up to the receipts; returns how many were written."""
        self._forget_moved()
        places: defaultdict[str, list[Receipt]] = defaultdict(list)
        for _, receipt in sorted(self.receipts.items()):
            places[receipt.place].append(receipt)
        written = sum(self._make(place, receipts) for place, receipts in places.items())
        for table in TABLES:
            for file in (self._folder / table).glob("*/*/rows.parquet"):
                if str(file.parent.relative_to(self._folder / table)) not in places:
                    file.unlink()
                    with suppress(OSError):  # the folders, where nothing else is in them
                        os.removedirs(file.parent)
        return written

    def _make(self, place: str, receipts: list[Receipt]) -> int:
        """The tables' files of a robot and day, where they are not yet made of these receipts."""
        pa, written = arrow(), 0
        for table in TABLES:
            file = self._folder / table / place / "rows.parquet"
            of = [receipt for receipt in receipts if table == "bags" or table in receipt.files]
            columns = TABLES[table]
            made_of = digest_of(
                [*columns, *([r.row["bag"], r.key, r.row.get("seconds")] for r in of)]
            )
            if not of:
                file.unlink(missing_ok=True)
            elif _made_of(file) != made_of:
                file.parent.mkdir(parents=True, exist_ok=True)
                if table == "bags":
                    rows = arrow_table((_with_counts(r.row) for r in of), columns)
                else:  # rows of an older version lack what has come since
                    read = [pa.parquet.read_table(self._rows(r, table)) for r in of]
                    parts = [arrow_table([], columns), *read]
                    rows = pa.concat_tables(parts, promote_options="default")
                metadata = {**(rows.schema.metadata or {}), _MADE_OF: made_of.encode()}
                write_parquet(rows.replace_schema_metadata(metadata), file)
                written += 1
        return written

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)


def _check_schema(file: Path) -> None:
    metadata = _metadata(file)
    version = (metadata or {}).get(b"tao_lora_schema", b"none").decode()
    if metadata is not None and version != str(SCHEMA_VERSION):
        folder, reason = file.parents[3], f"version {version} of the schema, not {SCHEMA_VERSION}"
        raise FleetError(f"{folder}: tables of {reason}; replay the bags into another folder")


def _with_counts(row: Row) -> Row:
    """JSON made lists of the pairs of a column of counts, pyarrow wants tuples."""
    return row | {"refused": [tuple(pair) for pair in row.get("refused") or ()]}


def _made_of(file: Path) -> str:
    return (_metadata(file) or {}).get(_MADE_OF, b"").decode()


def _metadata(file: Path) -> dict[bytes, bytes] | None:
    """What a file says of itself; None of one that is damaged or missing."""
    pa = arrow()
    try:
        return pa.parquet.read_schema(file).metadata or {}
    except (OSError, ValueError, pa.ArrowException):
        return None


def _id(bag: str) -> str:
    return hashlib.sha256(bag.encode()).hexdigest()[:32]


def read_rows(folder: Path, table: str) -> list[Row]:
    """The rows of one of a folder's tables, with robot and day.

    Raises:
        FleetError: there is no such table, or it is of another version of the schema.
    """
    pa, place = arrow(), folder / table
    from pyarrow.dataset import partitioning

    file = next(place.glob("*/*/rows.parquet"), None)
    if file is None:
        raise FleetError(f"{folder}: no table of {table}; tao-lora replay BAGS --table makes one")
    try:
        _check_schema(file)
        # Robots may be called 007, which would be taken for a number.
        texts = pa.schema([("robot", pa.string()), ("day", pa.string())])
        keys = partitioning(texts, flavor="hive")
        rows: list[Row] = pa.parquet.read_table(place, partitioning=keys).to_pylist()
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        reason = f"{' '.join(str(error).split())}; what is removed, the next replay makes anew"
        raise FleetError(f"{place}: a damaged file: {reason}") from None
    return rows
