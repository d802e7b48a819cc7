"""The panels of a run: one a quantity, its channels in their colours, over times in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.results import Inference
from tao_lora_ros.report.envelope import Seconds
from tao_lora_ros.report.record import RunRecord
from tao_lora_ros.signal.channels import split_name
from tao_lora_ros.signal.source import axis_of, quantities, unit_of

LABELS = ("#8292a8", "#d9480f", "#1c7ed6", "#7048e8", "#0ca678", "#c77700", "#c2255c", "#5c940d")
INFERENCES = "inferences"  # the source of what the model says
# x, y and z, or the joints
AXES = ("#d1495b", "#2e8b57", "#2f6fb5", "#f08c00", "#7048e8", "#0ca678", "#868e96")
QUANTITIES = {
    "accel": "Acceleration",
    "gyro": "Angular velocity",
    "force": "Force",
    "torque": "Torque",
    "effort": "Effort",
}


class Channel(NamedTuple):
    """A line of a panel: its full name, what the panel calls it, its colour, its column."""

    name: str
    axis: str
    color: str
    column: int


class Panel(NamedTuple):
    """One quantity: title, channels, and where known the least range of its axis, or a level."""

    title: str
    channels: list[Channel]
    range: tuple[float, float] | None = None
    level: float | None = None


class Series(NamedTuple):
    """Times in seconds, ascending [n], and values [n, C] of one source with its panels."""

    times: Seconds
    values: NDArray[np.floating]
    panels: list[Panel]


def title_of(channel: str) -> str:
    """The title of what is drawn of a channel's quantity, such as `Force · wrench [N]`."""
    source, quantity, _ = split_name(channel)
    return f"{QUANTITIES[quantity]} · {source} [{unit_of(channel).replace('^2', '²')}]"


def panel_row(source: str, panel: Panel) -> dict[str, Any]:
    """A panel without what it draws."""
    lines = [
        {"channel": name, "name": axis, "color": color, "column": column}
        for name, axis, color, column in panel.channels
    ]
    row = {"source": source, "title": panel.title, "lines": lines}
    return row | {"range": panel.range, "level": panel.level}


def signal_series(record: RunRecord, source: str) -> Series:
    """A source's samples with the lag taken off, a row of NaN in every hole."""
    stamps, values = record.signals[source]
    lag_s = record.lags_s.get(source, 0.0)
    times = np.asarray((stamps - record.start_ns) * 1e-9 - lag_s, np.float64)
    own = tuple(name for name in record.channels if name.rpartition(".")[0] == source)
    panels = [
        panel
        for panel in signal_panels(own)
        if np.isfinite(values[:, [channel.column for channel in panel.channels]]).any()
    ]
    return _with_holes(times, values, panels)


def signal_panels(channels: Sequence[str]) -> list[Panel]:
    """A panel for each quantity of a source."""
    return [
        Panel(
            title_of(channels[columns.start]),
            [
                Channel(channels[column], axis_of(channels[column]), color, column)
                for column, color in zip(range(len(channels))[columns], cycle(AXES), strict=False)
            ],
        )
        for columns in quantities(channels).values()
    ]


def _with_holes(times: Seconds, values: NDArray[np.floating], panels: list[Panel]) -> Series:
    steps = np.diff(times)
    limit = max(5 * np.median(steps), 0.02) if steps.size else np.inf
    holes = np.flatnonzero(steps > limit) + 1
    if not holes.size:
        return Series(times, values, panels)
    # Midway: no bucket and no sample is there twice.
    middles = (times[holes - 1] + times[holes]) / 2
    return Series(
        np.insert(times, holes, middles), np.insert(values, holes, np.nan, axis=0), panels
    )


def inference_series(record: RunRecord, inferences: Sequence[Inference]) -> Series:
    """Score, probabilities and error of the forecast, by the end of the window."""
    times = np.array([record.seconds(i.window_end_ns) for i in inferences])
    scores = np.array([(i.score, i.forecast_error) for i in inferences]).reshape(-1, 2)
    classes = np.array([i.probabilities for i in inferences], np.float64)
    classes = classes.reshape(len(times), len(record.labels))
    return Series(times, np.hstack([scores, classes]), inference_panels(record))


def inference_panels(record: RunRecord) -> list[Panel]:
    """The panels of `inference_series`."""
    panels = [
        Panel("Router score (1 is the threshold)", [_line("score", 0)], (0.0, 1.2), 1.0),
        Panel("Anomaly score (error of the forecast)", [_line("error", 1)]),
    ]
    if record.labels:
        named = enumerate(record.labels, start=2)
        shown = [Channel(name, name, label_color(record, name), at) for at, name in named]
        panels.insert(1, Panel("Class probabilities", shown, (0.0, 1.0)))
    return panels


def _line(name: str, column: int) -> Channel:
    return Channel(name, name, "#64748b", column)


def names_in(record: RunRecord) -> list[str]:
    """All labels: the model's, then what else events are called."""
    found = {event.label for event in record.events} - {*record.labels, ""}
    return [*record.labels, *sorted(found)]


def label_color(record: RunRecord, label: str) -> str:
    """The colour of a label, the same in table, lanes and lines."""
    known = names_in(record)
    return LABELS[known.index(label) % len(LABELS)] if label in known else LABELS[0]
