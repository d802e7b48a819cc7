"""What goes on in a node, as its page takes it: a piece a second of the last ten minutes."""

from __future__ import annotations

from array import array
from collections import OrderedDict, deque
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import Event, Inference, Phase
from tao_lora_ros.report.envelope import Seconds, envelope
from tao_lora_ros.report.panels import (
    INFERENCES,
    inference_panels,
    inference_series,
    label_color,
    panel_row,
    signal_panels,
)
from tao_lora_ros.report.record import RunRecord, Signal
from tao_lora_ros.report.run_data import event_row, lanes, packed
from tao_lora_ros.signal.cdr import Sample

KEPT_S = 600
_BUCKET_NS = 50_000_000
_BEHIND_NS = 300_000_000  # samples that come so late are still drawn
_SET_BACK_NS = 2_000_000_000  # stamps this far back: a clock that was set, a bag that loops
_LANES = ("route", "events", "contacts")

Piece = dict[str, Any]


class _Recent:
    """A source's samples of the buckets that are not finished: stamps less the lag, and values."""

    def __init__(self, channels: Sequence[str], lag_s: float) -> None:
        self.channels, self.lag_ns = channels, round(lag_s * 1e9)
        self.stamps, self.values = array("q"), array("d")
        self.late = 0

    def begin(self, at_ns: int) -> None:
        """Forget what is not of the run that begins at a time: older, or of a clock set back."""
        values = np.array(self.values).reshape(len(self.stamps), len(self.channels))
        stamps = np.array(self.stamps, np.int64)
        kept = (stamps >= at_ns) & (stamps < at_ns + _SET_BACK_NS)
        self.stamps = array("q", stamps[kept].tolist())
        self.values = array("d", values[kept].ravel().tolist())
        self.late = 0

    def take(self, from_ns: int, until_ns: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """All within a time, in order; they are here no longer. What is older has come too late."""
        stamps = np.array(self.stamps, np.int64)
        values = np.array(self.values).reshape(len(stamps), len(self.channels))
        self.late += int(np.sum(stamps < from_ns))
        done = stamps < until_ns
        self.stamps = array("q", stamps[~done].tolist())
        self.values = array("d", values[~done].ravel().tolist())
        fits = done & (stamps >= from_ns)
        order = np.argsort(stamps[fits], kind="stable")
        return stamps[fits][order], values[fits][order]


class GrowingRun:
    """Takes what comes, in one thread; gives pieces to others.

    All seconds count from `start_ns`. Whoever has pieces of another `epoch` begins anew: sources or
    labels have changed.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._pieces: deque[tuple[int, Piece]] = deque(maxlen=KEPT_S)
        self._recent: dict[str, _Recent] = {}
        self._inferences: deque[Inference] = deque(maxlen=100 * KEPT_S)
        self._fresh: list[Inference] = []
        self._events: OrderedDict[tuple[int, int], Event] = OrderedDict()
        self._raw: list[RawSamples] = []
        self._drawn_ns: dict[str, int] = {}  # until when a source's every sample is in a piece
        self._labels: tuple[str, ...] = ()
        self._model = ("", "")
        self._tiles: list[tuple[str, str, str]] = []
        self._start_ns = self._cut_ns = 0
        self._epoch = self._number = 0

    def add_source(self, name: str, channels: Sequence[str], lag_s: float) -> None:
        """A source that samples will come of."""
        with self._lock:
            self._recent[name] = _Recent(channels, lag_s)
            self._begin_anew()

    def add_sample(self, source: str, sample: Sample) -> None:
        """A sample of a source."""
        recent = self._recent[source]
        recent.stamps.append(sample.stamp_ns - recent.lag_ns)
        recent.values.frombytes(np.asarray(sample.values, np.float64).tobytes())

    def add_inference(
        self, inference: Inference, labels: tuple[str, ...], model: tuple[str, str]
    ) -> None:
        """An inference, and what its probabilities are of."""
        if (labels, model) != (self._labels, self._model):
            with self._lock:
                self._labels, self._model = labels, model
                self._inferences.clear()
                self._fresh.clear()
                self._begin_anew()
        self._fresh.append(inference)

    def add_event(self, event: Event) -> None:
        """An event, when it begins and when it is over."""
        with self._lock:
            self._events[event.onset_ns, event.sequence] = event

    def add_raw(self, phase: Phase, raw: Sequence[RawSamples]) -> None:
        """Every sample around an event, on the time of events."""
        if phase is Phase.END:
            self._raw += raw

    def tell(self, tiles: list[tuple[str, str, str]]) -> None:
        """The numbers of now, while there is nothing to make a piece of."""
        with self._lock:
            self._tiles = tiles

    def cut(self, newest_ns: int, tiles: list[tuple[str, str, str]]) -> None:
        """Make a piece of what came since the last one; `tiles` are the numbers of now."""
        with self._lock:
            self._tiles = tiles
            if newest_ns < self._cut_ns - _SET_BACK_NS:
                self._begin_anew()
            if not self._start_ns:
                self._start_ns = self._cut_ns = newest_ns // _BUCKET_NS * _BUCKET_NS
                for recent in self._recent.values():
                    recent.begin(self._cut_ns)
            until_ns = (newest_ns - _BEHIND_NS) // _BUCKET_NS * _BUCKET_NS
            if until_ns <= self._cut_ns and not self._raw:
                return
            until_ns = max(until_ns, self._cut_ns)
            self._number += 1
            self._pieces.append((self._number, self._piece(until_ns)))
            self._forget(until_ns - KEPT_S * 10**9)

    @property
    def late(self) -> dict[str, int]:
        """Samples that came too late to be drawn, by source, where there are any."""
        return {name: recent.late for name, recent in self._recent.items() if recent.late}

    def head(self) -> dict[str, Any]:
        """The page without what it draws."""
        with self._lock:
            record = self._record()
            panels = [
                panel_row(name, panel)
                for name, recent in self._recent.items()
                for panel in signal_panels(recent.channels)
            ]
            if self._model != ("", ""):
                panels += [panel_row(INFERENCES, panel) for panel in inference_panels(record)]
            return {
                "epoch": self._epoch,
                "panels": panels,
                "sources": [*self._recent],
                "start_ms": self._start_ns / 1e6,
                "about": f"model {' '.join(self._model)}, the last {KEPT_S // 60} minutes",
            }

    def since(self, number: int) -> dict[str, Any]:
        """The pieces after one, and the events, lanes and numbers of now."""
        with self._lock:
            record = self._record()
            found = {lane["name"]: lane["bars"] for lane in lanes(record)}
            events = [event_row(record, event) for event in record.final_events]
            return {
                "epoch": self._epoch,
                "first": self._pieces[0][0] if self._pieces else self._number + 1,
                "last": self._number,
                "pieces": [piece for n, piece in self._pieces if n > number],
                "lanes": [{"name": name, "bars": found.get(name, [])} for name in _LANES],
                "events": events,
                "labels": {
                    event.label: label_color(record, event.label) for event in record.events
                },
                "tiles": self._tiles,
            }

    def _begin_anew(self) -> None:
        self._epoch += 1
        self._pieces.clear()
        self._start_ns = 0
        self._drawn_ns.clear()

    def _forget(self, before_ns: int) -> None:
        for which in [which for which, event in self._events.items() if event.onset_ns < before_ns]:
            del self._events[which]
        while self._inferences and self._inferences[0].window_end_ns < before_ns:
            self._inferences.popleft()

    def _record(self) -> RunRecord:
        """What is known now, for the functions that the report has."""
        newest = Signal(np.array([self._cut_ns]), np.zeros((1, 0)))
        return RunRecord(
            title="",
            start_ns=self._start_ns,
            channels=(),
            signals={"": newest},
            events=list(self._events.values()),
            inferences=list(self._inferences),
            labels=self._labels,
            model_id=self._model[0],
            model_version=self._model[1],
        )

    def _seconds(self, stamps_ns: NDArray[np.int64]) -> Seconds:
        return np.asarray((stamps_ns - self._start_ns) * 1e-9, np.float64)

    def _piece(self, until_ns: int) -> Piece:
        bounds = np.arange(self._cut_ns, until_ns + 1, _BUCKET_NS)
        edges = self._seconds(bounds)
        self._cut_ns = until_ns
        sources = {}
        for name, recent in self._recent.items():
            stamps, values = recent.take(round(bounds[0]), until_ns)
            low, high = envelope(self._seconds(stamps), values, edges)
            raw = [raw for raw in self._raw if raw.source == name]
            sources[name] = self._samples(name, raw) | {
                "low": [packed(row) for row in low],
                "high": [packed(row) for row in high],
            }
        self._raw.clear()
        self._inferences += self._fresh
        series = inference_series(self._record(), self._fresh)
        self._fresh.clear()
        sources[INFERENCES] = {
            "spans": [],
            "times": packed(series.times),
            "values": [packed(column.astype(np.float32)) for column in series.values.T],
        }
        return {"edges": packed(edges), "sources": sources}

    def _samples(self, name: str, found: Sequence[RawSamples]) -> dict[str, Any]:
        """Every sample of a source near events, within whole buckets, none twice."""
        spans: list[tuple[float, float, int]] = []
        stamps, values = [np.zeros(0, np.int64)], [np.zeros((0, len(self._recent[name].channels)))]
        filled = (raw for raw in found if len(raw.stamps_ns))
        for raw in sorted(filled, key=lambda raw: int(raw.stamps_ns[0])):
            first_ns, last_ns = int(raw.stamps_ns[0]), int(raw.stamps_ns[-1])
            drawn_ns = self._drawn_ns.get(name, self._start_ns)
            begin_ns = max(-(-first_ns // _BUCKET_NS) * _BUCKET_NS, drawn_ns)
            end_ns = last_ns // _BUCKET_NS * _BUCKET_NS
            if end_ns <= begin_ns:
                continue
            rows = slice(*np.searchsorted(raw.stamps_ns, (begin_ns, end_ns)))
            begin, end = self._seconds(np.array([begin_ns, end_ns])).tolist()
            spans.append((begin, end, rows.stop - rows.start))
            stamps.append(raw.stamps_ns[rows])
            values.append(raw.values[rows])
            self._drawn_ns[name] = end_ns
        columns = np.vstack(values).T.astype(np.float32)
        return {
            "spans": [(begin, end, int(count)) for begin, end, count in spans],
            "times": packed(self._seconds(np.concatenate(stamps))),
            "values": [packed(column) for column in columns],
        }
