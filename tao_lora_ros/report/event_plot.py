"""One stored event as a picture: every quantity of every source over its whole stretch."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from tao_lora_ros.messages.results import Event
from tao_lora_ros.preservation.event_record import StoreError
from tao_lora_ros.signal.source import axis_of, quantities, unit_of

# x, y and z, or the joints
_COLORS = ("#d1495b", "#2e8b57", "#2f6fb5", "#f08c00", "#7048e8", "#0ca678", "#868e96")
_EVENT_COLOR = "#f59f00"
_ROW_PIXELS = 220


def plot_event(event: Event, title: str, file: Path) -> None:
    """Draw an event: time in ms from the onset, the event shaded, its peak marked.

    Args:
        event: with its raw samples.
        title: what to write above it.
        file: an `.html` page that needs nothing else, or an image such as `.png` or `.svg`.

    Raises:
        StoreError: plotly, or kaleido for an image, is missing, or the file cannot be written.
    """
    try:
        figure = _figure(event, title)
        if file.suffix == ".html":
            figure.write_html(file)
        else:
            figure.write_image(file)
    except ImportError as error:
        raise StoreError(f"{file}: {error}; plots need plotly: pip install plotly") from None
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror or error}") from error
    except (ValueError, RuntimeError) as error:
        # plotly says so that kaleido, or the browser that kaleido needs, is missing
        raise StoreError(f"{file}: {_first_line(error)}; .html needs plotly alone") from error


def _first_line(error: Exception) -> str:
    lines = [line.strip(" ,:") for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else repr(error)


def _figure(event: Event, title: str) -> Any:
    from plotly.subplots import make_subplots

    panels = [
        (raw, quantity, columns)
        for raw in event.raw
        for quantity, columns in quantities(raw.channels).items()
        if np.isfinite(raw.values[:, columns]).any()
    ]
    figure = make_subplots(
        rows=max(len(panels), 1),
        shared_xaxes=True,
        vertical_spacing=0.03,
        subplot_titles=[f"{quantity} ({raw.frame_id})" for raw, quantity, _ in panels],
    )
    named: set[str] = set()
    for row, (raw, _, columns) in enumerate(panels, start=1):
        for channel, values, color in zip(
            raw.channels[columns], raw.values[:, columns].T, cycle(_COLORS), strict=False
        ):
            axis = axis_of(channel)
            figure.add_scatter(
                x=(raw.stamps_ns - event.onset_ns) * 1e-6,
                y=values,
                name=axis,
                mode="lines",
                line=dict(color=color, width=1),
                legendgroup=axis,
                showlegend=axis not in named,
                row=row,
                col=1,
            )
            named.add(axis)
        figure.update_yaxes(title_text=unit_of(raw.channels[columns.start]), row=row, col=1)
    figure.add_vrect(
        0, _ms(event, event.end_ns), fillcolor=_EVENT_COLOR, opacity=0.15, line_width=0
    )
    figure.add_vline(_ms(event, event.peak_ns), line_color=_EVENT_COLOR, line_width=1)
    figure.update_xaxes(title_text="ms from the onset", row=len(panels), col=1)
    figure.update_layout(
        title=title, height=_ROW_PIXELS * max(len(panels), 1) + 120, template="plotly_white"
    )
    return figure


def _ms(event: Event, stamp_ns: int) -> float:
    return (stamp_ns - event.onset_ns) * 1e-6
