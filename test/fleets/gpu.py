"""`python -m fleets.gpu BAG [--copies 160]`: many bags by the CPU and by one GPU for all of them.

Copies of a bag are replayed by a process a core, by `base` as it ships and by an untrained `large`,
at the usual hop and at every row. Tells what each took, and how far the tables are apart.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet

from tao_lora_ros.bags.reader import WHOLE
from tao_lora_ros.bags.replay import Chosen
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.fleet.find import Bag, find_bags
from tao_lora_ros.fleet.gpu import gpu_process
from tao_lora_ros.fleet.run import replay_all
from tao_lora_ros.fleet.task import How
from tao_lora_ros.fleet.workers import LocalWorkers
from tao_lora_ros.model.artifact import default_artifact, load_artifact, save_artifact

_CORES = len(os.sched_getaffinity(0))


def main() -> None:
    """Print a line a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bag", type=Path)
    parser.add_argument("--copies", type=int, default=160)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tao_lora_gpu_") as name:
        folder = Path(name)
        bag = shutil.copytree(options.bag, folder / "bags" / "robot_0" / options.bag.name)
        for number in range(1, options.copies):
            copy = folder / "bags" / f"robot_{number}" / options.bag.name
            shutil.copytree(bag, copy, copy_function=os.link)
        bags = find_bags([str(folder / "bags")])
        _replayed(folder / "compiled", bags[:1], default_artifact(), None, gpu=False)
        for model in (default_artifact(), _large(folder / "large")):
            for hop, some in ((None, bags), (1, bags[: len(bags) // 8])):
                tables = [
                    _replayed(folder / f"{model.name}_{hop}_{gpu}", some, model, hop, gpu)
                    for gpu in (False, True)
                ]
                _compare(*tables)


def _replayed(table: Path, bags: list[Bag], model: Path, hop: int | None, gpu: bool) -> Path:
    begun = time.perf_counter()
    with gpu_process() if gpu else nullcontext("") as address:
        how = How(partial(_choose, model, hop), model.name, WHOLE, windows=True, gpu=address)
        run = replay_all(bags, how, table, partial(LocalWorkers, count=_CORES))
    took_s = time.perf_counter() - begun
    print(
        f"{model.name}, hop {hop or 'as usual'}, {'GPU' if gpu else 'CPU'}: {len(bags)} bags, "
        f"{run.failed} bad, {run.robot_s:.0f} s in {took_s:.1f} s: "
        f"{run.robot_s / took_s:.0f} times real time on {_CORES} cores",
        flush=True,
    )
    return table


def _choose(model: Path, hop: int | None, _: Path) -> Chosen:
    settings = Settings(backend="cpu")
    if hop:
        settings = replace(settings, hop_steady=hop, hop_transient=hop)
    return Chosen(settings, {}, load_artifact(model))


def _large(folder: Path) -> Path:
    """An untrained model, with all else of the one that ships."""
    import torch  # not in the workers, which import this file too

    from tao_lora_ros.model.conversion import network_of
    from tao_lora_ros.model.mixer import Mixer
    from tao_lora_ros.training.quantize import observe, quantize
    from tao_lora_ros.training.training_config import SIZES

    ours = load_artifact(default_artifact())
    spread = torch.tensor([0.05, 0.005, 0.2, 0.01]).repeat_interleave(3)  # of an arm at rest
    sizes = replace(SIZES["large"], channels=len(ours.channels), classes=len(ours.labels))
    torch.manual_seed(0)
    teacher = Mixer(sizes).eval()
    teacher.spread.copy_(spread)
    windows = spread * torch.randn(64, sizes.window, sizes.channels)
    model = network_of(quantize(teacher, observe(teacher, windows, 10 * windows)))
    save_artifact(replace(ours, model=model, model_id="large", event_head=None), folder)
    return folder


def _compare(cpu: Path, gpu: Path) -> None:
    said = [np.array([row["probabilities"] for row in _rows(t, "windows")]) for t in (cpu, gpu)]
    events = [
        [(row["bag"], row["onset_ns"], row["label"]) for row in _rows(t, "events")]
        for t in (cpu, gpu)
    ]
    others = np.sum(said[0].argmax(1) != said[1].argmax(1))
    print(
        f"  {len(said[0])} windows: probabilities at most {abs(said[0] - said[1]).max():.2g} "
        f"apart, {others} with another label; {len(events[0])} events: "
        f"{'the same' if events[0] == events[1] else 'OTHERS'}",
        flush=True,
    )


def _rows(table: Path, name: str) -> list[dict[str, Any]]:
    rows: Iterator[dict[str, Any]] = iter(parquet.read_table(table / name).to_pylist())
    return sorted(rows, key=lambda row: (row["bag"], row.get("stamp_ns") or row.get("onset_ns")))


if __name__ == "__main__":
    main()
