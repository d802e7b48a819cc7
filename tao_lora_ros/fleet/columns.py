"""The columns of the tables: of events, of bags, and of windows. Robot and day are the folders'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from tao_lora_ros.bags.replay import Replay
from tao_lora_ros.messages.results import Event, Inference, Result, State
from tao_lora_ros.preservation.parquet import EVENT_COLUMNS, ParquetRows, Row

EVENTS = {
    **{"bag": "string", "bag_sha256": "string"},
    **EVENT_COLUMNS,
    **{"sensor": "string", "frame_id": "string", "direction": "list double"},
}
BAGS = {
    **{"bag": "string", "bag_sha256": "string", "bytes": "int64"},
    **{"first_ns": "int64", "duration": "double"},
    **{"messages": "int64", "used": "int64", "refused": "counts", "unused": "int64"},
    **{"inferences": "int64", "events": "int64", "windows": "bool", "notices": "list string"},
    **{"settings_sha256": "string", "artifact_sha256": "string", "model": "string"},
    **{"version": "string", "code_sha256": "string", "schema": "int64"},
    **{"seconds": "double", "error": "string"},
}
WINDOW = {
    **{"time_s": "double", "stamp_ns": "int64", "start_ns": "int64", "end_ns": "int64"},
    **{"path": "string", "score": "double", "label": "string", "state": "string"},
    **{"labels": "list string", "probabilities": "list double", "forecast_error": "double"},
}
WINDOWS = {"bag": "string", **WINDOW}
TABLES = {"events": EVENTS, "bags": BAGS, "windows": WINDOWS}


def event_row(event: Event) -> Row:
    """The columns of `EVENTS` that an event fills; what is not measured or not said is None."""
    size = event.size.row()
    return {
        "sequence": event.sequence,
        "onset_ns": event.onset_ns,
        "peak_ns": event.peak_ns,
        "end_ns": event.end_ns,
        "peak_score": event.peak_score,
        "kind": event.kind.text,
        "regime_change": event.regime_change,
        "label": event.label or None,
        "probability": event.probability,
        "channels": [name for name, _ in event.channels],
        "shares": [share for _, share in event.channels],
        "reason": event.reason,
        **size,
        "duration": (event.end_ns - event.onset_ns) * 1e-9,
        "frame_id": size["frame_id"] or event.frame_id,
    }


class WindowRows:
    """Rows of windows, from results in their order; a state holds from its own window on.

    Args:
        labels: of the model, in the order of the probabilities.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = list(labels)
        self._state: str | None = None

    def of(self, results: Sequence[Result], first_ns: int) -> Iterator[Row]:
        """The rows of some results, by the columns of `WINDOW`; times count from `first_ns`."""
        for result, following in zip_longest(results, results[1:]):
            if isinstance(result, Inference):
                if isinstance(following, State):  # of this very window
                    self._state = following.label
                yield self._row(result, first_ns)

    def _row(self, inference: Inference, first_ns: int) -> Row:
        error, likely = inference.forecast_error, inference.probabilities
        return {
            "time_s": (inference.window_end_ns - first_ns) * 1e-9,
            "stamp_ns": inference.stamp_ns,
            "start_ns": inference.window_start_ns,
            "end_ns": inference.window_end_ns,
            "path": inference.path.name.lower(),
            "score": inference.score,
            "label": self._labels[likely.index(max(likely))] if likely else None,
            "state": self._state,
            "labels": self._labels,
            "probabilities": list(likely),
            "forecast_error": None if error != error else error,
        }


class ReplayWithWindows(Replay):
    """A replay that makes a table of its windows too."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self._windows = WindowRows(labels)
        self.table = ParquetRows(WINDOW)

    def take(self, results: Iterable[Result]) -> None:
        results = list(results)
        for row in self._windows.of(results, self.first_stamp_ns):
            self.table.take(row)
        super().take(results)


def without_nan(row: dict[str, Any]) -> dict[str, Any]:
    """None for what is no number."""
    return {name: None if value != value else value for name, value in row.items()}
