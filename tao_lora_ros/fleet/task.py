"""One bag into rows of the tables, by any process of any machine."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.bags.replay import Chosen, Replay, notices_of, replay
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.fleet.columns import EVENTS, WINDOWS, WindowRows, event_row
from tao_lora_ros.fleet.errors import FleetError
from tao_lora_ros.fleet.find import Bag, at_hand, content_sha256, files_of
from tao_lora_ros.fleet.gpu import GpuError, SharedGpu
from tao_lora_ros.hardware.device import version_of
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.results import Event, Inference, Phase, Result
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.model.artifact import Artifact, save_artifact
from tao_lora_ros.preservation.parquet import SCHEMA_VERSION, ParquetRows, Row
from tao_lora_ros.signal.code_digest import REPLAY, digest


@dataclass(frozen=True)
class How:
    """How all bags of a run are replayed.

    Args:
        choose: what a bag is replayed with; picklable.
        inputs: digest of all that `choose` goes by besides the bag.
        part_s: from when to when of each bag, in seconds.
        windows: whether to make a row a window too.
        gpu: address of the process that has the GPU; empty: a bag's settings say what runs models.
        code: digest of the package's code here; a worker with another one refuses.
    """

    choose: Callable[[Path], Chosen]
    inputs: str
    part_s: tuple[float, float]
    windows: bool = False
    gpu: str = ""
    code: str = field(default_factory=lambda: digest(REPLAY))

    def key(self, bag: Bag, content: str) -> str:
        """Digest of all that the rows of a bag follow from."""
        known = [bag.name, bag.robot, content, self.inputs, self.part_s, self.windows]
        return digest_of([*known, self.code, SCHEMA_VERSION])


@dataclass(frozen=True)
class Task:
    """A bag to be replayed; `key` is that of the rows that there are of it, empty without."""

    bag: Bag
    key: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a bag.

    Args:
        bag: the bag.
        key: of `How`; empty where another try may end otherwise.
        row: of the table of bags; None where the rows that there are still hold.
        files: Parquet content by table, of events and windows.
    """

    bag: Bag
    key: str
    row: Row | None = None
    files: dict[str, bytes] = field(default_factory=dict)


class _Rows(Replay):
    """Turns results into rows as they come; of events it keeps no samples."""

    def __init__(self, bag: Bag, content: str, windows: bool, labels: Sequence[str]) -> None:
        super().__init__()
        self.bag = {"bag": bag.name, "bag_sha256": content}
        self.counts: Counter[str] = Counter()
        self.tables = {"events": ParquetRows(EVENTS)}
        if windows:
            self.tables["windows"] = ParquetRows(WINDOWS)
        self._windows = WindowRows(labels)

    def take(self, results: Iterable[Result]) -> None:
        results = list(results)
        if "windows" in self.tables:
            for row in self._windows.of(results, self.first_stamp_ns):
                self.tables["windows"].take(self.bag | row)
        for result in results:
            if isinstance(result, Inference):
                self.counts["inferences"] += 1
            elif isinstance(result, Event) and result.phase is Phase.END:
                self.counts["events"] += 1
                self.tables["events"].take(self.bag | event_row(result))


def replay_bag(how: How, task: Task) -> Outcome:
    """Replay a bag; what cannot be replayed is a row with the reason.

    Raises:
        FleetError: this process runs other code than the one that asks, or the GPU does not work.
    """
    if digest(REPLAY) != how.code:
        raise FleetError("a worker runs another version of tao_lora_ros than this process")
    bag, begun, content, last = task.bag, time.perf_counter(), "", ""
    row: Row = {"bag": bag.name, "bytes": bag.size, "windows": how.windows}
    row |= {"version": version_of("tao_lora_ros"), "code_sha256": how.code}
    row |= {"schema": SCHEMA_VERSION}
    try:
        with at_hand(bag.place) as path:
            try:
                content = content_sha256(path) if files_of(path) else ""
                key = how.key(bag, content)
                if key == task.key:
                    return Outcome(bag, key)
                found, files = _replayed(how, bag, path, content)
                return Outcome(bag, key, row | found | {"seconds": _since(begun)}, files)
            except GpuError:
                raise
            except TaoLoraError as error:
                last = str(error).replace(str(path), bag.name)
                key = how.key(bag, content) if content else ""
    except GpuError:  # of all bags
        raise
    except Exception as error:  # of one bag among thousands: the others go on
        ours = isinstance(error, TaoLoraError)
        last, key = str(error) if ours else f"{type(error).__name__}: {error}", ""
    reason = shown(" ".join(last.split()), MOST_LINE)
    return failed(task, reason, key, row | {"bag_sha256": content, "seconds": _since(begun)})


def failed(task: Task, reason: str, key: str = "", row: Row | None = None) -> Outcome:
    """The outcome of a bag that gave no rows."""
    empty = {"events": ParquetRows(EVENTS).finish()}
    return Outcome(task.bag, key, {"bag": task.bag.name, **(row or {}), "error": reason}, empty)


def _since(begun: float) -> float:
    return time.perf_counter() - begun


def _replayed(how: How, bag: Bag, path: Path, content: str) -> tuple[Row, dict[str, bytes]]:
    chosen = how.choose(path)
    settings, artifact, run = chosen.settings, chosen.artifact, None
    if how.gpu:
        settings, run = replace(settings, backend="cuda"), partial(SharedGpu, how.gpu)
    pipeline = Pipeline(settings.repeatable, artifact, run=run)
    rows = _Rows(bag, content, how.windows, artifact.labels)
    with BagReader(path, source_configs(settings), chosen.topics, how.part_s) as reader:
        replay(reader, pipeline, result=rows)
        duration_s = max(min(reader.duration_s, how.part_s[1]) - how.part_s[0], 0.0)
    accounts = pipeline.intake.accounts
    refused: Counter[str] = sum((account.refused for account in accounts), Counter())
    row = {
        "bag_sha256": content,
        "first_ns": rows.first_stamp_ns or None,
        "duration": duration_s,
        "messages": pipeline.counts.messages,
        "used": sum(account.used for account in accounts),
        "refused": sorted(refused.items()),
        "unused": sum(account.unused.total() for account in accounts),
        "inferences": rows.counts["inferences"],
        "events": rows.counts["events"],
        "notices": [*chosen.notices, *notices_of(rows, pipeline)],
        "settings_sha256": settings_sha256(settings, chosen.topics),
        "artifact_sha256": artifact_sha256(artifact),
        "model": f"{artifact.model_id} {artifact.version}",
    }
    return row, {name: table.finish() for name, table in rows.tables.items()}


def settings_sha256(settings: Settings, topics: dict[str, str]) -> str:
    """Of the parameters and the topics of a bag; where the model lies is left out."""
    return digest_of([asdict(settings) | {"model": ""}, sorted(topics.items())])


def artifact_sha256(artifact: Artifact) -> str:
    """Of an artifact as it is written."""
    with tempfile.TemporaryDirectory() as folder:
        save_artifact(artifact, Path(folder))
        return content_sha256(Path(folder))


def digest_of(value: object) -> str:
    """SHA-256 of a value as JSON."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
