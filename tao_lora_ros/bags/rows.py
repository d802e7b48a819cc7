"""A bag as one array of aligned rows, with labels on spans of them: what training works on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.labels import labels_file, read_contacts
from tao_lora_ros.bags.reader import WHOLE, BagError, BagReader
from tao_lora_ros.detection.glitch_filter import GlitchFilter
from tao_lora_ros.engine.intake import Intake
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.messages.label_span import FREE, LabelSpan
from tao_lora_ros.signal.align import Rows
from tao_lora_ros.signal.cdr import DecodeError
from tao_lora_ros.signal.source import ClockJump

# A strike lasts milliseconds, its ringing tens of them: a label holds at least this long.
LEAST_LABEL_S = 0.06
_STAMPS = 5000  # messages by whose stamps a rate is told


@dataclass(frozen=True)
class Span:
    """Rows `first` to `end` (excluded) of a run, all of one label."""

    first: int
    end: int
    label: str


@dataclass(frozen=True)
class Run:
    """One recording: rows [n, C], and the labels of all of them (none without a labels file)."""

    name: str
    values: NDArray[np.floating]
    spans: tuple[Span, ...] = ()


def spans_of(labels: Sequence[str] | NDArray[np.str_]) -> tuple[Span, ...]:
    """The spans of equal labels in a label for each row."""
    if not len(labels):
        return ()
    named = np.asarray(labels)
    bounds = [0, *(np.flatnonzero(named[1:] != named[:-1]) + 1), len(named)]
    return tuple(Span(int(a), int(b), str(named[a])) for a, b in pairwise(bounds))


def read_run(
    bag: Path,
    settings: Settings,
    rate_hz: float,
    topics: Mapping[str, str] | None = None,
    part_s: tuple[float, float] = WHOLE,
) -> Run:
    """Read a whole bag as the node does, and its labels from `<bag>.labels.csv` where that exists.

    `topics` gives the bag topic of a source, by its name, where it is not obvious; `part_s` from
    when to when to read, in seconds.

    Raises:
        BagError: the bag or its labels cannot be read, or it holds no usable row.
    """
    found = list(read_rows(bag, settings, rate_hz, topics, part_s))
    times_s = np.array([time_s for time_s, _ in found])
    return Run(bag.name, np.array([values for _, values in found]), spans_in(bag, times_s))


def read_rows(
    bag: Path,
    settings: Settings,
    rate_hz: float,
    topics: Mapping[str, str] | None = None,
    part_s: tuple[float, float] = WHOLE,
) -> Iterator[tuple[float, NDArray[np.float64]]]:
    """The same row by row: seconds from the first stamp, and values [C], glitches mended.

    Raises:
        BagError: the bag cannot be read, its stamps jump, it holds no usable row, or most of a
            source came too late for its rows.
    """
    intake = Intake(settings, rate_hz)
    glitches = GlitchFilter(tuple(intake.channels), rate_hz)
    first_ns = 0
    rows = 0
    with BagReader(bag, [source.config for source in intake.sources], topics, part_s) as reader:
        for ready in _aligned(reader, intake):
            first_ns = first_ns or max(source.newest_ns or 0 for source in intake.sources)
            rows += len(ready)
            for released in glitches.push(ready):
                yield part_s[0] + (released.time_ns - first_ns) * 1e-9, released.values
        reader.warn()
    if not rows:
        raise BagError(f"{bag}: no usable message")
    for account in intake.accounts:
        if account.remedy and account.used < account.received / 2:
            raise BagError(f"{bag}: {account.remedy}")
    for released in glitches.flush():
        yield part_s[0] + (released.time_ns - first_ns) * 1e-9, released.values


def _aligned(reader: BagReader, intake: Intake) -> Iterator[Rows]:
    """Rows as messages release them.

    Raises:
        BagError: the stamps jump.
    """
    for block in reader.blocks():
        taken = 0
        while taken < len(block):
            before, (ready, taken) = taken, intake.push_block(block, taken)
            if taken == before:
                try:
                    ready = intake.push(*block.message(taken)).rows
                except ClockJump as error:
                    raise BagError(f"{reader.path}: not one recording: {error}") from None
                taken += 1
            yield ready
            intake.let_go()


def measured_rate_hz(
    bag: Path, settings: Settings, topics: Mapping[str, str] | None = None
) -> float:
    """Rate of a bag's fastest source, by the usual step between its first stamps.

    Raises:
        BagError: the bag cannot be read, lacks a source, or no source has two stamps.
    """
    sources = Intake(settings, 1.0).sources
    stamps: list[list[int]] = [[] for _ in sources]
    with BagReader(bag, [source.config for source in sources], topics) as reader:
        for index, log_ns, data in islice(reader.messages(), _STAMPS):
            with suppress(DecodeError):
                stamps[index].append(sources[index].decode(data, log_ns).stamp_ns or log_ns)
    steps = [np.diff(np.unique(of)) for of in stamps if len(set(of)) > 1]
    if not steps:
        raise BagError(f"{bag}: no source has two stamps, so no rate: say --rate-hz")
    return 1e9 / min(float(np.median(of)) for of in steps)


def spans_in(bag: Path, times_s: NDArray[np.float64]) -> tuple[Span, ...]:
    """Labels of rows at these times by `<bag>.labels.csv`; none where there is no such file."""
    if not labels_file(bag).exists():
        return ()
    return spans_of(row_labels(read_contacts(bag), times_s))


def row_labels(contacts: Sequence[LabelSpan], times_s: NDArray[np.float64]) -> NDArray[np.str_]:
    """Label of each row, [n], by its time from the recording's first message."""
    labels = np.full(len(times_s), FREE, dtype="U32")
    for contact in contacts:
        end_s = max(contact.end_s, contact.start_s + LEAST_LABEL_S)
        labels[(times_s >= contact.start_s) & (times_s <= end_s)] = contact.label
    return labels
