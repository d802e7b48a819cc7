"""`tao-lora`: replay, demo, play, simulate, train, and the table of parameters."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from tao_lora_ros.cli import commands
from tao_lora_ros.cli.arguments import add_part_arguments, add_topic_argument, per_hour
from tao_lora_ros.cli.compare import add_compare_parser
from tao_lora_ros.cli.doctor import add_doctor_parser
from tao_lora_ros.cli.events import add_events_parser
from tao_lora_ros.cli.fleet import add_table_arguments
from tao_lora_ros.cli.fleet_page import add_fleet_parser
from tao_lora_ros.cli.importing import add_import_parser
from tao_lora_ros.cli.review import add_review_parser
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.texts import MOST_LINE, shown


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status. What the user got wrong is said in one line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parser(arguments[:1]).parse_args(arguments)
        return int(options.run(options) or 0)
    except TaoLoraError as error:
        print(f"tao-lora: error: {shown(error, MOST_LINE)}", file=sys.stderr)
        return 1
    except ImportError as error:  # torch or another library, not there or broken
        what = shown(" ".join(str(error).split()), MOST_LINE)
        print(f"tao-lora: error: cannot be loaded: {what}", file=sys.stderr)
        return 1
    except MemoryError:
        print("tao-lora: error: out of memory", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # of a file that was named, or of the disk
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"tao-lora: error: {shown(what, MOST_LINE)}", file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with arguments on one line, whatever they are."""

    def error(self, message: str) -> NoReturn:
        super().error(shown(message, MOST_LINE))


def _parser(command: list[str]) -> argparse.ArgumentParser:
    parser = _Parser(prog="tao-lora", description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    replay = subparsers.add_parser("replay", help="run the pipeline on bags, without ROS")
    replay.set_defaults(run=commands.replay_command)
    replay.add_argument(
        "bags",
        nargs="+",
        metavar="BAG",
        help="ROS 1 or ROS 2 bag; with --table many, folders, patterns, lists (.txt), URLs",
    )
    add_topic_argument(replay)
    add_part_arguments(replay)
    add_table_arguments(replay)
    replay.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    replay.add_argument("--report", type=Path, metavar="FILE", help="write an HTML report")
    replay.add_argument("--model", type=Path, metavar="DIR", help="artifact folder")
    replay.add_argument("--params-file", type=Path, metavar="YAML", help="ROS parameter file")
    replay.add_argument(
        "--calibrate", type=Path, nargs="+", metavar="BAG", help="thresholds from steady bags"
    )

    replay.add_argument(
        "--out", type=Path, metavar="BAG", help="write inputs and results as one mcap bag"
    )
    replay.add_argument("--store", type=Path, metavar="DIR", help="keep the events in this store")

    demo = subparsers.add_parser("demo", help="node, player and live view on a recording")
    demo.set_defaults(run=commands.demo_command, model=None, params_file=None)
    add_topic_argument(demo)
    demo.add_argument("bag", type=Path, nargs="?", help="bag to play; without one, simulate")
    demo.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for the results")
    demo.add_argument("--rate", type=float, default=1.0, help="playing speed (default 1)")

    watch = subparsers.add_parser("watch", help="see what a running node takes in and finds")
    watch.set_defaults(run=commands.watch_command)
    watch.add_argument("node", nargs="?", help="its full name; default: the one that runs")
    watch.add_argument("--web", action="store_true", help="as a page on loopback that grows")
    watch.add_argument("--port", type=int, default=0, help="of --web; default: a free one")
    watch.add_argument("--open", action="store_true", help="open the page in the browser")

    play = subparsers.add_parser("play", help="play a bag's IMU and wrench topics onto ROS 2")
    play.set_defaults(run=commands.play_command)
    _bag_arguments(play)
    play.add_argument("--rate", type=float, default=1.0, help="playing speed (default 1)")
    play.add_argument("--clock", action="store_true", help="publish the bag's time on /clock")
    play.add_argument("--params-file", type=Path, metavar="YAML", help="ROS parameter file")

    simulate = subparsers.add_parser("simulate", help="simulate recordings of an arm (MuJoCo)")
    simulate.set_defaults(run=commands.simulate_command)
    simulate.add_argument("out", type=Path, help="bag folder, or folder of bags with --runs")
    simulate.add_argument("--duration", type=float, default=60.0, help="seconds of each recording")
    simulate.add_argument("--seed", type=int, default=0, help="seed of the first recording")
    simulate.add_argument("--runs", type=int, help="how many recordings, run_000 on")
    kind = simulate.add_mutually_exclusive_group()
    kind.add_argument("--steady", action="store_true", help="no strikes, no contacts")
    kind.add_argument(
        "--presses", action="store_true", help="a hand presses while the arm moves, taps within"
    )
    simulate.add_argument(
        "--mounting", type=int, metavar="SEED", help="of tool and mounting (default: each its own)"
    )

    calibrate = subparsers.add_parser("calibrate", help="set the thresholds from steady bags")
    calibrate.set_defaults(run=commands.calibrate_command)
    add_topic_argument(calibrate)
    add_part_arguments(calibrate)
    calibrate.add_argument("bags", type=Path, nargs="+", help="steady bags, or folders of bags")
    calibrate.add_argument(
        "--model", type=Path, metavar="DIR", help="artifact folder to start from"
    )
    calibrate.add_argument("--out", type=Path, required=True, help="artifact folder to write")
    calibrate.add_argument(
        "--alarms-per-hour", type=per_hour, default=1.0, help="false alarms aimed at"
    )
    calibrate.add_argument(
        "--plot", type=Path, metavar="FILE", help="write an HTML plot of the fit"
    )
    calibrate.add_argument(
        "--force", action="store_true", help="take also what is mostly no steady motion"
    )
    calibrate.add_argument("--params-file", type=Path, metavar="YAML", help="ROS parameter file")

    add_events_parser(subparsers)
    add_compare_parser(subparsers)
    add_fleet_parser(subparsers)
    add_doctor_parser(subparsers)
    add_review_parser(subparsers)
    add_import_parser(subparsers)

    parameters = subparsers.add_parser("parameters", help="print the table of parameters")
    parameters.set_defaults(run=commands.parameters_command)
    parameters.add_argument("--yaml", action="store_true", help="as a ROS parameter file")
    if not set(command) & set(subparsers.choices):
        _add_those_with_torch(subparsers)
    return parser


def _add_those_with_torch(subparsers: Any) -> None:
    """It takes seconds and 180 MiB to load, which the other commands do without."""
    from tao_lora_ros.cli.bench import add_bench_parser
    from tao_lora_ros.cli.training import add_training_parsers

    add_training_parsers(subparsers)
    add_bench_parser(subparsers)


def _bag_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bag", type=Path, help="ROS 1 or ROS 2 bag")
    add_topic_argument(parser)


if __name__ == "__main__":
    sys.exit(main())
