"""Every line that the troubleshooting page explains is one that the code says."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
# A line that holds a backtick stands within two.
LINES = [
    two or one
    for two, one in re.findall(r"^\| (?:``(.+?)``|`([^`]+)`) \|", PAGE.read_text(), re.MULTILINE)
]
LEAST = 10  # characters of a string that are its own, not what is put in
LEAST_SHARE = 0.3  # of a line that is the code's own


@cache
def texts() -> list[tuple[int, re.Pattern[str]]]:
    """The package's strings: how many characters are their own, and what matches them filled in."""
    found = []
    for file in (ROOT / "tao_lora_ros").rglob("*.py"):
        nodes = [*ast.walk(ast.parse(file.read_text()))]
        pieces = {p for node in nodes if isinstance(node, ast.JoinedStr) for p in node.values}
        for node in nodes:
            if node in pieces:
                continue
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "%s" for p in node.values]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts = [re.sub(r"\{\w+\}", "%s", node.value)]  # what `format` fills in
            else:
                continue
            own = "".join(parts).split("%s")
            if len("".join(own)) >= LEAST:
                found.append((len("".join(own)), re.compile(".*?".join(map(re.escape, own)))))
    return found


def is_said(line: str) -> bool:
    """Whether one of the strings, filled in, is in the line, and makes up enough of it."""
    return any(own >= LEAST_SHARE * len(line) and text.search(line) for own, text in texts())


@pytest.mark.parametrize("line", LINES)
def test_the_code_says_the_line(line: str) -> None:
    assert is_said(line)


def test_a_line_that_nothing_says_is_found() -> None:
    assert len(LINES) == PAGE.read_text().count("\n| `") > 40
    assert not is_said("the flux capacitor of imu is at 88, expected")
