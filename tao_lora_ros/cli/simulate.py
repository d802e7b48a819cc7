"""`tao-lora simulate`: recordings of an arm that is struck, touches and slides."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from typing import Any

from tao_lora_ros.bags.labels import labels_file
from tao_lora_ros.cli.arguments import MOST_S, MOST_SEED, UsageError, number, whole
from tao_lora_ros.cli.outputs import (
    BAG,
    add_json_and_force,
    add_output,
    check_output,
    need,
    tell,
    written,
)
from tao_lora_ros.messages.files import refuse_existing
from tao_lora_ros.messages.texts import shown
from tao_lora_ros.training.progress import bar_on_terminal, line_of


def add_simulate_parser(subparsers: Any) -> None:
    """Add `simulate` to the subparsers of `tao-lora`."""
    simulate = subparsers.add_parser("simulate", help="simulate recordings of an arm (MuJoCo)")
    simulate.set_defaults(run=_simulate)
    what = "bag folder, or folder of bags with --runs"
    add_output(simulate, "out", BAG, grows=True, help=what)
    add_json_and_force(simulate)
    lasting = number(above=0.0, most=MOST_S)
    simulate.add_argument("--duration", type=lasting, default=60.0, help="s of each recording")
    seed = whole(0, MOST_SEED)
    simulate.add_argument("--seed", type=seed, default=0, help="seed of the first recording")
    simulate.add_argument("--runs", type=whole(1, 1000), help="how many recordings, run_000 on")
    kind = simulate.add_mutually_exclusive_group()
    kind.add_argument("--steady", action="store_true", help="no strikes, no contacts")
    kind.add_argument(
        "--presses", action="store_true", help="a hand presses while the arm moves, taps within"
    )
    simulate.add_argument(
        "--mounting", type=seed, metavar="SEED", help="of tool and mounting (default: each its own)"
    )


def _simulate(options: Namespace) -> None:
    need("mujoco", "simulate")
    from tao_lora_ros.simulation.recording import SimulationConfig, record

    runs = [options.out]
    if options.runs is not None:
        runs = [options.out / f"run_{number:03d}" for number in range(options.runs)]
    for path in runs:
        check_output(path, BAG, options.force)
        if not options.force:
            refuse_existing(labels_file(path), UsageError)
    try:
        first = SimulationConfig(
            options.duration,
            options.seed,
            contacts=not options.steady,
            presses=options.presses,
            mounting_seed=options.mounting,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    made = []
    with bar_on_terminal() as bar:
        for number, path in enumerate(runs):
            config = replace(first, seed=options.seed + number)
            show = line_of(bar, shown(path), 1.0)
            with written(path) as bag:
                contacts = len(record(config, bag, show))
            made.append({"bag": str(path), "seed": config.seed, "contacts": contacts})
    tell(options, {"bags": made}, (f"{row['bag']}: {row['contacts']} contacts" for row in made))
