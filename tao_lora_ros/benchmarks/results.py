"""The one shape in which every benchmark reports, and the table that is printed from it."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tao_lora_ros.hardware.device import facts, version_of
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.files import read_regular

OURS = "tao-lora"
STAYS = "tao-lora-persistent"  # the kernel that stays
_MOST_BYTES = 1 << 26


class ResultsError(TaoLoraError):
    """A file does not hold measurements."""


@dataclass(frozen=True)
class Measurement:
    """One number: who (`tao-lora` is ours, every other a peer), on what, which, and its SI unit."""

    subject: str
    case: str
    metric: str
    value: float
    unit: str


def results(command: str, packages: Iterable[str], rows: Sequence[Measurement]) -> dict[str, Any]:
    """The measurements as they are written; a number that does not exist (NaN) is None."""
    return {
        "command": command,
        "hardware": facts(),
        "versions": {"python": platform.python_version()}
        | {name: said for name in packages if (said := version_of(name))},
        "rows": [asdict(row) | {"value": _number(row.value)} for row in rows],
    }


def write_results(
    file: Path, command: str, packages: Iterable[str], rows: Sequence[Measurement]
) -> None:
    """Write the measurements as JSON."""
    content = results(command, packages, rows)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_results(file: Path) -> list[Measurement]:
    """The measurements in a file that `write_results` wrote.

    Raises:
        ResultsError: it is no such file.
    """
    try:
        return [_measurement(row) for row in json.loads(read_regular(file, _MOST_BYTES))["rows"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        what = "not a file of measurements, expected what `tao-lora bench ... --json FILE` writes"
        raise ResultsError(f"{file}: {what}") from None


def _measurement(row: dict[str, Any]) -> Measurement:
    value = float("nan") if row["value"] is None else float(row["value"])
    texts = {name: row[name] for name in ("subject", "case", "metric", "unit")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("a name that is no text")
    return Measurement(**texts, value=value)


def table(rows: Sequence[Measurement]) -> str:
    """Markdown: a table a case, a line a subject (ours first), a column a metric."""
    return "\n".join(_case_table(rows, case) for case in _in_order(row.case for row in rows))


def _case_table(rows: Sequence[Measurement], case: str) -> str:
    here = [row for row in rows if row.case == case]
    values = {(row.subject, row.metric): row.value for row in here}
    heads = {row.metric: f"{row.metric} [{row.unit}]" if row.unit else row.metric for row in here}
    lines = [
        " | ".join(["", case, *heads.values(), ""]),
        "|".join(["", "---", *("--:" for _ in heads), ""]),
    ]
    for subject in sorted(_in_order(row.subject for row in here), key=lambda name: name != OURS):
        cells = [_cell(values.get((subject, metric))) for metric in heads]
        lines.append(" | ".join(["", subject, *cells, ""]))
    return "\n".join(line.strip() for line in lines) + "\n"


def _cell(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.3g}"


def _number(value: float) -> float | None:
    return None if value != value else round(float(value), 6)


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
