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


@pytest.mark.slow
def test_base_fits_an_orin() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    command = [sys.executable, str(COMPILE), "87", "2", "4"]
    lines = subprocess.check_output(command, text=True, env=environment).splitlines()
    assert [json.loads(line)["splits"] for line in lines] == [2, 4]
    for found in map(json.loads, lines):
        assert found["shared"] <= ORIN_SHARED, found
        assert found["stack"] == 0, found
        assert found["tensor_core"] > 0, found
