"""The GPU's runtime: how it is set up anywhere, what it computes where there is a GPU."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from itertools import product

import numpy as np
import pytest
import torch
from models import SMALL, full_precision, quantized, windows

from tao_lora_ros.kernels.arrival import LEAD, record_size
from tao_lora_ros.kernels.fused_launch import constants, workspace
from tao_lora_ros.kernels.fused_mixer import fused_mixer
from tao_lora_ros.kernels.mixer_buffers import mixer_buffers
from tao_lora_ros.kernels.mixer_tensors import sizes_of
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.runtime.cuda_graph import shared_stream, wait
from tao_lora_ros.runtime.gpu import GpuRuntime
from tao_lora_ros.runtime.gpu_tensors import mixer_tensors
from tao_lora_ros.runtime.launch_tuning import Tuning, tuning
from tao_lora_ros.runtime.runtime import Runtime

BASE, LARGE = (128, 256), (256, 1024)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
TOLERANCE = {Route.STEADY: 5e-3, Route.TRANSIENT: 2e-3}
RUNTIMES = ["gpu.GpuRuntime", "persistent.PersistentRuntime"]
both = pytest.mark.parametrize("kind", RUNTIMES)


def runtime_of(kind: str, model: Mixer) -> Runtime:
    module, name = kind.split(".")  # the persistent one needs cuda.bindings, which not all have
    return getattr(import_module(f"tao_lora_ros.runtime.{module}"), name)(network_of(model))


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
    assert tuning("NVIDIA H200", 132, *BASE, 64).splits == 2
    assert tuning("NVIDIA H200", 132, *LARGE, 1024) == Tuning(1, 8, rows=128)
    assert tuning("Orin", 8, *BASE, 1) == Tuning(4, 8)
    assert tuning("Orin", 8, *LARGE, 1).splits == 8  # its row is for the one with 16


def gpu_model(**change: object) -> Mixer:
    sizes = {"window": 128, "width": 128, "rank": 8, "blocks": 3}
    config = replace(SMALL, **(sizes | change))  # type: ignore[arg-type]
    return quantized(full_precision(config), windows(config=config))


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        *product(RUNTIMES, [{}, {"classes": 0}, {"segment": 32}, {"rank": 0}]),
        *product(RUNTIMES, [{"width": 256, "expansion": 4}]),
        (RUNTIMES[1], {"width": 64, "channels": 5, "segment": 16, "rank": 12}),
        (RUNTIMES[1], {"window": 32, "patch": 2, "width": 64, "expansion": 4}),
    ],
    ids=str,
)
@pytest.mark.parametrize("count", [1, 3, 40])
def test_every_window_agrees_with_the_plain_model(kind: str, change: dict, count: int) -> None:
    model = gpu_model(**change)
    runtime, inputs = (
        runtime_of(kind, model),
        windows(seed=2, count=count, config=model.config),
    )
    inputs[-1, 3:9, 2] = inputs[-1, :, 1] = torch.nan
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
def test_thousands_of_windows_go_in_parts() -> None:
    model = gpu_model()
    runtime = runtime_of(RUNTIMES[0], model)
    inputs = windows(seed=4, count=2100, config=model.config)
    found = runtime.infer_batch(inputs.numpy(), Route.TRANSIENT)
    turned = runtime.infer_batch(inputs.flip(0).numpy(), Route.TRANSIENT)
    with torch.inference_mode():
        expected = model(inputs, Route.TRANSIENT)[1].flatten(1)
    assert np.array_equal(found.forecast, turned.forecast[::-1])
    apart = torch.from_numpy(found.forecast).flatten(1) - expected
    assert (apart.norm(dim=1) / expected.norm(dim=1)).max() < 2 * TOLERANCE[Route.TRANSIENT]


@pytest.mark.gpu
@needs_gpu
@both
@pytest.mark.parametrize("count", [1, 8, 40])
def test_every_call_is_answered_with_its_own_windows(kind: str, count: int) -> None:
    model = gpu_model()
    runtime = runtime_of(kind, model)
    inputs = windows(seed=4, count=4 * count, config=model.config).numpy()
    parts = [inputs[i * count : (i + 1) * count] for i in range(4)]
    once = [runtime.infer_batch(part, Route.TRANSIENT) for part in parts]
    for call in range(400):
        again = runtime.infer_batch(parts[call % 4], Route.TRANSIENT)
        for found, expected in zip(again, once[call % 4], strict=True):
            assert np.array_equal(found, expected), call


@pytest.mark.gpu
@needs_gpu
@both
def test_bits_depend_on_how_many_windows_are_launched_and_on_nothing_else(kind: str) -> None:
    model = gpu_model()
    runtime = runtime_of(kind, model)
    inputs = windows(seed=10, count=64, config=model.config).numpy()
    for path in Route:
        alone = [runtime.infer(window, path) for window in inputs]
        for count in (2, 8, 64):
            some = inputs[:count]
            found = runtime.infer_batch(some, path)
            turned = runtime.infer_batch(some[::-1].copy(), path)
            for part, again, single in zip(found, turned, zip(*alone, strict=True), strict=True):
                assert np.array_equal(part, again[::-1])  # not on place and neighbours
                apart = np.linalg.norm(part - single[:count]) / np.linalg.norm(part)
                assert apart < TOLERANCE[path]
                if kind == RUNTIMES[1]:
                    assert np.array_equal(part, single[:count])


@pytest.mark.gpu
@needs_gpu
@both
def test_another_thread_may_infer(kind: str) -> None:
    model = gpu_model()
    runtime = runtime_of(kind, model)
    window = windows(seed=5, config=model.config).numpy()[0]
    with ThreadPoolExecutor() as pool:
        elsewhere = pool.submit(runtime.infer, window, Route.STEADY).result()
    assert np.array_equal(elsewhere.forecast, runtime.infer(window, Route.STEADY).forecast)


@pytest.mark.gpu
@needs_gpu
@both
def test_a_window_of_another_shape_is_refused_by_name(kind: str) -> None:
    with pytest.raises(ValueError, match=r"window of shape \(31, 12\)"):
        runtime_of(kind, gpu_model()).infer(np.zeros((31, 12), np.float32), Route.STEADY)


STOPPED = """
import sys, time
import numpy as np
from test_gpu_runtime import Route, gpu_model, runtime_of, windows
model = gpu_model()
runtime = runtime_of("KIND", model)
inputs = windows(seed=6, count=COUNT, config=model.config).numpy()
expected = runtime.infer_batch(inputs, Route.STEADY)
print("ready", flush=True)
end = time.monotonic() + 1.0
calls = 0
while calls < 200 or time.monotonic() < end:
    found = runtime.infer_batch(inputs, Route.STEADY)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected)), calls
    calls += 1
