"""`tao-lora`: replay, demo, play, simulate, train, and the table of parameters."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import argcomplete

from tao_lora_ros.bags.reader import WHOLE
from tao_lora_ros.cli import commands
from tao_lora_ros.cli.arguments import (
    MOST_S,
    MOST_SEED,
    add_params_file,
    add_part_arguments,
    add_topic_argument,
    number,
    per_hour,
    speed,
    whole,
)
from tao_lora_ros.cli.compare import add_compare_parser
from tao_lora_ros.cli.doctor import add_doctor_parser
from tao_lora_ros.cli.events import add_events_parser
from tao_lora_ros.cli.export import add_export_parser
from tao_lora_ros.cli.fleet import add_pool_arguments, add_table_arguments
from tao_lora_ros.cli.fleet_page import add_fleet_parser
from tao_lora_ros.cli.importing import add_import_parser
from tao_lora_ros.cli.info import add_info_parser
from tao_lora_ros.cli.outputs import add_json_and_force, add_output, check_outputs
from tao_lora_ros.cli.page import add_page_arguments
from tao_lora_ros.cli.review import add_review_parser
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.texts import MOST_LINE, error_line, shown
from tao_lora_ros.signal.compiled import announced

_EXIT = """exit status: 0 done, 1 an input will not do or damage was found, 2 the arguments will not
do, 3 other events than expected (compare, replay --expect), 130 interrupted"""
_COMPLETION = 'completion in bash and zsh: eval "$(register-python-argcomplete tao-lora)"'
# Their parsers load torch, which takes seconds and 180 MiB: only where one of them is called.
_WITH_TORCH = {
    "train": "train, quantise, adapt and calibrate on bags, or names on a store",
    "quantize": "quantise a trained model anew",
    "adapt": "tune the low-rank branches, or add named ones",
    "name": "learn what events are called, from labelled bags",
    "evaluate": "score a model on labelled bags",
    "bench": "what model and node cost here",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status. What the user got wrong is said in one line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        parser = _parser(_command(arguments))
        argcomplete.autocomplete(parser)
        options = parser.parse_args(arguments)
        check_outputs(options)
        with announced(_say_on_terminal):
            return int(options.run(options) or 0)
    except TaoLoraError as error:
        print(f"tao-lora: error: {shown(error, MOST_LINE)}", file=sys.stderr)
        return 1
    except ImportError as error:  # torch or another library, not there or broken
        remedy = ": pip install torch" if error.name == "torch" else ""
        print(f"tao-lora: error: cannot be loaded: {error_line(error)}{remedy}", file=sys.stderr)
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


def _say_on_terminal(line: str) -> None:
    if sys.stderr.isatty():
        print(f"tao-lora: {line}", file=sys.stderr)


def _command(arguments: list[str]) -> str:
    """The command that is called, or completed."""
    words = os.environ["COMP_LINE"].split()[1:] if "_ARGCOMPLETE" in os.environ else arguments
    return words[0] if words else ""


class _Help(argparse.RawDescriptionHelpFormatter):
    """With the defaults."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        says = action.help is None or "default" in action.help
        silent = any(action.default is value for value in (None, False, argparse.SUPPRESS))
        silent = silent or action.default in ("", [])
        return action.help if says or silent else f"{action.help} (default: %(default)s)"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with arguments on one line, whatever they are."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**{"formatter_class": _Help, **how})

    def error(self, message: str) -> NoReturn:
        said = shown(message, MOST_LINE)
        self.exit(2, f"tao-lora: error: {said}; see {self.prog} --help\n")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        print(f"tao-lora {version('tao_lora_ros')}")
        parser.exit()


