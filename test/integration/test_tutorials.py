"""The commands of README and of the tutorials, run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
FIRST = TUTORIALS / "own_arm.md"  # it makes the recordings that the others go on with
README = ROOT / "README.md"
OTHERS = [README, *sorted(set(TUTORIALS.glob("*.md")) - {FIRST})]
FENCE = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>\S*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

pytestmark = pytest.mark.slow


def run(page: Path, folder: Path) -> None:
    """Run the blocks of a page in turn, but those that say why they are not run."""
    # What the commands do is covered by their own tests; to count it again takes twice the time.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")} | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "NUMBA_CACHE_DIR": str(Path.home() / ".cache" / "tao_lora_ros"),  # as `make build` left it
        "OMP_NUM_THREADS": "1",
    }
    for block in FENCE.finditer(page.read_text()):
        assert block["language"], f"{page.name}: a fence without a language:\n{block['text']}"
        if block["language"] != "bash" or block["reason"]:
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block["text"]],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        said = f"{page.name}:\n{block['text']}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert done.returncode == 0, said


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first tutorial has been followed."""
    pytest.importorskip("mujoco")
    folder = tmp_path_factory.mktemp("tutorials")
    run(FIRST, folder)
    return folder


def test_the_first_tutorial_finds_events(folder: Path) -> None:
    assert len([*(folder / "found" / "events").iterdir()]) > 5


@pytest.fixture(scope="module")
def others(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Path, Future]]:
    """The pages that go on where the first one ended, two at a time: none needs another."""
    apart = tmp_path_factory.mktemp("readme")
    for bag in ("steady", "work"):
        shutil.copytree(folder / bag, apart / bag)
    with ThreadPoolExecutor(2) as pool:
        yield {page: pool.submit(run, page, apart if page == README else folder) for page in OTHERS}


@pytest.mark.parametrize("page", OTHERS, ids=lambda page: page.stem)
def test_the_page_runs(page: Path, others: dict[Path, Future]) -> None:
    others[page].result()
