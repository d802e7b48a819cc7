"""Tests of tao_lora_ros.report.record and tao_lora_ros.report.report."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tao_lora_ros.bags.labels import read_contacts
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.messages.label_span import LabelSpan
from tao_lora_ros.messages.results import Event, Inference, Phase
from tao_lora_ros.messages.route import Route
from tao_lora_ros.report import report, run_data
from tao_lora_ros.report.record import RunRecord, Signal
from tao_lora_ros.signal.cdr import IMU, WRENCH
from tao_lora_ros.signal.source import SourceConfig

START = 1_700_000_000_000_000_000
LABELS = ("free", "impact")
SOURCES = (SourceConfig("imu", IMU), SourceConfig("wrench", WRENCH))
CHANNELS = tuple(channel for source in SOURCES for channel in source.channels)


def at(seconds: float) -> int:
    return START + round(seconds * 1e9)


def event(sequence: int, onset: float, end: float, phase: Phase = Phase.END) -> Event:
    return Event(
        phase=phase,
        sequence=sequence,
        frame_id="ft",
        onset_ns=at(onset),
        peak_ns=at(onset + 0.004),
        end_ns=at(end) if phase is Phase.END else 0,
        peak_score=2.5,
        channels=(("wrench.force_z", 0.6), ("imu.accel_z", 0.4)),
        label="impact",
        probability=0.75,
        raw=(),
    )


def inference(seconds: float, path: Route) -> Inference:
    stamp = at(seconds)
    return Inference(stamp, "imu", path, 0.5, (0.9, 0.1), 0.2, stamp - 256_000_000, stamp)


@pytest.fixture
def record() -> RunRecord:
    rng = np.random.default_rng(0)
    signals = {
        name: Signal(
            START + np.arange(count) * (4_000_000_000 // count), rng.normal(size=(count, 6))
        )
        for name, count in (("imu", 2000), ("wrench", 4000))
    }
    inferences = [inference(0.1 * i, Route(i in (10, 11))) for i in range(3, 40)]
    return RunRecord(
        title="A <run>",
        start_ns=START,
        channels=CHANNELS,
        signals=signals,
        lags_s={},
        inferences=inferences,
        events=[event(0, 1.0, 1.1, Phase.ONSET), event(0, 1.0, 1.1), event(1, 3.5, 0, Phase.ONSET)],
        labels=LABELS,
        model_id="arm",
        model_version="1",
        rejected={"not_finite": 3},
        contacts=[
            LabelSpan(0.99, 1.02, "impact", 8.0),
            LabelSpan(1.02, 1.5, "slide"),
            LabelSpan(2.0, 2.1, "impact", 1.0),
            LabelSpan(3.7, 3.8, "impact", 6.0),
        ],
    )


class Page(HTMLParser):
    """What the tests look at in a page: its data, and what it would load."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.resources: list[str] = []
        self.text = file.read_text("utf-8")
        self.data: dict = {}
        self._data = False
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        found = dict(attrs)
        self.resources += [found[key] for key in ("src", "href", "data") if key in found]
        self._data = found.get("id") == "data"

    def handle_endtag(self, tag: str) -> None:
        self._data = False

    def handle_data(self, data: str) -> None:
        if self._data:
            self.data = json.loads(data)


def page_of(record: RunRecord, folder: Path) -> Page:
    report.write_report(record, folder / "new" / "report.html")
    return Page(folder / "new" / "report.html")


