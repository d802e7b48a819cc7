"""A process that runs the windows of all bags; a CPU in the GPU's place, which gives the same."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import complaint
from fleets.items import choose, counted_runtime, killing_runtime, no_runtime
from fleets.tables import Here, content
from models import small_artifact, windows
from recordings import motion, write_ros2

from tao_lora_ros.bags.reader import WHOLE
from tao_lora_ros.fleet.find import find_bags
from tao_lora_ros.fleet.gpu import GpuError, SharedGpu, gpu_process
from tao_lora_ros.fleet.run import replay_all
from tao_lora_ros.fleet.task import How
from tao_lora_ros.fleet.workers import LocalWorkers
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.artifact import save_artifact
from tao_lora_ros.runtime.choice import driver_finds_gpu
from tao_lora_ros.runtime.cpu import CpuRuntime
from tao_lora_ros.runtime.together import Together, in_launches

pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def how(tmp_path: Path) -> How:
    save_artifact(small_artifact(), tmp_path / "model")
    return How(partial(choose, tmp_path / "model"), "small", WHOLE, windows=True)


def asked(count: int, seed: int = 0) -> tuple[Any, Any]:
    return windows(seed, count).numpy(), np.arange(count, dtype=np.int32) % 2


class Slow:
    """A CPU that waits in its first launch until all have asked; notes the sizes of launches."""

    def __init__(self, others: int) -> None:
        self.runtime, self.sizes = CpuRuntime(small_artifact().network), []
        self.others, self.begun = others, threading.Event()

    def infer_batch(self, given: Any, paths: Any) -> Any:
        if not self.sizes:
            self.begun.set()
            self.all_wait()
        self.sizes.append(len(given))
        return self.runtime.infer_batch(given, paths)

    def all_wait(self) -> None:
        while self.together._waiting.qsize() < self.others:
            pass


def test_what_waits_goes_into_the_next_launch_and_everybody_gets_their_own() -> None:
    slow = Slow(others=4)
    slow.together = together = Together(slow, size=8)
    found: dict[int, Any] = {}

    def ask(number: int) -> None:
        if number:
            slow.begun.wait()
        found[number] = together.infer_batch(*asked(3 + number, seed=number))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert slow.sizes == [8, 8, 8, 8]  # of 3; then of 4 + 5 + 6 + 7
    for number, output in found.items():
        alone = slow.runtime.infer_batch(*asked(3 + number, seed=number))
        for part, expected in zip(output, alone, strict=True):
            np.testing.assert_array_equal(part, expected)


def test_what_a_launch_raises_all_get() -> None:
    class Broken:
        def infer_batch(self, given: Any, paths: Any) -> Any:
            raise RuntimeError("the GPU failed")

    together = Together(Broken(), size=8)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the GPU failed"):
            together.infer_batch(*asked(3))


def test_tables_of_bags_inferred_on_together_are_those_of_one_by_one(
    how: How, tmp_path: Path
) -> None:
    for seed in range(3):
        write_ros2(tmp_path / f"robot_{seed}" / "bag", motion(1.3, [0.7, 1.1], seed=seed))
    bags = find_bags([str(tmp_path)])
    replay_all(bags, how, tmp_path / "one", Here.opened)
    (tmp_path / "made").mkdir()
    with gpu_process(partial(counted_runtime, tmp_path / "made"), launch=8) as address:
        workers = partial(LocalWorkers, count=2)
        told = replay_all(bags, replace(how, gpu=address), tmp_path / "together", workers)
    assert (told.finished, told.failed) == (3, 0)
    assert len(list((tmp_path / "made").iterdir())) == 1  # for all bags
    one, together = (content(tmp_path / name) for name in ("one", "together"))
    hashes = [set(re.findall(rb'"settings_sha256": "(\w+)"', t)) for t in (one, together)]
    assert not hashes[0] & hashes[1]  # they tell which runtime it was
    assert one == together.replace(*[h.pop() for h in hashes[::-1]])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (no_runtime, "ValueError: a size that"),
        (killing_runtime, "process that has the GPU has ended"),
    ],
)
def test_a_gpu_that_does_not_work_ends_the_run_and_no_bag_is_to_blame(
    make: Any, told: str, how: How, tmp_path: Path
) -> None:
    write_ros2(tmp_path / "bag", motion(0.5))
    bags = find_bags([str(tmp_path / "bag")])
    with gpu_process(make) as address, pytest.raises(GpuError, match=told):
        replay_all(bags, replace(how, gpu=address), tmp_path / "t", Here.opened)
    assert not list((tmp_path / "t").glob("receipts/*.json"))


def test_one_window_is_as_of_many() -> None:
    model = small_artifact().network
    given, paths = asked(1)
    with gpu_process(CpuRuntime, launch=8) as address:
        found = SharedGpu(address, model).infer(given[0], Route.STEADY)
    for part, expected in zip(found, in_launches(CpuRuntime(model), given, paths, 8), strict=True):
        np.testing.assert_array_equal(part, expected[0])
    with pytest.raises(GpuError, match="has ended"):
        SharedGpu(address, model)


@pytest.mark.skipif(driver_finds_gpu(), reason="here is a GPU")
def test_without_a_gpu_it_is_said(tmp_path: Path, capsys: Any) -> None:
    said = complaint(capsys, "replay", "x", device="cuda", table=tmp_path / "t")
    assert "no NVIDIA driver finds a GPU here" in said
