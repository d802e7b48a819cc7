"""A bag as one array of aligned rows, with the label of each row: what training works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.reader import BagError, BagReader
from tao_lora_ros.bags.record import labels_file, read_contacts
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import aligner_for, source_configs
from tao_lora_ros.signal.align import Row
from tao_lora_ros.signal.source import ClockJump, Source

FREE = "free"  # label of rows that no interval covers
# A strike lasts milliseconds, its ringing tens of them: a label holds at least this long.
LEAST_LABEL_S = 0.06


@dataclass(frozen=True)
class Run:
    """One recording: rows float64 [n, C], and each row's label (None without a labels file)."""

    name: str
    values: NDArray[np.float64]
    labels: NDArray[np.str_] | None


def read_run(
    bag: Path, settings: Settings, rate_hz: float, topics: Mapping[str, str] | None = None
) -> Run:
    """Read, check and align a whole bag, and the labels in `<bag>.labels.csv` where it exists.

    `topics` gives the bag topic of a source, by its name, where it is not obvious.

    Raises:
        BagError: the bag or its labels cannot be read, or it holds no usable row.
    """
    configs = source_configs(settings)
    sources = [Source(config, settings.clock_jump_s) for config in configs]
    aligner = aligner_for(configs, settings, rate_hz)
    rows: list[Row] = []
    first_ns = 0
    with BagReader(bag, configs, topics) as reader:
        for index, _, data in reader.messages():
            try:
                sample = sources[index].accept(data)
            except ClockJump as error:
                raise BagError(f"{bag}: not one recording: {error}") from None
            if sample is None:
                continue
            first_ns = first_ns or sample.stamp_ns
            rows.extend(aligner.push(index, sample.stamp_ns, sample.values))
    if not rows:
        raise BagError(f"{bag}: no usable message")
    times_s = np.array([row.time_ns - first_ns for row in rows]) * 1e-9
    return Run(bag.name, np.array([row.values for row in rows]), _labels(bag, times_s))


def _labels(bag: Path, times_s: NDArray[np.float64]) -> NDArray[np.str_] | None:
    if not labels_file(bag).exists():
        return None
    labels = np.full(len(times_s), FREE, dtype="U32")
    for contact in read_contacts(bag):
        end_s = max(contact.end_s, contact.start_s + LEAST_LABEL_S)
        labels[(times_s >= contact.start_s) & (times_s <= end_s)] = contact.label
    return labels