"""


@pytest.mark.gpu
@needs_gpu
@both
@pytest.mark.parametrize("count", [1, 40])
def test_a_pause_of_the_host_costs_no_call(kind: str, count: int) -> None:
    here = os.path.dirname(__file__)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([here, *sys.path])}
    command = [sys.executable, "-c", STOPPED.replace("COUNT", str(count)).replace("KIND", kind)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    for pause in (0.0123, 0.0237):  # most of the time is spent within a call
        time.sleep(pause)
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.0)
        process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 0


@pytest.mark.gpu
@needs_gpu
def test_an_early_launch_that_waited_in_vain_is_done_again() -> None:
    model = gpu_model()
    runtime, inputs = (
        GpuRuntime(network_of(model)),
        windows(seed=7, count=40, config=model.config).numpy(),
    )
    expected = runtime.infer_batch(inputs, Route.STEADY)
    plan = runtime._plan(40)
    function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    address, graph, stream = plan._graph.replay
    assert function(address)(graph, stream) == 0  # and the host is held up before it hands over
    wait(shared_stream(), 10.0)
    for _ in range(3):
        found = runtime.infer_batch(inputs, Route.STEADY)
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.gpu
@needs_gpu
def test_programs_do_not_wait_for_ever_for_one_that_is_not_there() -> None:
    model = gpu_model()
    tensors = mixer_tensors(network_of(model))
    sizes = sizes_of(tensors, 2)
    shape = 1, sizes.padded_results + sizes.padded_channels
    outputs = torch.zeros(shape, dtype=torch.int64, device="cuda")
    records = torch.zeros(1, record_size(sizes.window * sizes.channels), device="cuda")
    window = windows(seed=8, config=model.config)[0].flatten()
    records[0, LEAD.value : LEAD.value + len(window)] = window.cuda()
    records.view(torch.int64)[0, 0] = 5 << 32
    shared = workspace(sizes, 1, "cuda")
    buffers = mixer_buffers(tensors, sizes, "cuda")
    for programs, complete in ((2, True), (1, False)):
        shared.words.zero_()
        shared.slots.zero_()
        fused_mixer[(programs, 1)](
            records, outputs, shared.seen, *buffers, shared.words, shared.slots,
            **constants(sizes, 8), num_warps=8,
        )  # fmt: skip
        wait(torch.cuda.current_stream(), 120.0)
        first = outputs[0, : sizes.results // 2].cpu()
        values = first.to(torch.int32).view(torch.float32)
        assert values.isfinite().all() if complete else values.isnan().all()


@pytest.mark.gpu
@needs_gpu
def test_runtimes_are_built_beside_each_other_and_a_users_thread() -> None:
    model = gpu_model()
    inputs = windows(seed=9, config=model.config).numpy()[0]
    expected = GpuRuntime(network_of(model)).infer(inputs, Route.TRANSIENT)
    stop, failures = threading.Event(), []

    def use_the_gpu() -> None:
        try:
            while not stop.is_set():
                drawn = torch.randn(1000, 1000, device="cuda")
                drawn.clone().sum().item()
                torch.cuda.empty_cache()
        except RuntimeError as error:
            failures.append(error)

    user = threading.Thread(target=use_the_gpu)
    user.start()
    with ThreadPoolExecutor(4) as pool:
        runtimes = list(pool.map(GpuRuntime, [network_of(model)] * 12))
        outputs = pool.map(lambda runtime: runtime.infer(inputs, Route.TRANSIENT), runtimes)
        assert all(np.array_equal(output.forecast, expected.forecast) for output in outputs)
    stop.set()
    user.join()
    assert not failures


@pytest.mark.gpu
@needs_gpu
def test_numbers_of_windows_share_the_model_and_are_let_go() -> None:
    model = gpu_model(width=256, expansion=4)
    inputs = windows(seed=2, count=32, config=model.config).numpy()
    used = []
    for first in (29, 1):
        before = torch.cuda.memory_allocated()
        runtime = GpuRuntime(network_of(model))
        alone = torch.cuda.memory_allocated() - before
        for count in range(first, 33):
            runtime.infer_batch(inputs[:count], Route.STEADY)
        used.append(torch.cuda.memory_allocated() - before)
        del runtime
    assert alone < used[0] <= used[1] < 1.5 * used[0]  # a copy for each number of splits


@pytest.mark.gpu
@needs_gpu
def test_the_kernel_that_stays_ends_when_idle_and_comes_again() -> None:
    model = gpu_model()
    runtime = runtime_of(RUNTIMES[1], model)
    kernel, window = runtime._kernel, windows(seed=3, config=model.config).numpy()[0]
    expected = runtime.infer(window, Route.TRANSIENT)
    for launches in (1, 2, 3):
        assert kernel._launches == launches
        assert not kernel._stream.query()
        until_ended(kernel)
        found = runtime.infer(window, Route.TRANSIENT)
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.gpu
@needs_gpu
def test_weights_outside_of_shared_memory_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = gpu_model(segment=32)
    window = windows(seed=3, config=model.config).numpy()[0]
    inside = runtime_of(RUNTIMES[1], model)
    persistent = import_module("tao_lora_ros.runtime.persistent")
    attribute = persistent.attribute  # as of a smaller GPU
    monkeypatch.setattr(persistent, "attribute", lambda name: min(attribute(name), 99 << 10))
    outside = runtime_of(RUNTIMES[1], model)
    assert outside._kernel._kernel._shared < 99 << 10 < inside._kernel._kernel._shared
    for path in Route:
        both = inside.infer(window, path), outside.infer(window, path)
        assert all(np.array_equal(a, b) for a, b in zip(*both, strict=True))


@pytest.mark.gpu
@needs_gpu
def test_kernels_that_stay_go_side_by_side_and_with_their_runtimes() -> None:
    model = gpu_model()
    window = windows(seed=3, config=model.config).numpy()[0]
    runtimes = [runtime_of(kind, model) for kind in RUNTIMES[1:] * 3 + RUNTIMES[:1]]
    outputs = [runtime.infer(window, Route.STEADY) for _ in range(50) for runtime in runtimes]
    for output in outputs:
        np.testing.assert_allclose(output.forecast, outputs[-1].forecast, atol=0.02)
    kernels = [runtime._kernel for runtime in runtimes[:3]]
    assert not any(kernel._stream.query() for kernel in kernels)
    del runtimes, output
    gc.collect()
    assert all(kernel._stream.query() for kernel in kernels)


def until_ended(kernel) -> None:
    deadline = time.monotonic() + 2.0
    while not kernel._stream.query():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.gpu
@needs_gpu
def test_the_kernel_that_stays_is_refused_by_name_where_it_does_not_fit() -> None:
    for change, reason in (
        ({"width": 32}, "takes width from 64 to 256, not 32"),
        ({"patch": 4}, "takes tokens from 16 to 16, not 32"),
    ):
        with pytest.raises(ValueError, match=reason):
            runtime_of(RUNTIMES[1], gpu_model(**change))
