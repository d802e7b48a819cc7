"""The latency and memory benchmarks, small, on the CPU; the roofline; the doctor."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import tao_lora
from torch import nn

from benchmark.cpu_peers import CPU_PEERS
from benchmark.gpu_peers import _int4
from tao_lora_ros.benchmarks import latency
from tao_lora_ros.benchmarks.device_times import device_times
from tao_lora_ros.benchmarks.latency import LOOP, Size, bench_latency
from tao_lora_ros.benchmarks.memory import bench_memory, resident_bytes
from tao_lora_ros.benchmarks.model_bytes import CONFIGS, branch_bytes, fp16_bytes, steady_bytes
from tao_lora_ros.benchmarks.reference import reference, windows
from tao_lora_ros.benchmarks.results import OURS, STAYS, read_results
from tao_lora_ros.benchmarks.roofline import ORIN_NANO, multiplications, roofline
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.runtime.gpu import GpuRuntime


def test_latency_of_all_cases() -> None:
    said: list[str] = []
    size = Size(("base",), (1, 2), 20, 0.1, 10)
    only = [OURS, LOOP, "torch-eager-fp32"]
    rows = bench_latency(size, "cpu", only, said.append, CPU_PEERS)
    cases = {f"cpu-base-b{b}-{p}" for b in (1, 2) for p in ("steady", "transient", "alternating")}
    cases |= {f"cpu-base-b1-steady-every-{pace}" for pace in ("1ms", "10ms", "100ms", "10ms-busy")}
    assert {row.case for row in rows} == cases
    assert {row.subject for row in rows} == {OURS, LOOP, "torch-eager-fp32"}
    for row in rows:
        assert (row.value > 0) == (row.metric == "p50_us")
        assert math.isnan(row.value) == (row.metric != "p50_us")  # of 20 calls no 99th percentile


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_profiler_without_a_gpu_is_told() -> None:
    with pytest.raises(RuntimeError, match="sees no GPU here"):
        device_times(lambda i: i, 3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_what_stays_on_a_gpu_is_what_was_computed() -> None:
    networks = {name: network_of(reference(name).dual) for name in CONFIGS}
    GpuRuntime(networks["base"])  # what all share
    for name, network in networks.items():
        before = torch.cuda.memory_allocated()
        runtime = GpuRuntime(network)
        used = torch.cuda.memory_allocated() - before
        assert 0 <= used - resident_bytes(name)[OURS] < 8 * 512  # each is rounded up
        del runtime


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_every_launch_is_timed_on_the_gpu() -> None:
    runtime, inputs = GpuRuntime(network_of(reference("base").dual)), windows(1, 0)[0]
    times = device_times(lambda i: runtime.infer(inputs, Route.STEADY), 20)
    assert len(times) == 20
    assert min(times) > 1000  # ns


def test_a_peer_that_cannot_be_built_is_named_and_left_out() -> None:
    def broken(model, batch):
        raise ImportError("no such library")

    said: list[str] = []
    assert latency._built({"broken": broken}, reference("base"), 1, said.append) == {}
    assert said == ["broken: not measured: ImportError: no such library"]


@pytest.mark.parametrize(
    ("peer", "needs", "tolerance"),
    [
        ("torch-eager-fp32", "torch", 1e-6),
        ("onnxruntime-fp32", "onnxscript", 1e-5),
    ],
)
def test_peers_compute_the_model(peer: str, needs: str, tolerance: float) -> None:
    pytest.importorskip(needs)
    model, inputs = reference("base"), windows(2, 5)
    call = CPU_PEERS[peer](model, 2)
    got = call(inputs, np.zeros(2, np.int32))
    logits = got[0] if isinstance(got, list) else got
    with torch.inference_mode():
        expected = model.full(torch.from_numpy(inputs), Route.STEADY)[0].numpy()
    assert np.abs(logits - expected).max() < tolerance * np.abs(expected).max()


def test_the_codes_of_the_4_bit_libraries() -> None:
    weight = torch.randn(16, 128, generator=torch.Generator().manual_seed(0))
    codes, scales = _int4(weight)
    assert (codes.dtype, codes.shape, scales.shape) == (torch.uint8, (16, 128), (16, 2))
    restored = (codes.float() - 8) * scales.repeat_interleave(64, dim=1)
    assert ((restored - weight).abs() <= 0.501 * scales.repeat_interleave(64, dim=1)).all()


def test_memory_targets() -> None:
    shares = {
        (row.case, row.metric): row.value
        for row in bench_memory()
        if row.subject == OURS and row.metric.endswith("fp16")
    }
    assert shares["base", "steady_share_of_fp16"] <= 0.33
    assert shares["large", "steady_share_of_fp16"] <= 0.32
    assert shares["base", "total_share_of_fp16"] <= 0.41
    assert shares["large", "total_share_of_fp16"] <= 0.36
    assert shares["large", "resident_share_of_fp16"] <= 0.45
    assert resident_bytes("base")[STAYS] <= 0.45 * fp16_bytes(CONFIGS["base"])


def test_bytes_are_those_of_the_tensors() -> None:
    model = Mixer(CONFIGS["base"], quantized=True)
    total = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    assert steady_bytes(model.config) + branch_bytes(model.config) == total
    config = model.config
    per_block = 2 * config.rank * 2 * (config.width + config.width * config.expansion)
    assert branch_bytes(config) == config.blocks * per_block
    full = Mixer(CONFIGS["base"]).state_dict().values()
    assert fp16_bytes(CONFIGS["base"]) == 2 * sum(t.numel() for t in full)


def test_multiplications_are_those_of_the_spectrum_and_the_linear_layers() -> None:
    model = Mixer(CONFIGS["base"])
    counted = 0

    def count(layer: nn.Linear, arguments: tuple, output: torch.Tensor) -> None:
        nonlocal counted
        counted += output.numel() * layer.in_features

    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_hook(count)
    model(torch.zeros(1, model.config.window, model.config.channels), Route.STEADY)
    spectrum = 2 * model.config.segment * model.config.window * model.config.channels
    assert multiplications(model.config, 0) == counted + spectrum


def test_roofline_has_a_row_a_case() -> None:
    assert roofline(ORIN_NANO).count("\n| base | ") == 6


def test_bench_memory_writes_its_file(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert tao_lora("bench", "memory", json=tmp_path / "memory.json") == 0
    assert {row.case for row in read_results(tmp_path / "memory.json")} == {"base", "large"}
    assert "steady_share_of_fp16" in capsys.readouterr().out


def test_doctor(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    store = tmp_path / "not" / "yet"
    assert tao_lora("doctor", backend="cpu", store=store) == 0
    out = capsys.readouterr().out
    for words in ("backend is set to cpu", "torch", str(store), "what to change", "arm_base"):
        assert words in out
