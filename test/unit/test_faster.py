"""The faster of two runtimes is found from their calls."""

from __future__ import annotations

import numpy as np
import pytest

from tao_lora_ros.messages.route import Route
from tao_lora_ros.runtime.faster import FasterRuntime
from tao_lora_ros.runtime.runtime import Output

WINDOW = np.zeros((4, 2), np.float32)
NOTHING = np.zeros(0, np.float32)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Takes:
    """A runtime whose calls take so long; its logits are its number."""

    def __init__(self, name: str, clock: Clock, seconds: float) -> None:
        self.name, self.clock, self.seconds, self.calls = name, clock, seconds, 0

    def infer(self, window: np.ndarray, path: Route) -> Output:
        self.calls += 1
        self.clock.now_s += self.seconds
        return Output(np.array([self.seconds], np.float32), NOTHING, NOTHING)

    def infer_batch(self, windows: np.ndarray, paths: np.ndarray) -> Output:
        return self.infer(windows[0], Route.STEADY)


@pytest.fixture
def both() -> tuple[Takes, Takes, FasterRuntime]:
    clock = Clock()
    gpu, cpu = Takes("cuda", clock, 100e-6), Takes("cpu", clock, 300e-6)
    return gpu, cpu, FasterRuntime(gpu, cpu, clock)


def infer(runtime: FasterRuntime, calls: int) -> None:
    for _ in range(calls):
        runtime.infer(WINDOW, Route.STEADY)


def test_the_faster_one_stays(both: tuple[Takes, Takes, FasterRuntime]) -> None:
    _, _, runtime = both
    infer(runtime, 1000)
    assert runtime.name == "cuda"
    assert runtime.comparison == "cuda 100 µs a call, cpu 300 µs"


def test_a_slower_beginner_is_replaced(both: tuple[Takes, Takes, FasterRuntime]) -> None:
    gpu, cpu, runtime = both
    gpu.seconds = 600e-6
    infer(runtime, 20)
    assert runtime.name == "cpu"
    output = runtime.infer(WINDOW, Route.STEADY)
    assert output.logits[0] == np.float32(cpu.seconds)
    assert runtime.infer_batch(WINDOW[None], np.zeros(1, np.int32)).logits[0] == output.logits[0]


def test_a_neighbour_that_comes_and_goes(both: tuple[Takes, Takes, FasterRuntime]) -> None:
    gpu, _, runtime = both
    infer(runtime, 100)
    gpu.seconds = 2500e-6
    infer(runtime, 30)
    assert runtime.name == "cpu"
    gpu.seconds = 100e-6
    infer(runtime, 2000)
    assert runtime.name == "cuda"


def test_one_slow_call_does_not_delay_the_comparison(
    both: tuple[Takes, Takes, FasterRuntime],
) -> None:
    _, cpu, runtime = both
    infer(runtime, 1000)
    before = cpu.calls
    cpu.seconds = 10.0  # once: the process was stopped
    while cpu.calls == before:
        infer(runtime, 1)
    cpu.seconds = 300e-6
    infer(runtime, 1000)
    assert cpu.calls > before + 2


def test_a_small_difference_changes_nothing(both: tuple[Takes, Takes, FasterRuntime]) -> None:
    gpu, _, runtime = both
    gpu.seconds = 350e-6  # 300 is 0.86 of it
    infer(runtime, 500)
    assert runtime.name == "cuda"


@pytest.mark.parametrize("slow_s", [150e-6, 600e-6, 20e-3])
def test_the_comparison_takes_a_hundredth(
    both: tuple[Takes, Takes, FasterRuntime], slow_s: float
) -> None:
    gpu, cpu, runtime = both
    cpu.seconds = slow_s
    infer(runtime, 100)
    before = gpu.calls, cpu.calls
    infer(runtime, 50_000)
    used, other = gpu.calls - before[0], cpu.calls - before[1]
    assert other > 0
    assert other * slow_s <= 0.011 * used * gpu.seconds
