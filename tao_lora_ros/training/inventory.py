"""What each recording gives to a training: windows by label, or nothing and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tao_lora_ros.bags.rows import Run
from tao_lora_ros.messages.texts import shown
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.training.dataset import WindowSet

NO_LABEL = "without a label"


def windows_by_label(run: Run, labels: Sequence[str], sizes: MixerConfig) -> Counter[str]:
    """How many windows a run has, by label."""
    data = WindowSet([run], tuple(labels), sizes.window, sizes.horizon)
    counts = Counter(dict(zip(labels, data.counts().tolist(), strict=True)))
    counts[NO_LABEL] = len(data) - counts.total()
    return +counts


def lines(runs: Sequence[Run], labels: Sequence[str], sizes: MixerConfig) -> Iterator[str]:
    """A line a bag, and one of the labels that no window has."""
    total: Counter[str] = Counter()
    yield f"windows of {sizes.window} rows, {sizes.horizon} more are forecast; they come from"
    for run in runs:
        total += (counts := windows_by_label(run, labels, sizes))
        rows = len(run.values)
        said = f"none, {rows} rows are too few"
        if counts:
            said = f"{counts.total()} windows, {_text(counts)}"
        yield f"  {shown(run.name)}: {said}"
    yield f"  all {len(runs)}: {total.total()} windows, {_text(total)}"
    if missing := [label for label in labels if not total[label]]:
        names = shown(", ".join(missing))
        yield f"  none of {names}: recordings too short, --window auto takes smaller windows"


def _text(counts: Counter[str]) -> str:
    return ", ".join(f"{shown(label)} {count}" for label, count in counts.items())