def numbers(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def test_a_row_for_every_event(record, tmp_path):
    first, second = page_of(record, tmp_path).data["events"]
    assert first["from"] == pytest.approx(1.0)
    assert first["called"] == "impact 75%"
    assert first["channels"][0] == ["wrench.force_z", 0.6]
    assert (first["truth"], first["truth_ms"], first["near"]) == ("impact", 10.0, True)
    assert second["open"]


def test_needs_nothing_from_elsewhere(record, tmp_path):
    page = page_of(record, tmp_path)
    assert page.resources == ["data:,"]
    assert "default-src 'none'" in page.text
    assert "Leon Sorokin" in page.text  # the notice that uPlot's licence asks for


def test_texts_stay_texts(record, tmp_path):
    hostile = "</script><!--<script>"
    named = [replace(event, label=hostile) for event in record.events]
    page = page_of(replace(record, events=named), tmp_path)
    assert "<h1>A &lt;run&gt;</h1>" in page.text
    assert page.data["events"][0]["label"] == hostile
    assert hostile not in page.text


def test_every_reported_quantity_is_drawn(record):
    titles = [panel["title"] for panel in run_data.run_data(record)["panels"]]
    assert "Acceleration · imu [m/s²]" in titles
    assert "Torque · wrench [Nm]" in titles
    record.signals["imu"].values[:, 3:] = np.nan
    titles = [panel["title"] for panel in run_data.run_data(record)["panels"]]
    assert not [title for title in titles if title.startswith("Angular velocity")]


def test_samples_are_whole_or_near_every_event(record, monkeypatch):
    def held(data: dict, source: str) -> np.ndarray:
        return numbers(data["sources"][source]["times"], "<f8")

    data = run_data.run_data(record)
    assert data["whole"]
    np.testing.assert_allclose(held(data, "wrench"), np.arange(4000) / 1000, atol=1e-9)
    monkeypatch.setattr(run_data, "_SAMPLE_BYTES", 60_000)
    monkeypatch.setattr(run_data, "_BUCKETS", 100)
    data = run_data.run_data(record)
    panel = next(panel for panel in data["panels"] if panel["source"] == "wrench")
    times, values = held(data, "wrench"), numbers(panel["lines"][0]["values"], "<f4")
    assert not data["whole"]
    assert times.nbytes + 6 * values.nbytes < 60_000
    for event in data["events"]:
        assert np.abs(times - event["from"]).min() < 1e-3
    rows = np.round(times * 1000).astype(int)
    np.testing.assert_array_equal(values, record.signals["wrench"].values[rows, 0].astype("f4"))


def test_tiles_count(record):
    tiles = {name: (value, more) for name, value, more in report.tiles(record)}
    assert tiles["Inferences"][0] == "37"
    assert tiles["Contacts found"][0] == "1 of 3"
    assert "1 within an open event, 1 missed; above 5 σ: 1 of 2" in tiles["Contacts found"][1]
    truths = [name for _, name in record.true_names]
    assert truths == ["slide"]
    assert tiles["Named right"] == ("0 of 1", "0 unknown, 1 called otherwise")
    assert tiles["Messages refused"] == ("3", "not finite 3")
    assert "Inference latency" not in tiles


def test_live_run_shows_latencies(record, tmp_path):
    live = replace(
        record,
        inference_latencies_s=[0.001] * len(record.inferences),
        onset_latencies_s={0: 0.0123},
    )
    data = page_of(live, tmp_path).data
    inferences, onsets = data["charts"]
    assert sum(sum(series["y"]) for series in inferences["series"]) == len(record.inferences)
    assert sum(onsets["series"][0]["y"]) == 1
    assert data["events"][0]["reported_ms"] == 12.3


def test_empty_run_makes_a_page(record, tmp_path):
    nothing = Signal(np.zeros(0, np.int64), np.zeros((0, 6)))
    empty = replace(
        record,
        signals=dict.fromkeys(record.signals, nothing),
        inferences=[],
        events=[],
        contacts=[],
        rejected={},
    )
    data = page_of(empty, tmp_path).data
    assert (data["events"], data["panels"], data["sources"]) == ([], [], {})


def test_a_hole_breaks_the_line(record):
    stamps, values = record.signals["imu"]
    holed = Signal(np.delete(stamps, slice(500, 600)), np.delete(values, slice(500, 600), axis=0))
    record.signals["imu"] = holed
    series = run_data.signal_series(record, "imu")
    assert np.flatnonzero(np.isnan(series.values[:, 0])).tolist() == [500]
    assert (np.diff(series.times) > 0).all()


def test_route_is_when_inferences_were_transient(record):
    (route, *_) = run_data.lanes(record)
    ((begin, end, *_),) = route["bars"]
    assert (begin, end) == pytest.approx((1.0, 1.2))


def test_outcomes(record):
    assert [record.outcome(touch) for touch in record.touches] == ["found", "missed", "covered"]
    assert [touch.label for touch in record.touches] == ["impact, slide", "impact", "impact"]
    assert [record.touched(event) for event in record.final_events] == [True, True]


def test_nearest_truth(record):
    assert record.nearest_truth(event(0, 2.01, 2.1)) == ("impact", pytest.approx(0.01))
    assert record.nearest_truth(event(0, 1.49, 1.6)) == ("end of contact", pytest.approx(-0.01))
    assert replace(record, contacts=[]).nearest_truth(event(0, 1.0, 1.1)) is None


def test_contacts_beside_a_bag(tmp_path):
    bag = tmp_path / "bag"
    assert read_contacts(bag) == []
    labels = tmp_path / "bag.labels.csv"
    labels.write_text("start_s,end_s,label,peak_force_n,peak_sigma\n2,3,b,1,7\n0.5,1,a,1,\n")
    first, second = read_contacts(bag)
    assert (first.start_s, first.label, second.peak_sigma) == (0.5, "a", 7.0)
    labels.write_text("start_s,end_s,label\n0.5,x,a\n")
    with pytest.raises(BagError, match=r"bag\.labels\.csv: line 2: column 'end_s' is 'x'"):
        read_contacts(bag)
