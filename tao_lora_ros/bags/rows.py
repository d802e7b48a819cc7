"""A bag as one array of aligned rows, with labels on spans of them: what training works on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from tao_lora_ros.signal.align import TIME, Row, Rows
from tao_lora_ros.signal.cadence import usual_rate_hz
from tao_lora_ros.signal.cdr import DecodeError
from tao_lora_ros.signal.source import ClockJump

# A strike lasts milliseconds, its ringing tens of them: a label holds at least this long.
LEAST_LABEL_S = 0.06
# A recording that pauses for longer is not one: its missing rows would be as many as its rows.
LONGEST_PAUSE_S = 600.0
HIGHEST_RATE_HZ = 500.0  # of a grid that nobody asked for
_STAMPS = 5000  # messages by whose stamps a rate is told


@dataclass(frozen=True)
class Span:
    """Rows `first` to `end` (excluded) of a run, all of one label."""

    first: int
    end: int
    label: str


@dataclass(frozen=True)
class Run:
    """One recording: rows [n, C], and the labels of all of them (none without a labels file).

    `doubts` are what somebody has to do something about, such as values in another unit.
    """

    name: str
    values: NDArray[np.floating]
    spans: tuple[Span, ...] = ()
    doubts: tuple[str, ...] = ()


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
    doubts: list[str] = []
    found = list(read_rows(bag, settings, rate_hz, topics, part_s, doubts))
    times_s = np.array([time_s for time_s, _ in found])
    values = np.array([values for _, values in found])
    return Run(bag.name, values, spans_in(bag, times_s), tuple(doubts))


def read_rows(
    bag: Path,
    settings: Settings,
    rate_hz: float,
    topics: Mapping[str, str] | None = None,
    part_s: tuple[float, float] = WHOLE,
    doubts: list[str] | None = None,
) -> Iterator[tuple[float, NDArray[np.float64]]]:
    """The same row by row: seconds from the first stamp, and values [C], glitches mended.

    In a pause of the recording the rows hold NaN. `doubts` takes what there are in the end.

    Raises:
        BagError: the bag cannot be read, its clock was set, it holds no usable row, or most of a
            source came too late for its rows.
    """
    intake = Intake(settings, rate_hz)
    glitches = GlitchFilter(tuple(intake.channels), rate_hz)
    period_ns, absent = round(1e9 / rate_hz), np.full(len(intake.channels), np.nan)
    first_ns = aligned_ns = next_ns = 0

    def timed(released: Iterable[Row]) -> Iterator[tuple[float, NDArray[np.float64]]]:
        nonlocal next_ns
        for row in released:
            for time_ns in range(next_ns or row.time_ns, row.time_ns, period_ns):  # of a pause
                yield part_s[0] + (time_ns - first_ns) * 1e-9, absent
            yield part_s[0] + (row.time_ns - first_ns) * 1e-9, row.values
            next_ns = row.time_ns + period_ns

    with BagReader(bag, [source.config for source in intake.sources], topics, part_s) as reader:
        for ready in _aligned(reader, intake, settings):
            first_ns = first_ns or _newest_ns(intake)
            if not len(ready):
                continue
            if aligned_ns and ready.times[0, TIME] > aligned_ns + period_ns:
                yield from timed(glitches.flush())
                glitches.clear()
            aligned_ns = ready.times[-1, TIME]
            yield from timed(glitches.push(ready))
        reader.warn()
    if not aligned_ns:
        why = "".join(f": {source.reason}" for source in intake.sources if source.reason)
        raise BagError(f"{bag}: no usable message{why}")
    for account in intake.accounts:
        if account.remedy and account.used < account.received / 2:
            raise BagError(f"{bag}: {account.remedy}")
    yield from timed(glitches.flush())
    if doubts is not None:
        doubts += [f"{s.config.name}: {text}" for s in intake.sources for text in s.warnings]


def _aligned(reader: BagReader, intake: Intake, settings: Settings) -> Iterator[Rows]:
    """Rows as messages release them; none of a pause.

    Raises:
        BagError: the clock was set.
    """
    newest_ns = logged_ns = 0
    for block in reader.blocks():
        taken = 0
        while taken < len(block):
            before, (ready, taken) = taken, intake.push_block(block, taken)
            if taken == before:
                message = block.message(taken)
                try:
                    ready = intake.push(*message).rows
                except ClockJump as error:
                    intake.restart()
                    ready = intake.push(*message).rows
                    moved_ns = _newest_ns(intake) - newest_ns
                    if not _is_pause(moved_ns, message[2] - logged_ns, settings):
                        raise BagError(
                            f"{reader.path}: not one recording: {error}; "
                            "choose a part with --from and --to"
                        ) from None
                taken += 1
            if (now_ns := _newest_ns(intake)) > newest_ns:
                newest_ns, logged_ns = now_ns, block.received_ns(taken - 1)
            yield ready
            intake.let_go()


def _newest_ns(intake: Intake) -> int:
    return max(source.newest_ns or 0 for source in intake.sources)


def _is_pause(moved_ns: int, logged_ns: int, settings: Settings) -> bool:
    """Whether nothing came for a while, as the log says too; else a clock was set."""
    within_ns = settings.clock_jump_s * 1e9
    return 0 < moved_ns <= LONGEST_PAUSE_S * 1e9 and abs(moved_ns - logged_ns) <= within_ns


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
    rate_hz = max(map(usual_rate_hz, stamps))
    if not rate_hz:
        raise BagError(f"{bag}: no source has two stamps, so no rate")
    return rate_hz


def grid_rate_hz(measured_hz: float) -> float:
    """Rate of a grid that holds what is measured so often: whole, 500 Hz at the most."""
    return float(min(max(round(measured_hz), 1), HIGHEST_RATE_HZ))


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
