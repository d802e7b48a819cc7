"""`tao-lora`: impacts, contacts and slips of a robot, found in its IMU and force/torque signals."""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
from importlib.metadata import version
from typing import Any, NoReturn

import argcomplete

from tao_lora_ros.cli.arguments import UsageError
from tao_lora_ros.cli.calibrate import add_calibrate_parser
from tao_lora_ros.cli.compare import add_compare_parser
from tao_lora_ros.cli.doctor import add_doctor_parser
from tao_lora_ros.cli.events import add_events_parser
from tao_lora_ros.cli.export import add_export_parser
from tao_lora_ros.cli.fleet_page import add_fleet_parser
from tao_lora_ros.cli.importing import add_import_parser
from tao_lora_ros.cli.info import add_info_parser
from tao_lora_ros.cli.outputs import check_outputs
from tao_lora_ros.cli.parameters import add_parameters_parser
from tao_lora_ros.cli.replay import add_replay_parser
from tao_lora_ros.cli.review import add_review_parser
from tao_lora_ros.cli.simulate import add_simulate_parser
from tao_lora_ros.cli.with_ros import add_ros_parsers
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.files import refusal
from tao_lora_ros.messages.texts import MOST_LINE, did_you_mean, error_line, shown
from tao_lora_ros.signal.compiled import announced

_ABOUT = """Find what happens to a robot (impacts, contacts, slips, touchdowns) in its IMU,
force/torque and joint-effort topics, in bags or live. To begin with:

  tao-lora replay BAG --report found.html            what happens in a bag of yours
  tao-lora calibrate STEADY_BAG --out my_model       thresholds of your robot
  tao-lora replay BAG --model my_model --store found
  tao-lora review --store found --open               say what each event was"""
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
        if "" in arguments:
            raise UsageError("an empty argument; is a variable of the shell not set?")
        for word in arguments:
            if re.fullmatch("--?[a-z-]+=--", word):  # argparse makes an empty list of it
                raise UsageError(f"{word}: '--' is no value")
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
        gone = "the folder that you are in is gone" if error.errno == errno.ENOENT else ""
        where = error.filename or gone
        what = f"{where}: {refusal(error)}" if where else refusal(error)
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

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Of a command, which refuses itself what it does not know, and names its own help."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            name = unknown[0].partition("=")[0]
            known = [option for option in self._option_string_actions if option.startswith("--")]
            hint = did_you_mean(name, known) if name.startswith("-") else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return options, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            hint = did_you_mean(value, action.choices) or "; it comes before all that it takes"
            raise argparse.ArgumentError(None, f"no command '{value}'{hint}")
        super()._check_value(action, value)

    def error(self, message: str) -> NoReturn:
        said = shown(message, MOST_LINE)
        self.exit(2, f"tao-lora: error: {said}; see {self.prog} --help\n")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        print(f"tao-lora {version('tao_lora_ros')}")
        parser.exit()


def _parser(command: str | None) -> argparse.ArgumentParser:
    """With all arguments of one command, and of all that do without torch; None: of all."""
    parser = _Parser(prog="tao-lora", description=_ABOUT, epilog=f"{_EXIT}\n\n{_COMPLETION}")
    unsaid = argparse.SUPPRESS  # in the options
    parser.add_argument(
        "--version", action=_Version, nargs=0, default=unsaid, help="print the version"
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    add_replay_parser(subparsers)
    add_ros_parsers(subparsers)
    add_simulate_parser(subparsers)
    add_calibrate_parser(subparsers)
    add_events_parser(subparsers)
    add_compare_parser(subparsers)
    add_fleet_parser(subparsers)
    add_doctor_parser(subparsers)
    add_review_parser(subparsers)
    add_import_parser(subparsers)
    add_export_parser(subparsers)
    add_info_parser(subparsers)
    add_parameters_parser(subparsers)
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


if __name__ == "__main__":
    sys.exit(main())
