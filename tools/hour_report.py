"""The report of an hour at 1 kHz + 1 kHz: how large it is, how soon it opens, what is reached.

`hour_report.py FILE` opens a report that is there; without one it makes an hour of simulated motion
(five minutes, twelve times over), replays it, says what that took, and opens its report.
"""

from __future__ import annotations

import csv
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from make_pictures import chromium, tao_lora
from playwright.sync_api import sync_playwright

from tao_lora_ros.bags.writer import SourceRecording, write_parts
from tao_lora_ros.simulation.recording import SimulationConfig, simulate

PART_S, PARTS = 300, 12
DRAWN = "() => document.querySelectorAll('.panel canvas').length > 2"
SEEN = "current.number + ':' + (plots.view[0] < current.from && current.from < plots.view[1])"
LISTED = "[...document.querySelectorAll('#rows tr')].map(row => row.dataset.number)"


def make_bag(bag: Path) -> None:
    """An hour, with its contacts beside it."""
    part = simulate(SimulationConfig(PART_S, seed=42, imu_rate_hz=1000.0))
    write_parts(_repeated((part.imu, part.wrench)), bag)
    with bag.with_name(f"{bag.name}.labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("start_s", "end_s", "label"))
        for begin in range(0, PART_S * PARTS, PART_S):
            for contact in part.contacts:
                writer.writerow((begin + contact.start_s, begin + contact.end_s, contact.label))


def _repeated(sources: Sequence[SourceRecording]) -> Iterator[list[SourceRecording]]:
    for part in range(PARTS):
        later_ns = part * PART_S * 10**9
        yield [replace(source, stamps_ns=source.stamps_ns + later_ns) for source in sources]


def look(page: Any, file: Path) -> None:
    """Open a report; print its size, how long it took, and which events keys and table reach."""
    begin = time.perf_counter()
    page.goto(file.absolute().as_uri())
    page.wait_for_function(DRAWN)
    print(f"{file.stat().st_size / 1e6:.1f} MB, drawn after {time.perf_counter() - begin:.2f} s")
    count, by_key, by_table = page.evaluate("run.events.length"), set(), set()
    for _ in range(count):
        page.keyboard.press("j")
        by_key.add(page.evaluate(SEEN))
    shown = sum(found.endswith("true") for found in by_key)
    page.keyboard.press("0")
    while page.locator("#earlier").is_visible() and page.locator("#earlier").is_enabled():
        page.locator("#earlier").click()
    while True:
        by_table |= set(page.evaluate(LISTED))
        if not page.locator("#later").is_enabled() or page.locator("#later").is_hidden():
            break
        page.locator("#later").click()
    print(f"{count} events: {shown} shown by key j, {len(by_table)} in the table")
    print(page.inner_text("#samples"))


def main() -> None:
    """Make the report where none is given, then look at it."""
    with TemporaryDirectory() as folder, sync_playwright() as driver:
        bag, file = Path(folder) / "hour", Path(folder) / "hour.html"
        if sys.argv[1:]:
            file = Path(sys.argv[1])
        else:
            make_bag(bag)
            subprocess.check_call(tao_lora("replay", bag, "--report", file), stdout=sys.stderr)
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            took_s, most = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
            print(f"replay: {took_s:.0f} s of processor time, at most {most:.0f} MiB")
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        look(browser.new_page(viewport={"width": 1280, "height": 900}), file)
        browser.close()


if __name__ == "__main__":
    main()
