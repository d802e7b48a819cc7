"""The pages name files that are there, and the folders in the order that the layers have."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import yaml

from tao_lora_ros.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(DOCS.glob("*.md")),
    *sorted(DOCS.glob("tutorials/*.md")),
]
WRITTEN = {"project", "reference"}  # folders that `make docs` fills
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
    named += re.findall(r"[\w/]+\.py", (DOCS / "pipeline.svg").read_text())
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


def blocks(page: Path) -> list[str]:
    """The lines of a page's fenced blocks."""
    fences = re.findall(r"^```(?:bash)?\n(.*?)^```", page.read_text(), re.M | re.S)
    return "\n".join(fences).splitlines()


def test_every_page_is_in_the_contents() -> None:
    listed = re.findall(r"^[\w/]+$", (DOCS / "index.md").read_text(), re.MULTILINE)
    kept = {name for name in listed if name.split("/")[0] not in WRITTEN}
    there = {str(page.relative_to(DOCS).with_suffix("")) for page in PAGES if DOCS in page.parents}
    assert kept == there - {"index"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_pages_exist(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in blocks(page):
        words = line.partition("#")[0].replace("OMP_NUM_THREADS=1 ", "").split()
        if words[:1] == ["make"]:
            assert next(word for word in words[1:] if "=" not in word) in targets, line
        elif words[:1] == ["tao-lora"]:
            with pytest.raises(SystemExit) as ended:
                main([words[1], "--help"])
            assert ended.value.code == 0, line


def test_the_workflow_calls_targets_that_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    runs = [step["run"].split() for job in jobs.values() for step in job["steps"] if "run" in step]
    called = {words[-1] for words in runs if words[0] == "make"}
    assert called == {"audit", "docs", "lint", "test"} <= targets
