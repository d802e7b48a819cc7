"""Bytes that one steady inference reads from a GPU's memory, by its counters, caches empty before.

Ours and torch.compile in FP16, on both reference models; needs Nsight Compute's `ncu`:

    PYTHONPATH=test python test/benchmark/bytes_moved.py
"""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable

import torch

from benchmark.gpu_peers import torch_compiled
from tao_lora_ros.benchmarks.model_bytes import CONFIGS
from tao_lora_ros.benchmarks.reference import reference
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.runtime.gpu import GpuRuntime

METRIC = "dram__bytes_read.sum"
NCU = ["ncu", "--profile-from-start", "off", "--clock-control", "none", "--csv"]
NCU += ["--print-units", "base", "--metrics", METRIC]


def ours(name: str) -> Callable[[], object]:
    """The first launch of our runtime, which is a steady one."""
    model = network_of(reference(name).dual)
    return lambda: GpuRuntime(model)


def compiled(name: str) -> Callable[[], object]:
    """One call of what Inductor makes."""
    work, on_device = torch_compiled(reference(name), 1).kept

    @torch.inference_mode()
    def call() -> None:
        work(on_device)

    return call


SUBJECTS = {"tao-lora": ours, "torch-compile-fp16": compiled}
KERNELS = {"tao-lora": ["--kernel-name", "fused_mixer", "--launch-count", "1"]}


def main() -> None:
    """Print a line of each model and subject; called with both names: be what is measured."""
    if len(sys.argv) == 3:
        call = SUBJECTS[sys.argv[1]](sys.argv[2])
        torch.cuda.profiler.start()
        call()
        torch.cuda.synchronize()
        torch.cuda.profiler.stop()
        return
    for name in CONFIGS:
        read = {subject: bytes_read(subject, name) for subject in SUBJECTS}
        for subject, count in read.items():
            share = count / read["torch-compile-fp16"]
            print(f"{name} {subject}: {count:,.0f} bytes read, {share:.1%} of FP16's", flush=True)


def bytes_read(subject: str, name: str) -> float:
    """Of all kernels of a call together."""
    command = [*NCU, *KERNELS.get(subject, []), sys.executable, __file__, subject, name]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = csv.DictReader(line for line in text.splitlines() if line.startswith('"'))
    values = [float(row["Metric Value"].replace(",", "")) for row in rows]
    assert values, text
    return sum(values)


if __name__ == "__main__":
    main()
