"""Small charts of numbers over numbers, in the style of the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tao_lora_ros.report.page import page

Chart = dict[str, Any]


def line(
    name: str, x: Iterable[float], y: Iterable[float], color: str, mode: str = "line"
) -> Chart:
    """One series of a chart; `mode` is line, dots or bars."""
    return {"name": name, "color": color, "mode": mode, "x": [*x], "y": [*y]}


def mark(x: float, text: str, color: str | None = None) -> Chart:
    """A dashed line from top to bottom."""
    return {"x": x, "text": text, "color": color}


def chart(
    title: str,
    x: str,
    y: str,
    series: Sequence[Chart],
    marks: Sequence[Chart] = (),
    log: bool = False,
) -> Chart:
    """A chart: its title, what is along the axes, what is drawn; `log` is of the upright one."""
    return {"title": title, "x": x, "y": y, "series": series, "marks": marks, "log": log}


def histogram(title: str, x: str, groups: Sequence[tuple[str, str, ArrayLike]]) -> Chart:
    """How often values come, of groups of name, colour and values; median and 99 % are marked."""
    every = np.concatenate([np.asarray(values, np.float64) for _, _, values in groups])
    edges = np.linspace(every.min(), every.max() + 1e-9, 61)
    middles = ((edges[1:] + edges[:-1]) / 2).tolist()
    series = [
        line(name, middles, np.histogram(values, edges)[0].tolist(), color, "bars")
        for name, color, values in groups
    ]
    shares = {share: float(np.percentile(every, share)) for share in (50, 99)}
    marks = [mark(at, f"p{share} {at:.2f}") for share, at in shares.items()]
    return chart(title, x, "how many", series, marks)


def write_charts(title: str, charts: Sequence[Chart], lines: Sequence[str], file: Path) -> None:
    """Write a page of charts alone, and lines of text below them.

    Raises:
        OSError: the file cannot be written.
    """
    said = "".join(f"<p>{escape(text)}</p>" for text in lines)
    drawn = f'<section class="card"><div class="chart" id="charts"></div>{said}</section>'
    body = f"<h1>{escape(title)}</h1>{drawn}"
    file.write_text(page(title, body, {"charts": charts}, ["charts.js"], ["report.css"]), "utf-8")
