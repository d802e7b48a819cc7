"""`make pictures`: the pictures of README and docs, by a headless Chromium, of this version.

They show the KUKA recording (docs/benchmarks.md), which is looked for in `$TAO_LORA_DATA` or
`../shared/data`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
DATA = Path(os.environ.get("TAO_LORA_DATA", ROOT.parent / "shared" / "data")) / "kuka_ft_imu"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REPORT, PLOT = "report.html", "fit.html"
WIDTH = 1200  # CSS pixels
SETTLE_MS = 1500  # until what a page draws is drawn


def tao_lora(*words: str | Path) -> list[str]:
    """The command line of a command of ours."""
    return [str(Path(sys.executable).parent / "tao-lora"), *map(str, words)]


def chromium() -> str:
    """The browser of this machine."""
    if program := next(filter(None, map(shutil.which, BROWSERS)), None):
        return program
    sys.exit(f"no browser here: none of {', '.join(BROWSERS)}")


def take(browser: Any, address: str, picture: str, height: int) -> None:
    """Write the top of a page as `docs/PICTURE`."""
    page = browser.new_page(viewport={"width": WIDTH, "height": height}, color_scheme="light")
    page.goto(address)
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=DOCS / picture)
    page.close()
    print(DOCS / picture)


def main() -> None:
    """Calibrate, replay, and take the pages."""
    program = chromium()
    if not DATA.is_dir():
        sys.exit(f"no recordings: {DATA} does not exist; set TAO_LORA_DATA")
    with TemporaryDirectory() as folder, sync_playwright() as driver:
        steady, tapped = (DATA / f"ros2bag_{name}" for name in ("1-baseline", "2-vibrations"))
        os.chdir(folder)
        subprocess.check_call(tao_lora("calibrate", steady, "--out", "model", "--plot", PLOT))
        kept = ("--report", REPORT, "--store", "found")
        subprocess.check_call(tao_lora("replay", tapped, "--model", "model", *kept))
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        take(browser, Path(REPORT).absolute().as_uri(), "report.png", 1000)
        take(browser, Path(PLOT).absolute().as_uri(), "calibration.png", 560)
        command = tao_lora("review", "--store", "found")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as review:
            assert review.stdout is not None
            take(browser, review.stdout.readline().strip(), "review.png", 760)
            review.terminate()
        browser.close()


if __name__ == "__main__":
    main()
