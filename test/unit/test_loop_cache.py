"""Compiled loops from the disk: loaded without numba's own, and still there to be compiled into."""

import os
import subprocess
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numba
import numpy as np
import pytest

from tao_lora_ros.hardware.memory import clean_pages, give_back
from tao_lora_ros.signal.compiled import _folder, compiled
from tao_lora_ros.signal.loop_cache import NotKept, kept_alone

LOOPS = """
import numpy as np
from tao_lora_ros.signal.compiled import _folder, compiled
from tao_lora_ros.signal.loop_cache import NotKept, kept_alone

@compiled
def inner(values):
    if len(values) == 0:
        raise ValueError("nothing")
    return max(np.sort(values)[0], 0.0)

@compiled
def outer(values):
    return inner(values) + 1.0
"""
ELSEWHERE = """
import sys
import numpy as np
import loops
print(loops.outer(np.array([3.0, 2.0])), sum(loops.outer.stats.cache_hits.values()))
try:
    loops.outer(np.zeros(0))
except ValueError as error:
    print(error)
print({"numba.np.arraymath", "scipy.linalg"} & set(sys.modules))
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    file = tmp_path / "loops.py"
    file.write_text(LOOPS)
    return file


def loaded(file: Path) -> ModuleType:
    spec = spec_from_file_location("loops", file)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_loops_load_alone_and_others_are_compiled_of_them(file: Path) -> None:
    values = np.array([3.0, 2.0])
    assert loaded(file).inner(values) == 2.0
    again = loaded(file)
    assert (again.inner(values), sum(again.inner.stats.cache_hits.values())) == (2.0, 1)
    assert again.outer(values) == 3.0  # compiled with what was loaded
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], cwd=file.parent, capture_output=True, text=True
    )
    assert done.stdout.split("\n") == ["3.0 1", "nothing", "set()", ""], done.stderr


def test_another_clone_finds_what_was_compiled(file: Path, tmp_path: Path) -> None:
    values = np.array([3.0, 2.0])
    for clone in ("a", "b"):
        (tmp_path / clone / "signal").mkdir(parents=True)
        (tmp_path / clone / "signal" / "loops.py").write_text(LOOPS)
    loaded(tmp_path / "a" / "signal" / "loops.py").inner(values)
    again = loaded(tmp_path / "b" / "signal" / "loops.py")
    assert (again.inner(values), sum(again.inner.stats.cache_hits.values())) == (2.0, 1)


def test_another_content_is_compiled_anew(file: Path) -> None:
    values = np.array([3.0, 2.0])
    loaded(file).inner(values)
    other = file.parent / "other" / file.parent.name / file.name
    other.parent.mkdir(parents=True)
    other.write_text(LOOPS.replace("0.0)", "7.0)"))
    assert loaded(other).inner(values) == 7.0


def test_what_is_not_kept_is_not_compiled_where_only_kept_loops_are_wanted(file: Path) -> None:
    values = np.array([3.0, 2.0])
    with kept_alone(), pytest.raises(NotKept, match="inner"):
        loaded(file).inner(values)
    assert loaded(file).inner(values) == 2.0
    with kept_alone():
        assert loaded(file).inner(values) == 2.0


def test_the_compiler_sleeps_and_wakes() -> None:
    @compiled
    def twice(value):
        return 2 * value

    def resident_kib() -> int:
        begins = {f"{begin:x}" for begin, _ in clean_pages("/libllvmlite.so")}
        total, ours = 0, False
        for line in Path("/proc/self/smaps").read_text().splitlines():
            name, *rest = line.split()
            if not name.endswith(":"):
                ours = name.split("-")[0] in begins
            elif ours and name == "Rss:":
                total += int(rest[0])
        return total

    assert twice(2) == 4
    before = resident_kib()
    give_back()
    assert resident_kib() < before / 10
    assert twice(2.5) == 5.0  # compiled for another type


def test_loops_that_nobody_uses_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    own = _folder.__wrapped__("")
    month_ago = time.time() - 31 * 86_400
    for name, used in (
        (own.name, month_ago),
        ("0123456789abcdef", month_ago),
        ("fedcba9876543210", time.time()),
        ("notes", month_ago),
    ):
        (own.parent / name / "signal").mkdir(parents=True)
        os.utime(own.parent / name, (used, used))
    assert _folder.__wrapped__("") == own
    assert {path.name for path in own.parent.iterdir()} == {own.name, "fedcba9876543210", "notes"}
    assert own.stat().st_mtime > month_ago + 86_400
