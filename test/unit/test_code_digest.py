"""What caches know their code by: it follows the sources, and a renamed folder is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from tao_lora_ros.signal.code_digest import COMPILED, PACKAGE, ROWS, digest


def test_all_compiled_functions_are_covered() -> None:
    covered = {file for place in COMPILED for file in ((PACKAGE / place).rglob("*.py"))}
    covered |= {PACKAGE / place for place in COMPILED}
    compiling = {file for file in PACKAGE.rglob("*.py") if "\n@compiled" in file.read_text()}
    assert compiling
    assert compiling <= covered


def test_every_place_is_there() -> None:
    assert digest(COMPILED) != digest(ROWS)


@pytest.mark.parametrize("place", ["gone", "empty", "gone.py"])
def test_a_place_without_sources_is_an_error(place: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=rf"{place}: no sources here"):
        digest((place,), tmp_path)


def test_contents_and_names_count(tmp_path: Path) -> None:
    (tmp_path / "signal").mkdir()
    file = tmp_path / "signal" / "a.py"
    seen = set()
    for text in ("one", "two"):
        file.write_text(text)
        seen.add(digest(("signal",), tmp_path))
    file.rename(file.with_name("b.py"))
    seen.add(digest(("signal",), tmp_path))
    assert len(seen) == 3
