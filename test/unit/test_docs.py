"""The pages name files that are there, and the folders in the order that the layers have."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
PACKAGE = "tao_lora_ros"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
NAMES = re.compile(r"[\w/.]+\.(?:py|md|rst|msg|yaml|json|xml|txt|rviz)")


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    lines = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_the_files_of_the_architecture_are_there() -> None:
    named = re.findall(r"`([^`\s]+)`", ARCHITECTURE.read_text())
    named += re.findall(r"\[[^\]]*?([\w/]+\.py)\]", ARCHITECTURE.read_text())
    files = {name for name in named if NAMES.fullmatch(name)}
    assert len(files) > 50
    missing = [
        file for file in files if not any((ROOT / base / file).exists() for base in ("", PACKAGE))
    ]
    assert missing == []


def test_the_folders_of_the_architecture_are_the_layers() -> None:
    layers = runpy.run_path(str(ROOT / "test" / "unit" / "test_layering.py"))["LAYERS"]
    named = re.findall(r"^\| `(\w+)` \|", ARCHITECTURE.read_text(), re.MULTILINE)
    assert named == layers
