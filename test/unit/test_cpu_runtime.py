"""The compiled forward pass against the mixer in torch, and its parts against numpy."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models import SMALL, full_precision, quantized, windows

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.runtime import cpu_math
from tao_lora_ros.runtime.cpu import CpuRuntime
from tao_lora_ros.runtime.cpu_product import COLUMNS, multiply, panels
from tao_lora_ros.runtime.cpu_stages import normalize, round_pairs, round_rows
from tao_lora_ros.runtime.runtime import Output

# Steady: sums are exact, so what differs is a code whose value lies within float32's error of
# the middle between two. Transient: int16 of a row's own scale here, FP16 there.
TOLERANCE = {Route.STEADY: 2e-3, Route.TRANSIENT: 2e-3}
F32 = np.float32


def poisoned(config: MixerConfig, count: int = 6) -> torch.Tensor:
    """Windows of all sizes, with gaps, and channels without a value."""
    sizes = torch.tensor([1.0, 0.1, 3.0, 10.0, 30.0, 100.0])[:count, None, None]
    inputs = windows(seed=3, count=count, config=config) * sizes
    inputs[1, 5:20, 2] = torch.nan
    inputs[2, :, 0] = torch.nan
    inputs[3, 1:] = torch.nan
    return inputs


def deviation(model: Mixer, inputs: torch.Tensor, path: Route) -> list[float]:
    """Of every output from the reference, over its largest value (0.3 at the least)."""
    runtime = CpuRuntime(network_of(model))
    outputs = runtime.infer_batch(inputs.numpy(), np.full(len(inputs), path, np.int32))
    with torch.inference_mode():
        logits, forecast = model(inputs, path)
        level = model.level(inputs)[:, 0]
    found = []
    for i, output in enumerate(map(Output._make, zip(*outputs, strict=True))):
        expected = [forecast[i], level[i]] + ([] if logits is None else [logits[i]])
        got = [output.forecast, output.level] + ([] if logits is None else [output.logits])
        for reference, value in zip(expected, got, strict=True):
            assert value.shape == tuple(reference.shape)
            error = np.abs(value - reference.numpy()).max()
            found.append(float(error / reference.abs().max().clamp_min(0.3)))
    return found


@pytest.mark.parametrize("path", list(Route))
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"rank": 0},
        {"rank": 5},
        {"rank": 16},
        {"classes": 0},
        {"classes": 1, "channels": 3, "horizon": 1},
        {"window": 24, "patch": 8},  # an odd number of tokens
        {"window": 35, "patch": 5, "channels": 7, "width": 34},  # nothing fits a register
        {"blocks": 1, "expansion": 3, "width": 96},
        {"segment": 16},
        {"absolute": True},
        {"segment": 10, "window": 40, "channels": 7, "classes": 0},
    ],
    ids=str,
)
def test_every_shape_agrees_with_the_reference(change: dict, path: Route) -> None:
    config = replace(SMALL, **change)
    model = quantized(full_precision(config, seed=1), windows(config=config))
    assert max(deviation(model, poisoned(config), path)) < TOLERANCE[path]


def test_most_steady_windows_agree_to_rounding() -> None:
    model = quantized(full_precision(seed=2), windows())
    assert np.median(deviation(model, windows(seed=9, count=32), Route.STEADY)) < 1e-5


def test_a_window_gives_the_same_alone_and_in_a_batch() -> None:
    model = quantized(full_precision(), windows())
    runtime = CpuRuntime(network_of(model))
    inputs = windows(seed=4, count=3).numpy()
    paths = np.array([0, 1, 0], np.int32)
    batch = zip(*runtime.infer_batch(inputs, paths), strict=True)
    for window, path, together in zip(inputs, paths, batch, strict=True):
        alone = runtime.infer(window, Route(path))
        assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_who_compiles_and_who_loads_from_the_cache_get_the_same_bits(tmp_path: Path) -> None:
    script = (
        "from models import full_precision, network_of, quantized, windows\n"
        "from tao_lora_ros.runtime import cpu, cpu_forward\n"
        "from tao_lora_ros.messages.route import Route\n"
        "runtime = cpu.CpuRuntime(network_of(quantized(full_precision(), windows())))\n"
        "print(len(cpu_forward.forward.stats.cache_misses))\n"
        "for path in Route:\n"
        "    for window in windows(seed=9).numpy():\n"
        "        for part in runtime.infer(window, path):\n"
        "            print(part.tobytes().hex())\n"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": path}
    compiled, loaded = (
        subprocess.check_output([sys.executable, "-c", script], env=env, text=True).split("\n", 1)
        for _ in range(2)
    )
    assert (compiled[0], loaded[0]) == ("1", "0")
    assert compiled[1] == loaded[1]


def test_a_window_of_another_shape_is_refused_by_name() -> None:
    runtime = CpuRuntime(network_of(quantized(full_precision(), windows())))
    with pytest.raises(ValueError, match=r"window of shape \(31, 12\).*\(32, 12\)"):
        runtime.infer(np.zeros((31, 12), np.float32), Route.STEADY)
    with pytest.raises(ValueError, match="float64"):
        runtime.infer(np.zeros((32, 12)), Route.STEADY)


def test_a_model_that_is_not_quantised_is_refused() -> None:
    with pytest.raises(TypeError, match="quantised"):
        network_of(full_precision())


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 21), st.integers(1, 70), st.integers(1, 2 * COLUMNS + 5), st.integers(0, 2**32)
)
def test_products_are_exact(m: int, k: int, n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a = np.zeros((m, k + k % 2), np.int16)
    a[:, :k] = random.integers(-32767, 32768, (m, k))
    b = random.integers(-128, 128, (k, n))
    sums = np.empty((m, -(-n // COLUMNS) * COLUMNS), np.int32)
    multiply(a, panels(b), sums)
    assert np.array_equal(sums[:, :n], a[:, :k].astype(np.int64) @ b)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="features of x86")
@pytest.mark.parametrize(("features", "lanes"), [("+avx2,+fma", 8), ("", 4)], ids=["avx2", "plain"])
def test_products_are_exact_on_lesser_cpus(features: str, lanes: int) -> None:
    if "avx2" in features and not llvm.get_host_cpu_features().get("avx2"):
        pytest.skip("this CPU has no AVX2")
    check = (
        "import numpy as np\n"
        "from tao_lora_ros.runtime import cpu_product as p\n"
        f"assert p.LANES == {lanes}\n"
        "a, b = np.arange(-99, 99).reshape(11, 18).astype(np.int16) * 331, np.arange(18 * 37) % 256"
        " - 128\n"
        "b = b.reshape(18, 37)\n"
        "c = np.empty((11, len(p.panels(b)) * p.COLUMNS), np.int32)\n"
        "p.multiply(a, p.panels(b), c)\n"
        "assert np.array_equal(c[:, :37], a.astype(np.int64) @ b)\n"
    )
    lesser = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": features}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    subprocess.run(
        [sys.executable, "-c", check], env=os.environ | lesser | {"PYTHONPATH": path}, check=True
    )


@pytest.mark.parametrize(
    ("ours", "exact", "low", "high"),
    [
        (cpu_math.exp, np.exp, -80, 80),
        (cpu_math.log, lambda x: np.log(np.abs(x) + 1e-6), -1e6, 1e6),
        (cpu_math.asinh, np.arcsinh, -1e9, 1e9),
        (cpu_math.asinh, np.arcsinh, -1, 1),
        (
            cpu_math.gelu,
            lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
            -12,
            12,
        ),
    ],
)
def test_elementary_functions(ours, exact, low: float, high: float) -> None:
    x = np.linspace(low, high, 20001).astype(F32)
    given_x = (np.abs(x) + F32(1e-6)) if ours is cpu_math.log else x
    expected = np.log(given_x.astype(float)) if ours is cpu_math.log else exact(x.astype(float))
    got = np.array([ours(value) for value in given_x])
    assert np.max(np.abs(got - expected) / np.maximum(1, np.abs(expected))) < 4e-7


@pytest.mark.parametrize("transient", [False, True])
def test_both_roundings_agree(transient: bool) -> None:
    x = np.random.default_rng(0).standard_normal((7, 40)).astype(F32)
    x[:, 3] = 0.0
    pairs, column_units = np.zeros((1, 4, 40), np.int32), np.empty(40, F32)
    round_pairs(x, F32(30), F32(30000), transient, pairs, column_units)
    codes, units = np.zeros((40, 8), np.int16), np.empty(40, F32)
    round_rows(np.ascontiguousarray(x.T), F32(30), F32(30000), transient, codes, units)
    unpacked = pairs.view(np.int16).reshape(4, 40, 2).transpose(1, 0, 2).reshape(40, 8)
    assert np.array_equal(unpacked, codes)
    assert np.array_equal(column_units, units)
    step = np.abs(x).max(axis=0) / 30000 if transient else np.full(40, 1 / 30)
    inside = np.abs(x) <= 2047 / 30 if not transient else np.ones_like(x, bool)
    error = np.abs(codes[:, :7].T * units / 30 - x)
    assert (error <= 0.501 * step + 1e-7)[inside].all()


def test_steady_codes_saturate() -> None:
    codes, units = np.empty((1, 4), np.int16), np.empty(1, F32)
    round_rows(np.array([[1e9, -1e9, 0.5, 1.5]], F32), F32(1), F32(32767), False, codes, units)
    assert codes.tolist() == [[2047, -2047, 0, 2]]


def test_layer_norm() -> None:
    x = np.random.default_rng(1).standard_normal((5, 33)).astype(F32) * 10 + 3
    gain, bias = np.linspace(0.5, 2, 33).astype(F32), np.linspace(-1, 1, 33).astype(F32)
    out = np.empty_like(x)
    normalize(x, gain, bias, out)
    expected = torch.nn.functional.layer_norm(
        torch.from_numpy(x), (33,), torch.from_numpy(gain), torch.from_numpy(bias)
    )
    assert np.abs(out - expected.numpy()).max() < 1e-5
