"""Pages that are served, and a real browser without a window, where this machine has one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium, driven by playwright; without either the test is skipped."""
    api = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser here: none of {', '.join(NAMES)}")
    with api.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    """A server of pages while it serves."""
    with server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@contextmanager
def faultless(page: Any) -> Iterator[Any]:
    """A page whose scripts raise nothing and log no error within."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    yield page
    assert problems == []


def check_size(page: Any, width: int, scheme: str) -> None:
    """At this width and in this scheme no part runs over, no plot is empty, the paper is right."""
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)
    # Laid out anew, and seen by the page's observer of sizes, which is told between two frames.
    page.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
    page.wait_for_function("() => plots && plots.width === plots.place.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    over = "[...document.querySelectorAll('main *')].filter(e => e.getClientRects().length && "
    over += f"e.getBoundingClientRect().right > {width + 1}).map(e => e.outerHTML.slice(0, 80))"
    assert page.evaluate(over) == []
    assert min(_colors(page)) > 20
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(245, 247, 250)", "dark": "rgb(18, 22, 28)"}[scheme]


def check_paper(page: Any, hidden: str) -> None:
    """From a dark screen it prints light, every plot fits, and what is `hidden` is not there."""
    page.emulate_media(color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("plots.panels.every(p => p.plot && p.plot.width <= 700)")
    assert min(_colors(page)) > 20
    assert not page.locator(hidden).is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen", color_scheme="light")


def _colors(page: Any) -> list[int]:
    """How many colours each canvas of a signal has: an empty one has its paper and grid alone."""
    return page.evaluate(
        """() => { plots.redraw(true);
        const colors = canvas => {
          const {width, height} = canvas, g = canvas.getContext('2d');
          return new Set(new Uint32Array(g.getImageData(0, 0, width, height).data.buffer)).size;
        };
        return [...document.querySelectorAll('.panel canvas')].map(colors); }"""
    )
