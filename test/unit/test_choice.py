"""Which runtime is chosen, and that a failing GPU costs no window."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch
from models import SMALL, small_artifact, windows

from tao_lora_ros.engine.settings import Settings, SettingsError
from tao_lora_ros.messages.route import Route
from tao_lora_ros.runtime import choice, gpu_return
from tao_lora_ros.runtime.choice import ChosenRuntime
from tao_lora_ros.runtime.cpu import CpuRuntime
from tao_lora_ros.runtime.runtime import Output

WINDOW = windows(count=1)[0].numpy()


class FailingGpu:
    """A GPU runtime that infers so many times, then fails as CUDA does."""

    name = "cuda"
    lasts = 1

    def __init__(self, model) -> None:
        if self.lasts < 0:
            raise RuntimeError("CUDA error: out of memory")
        self._cpu, self._left = CpuRuntime(model), self.lasts

    def infer(self, window: np.ndarray, path: Route) -> Output:
        if not self._left:
            raise RuntimeError("CUDA error: device lost\nmore")
        self._left -= 1
        return self._cpu.infer(window, path)

    def infer_batch(self, batch: np.ndarray, paths: np.ndarray) -> Output:
        if not self._left:
            raise RuntimeError("CUDA error: device lost")
        return self._cpu.infer_batch(batch, paths)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> type[FailingGpu]:
    """Take the place of the GPU's runtime on a machine that seems to have one."""

    class Gpu(FailingGpu):
        pass

    module = ModuleType("gpu")
    module.GpuRuntime = Gpu  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tao_lora_ros.runtime.gpu", module)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(choice, "driver_finds_gpu", lambda: True)
    return Gpu