def _parser(command: str | None) -> argparse.ArgumentParser:
    """With all arguments of one command, and of all that do without torch; None: of all."""
    parser = _Parser(prog="tao-lora", description=__doc__, epilog=f"{_EXIT}\n\n{_COMPLETION}")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
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
    add_json_and_force(replay)
    replay.add_argument(
        "--expect", type=Path, metavar="FILE", help="status 3 where the events are not FILE's"
    )
    add_output(replay, "--report", metavar="FILE", help="write an HTML report")
    what = "write a recording for Rerun's viewer"
    add_output(replay, "--rerun", needs="rerun", metavar="FILE", help=what)
    replay.add_argument("--model", type=Path, metavar="DIR", help="artifact folder")
    add_params_file(replay)
    replay.add_argument(
        "--calibrate", type=Path, nargs="+", metavar="BAG", help="thresholds from steady bags"
    )
    what = "write inputs and results as one mcap bag"
    add_output(replay, "--out", folder=True, metavar="BAG", help=what)
    replay.add_argument("--store", type=Path, metavar="DIR", help="keep the events in this store")

    demo = subparsers.add_parser("demo", help="node, player and live view on a recording")
    demo.set_defaults(run=commands.demo_command, model=None, params_file=None)
    demo.set_defaults(from_s=WHOLE[0], to_s=WHOLE[1])
    add_topic_argument(demo)
    demo.add_argument("bag", type=Path, nargs="?", help="bag to play; without one, simulate")
    demo.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for the results")
    demo.add_argument("--rate", type=speed, default=1.0, help="playing speed")

    watch = subparsers.add_parser("watch", help="see what a running node takes in and finds")
    watch.set_defaults(run=commands.watch_command)
    watch.add_argument(
        "node", nargs="?", help="its full name, or its namespace; default: the one that runs"
    )
    watch.add_argument("--web", action="store_true", help="as a page on loopback that grows")
    add_page_arguments(watch, "of --web; default: any")

    play = subparsers.add_parser("play", help="play a bag's IMU and wrench topics onto ROS 2")
    play.set_defaults(run=commands.play_command)
    _bag_arguments(play)
    play.add_argument("--rate", type=speed, default=1.0, help="playing speed")
    add_json_and_force(play)
    play.add_argument("--clock", action="store_true", help="publish the bag's time on /clock")
    add_params_file(play)

    simulate = subparsers.add_parser("simulate", help="simulate recordings of an arm (MuJoCo)")
    simulate.set_defaults(run=commands.simulate_command)
    simulate.add_argument("out", type=Path, help="bag folder, or folder of bags with --runs")
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

    calibrate = subparsers.add_parser("calibrate", help="set the thresholds from steady bags")
    calibrate.set_defaults(run=commands.calibrate_command)
    add_topic_argument(calibrate)
    add_part_arguments(calibrate)
    calibrate.add_argument("bags", type=Path, nargs="+", help="steady bags, or folders of bags")
    add_pool_arguments(calibrate)
    calibrate.add_argument(
        "--model", type=Path, metavar="DIR", help="artifact folder to start from"
    )
    add_json_and_force(calibrate)
    what = "artifact folder to write"
    add_output(calibrate, "--out", model=True, required=True, metavar="DIR", help=what)
    calibrate.add_argument(
        "--alarms-per-hour", type=per_hour, default=1.0, help="false alarms aimed at"
    )
    what = "write an HTML plot of the fit"
    add_output(calibrate, "--plot", metavar="FILE", help=what)
    calibrate.add_argument(
        "--insist",
        action="store_true",
        help="take also what is mostly no steady motion, as --force does too",
    )
    calibrate.add_argument(
        "--scales",
        choices=("set", "keep", "only"),
        default="set",
        help="of the channels, to the robot's own: set beside the thresholds (default), keep the "
        "model's, or set alone, from motion that need not be steady",
    )
    add_params_file(calibrate)

    add_events_parser(subparsers)
    add_compare_parser(subparsers)
    add_fleet_parser(subparsers)
    add_doctor_parser(subparsers)
    add_review_parser(subparsers)
    add_import_parser(subparsers)
    add_export_parser(subparsers)
    add_info_parser(subparsers)

    parameters = subparsers.add_parser("parameters", help="print the table of parameters")
    parameters.set_defaults(run=commands.parameters_command)
    parameters.add_argument("--yaml", action="store_true", help="as a ROS parameter file")
    add_json_and_force(parameters)
    if command in ("bench", None):
        from tao_lora_ros.cli.bench import add_bench_parser

        add_bench_parser(subparsers)
    if command != "bench" and command in (*_WITH_TORCH, None):
        from tao_lora_ros.cli.training import add_training_parsers

        add_training_parsers(subparsers)
    for name, what in _WITH_TORCH.items():
        if name not in subparsers.choices:
            subparsers.add_parser(name, help=what)
    return parser


def _bag_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bag", type=Path, help="ROS 1 or ROS 2 bag")
    add_topic_argument(parser)


if __name__ == "__main__":
    sys.exit(main())
