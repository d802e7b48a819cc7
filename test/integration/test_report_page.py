"""The report in a real browser: what is drawn is what the bag holds, at every zoom and size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import browser, check_paper, check_size, faultless
from models import replayed
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from tao_lora_ros.bags.writer import SourceRecording, write_bag
from tao_lora_ros.model.artifact import default_artifact, load_artifact
from tao_lora_ros.report import run_data
from tao_lora_ros.report.record import record_replay
from tao_lora_ros.report.report import write_report
from tao_lora_ros.signal.cdr import IMU, WRENCH

SECONDS, TAPS_S, START_NS = 12, (4.0, 7.0, 9.5), 1_700_000_000_000_000_000
FORCE = "Force · wrench [N]"


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(3)
    recordings = []
    for name, msgtype, rate in (("imu", IMU, 250), ("wrench", WRENCH, 500)):
        times = np.arange(SECONDS * rate) / rate
        values = 0.05 * rng.normal(size=(len(times), 6)) + np.arange(6)
        for tap in TAPS_S:
            since = times - tap
            ring = np.where(since < 0, 0.0, np.exp(-np.abs(since) / 0.02) * np.cos(400 * since))
            values += 10.0 * ring[:, None]
        stamps = START_NS + np.arange(len(times)) * (10**9 // rate)
        recordings.append(SourceRecording(name, msgtype, name, stamps, values))
    folder = tmp_path_factory.mktemp("report") / "bag"
    write_bag(recordings, folder)
    labels = [f"{tap},{tap + 0.05},impact" for tap in TAPS_S]
    folder.with_name("bag.labels.csv").write_text("\n".join(["start_s,end_s,label", *labels]))
    return folder


@pytest.fixture(scope="module")
def forces(bag: Path) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and force in the bag, read without any of our readers."""
    store = get_typestore(Stores.ROS2_JAZZY)
    rows = []
    with AnyReader([bag], default_typestore=store) as reader:
        wrenches = [c for c in reader.connections if c.topic.endswith("wrench")]
        for connection, _, raw in reader.messages(connections=wrenches):
            message: Any = reader.deserialize(raw, connection.msgtype)
            stamp, force = message.header.stamp, message.wrench.force
            seconds = (stamp.sec * 10**9 + stamp.nanosec - START_NS) * 1e-9
            rows.append((seconds, force.x, force.y, force.z))
    table = np.array(rows)
    return table[:, 0], table[:, 1:].astype(np.float32)


