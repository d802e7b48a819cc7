"""Events as a LeRobot data set (format v3.0): an episode an event, a frame a time of its grid.

    meta/info.json  meta/stats.json  meta/tasks.parquet  meta/episodes/chunk-000/file-000.parquet
    data/chunk-000/file-000.parquet

`observation.state` has all channels of the raw samples, from the pre-roll to the end. A frame says
by `event.active` and `event.kind` whether the event goes on; an episode has what the table of
events has, as `event/NAME`; its task is what the event is called.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.messages.files import naming, refuse_existing
from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import Event
from tao_lora_ros.preservation.event_record import StoreError
from tao_lora_ros.preservation.event_table import COLUMNS
from tao_lora_ros.preservation.parquet import Row, arrow, arrow_table

UNKNOWN = "unknown"
_STATE = "observation.state"
_CHUNK = "chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_HOLE_PERIODS = 5.5  # a longer step is a hole: frames in it have no value


class _Episode(NamedTuple):
    """Values [n, C] of an event at times on a grid, in ns [n]."""

    row: Row
    kind: int
    times_ns: NDArray[np.int64]
    values: NDArray[np.float32]


def export_lerobot(events: Iterable[tuple[Row, Event]], folder: Path) -> tuple[int, int]:
    """Write the data set.

    The rate is the fastest source's of the first event, in whole frames a second. Between samples
    values are interpolated; where a source has none they are NaN.

    Args:
        events: each with its row of `event_rows`.
        folder: of the data set.

    Returns:
        How many episodes, and frames.

    Raises:
        BagError: `folder` exists.
        StoreError: there are no samples, pyarrow is missing, or the disk does not take it.
    """
    refuse_existing(folder, BagError)
    arrow()
    found = [(row, event) for row, event in events if any(len(r.stamps_ns) > 1 for r in event.raw)]
    if not found:
        raise StoreError(f"{folder}: no event with samples")
    channels = _channels([event for _, event in found])
    fps = max(round(1e9 / _period_ns(raw)) for raw in found[0][1].raw if len(raw.stamps_ns) > 1)
    episodes = [_episode(row, event, channels, max(fps, 1)) for row, event in found]
    with naming(StoreError, folder):
        _write(episodes, channels, max(fps, 1), folder)
    return len(episodes), sum(len(episode.times_ns) for episode in episodes)


def _channels(events: Sequence[Event]) -> tuple[str, ...]:
    """All channels that any event reports."""
    names: dict[str, bool] = {}
    for raw in (raw for event in events for raw in event.raw):
        for name, column in zip(raw.channels, raw.values.T, strict=True):
            names[name] = names.get(name, False) or bool(np.isfinite(column).any())
    return tuple(name for name, reported in names.items() if reported)


def _period_ns(raw: RawSamples) -> float:
    return float(np.median(np.diff(raw.stamps_ns))) or 1.0


def _episode(row: Row, event: Event, channels: Sequence[str], fps: int) -> _Episode:
    stamps = [raw.stamps_ns for raw in event.raw if len(raw.stamps_ns)]
    first_ns = int(min(found[0] for found in stamps))
    last_ns = int(max(found[-1] for found in stamps))
    count = int((last_ns - first_ns) * fps // 1_000_000_000) + 1
    times_ns = first_ns + np.arange(count, dtype=np.int64) * 1_000_000_000 // fps
    values = np.full((count, len(channels)), np.nan, np.float32)
    for raw in event.raw:
        for name, column in zip(raw.channels, raw.values.T, strict=True):
            if name in channels and len(column) > 1:
                values[:, channels.index(name)] = _at(times_ns, raw, column)
    return _Episode(row, int(event.kind), times_ns, values)


def _at(
    times_ns: NDArray[np.int64], raw: RawSamples, column: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A channel at these times, NaN in holes and beyond its ends."""
    at, stamps = (times_ns - raw.stamps_ns[0]) * 1e-9, (raw.stamps_ns - raw.stamps_ns[0]) * 1e-9
    values = np.interp(at, stamps, column, left=np.nan, right=np.nan)
    after = np.clip(np.searchsorted(raw.stamps_ns, times_ns), 1, len(stamps) - 1)
    values[np.diff(raw.stamps_ns)[after - 1] > _HOLE_PERIODS * _period_ns(raw)] = np.nan
    return values


