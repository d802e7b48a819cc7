"""The page of a fleet: sums of robots and days, and reports made of bags on demand."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import browser, faultless, serving
from fleets.tables import Here
from models import small_artifact
from recordings import motion, write_ros2

from tao_lora_ros.bags.reader import WHOLE
from tao_lora_ros.bags.replay import Chosen
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.fleet import page_server
from tao_lora_ros.fleet.find import find_bags
from tao_lora_ros.fleet.page_server import FleetServer, differing, event_record, fleet_data
from tao_lora_ros.fleet.run import replay_all
from tao_lora_ros.fleet.table import read_rows
from tao_lora_ros.fleet.task import How

pytest.importorskip("pyarrow.parquet")
NONCE = "n" * 20


def choose(bag: Path) -> Chosen:
    return Chosen(Settings(), {}, small_artifact())


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two robots, one of whose names is markup, and a bag that fails."""
    folder = tmp_path_factory.mktemp("page")
    write_ros2(folder / "bags" / "<b>left" / "a", motion(1.3, [0.7, 1.1], seed=1))
    write_ros2(folder / "bags" / "right" / "b", motion(1.0, [0.7], seed=2))
    (folder / "bags" / "right" / "bad.mcap").write_bytes(b"nothing")
    how = How(choose, "small", WHOLE)
    replay_all(find_bags([str(folder / "bags")]), how, folder / "fleet", Here.opened)
    return folder / "fleet"


@pytest.fixture
def served(table: Path) -> Iterator[FleetServer]:
    with serving(FleetServer(table, choose)) as server:
        yield server


def test_cells_add_up_and_the_hardest_come_first(table: Path) -> None:
    events = sorted(read_rows(table, "events"), key=lambda row: -row["peak_force"])
    data = fleet_data(read_rows(table, "bags"), events)
    cells = {(cell["robot"], cell["day"]): cell for cell in data["cells"]}
    left, right = cells["<b>left", "2023-11-14"], cells["right", "2023-11-14"]
    assert (left["events"], right["events"]) == (2, 1)
    failed = cells["right", "1970-01-01"]
    assert (failed["bags"], failed["failed"], failed["events"]) == (1, 1, 0)
    assert left["hardest"] == max(
        event["peak_force"] for event in events if event["robot"] == "<b>left"
    )
    assert sum(cell["hours"] for cell in data["cells"]) == pytest.approx(2.3 / 3600, rel=0.01)
    assert "not a readable bag" in data["failed"][0]["error"]
    json.dumps(data, allow_nan=False)


def test_of_many_events_the_hardest_of_all_and_of_each_cell_are_listed(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = sorted(read_rows(table, "events"), key=lambda row: -row["peak_force"])
    monkeypatch.setattr(page_server, "MOST_EVENTS", 1)
    monkeypatch.setattr(page_server, "MOST_OF_CELL", 1)
    data = fleet_data(read_rows(table, "bags"), 5 * events[-1:] + events[:1])
    assert [event["number"] for event in data["events"]] == [0, 5]
    found = {cell["robot"]: (cell["found"], cell["hardest"]) for cell in data["cells"]}
    assert found[events[-1]["robot"]] == (5, events[-1]["peak_force"])


def test_a_report_is_made_of_the_bag_around_the_event(table: Path) -> None:
    (event,) = (row for row in read_rows(table, "events") if row["robot"] == "right")
    bag = {row["bag"]: row for row in read_rows(table, "bags")}[event["bag"]]
    record = event_record(event, bag, choose)
    assert event["onset_ns"] in [found.onset_ns for found in record.final_events]
    assert record.notes["Replayed anew"].startswith("0.0 to ")


def get(server: FleetServer, path: str, token: str) -> Any:
    url = f"http://127.0.0.1:{server.server_port}{path}"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"X-Token": token})) as answer:
        return json.load(answer)


def test_reports_are_for_who_has_the_token(served: FleetServer) -> None:
    found = get(served, f"/events/0?nonce={NONCE}", served.token)
    assert f'<script nonce="{NONCE}">' in found["page"]
    for path, token, status in (
        (f"/events/0?nonce={NONCE}", "", 403),
        (f"/events/99?nonce={NONCE}", served.token, 409),
        ("/events/0?nonce=%22%3E%3Cscript%3E", served.token, 409),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(served, path, token)
        assert refused.value.code == status


def test_in_a_browser_a_cell_chooses_and_an_event_opens(served: FleetServer) -> None:
    with browser() as chromium, faultless(chromium.new_page()) as page:
        page.goto(served.url)
        assert page.locator("#sums").inner_text().startswith("2 robots, 3 bags (1 failed)")
        assert page.locator("#grid th[scope=row]").all_inner_texts() == ["<b>left", "right"]
        assert page.locator("#events tr").count() == 3
        assert page.locator("#grid th.n").all_inner_texts() == ["no stamp", "2023-11-14"]
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.get_by_role("button", name="right, 2023").click()
        assert page.locator("#events tr").count() == 1
        with page.expect_popup() as opened:
            page.locator("#events tr").click()
        with faultless(opened.value) as report:
            report.wait_for_selector("canvas")
            assert "right, b: event at 0.7" in report.locator("h1").inner_text()


def test_what_differs_from_an_older_table_opens_as_a_report(table: Path, tmp_path: Path) -> None:
    """The older release saw the first 0.9 s of each bag alone, so one event is gained."""
    cut, bags = How(choose, "small", (0.0, 0.9)), table.parent / "bags"
    replay_all(find_bags([str(bags)]), cut, tmp_path / "old", Here.opened)
    (gained,) = differing(tmp_path / "old", table)
    (lost,) = differing(table, tmp_path / "old")
    assert (gained["what"], lost["what"], gained["robot"]) == ("gained", "lost", "<b>left")
    assert gained["onset_ns"] == lost["onset_ns"]
    bag = {row["bag"]: row for row in read_rows(tmp_path / "old", "bags")}[lost["bag"]]
    assert "a: event lost at 1.1" in event_record(lost, bag, choose).title
    with serving(FleetServer(table, choose, old=tmp_path / "old")) as server:
        assert "Fleet fleet against old" in server.page(NONCE)
        with browser() as chromium:
            page = chromium.new_page()
            page.goto(server.url)
            assert page.locator("#which").inner_text().startswith("Events gained, lost and changed")
            assert page.locator("#events tr").count() == 1
            assert page.locator("#grid button.some").all_inner_texts() == ["1"]
            with page.expect_popup() as opened:
                page.get_by_text("gained blow").click()
            opened.value.wait_for_selector("canvas")
            assert "event gained at 1.1" in opened.value.locator("h1").inner_text()
