"""The review page in a real browser: fifty events labelled by keyboard, foreign texts, a phone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import browser, check_paper, check_size, faultless, serving
from event_records import MS, T0, event
from pictures import camera, compressed

from tao_lora_ros.messages.results import Size
from tao_lora_ros.preservation.event_catalogue import read_entries
from tao_lora_ros.preservation.event_labels import read_labels
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.report.review_server import ReviewServer

EVENTS = 50
MARKUP = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    with EventStore(folder, 2**30, 0) as store:
        for n in range(EVENTS):
            size = Size(0.02, 5.0 + n, sensor="wrench", frame_id="ft", direction=(0.0, 0.0, 1.0))
            label = ("impact", "slip", MARKUP)[n % 3]
            record = event(n, 300, T0 + n * 1000 * MS, label=label, size=size, peak_score=1.0 + n)
            if n == 0:
                record = replace(record, received=(*record.received, camera(), compressed()))
            store.append(record)
    return folder


@pytest.fixture(scope="module")
def chromium():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(filled: Path, chromium):
    view = {"width": 1280, "height": 800}
    new = faultless(chromium.new_page(viewport=view))
    with serving(ReviewServer(filled)) as server, new as opened:
        opened.goto(server.url)
        opened.wait_for_selector(".panel canvas")
        yield opened


def titled(page, text: str) -> None:
    holding(page, "#title", text)


def holding(page, selector: str, text: str) -> None:
    """Wait until an element has this text in it."""
    wanted = "([where, text]) => document.querySelector(where).textContent.includes(text)"
    page.wait_for_function(wanted, arg=[selector, text])


def test_foreign_texts_stay_texts(page) -> None:
    assert page.title() == "Review of events"
    assert page.locator("#rows img").count() == 0
    assert page.locator("#rows td", has_text=MARKUP).count() > 10


def test_signals_and_pictures_are_drawn(page) -> None:
    titled(page, "Event 1,")
    assert page.locator("#panels .panel").count() == 4 + 1  # and a bar for the event
    drawn = page.evaluate("plots.panels.map(p => p.look().data.map(column => column.length))")
    assert drawn[1:] == [[301] * 4] * 4  # every sample, and where it ends
    assert page.evaluate("plots.view") == pytest.approx([-0.02, 0.279], abs=0.001)
    page.wait_for_function(
        "() => [...document.images].length == 2 && [...document.images].every(i => i.naturalWidth)"
    )
    assert page.evaluate("[...document.images].map(i => [i.naturalWidth, i.naturalHeight])") == [
        [4, 3],
        [1, 1],
    ]
    caption = page.locator(".camera figcaption").first
    assert "2 of 3" in caption.inner_text()  # the first after the onset
    page.keyboard.press(",")
    holding(page, ".camera figcaption", "1 of 3")


def test_fifty_events_are_labelled_by_keyboard(page, filled: Path) -> None:
    """Digits, a new name, undo and a label taken away, and never the mouse."""
    names = page.evaluate("names")
    assert names == sorted(names)
    page.keyboard.press("n")
    page.keyboard.type("door slam")
    page.keyboard.press("Enter")
    titled(page, "Event 2,")
    page.wait_for_function("() => names.includes('door slam')")
    digits = {name: str(number) for number, name in enumerate(page.evaluate("names"), 1)}
    wanted = ["door slam", *(("impact", "slip", "door slam")[n % 3] for n in range(1, EVENTS))]
    for name in wanted[1:]:
        page.keyboard.press(digits[name])
    holding(page, "#count", "50 labelled")
    entries = read_entries(filled)
    found = read_labels(filled, entries)
    assert [found[entry.number].name for entry in entries] == wanted
    for _ in range(2):
        page.keyboard.press("u")
    titled(page, "Event 49,")
    holding(page, "#count", "48 labelled")
    assert sorted(read_labels(filled, entries)) == list(range(1, 49))
    page.keyboard.press("k")
    titled(page, "Event 48,")
    page.keyboard.press("x")
    holding(page, "#count", "47 labelled")
    assert 48 not in read_labels(filled, entries)


def test_list_is_sorted_and_filtered_by_keyboard(page) -> None:
    numbers = "[...document.querySelectorAll('#rows tr')].map(r => Number(r.dataset.number))"
    page.keyboard.press("s")
    page.locator("#sort").select_option("-peak_force")
    assert page.evaluate(numbers) == list(range(EVENTS, 0, -1))
    page.locator("#force").fill("50")
    assert page.evaluate(numbers) == [50, 49, 48, 47, 46]
    page.locator("#label").select_option("-")
    assert page.evaluate(numbers) == [50, 49, 48]
    page.locator("#score").fill("50")
    page.keyboard.press("Escape")
    assert page.evaluate(numbers) == [50]
    titled(page, "Event 50,")
    page.locator("#score").fill("")
    page.locator("#force").fill("")
    page.locator("#label").select_option("")
    page.locator("#from").fill("2023-11-14T22:13:22")
    page.locator("#to").fill("2023-11-14T22:13:24")
    assert page.evaluate(numbers) == [5, 4, 3]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_runs_over_and_nothing_is_empty(page, width: int, scheme: str) -> None:
    check_size(page, width, scheme)


def test_paper_is_light_and_holds_every_plot(page) -> None:
    check_paper(page, ".names")


def test_another_event_leaves_nothing_of_the_last_one(page) -> None:
    """Opened one after the other, each has its own plots, and the view is its whole."""
    page.keyboard.press("+")
    before = page.evaluate("plots.view")
    for _ in range(3):
        page.keyboard.press("j")
    page.wait_for_function("() => plots && document.querySelectorAll('.panel canvas').length == 5")
    assert page.evaluate("plots.view") != before
    assert page.evaluate("plots.view") == page.evaluate("plots.whole")


def test_without_the_token_nothing_is_said(filled: Path, chromium) -> None:
    with serving(ReviewServer(filled)) as server:
        page = chromium.new_page()
        page.goto(server.url.partition("#")[0])
        page.wait_for_function("() => document.querySelector('#status').classList.contains('bad')")
        assert page.locator("#rows tr").count() == 0


def test_pixels_are_those_of_the_camera(page) -> None:
    page.evaluate("location.reload()")
    page.wait_for_selector(".panel canvas")
    page.wait_for_function("() => document.images[0]?.naturalWidth == 4")
    pixel = page.evaluate(
        """() => { const c = document.createElement('canvas'); c.width = 4; c.height = 3;
        const g = c.getContext('2d'); g.drawImage(document.images[0], 0, 0);
        return [...g.getImageData(0, 0, 1, 1).data].slice(0, 3); }"""
    )
    np.testing.assert_allclose(pixel, (30, 20, 10), atol=1)