def _write(episodes: Sequence[_Episode], channels: Sequence[str], fps: int, folder: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    tasks = list(dict.fromkeys(episode.row["label"] or UNKNOWN for episode in episodes))
    frames = _frames(episodes, tasks, fps)
    state = np.concatenate([episode.values for episode in episodes])
    columns: dict[str, Any] = {name: pa.array(values) for name, values in frames.items()}
    flat = pa.array(state.ravel())
    whole = len(channels) > 1  # a single number is a plain column there
    columns[_STATE] = pa.FixedSizeListArray.from_arrays(flat, len(channels)) if whole else flat
    tables = {
        "data/" + _CHUNK.format(chunk_index=0, file_index=0): pa.table(columns),
        "meta/episodes/" + _CHUNK.format(chunk_index=0, file_index=0): _episodes(episodes, pa),
        "meta/tasks.parquet": _tasks(tasks, pa),
    }
    for name, table in tables.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(table, folder / name)
    numbers = frames | {_STATE: state}
    stats = {name: _stats(values) for name, values in numbers.items()}
    (folder / "meta" / "stats.json").write_text(json.dumps(stats, indent=1) + "\n")
    info = _info(episodes, len(tasks), channels, fps, frames)
    (folder / "meta" / "info.json").write_text(json.dumps(info, indent=1) + "\n")


def _frames(
    episodes: Sequence[_Episode], tasks: Sequence[str], fps: int
) -> dict[str, NDArray[Any]]:
    """The columns that have one number a frame."""
    counts = [len(episode.times_ns) for episode in episodes]
    numbers = np.arange(len(episodes), dtype=np.int64)
    frame = np.concatenate([np.arange(count, dtype=np.int64) for count in counts])
    active = np.concatenate(
        [(e.times_ns >= e.row["onset_ns"]) & (e.times_ns <= e.row["end_ns"]) for e in episodes]
    )
    task = [tasks.index(episode.row["label"] or UNKNOWN) for episode in episodes]
    kinds = np.repeat(np.array([episode.kind for episode in episodes], np.int64), counts)
    return {
        "timestamp": (frame / fps).astype(np.float32),
        "frame_index": frame,
        "episode_index": np.repeat(numbers, counts),
        "index": np.arange(len(frame), dtype=np.int64),
        "task_index": np.repeat(np.array(task, np.int64), counts),
        "event.active": active,
        "event.kind": np.where(active, kinds, 0),
    }


def _episodes(episodes: Sequence[_Episode], pa: Any) -> Any:
    """A row an episode: where its frames are, and what the table of events says."""
    ends = np.cumsum([len(episode.times_ns) for episode in episodes])
    rows = [
        {
            "episode_index": number,
            "tasks": [episode.row["label"] or UNKNOWN],
            "length": len(episode.times_ns),
            "dataset_from_index": int(end) - len(episode.times_ns),
            "dataset_to_index": int(end),
            "data/chunk_index": 0,
            "data/file_index": 0,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        for number, (episode, end) in enumerate(zip(episodes, ends, strict=True))
    ]
    table = pa.Table.from_pylist(rows)
    said = arrow_table([episode.row for episode in episodes], COLUMNS)
    for name in said.column_names:
        table = table.append_column(f"event/{name}", said[name])
    return table


def _tasks(tasks: Sequence[str], pa: Any) -> Any:
    """LeRobot looks names up in the index of a pandas frame, which the file's metadata describe."""
    table = pa.table({"task_index": np.arange(len(tasks)), "task": pa.array(tasks)})
    kinds = {"task_index": ("int64", "int64"), "task": ("unicode", "object")}
    columns = [
        {
            "name": name,
            "field_name": name,
            "pandas_type": of,
            "numpy_type": stored,
            "metadata": None,
        }
        for name, (of, stored) in kinds.items()
    ]
    described = {"index_columns": ["task"], "column_indexes": [], "columns": columns}
    return table.replace_schema_metadata({"pandas": json.dumps(described)})


def _stats(values: NDArray[Any]) -> dict[str, list[float]]:
    """By channel, of what is no NaN."""
    numbers = values.reshape(len(values), -1).astype(np.float64)
    of: dict[str, Any] = dict(min=np.nanmin, max=np.nanmax, mean=np.nanmean, std=np.nanstd)
    found = {name: statistic(numbers, axis=0).tolist() for name, statistic in of.items()}
    return found | {"count": [len(values)]}


def _info(
    episodes: Sequence[_Episode],
    tasks: int,
    channels: Sequence[str],
    fps: int,
    frames: dict[str, NDArray[Any]],
) -> dict[str, Any]:
    features: dict[str, Any] = {
        name: {"dtype": str(values.dtype), "shape": [1], "names": None}
        for name, values in frames.items()
    }
    features[_STATE] = {"dtype": "float32", "shape": [len(channels)], "names": list(channels)}
    return {
        "codebase_version": "v3.0",
        "robot_type": None,
        "total_episodes": len(episodes),
        "total_frames": len(frames["index"]),
        "total_tasks": tasks,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": {"train": f"0:{len(episodes)}"},
        "data_path": f"data/{_CHUNK}",
        "video_path": None,
        "features": features,
    }