def same(a: Output, b: Output) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_cpu_where_it_is_asked_for() -> None:
    runtime = ChosenRuntime(small_artifact().model, "cpu")
    assert (runtime.name, runtime.reason) == ("cpu", "backend is set to cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("backend", ["auto", "cuda"])
def test_the_cpu_and_the_reason_where_there_is_no_gpu(backend: str) -> None:
    runtime = ChosenRuntime(small_artifact().model, backend)
    assert runtime.name == "cpu"
    assert "NVIDIA driver" in runtime.reason


@pytest.mark.parametrize("backend", ["auto", "cuda"])
def test_the_gpu_where_it_works(gpu: type[FailingGpu], backend: str) -> None:
    runtime = ChosenRuntime(small_artifact().model, backend)
    assert runtime.name == "cuda"
    assert runtime.reason.startswith("the GPU works")
    assert ("cpu nan µs" in runtime.reason) == (backend == "auto")


@pytest.mark.parametrize("error", [ImportError, OSError, RuntimeError, ValueError])
def test_a_launch_a_call_where_no_kernel_can_stay(
    gpu: type[FailingGpu], monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def refuse(model: object) -> None:
        raise error("it would starve others")

    module = ModuleType("persistent")
    module.PersistentRuntime = refuse  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tao_lora_ros.runtime.persistent", module)
    runtime = ChosenRuntime(small_artifact().model, "cuda_persistent")
    assert runtime.name == "cuda"
    assert f"no kernel can stay ({error.__name__}: it would starve others)" in runtime.reason


def test_a_gpu_that_fails_at_the_start(gpu: type[FailingGpu]) -> None:
    gpu.lasts = -1
    runtime = ChosenRuntime(small_artifact().model)
    assert runtime.name == "cpu"
    assert "out of memory" in runtime.reason


def test_a_gpu_that_fails_later_loses_no_window(gpu: type[FailingGpu]) -> None:
    model = small_artifact().model
    runtime = ChosenRuntime(model, "cuda")
    expected = CpuRuntime(model).infer(WINDOW, Route.TRANSIENT)
    for name in ("cuda", "cpu", "cpu"):
        assert same(runtime.infer(WINDOW, Route.TRANSIENT), expected)
        assert runtime.name == name
    assert runtime.reason == "cuda failed while running: RuntimeError: CUDA error: device lost more"


def test_a_gpu_that_works_again_takes_over(
    gpu: type[FailingGpu], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gpu_return, "FIRST_S", 0.05)
    runtime = ChosenRuntime(small_artifact().model, "cuda")
    gpu.lasts = -1  # cannot be built any more
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            runtime.infer(WINDOW, Route.STEADY)
        assert runtime.name == "cpu"
        until(lambda: "next try in 0.1 s" in caplog.text)
        gpu.lasts = 10
        until(lambda: bool(runtime.infer(WINDOW, Route.STEADY)) and runtime.name == "cuda")
    assert runtime.reason.startswith("the GPU works again; before, cuda failed while running")
    assert "inference goes on with the GPU" in caplog.text


@pytest.mark.parametrize("error", [ImportError, OSError, ValueError, MemoryError])
def test_whatever_a_try_brings_the_next_one_comes(
    gpu: type[FailingGpu], monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    monkeypatch.setattr(gpu_return, "FIRST_S", 0.02)
    gpu.lasts = -1
    runtime = ChosenRuntime(small_artifact().model, "cuda")
    tries: list[int] = []
    before = gpu.__init__

    def build(self: FailingGpu, model: object) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise error("no such file")
        before(self, model)

    monkeypatch.setattr(gpu, "__init__", build)
    gpu.lasts = 10
    until(lambda: bool(runtime.infer(WINDOW, Route.STEADY)) and runtime.name == "cuda")


def test_a_gpu_that_fails_again_and_again_is_tried_ever_later(
    gpu: type[FailingGpu], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_return, "FIRST_S", 0.02)
    built: list[float] = []
    before = gpu.__init__

    def build(self: FailingGpu, model: object) -> None:
        built.append(time.monotonic())
        before(self, model)

    monkeypatch.setattr(gpu, "__init__", build)
    runtime = ChosenRuntime(small_artifact().model, "cuda")
    until(lambda: bool(runtime.infer(WINDOW, Route.STEADY)) and len(built) == 5)
    waits = np.diff(built)
    assert waits[-1] > 0.02 * 2**3
    assert waits[-1] > waits[0]


def test_a_gpu_that_failed_at_the_start_is_tried_again(
    gpu: type[FailingGpu], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_return, "FIRST_S", 0.05)
    gpu.lasts = -1
    runtime = ChosenRuntime(small_artifact().model, "cuda")
    gpu.lasts = 10
    until(lambda: bool(runtime.infer(WINDOW, Route.STEADY)) and runtime.name == "cuda")


def test_a_runtime_that_is_let_go_tries_no_more(gpu: type[FailingGpu]) -> None:
    gpu.lasts = -1
    runtime = ChosenRuntime(small_artifact().model)
    assert [t for t in threading.enumerate() if t.name == "gpu-return"]
    del runtime
    gc.collect()
    until(lambda: not [t for t in threading.enumerate() if t.name == "gpu-return"])


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_batch_that_fails_is_done_again(gpu: type[FailingGpu]) -> None:
    gpu.lasts = 0
    model = small_artifact().model
    batch, paths = windows(count=3).numpy(), np.array([0, 1, 0], np.int32)
    runtime = ChosenRuntime(model)
    expected = CpuRuntime(model).infer_batch(batch, paths)
    assert same(runtime.infer_batch(batch, paths), expected)
    assert runtime.name == "cpu"


def test_what_the_caller_did_wrong_is_no_failure_of_the_gpu() -> None:
    runtime = ChosenRuntime(small_artifact().model, "cpu")
    with pytest.raises(ValueError, match="window of shape"):
        runtime.infer(WINDOW[: SMALL.window - 1], Route.STEADY)


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(SettingsError, match="'backend' is 'tpu', expected one of auto, cpu, cuda"):
        Settings(backend="tpu")
    with pytest.raises(ValueError, match="backend is 'tpu'"):
        ChosenRuntime(small_artifact().model, "tpu")
