"""Another process that keeps a GPU, or every core, busy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_GPU = """
import torch
a = torch.randn(4096, 4096, device="cuda", dtype=torch.float16)
print("busy", flush=True)
while True:
    for _ in range(8):
        a @ a
    torch.cuda.synchronize()
"""
_CORE = """
print("busy", flush=True)
while True:
    pass
"""


@contextmanager
def busy_neighbour(device: str) -> Iterator[None]:
    """Matrix products on `cuda`; on `cpu` a loop for every core. They end with the context."""
    code, count = (_GPU, 1) if device == "cuda" else (_CORE, os.cpu_count() or 1)
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        for process in processes:
            assert process.stdout
            process.stdout.readline()
        yield
    finally:
        for process in processes:
            process.kill()
            process.communicate()
