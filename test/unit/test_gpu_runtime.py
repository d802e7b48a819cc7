"""The GPU's runtime: how it is set up anywhere, what it computes where there is a GPU."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from models import SMALL, full_precision, quantized, windows

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.runtime.gpu import GpuRuntime, Launch
from tao_lora_ros.runtime.launch_tuning import Tuning, tuning

BASE, LARGE = (128, 256), (256, 1024)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
TOLERANCE = {Route.STEADY: 5e-3, Route.TRANSIENT: 2e-3}


@pytest.mark.parametrize(
    ("multiprocessors", "model", "count", "splits"),
    [
        (132, BASE, 1, 4),
        (132, LARGE, 1, 16),
        (132, BASE, 64, 2),
        (132, BASE, 500, 1),
        (132, LARGE, 64, 2),
        (8, BASE, 1, 4),
        (8, LARGE, 1, 8),
    ],
)
def test_an_unknown_gpu_gets_what_is_safe(
    multiprocessors: int, model: tuple[int, int], count: int, splits: int
) -> None:
    assert tuning("another", multiprocessors, *model, count) == Tuning(splits, 8)


def test_a_known_gpu_gets_what_was_measured() -> None:
    assert tuning("NVIDIA H200", 132, *BASE, 64).splits == 1
    assert tuning("Orin", 8, *BASE, 1) == Tuning(4, 8)
    assert tuning("Orin", 8, *LARGE, 1).splits == 8  # its row is for the one with 16


class OldGraph:
    """As torch had them before it gave them out."""

    def __init__(self, error: Exception | None = None) -> None:
        self.replays, self._error = 0, error

    def replay(self) -> None:
        self.replays += 1
        if self._error:
            raise self._error


def test_a_graph_that_torch_keeps_is_replayed_by_torch() -> None:
    for graph, code in ((OldGraph(), 0), (OldGraph(RuntimeError("no device")), 719)):
        launch = Launch(graph, 5)  # type: ignore[arg-type]
        address, handle, stream = launch.replay
        assert ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int64, ctypes.c_int64)(address)(0, 5) == code
        assert (handle, stream, graph.replays) == (0, 5, 1)


def gpu_model(**change: object) -> Mixer:
    sizes = {"window": 128, "width": 128, "rank": 8, "blocks": 3}
    config = replace(SMALL, **(sizes | change))  # type: ignore[arg-type]
    return quantized(full_precision(config), windows(config=config))


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("change", [{}, {"width": 256, "expansion": 4}, {"classes": 0}], ids=str)
@pytest.mark.parametrize("count", [1, 3, 40])
def test_every_window_agrees_with_the_plain_model(change: dict, count: int) -> None:
    model = gpu_model(**change)
    runtime, inputs = GpuRuntime(model), windows(seed=2, count=count, config=model.config)
    for path in Route:
        for _ in range(20):  # past every tag
            output = runtime.infer_batch(inputs.numpy(), np.full(count, path, np.int32))
        with torch.inference_mode():
            logits, forecast = model(inputs, path)
            np.testing.assert_allclose(
                output.level, model.level(inputs)[:, 0], rtol=1e-5, atol=1e-5
            )
        for found, expected in ((output.logits, logits), (output.forecast, forecast)):
            if expected is not None:
                error = np.linalg.norm(found - expected.numpy()) / expected.norm()
                assert error < TOLERANCE[path]


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("count", [1, 8, 40])
def test_every_call_is_answered_with_its_own_windows(count: int) -> None:
    model = gpu_model()
    runtime = GpuRuntime(model)
    inputs = windows(seed=4, count=4 * count, config=model.config).numpy()
    parts = [inputs[i * count : (i + 1) * count] for i in range(4)]
    once = [runtime.infer_batch(part, Route.TRANSIENT) for part in parts]
    for call in range(400):
        again = runtime.infer_batch(parts[call % 4], Route.TRANSIENT)
        for found, expected in zip(again, once[call % 4], strict=True):
            assert np.array_equal(found, expected), call


@pytest.mark.gpu
@needs_gpu
def test_another_thread_may_infer() -> None:
    model = gpu_model()
    runtime = GpuRuntime(model)
    window = windows(seed=5, config=model.config).numpy()[0]
    with ThreadPoolExecutor() as pool:
        elsewhere = pool.submit(runtime.infer, window, Route.STEADY).result()
    assert np.array_equal(elsewhere.forecast, runtime.infer(window, Route.STEADY).forecast)


@pytest.mark.gpu
@needs_gpu
def test_a_window_of_another_shape_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"window of shape \(31, 12\)"):
        GpuRuntime(gpu_model()).infer(np.zeros((31, 12), np.float32), Route.STEADY)
