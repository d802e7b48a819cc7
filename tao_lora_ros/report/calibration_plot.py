"""How well the thresholds fit: how often steady motion exceeds a level, measured and fitted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np

from tao_lora_ros.detection import tail
from tao_lora_ros.detection.findings import Findings
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.report.charts import chart, line, mark, write_charts
from tao_lora_ros.report.panels import AXES


def plot_calibration(
    artifact: Artifact, findings: Findings, left_out: Sequence[str], file: Path
) -> None:
    """Write an HTML page: how often each statistic exceeds a level, measured, fitted and set.

    Args:
        artifact: with the calibration.
        findings: what it was made of.
        left_out: what was not steady, a line each.
        file: the page.

    Raises:
        OSError: the file cannot be written.
    """
    calibration, rate_hz = artifact.calibration, artifact.rate_hz
    names = [f"change over {rows} row{'s' * (rows > 1)}" for rows in calibration.scales]
    names += [
        f"level of {artifact.channels[level[0]].rpartition('_')[0]}"
        for level in calibration.level_channels
    ]
    values = tail.join(findings.statistics, rate_hz)
    hours = findings.used_s / 3600.0
    series, marks = [], []
    for column, name, threshold, color in zip(
        values.T, names, calibration.all_thresholds, cycle(AXES), strict=False
    ):
        fit = tail.tail_of(column, rate_hz)
        if threshold >= tail.NEVER or not fit.excess:
            continue
        at = tail.peaks(column, tail.cluster_rows(rate_hz), 4 * fit.known)
        rates = np.arange(1, len(at) + 1) / hours
        label = f"{name}, threshold {threshold:.2f}"
        series.append(line(label, column[at].tolist(), rates.tolist(), color, "dots"))
        ends = [fit.per_hour, calibration.alarms_per_hour / 10]
        series.append(line("", [float(fit.at(rate)) for rate in ends], ends, color))
        marks.append(mark(threshold, "", color))
    title = (
        f"{artifact.model_id}: steady motion, {findings.used_s / 60:.1f} min, "
        f"target {calibration.alarms_per_hour:g} alarms an hour"
    )
    drawn = chart(
        "Dots: measured; lines: fitted; dashed: thresholds",
        "logarithm of energy over what it is held against",
        "peaks an hour above it",
        series,
        marks,
        log=True,
    )
    lines = ["Left out:", *left_out] if left_out else ["Nothing was left out."]
    write_charts(title, [drawn], lines, file)
