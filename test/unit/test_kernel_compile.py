"""The fused kernel for a Jetson Orin (sm_87), compiled without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMPILE = Path(__file__).resolve().parents[1] / "compile_kernels.py"
ORIN_SHARED = 163 << 10  # bytes that a block may take
# Bytes a thread may spill. Triton 3.9.0 spills none; 3.7.1, which PyPI's torch 2.13.0 asks for,
# spills four registers of the large model. Of the 255 registers a thread has, eight are little.
SPILLED = 32


@pytest.mark.slow
@pytest.mark.parametrize(("model", "splits"), [("base", [2, 4]), ("large", [8])])
def test_a_program_fits_an_orin(model: str, splits: list[int]) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    command = [sys.executable, str(COMPILE), "87", model, *map(str, splits)]
    lines = subprocess.check_output(command, text=True, env=environment).splitlines()
    assert [json.loads(line)["splits"] for line in lines] == splits
    for found in map(json.loads, lines):
        assert found["shared"] <= ORIN_SHARED, found
        assert found["stack"] <= SPILLED, found
        assert found["tensor_core"] > 0, found
