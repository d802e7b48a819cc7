"""The columns of the tables: of events, of bags, and of windows. Robot and day are the folders'."""

from __future__ import annotations

from typing import Any

from tao_lora_ros.messages.results import Event, Inference
from tao_lora_ros.preservation.parquet import EVENT_COLUMNS, Row

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
WINDOWS = {
    **{"bag": "string", "stamp_ns": "int64", "start_ns": "int64", "end_ns": "int64"},
    **{"path": "string", "score": "double", "probabilities": "list double"},
    **{"forecast_error": "double"},
}
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


def window_row(inference: Inference) -> Row:
    """The columns of `WINDOWS` that an inference fills."""
    error = inference.forecast_error
    return {
        "stamp_ns": inference.stamp_ns,
        "start_ns": inference.window_start_ns,
        "end_ns": inference.window_end_ns,
        "path": inference.path.name.lower(),
        "score": inference.score,
        "probabilities": inference.probabilities,
        "forecast_error": None if error != error else error,
    }


def without_nan(row: dict[str, Any]) -> dict[str, Any]:
    """None for what is no number."""
    return {name: None if value != value else value for name, value in row.items()}