@pytest.fixture(scope="module")
def report(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its page may hold little, so that it has to choose as for an hour."""
    artifact = load_artifact(default_artifact())
    result, pipeline = replayed(bag, artifact)
    record = record_replay(bag, result, pipeline, artifact)
    file = tmp_path_factory.mktemp("page") / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_data, "_SAMPLE_BYTES", 60_000)
        patch.setattr(run_data, "_BUCKETS", 100)
        write_report(record, file)
    return file


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(report: Path, chromium: Any) -> Iterator[Any]:
    asked: list[str] = []
    with faultless(chromium.new_page(viewport={"width": 1280, "height": 900})) as opened:
        opened.on("request", lambda request: asked.append(request.url))
        opened.goto(report.as_uri())
        opened.wait_for_selector(".panel canvas")
        yield opened
    assert not [url for url in asked if url.startswith("http")]


def drawn(page: Any, view: tuple[float, float]) -> tuple[np.ndarray, list[dict]]:
    """Zoom; the points [n, 4] (s and N) and the blocks that the force is then drawn by."""
    page.evaluate("([a, b]) => plots.show(a, b)", list(view))
    points, blocks = page.evaluate(
        """title => { plots.redraw(true);
        const panel = plots.panels.find(p => p.panel.title === title), data = panel.plot.data;
        const edges = run.edges, lines = panel.lines();
        return [data[0].map((x, i) => data.map(column => column[i])), panel.seen.blocks.flatMap(b =>
          Array.from({length: b.j - b.i}, (_, k) => ({from: edges[b.i + k], to: edges[b.i + k + 1],
            low: lines.map(l => l.low[b.i + k]), high: lines.map(l => l.high[b.i + k])})))]; }""",
        FORCE,
    )
    rows = [row for row in points if row[1] is not None]
    return np.array(rows, np.float64).reshape(-1, 4), blocks


VIEWS = [(0.0, 12.0), (3.9, 4.3), (3.99, 4.03), (5.0, 5.2), (3.0, 8.0), (9.4999, 9.5005)]


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_what_is_drawn_is_what_the_bag_holds(page, forces, view) -> None:
    times, values = forces
    points, blocks = drawn(page, view)
    # Each point is a sample of the bag, at its time.
    at = np.searchsorted(times, points[:, 0] - 1e-6)
    np.testing.assert_allclose(times[at], points[:, 0], atol=1e-7)
    np.testing.assert_array_equal(values[at], points[:, 1:].astype(np.float32))
    # Each block reaches from the least to the greatest sample within its time, and no further.
    for block in blocks:
        inside = (times >= block["from"]) & (times < block["to"])
        if block["to"] >= times[-1]:
            inside |= times == block["to"]
        np.testing.assert_array_equal(values[inside].min(axis=0), np.float32(block["low"]))
        np.testing.assert_array_equal(values[inside].max(axis=0), np.float32(block["high"]))
    # No sample in sight is without either.
    shown = {round(x, 6) for x in points[:, 0]}
    for seconds in times[(times >= view[0]) & (times <= view[1])]:
        covered = any(b["from"] <= seconds <= b["to"] for b in blocks)
        assert covered or round(seconds, 6) in shown, seconds


def test_force_does_not_rise_before_the_blow(page, forces) -> None:
    points, blocks = drawn(page, (3.8, 4.2))
    assert not [block for block in blocks if 3.95 < block["to"] < 4.1]
    before = points[points[:, 0] < 4.0 - 1e-6]
    assert len(before) > 10
    assert np.abs(before[:, 1:] - np.arange(3)).max() < 0.4
    assert points[:, 1].max() > 8


def test_every_event_is_reached_by_keyboard(page) -> None:
    page.keyboard.press("0")
    found = page.evaluate("run.events.map(e => [e.number, e.from, e.to])")
    assert len(found) >= len(TAPS_S)
    for number, begin, end in found:
        page.keyboard.press("j")
        assert f"event {number} ·" in page.inner_text("#opened")
        a, b = page.evaluate("plots.view")
        assert a < begin < b
        assert b - a < 2 * (end - begin) + 0.3
    page.keyboard.press("0")
    assert page.evaluate("plots.view") == page.evaluate("plots.whole")


def test_events_are_sorted_and_filtered(page) -> None:
    numbers = "[...document.querySelectorAll('#rows tr')].map(r => Number(r.dataset.number))"
    scores = page.evaluate("run.events.map(e => [e.peak_score, e.number])")
    page.locator("#sort").select_option("-peak_score")
    assert page.evaluate(numbers) == [number for _, number in sorted(scores, reverse=True)]
    page.locator("#from").fill("6")
    page.locator("#to").fill("8")
    assert page.evaluate(numbers) == [1]
    assert page.inner_text("#count") == f"1 of {len(scores)} events"
    for name in ("from", "to"):
        page.locator(f"#{name}").fill("")
    page.locator("#sort").select_option("from")


def test_a_quantity_can_be_put_away(page) -> None:
    shown = "[...document.querySelectorAll('.panel:not([hidden])')].length"
    before = page.evaluate(shown)
    box = page.locator("#picker label", has_text=FORCE).locator("input")
    box.uncheck()
    assert page.evaluate(shown) == before - 1
    box.check()
    assert page.evaluate(shown) == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_runs_over_and_nothing_is_empty(page, width: int, scheme: str) -> None:
    check_size(page, width, scheme)


def luminance(color: str) -> float:
    """Relative luminance of "#rrggbb" (WCAG 2)."""
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    parts = np.array([int(digits[at : at + 2], 16) for at in (0, 2, 4)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_every_line_stands_out_from_a_dark_page(page) -> None:
    """By 4.5 to 1, so that one that is drawn half through still does."""
    page.emulate_media(color_scheme="dark")
    drawn = page.evaluate("run.panels.flatMap(p => p.lines.map(l => inked(l.color)))")
    behind = luminance(page.evaluate("color('card')")) + 0.05
    assert len(drawn) > 10
    assert {
        c: (luminance(c) + 0.05) / behind for c in drawn if luminance(c) + 0.05 < 4.5 * behind
    } == {}


def test_paper_is_light_and_holds_every_plot(page) -> None:
    check_paper(page, "#filters")
