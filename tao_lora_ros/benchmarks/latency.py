"""`tao-lora bench latency`: host-to-host times of one inference call.

A call takes windows in host memory to logits in host memory. All subjects of a case take turns,
round by round, so that a machine that slows down slows all of them.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import product

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from tao_lora_ros.benchmarks.model_bytes import CONFIGS
from tao_lora_ros.benchmarks.neighbour import busy_neighbour
from tao_lora_ros.benchmarks.reference import Reference, reference, windows
from tao_lora_ros.benchmarks.results import OURS, STAYS, Measurement
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.runtime.choice import ChosenRuntime
from tao_lora_ros.runtime.cpu import CpuRuntime
from tao_lora_ros.runtime.runtime import Runtime

PACKAGES = ("torch", "triton", "numpy", "numba", "onnxruntime", "gemlite")
PATTERNS = {"steady": (0,), "transient": (1,), "alternating": (0, 1)}
PAUSES_S = 0.001, 0.01, 0.1
_INPUTS = 8  # different windows that a case goes round
_ROUNDS = 10
LOOP = "cpu-loop"
AUTO = "tao-lora-auto"
_ENDED_S = 0.5  # longer than the kernel that stays waits for a window
_LOOP_NS = 50_000
# name, level, and calls at least
_PERCENTILES = (("p50_us", 50, 1), ("p99_us", 99, 200), ("p999_us", 99.9, 2000))

# windows [B, T, C] and their paths [B] to something on the host
Call = Callable[[NDArray[np.float32], NDArray[np.int32]], object]
# of a model and a batch; raises what kept it from being built
Build = Callable[[Reference, int], Call]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Size:
    """How much to measure: models, batch sizes, and of each subject and case the calls and seconds.

    Calls of one window are also measured at a robot's pace, with pauses in between.
    """

    models: tuple[str, ...] = tuple(CONFIGS)
    batches: tuple[int, ...] = (1, 8, 64)
    calls: int = 5000
    seconds: float = 1.0
    paced_calls: int = 200


QUICK = Size(batches=(1, 64), calls=2000, seconds=0.4, paced_calls=50)


def bench_latency(
    size: Size, device: str, only: Sequence[str], say: Say, peers: Mapping[str, Build]
) -> list[Measurement]:
    """Measure every subject on every case: the loop, ours, and the peers.

    Args:
        size: how much.
        device: `cpu` or `cuda`.
        only: subjects to measure; empty for all.
        say: takes a line of progress, and of what could not be measured.
        peers: what else does the same, by name.
    """
    torch.set_num_threads(1)
    ours = _ours_on_cpu if device == "cpu" else _ours_on_gpu
    builds: dict[str, Build] = {LOOP: _cpu_loop, OURS: ours, **peers}
    if device == "cuda":
        builds[AUTO] = _ours_by_choice
        builds[STAYS] = _ours_that_stays
    builds = {name: build for name, build in builds.items() if not only or name in only}
    prefix = "cpu-" if device == "cpu" else ""
    rows: list[Measurement] = []
    for name in size.models:
        model = reference(name)
        say(f"{name}: made")
        for batch in size.batches:
            calls = _built(builds, model, batch, say)
            for pattern, cycle in PATTERNS.items():
                case = f"{prefix}{name}-b{batch}-{pattern}"
                for subject, times in _times(calls, batch, cycle, size).items():
                    rows += _summary(subject, case, times)
                if device == "cuda" and batch == 1 and OURS in calls:
                    rows += _on_device(calls[OURS], case, cycle, size.calls, say)
                say(case)
            if batch == 1:
                rows += _paced(calls, f"{prefix}{name}-b1-steady", device, size.paced_calls, say)
    return rows


def _paced(
    calls: dict[str, Call], case: str, device: str, count: int, say: Say
) -> list[Measurement]:
    """Steady calls with pauses between them, alone and beside a process that uses the device."""
    rows: list[Measurement] = []
    conditions: list[tuple[float, str, AbstractContextManager[None]]]
    conditions = [(pause_s, "", nullcontext()) for pause_s in PAUSES_S]
    conditions.append((PAUSES_S[1], "-busy", busy_neighbour(device)))
    for pause_s, beside, context in conditions:
        name = f"{case}-every-{1e3 * pause_s:g}ms{beside}"
        size = Size(calls=count, seconds=float("inf"))
        with context:
            for subject, times in _times(calls, 1, PATTERNS["steady"], size, pause_s).items():
                rows += _summary(subject, name, times)
        say(name)
    return rows


@numba.njit(nogil=True)
def _work(steps: int) -> int:
    word = 1
    for _ in range(steps):
        word = word * 6364136223846793005 + 1442695040888963407
    return word


def _cpu_loop(model: Reference, batch: int) -> Call:
    """A fixed piece of work for the processor alone: what the host itself does to such times."""

    def lasts(steps: int) -> int:
        begun = time.perf_counter_ns()
        _work(steps)
        return time.perf_counter_ns() - begun

    steps = 1000
    while min(lasts(steps) for _ in range(5)) < _LOOP_NS:
        steps += steps // 10
    return lambda inputs, paths: _work(steps)


def _ours_on_cpu(model: Reference, batch: int) -> Call:
    return _ours(CpuRuntime(network_of(model.dual)), batch)


def _ours_on_gpu(model: Reference, batch: int) -> Call:
    from tao_lora_ros.runtime.gpu import GpuRuntime

    return _ours(GpuRuntime(network_of(model.dual)), batch)


def _ours_by_choice(model: Reference, batch: int) -> Call:
    return _ours(ChosenRuntime(network_of(model.dual)), batch)


def _ours_that_stays(model: Reference, batch: int) -> Call:
    from tao_lora_ros.runtime.persistent import PersistentRuntime

    return _ours(PersistentRuntime(network_of(model.dual)), batch)


def _ours(runtime: Runtime, batch: int) -> Call:
    if batch > 1:
        return runtime.infer_batch
    return lambda inputs, paths: runtime.infer(inputs[0], Route(paths[0]))


def _built(builds: dict[str, Build], model: Reference, batch: int, say: Say) -> dict[str, Call]:
    """The subjects that can be built and called here; why the others cannot is said."""
    calls: dict[str, Call] = {}
    for name, build in builds.items():
        begun = time.monotonic()
        try:
            calls[name] = build(model, batch)
            for path in Route:
                calls[name](windows(batch, 0), np.full(batch, path, np.int32))
        except Exception as error:  # whatever a peer raises, the others are still measured
            calls.pop(name, None)
            say(f"{name}: not measured: {type(error).__name__}: {str(error)[:200]}")
        else:
            say(f"{name}: built for {batch} in {time.monotonic() - begun:.1f} s")
    return calls


def _times(
    calls: dict[str, Call], batch: int, cycle: tuple[int, ...], size: Size, pause_s: float = 0.0
) -> dict[str, list[int]]:
    """Nanoseconds of every call."""
    inputs, paths = _inputs(batch, cycle)
    times: dict[str, list[int]] = {name: [] for name in calls}
    gc.collect()
    gc.disable()
    try:
        for _, name in product(range(_ROUNDS), calls):
            times[name] += _round(calls[name], inputs, paths, size, pause_s)
            if name == STAYS and pause_s:
                time.sleep(_ENDED_S)  # while its kernel is there the GPU does not go to sleep
    finally:
        gc.enable()
    return times


def _round(
    call: Call,
    inputs: list[NDArray[np.float32]],
    paths: list[NDArray[np.int32]],
    size: Size,
    pause_s: float,
) -> list[int]:
    times: list[int] = []
    for i in range(2):  # the caches are the other subjects' still
        call(inputs[i], paths[i])
    end = time.perf_counter_ns() + size.seconds / _ROUNDS * 1e9
    while len(times) < size.calls // _ROUNDS:
        i = len(times) % _INPUTS
        if pause_s:
            time.sleep(pause_s)
        begun = time.perf_counter_ns()
        call(inputs[i], paths[i])
        done = time.perf_counter_ns()
        times.append(done - begun)
        if done > end:
            break
    return times


def _on_device(
    call: Call, case: str, cycle: tuple[int, ...], calls: int, say: Say
) -> list[Measurement]:
    """What of our times is the kernel's."""
    from tao_lora_ros.benchmarks.device_times import device_times

    inputs, paths = _inputs(1, cycle)
    try:
        times = device_times(lambda i: call(inputs[i % _INPUTS], paths[i % _INPUTS]), calls)
    except RuntimeError as error:
        say(f"{case}: {error}")
        return []
    return _summary(OURS, case, times, "device_")


def _inputs(
    batch: int, cycle: tuple[int, ...]
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.int32]]]:
    inputs = [windows(batch, seed) for seed in range(_INPUTS)]
    paths = [np.resize(np.roll(cycle, i), batch).astype(np.int32) for i in range(_INPUTS)]
    return inputs, paths


def _summary(
    subject: str, case: str, times: Sequence[float], prefix: str = ""
) -> list[Measurement]:
    """Percentiles in µs; NaN where there are too few calls for one to mean anything."""
    return [
        Measurement(
            subject,
            case,
            prefix + metric,
            float(np.percentile(times, level)) * 1e-3 if len(times) >= least else float("nan"),
            "us",
        )
        for metric, level, least in _PERCENTILES
    ]
