"""`tao-lora` as a test calls it, its options by name: `out=folder`, `runs=2`, `force=True`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tao_lora_ros.cli.main import main


def tao_lora(*words: object, **options: object) -> int:
    """The exit status of a command; `from_` and the like have no underscore at their end."""
    return main([*map(str, words), *_words(options)])


def json_of(*words: object, status: int = 0, **options: object) -> Any:
    """What a command that ends so writes with `--json`."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        assert tao_lora(*words, json=file, **options) == status
        return json.loads(file.read_text())


def complaint(capsys: pytest.CaptureFixture[str], *words: object, **options: object) -> str:
    """The one line that a command says before it gives up."""
    capsys.readouterr()
    assert tao_lora(*words, **options) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("tao-lora: error: ")
    return err.removeprefix("tao-lora: error: ").rstrip("\n")


def _words(options: dict[str, object]) -> Iterator[str]:
    for name, value in options.items():
        yield f"--{name.strip('_').replace('_', '-')}"
        if value is not True:
            yield from map(str, value if isinstance(value, list) else [value])
