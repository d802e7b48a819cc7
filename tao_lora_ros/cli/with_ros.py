"""`tao-lora demo`, `watch` and `play`: they need ROS, which is loaded when they run."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tao_lora_ros.bags.discover import sources_in
from tao_lora_ros.bags.reader import WHOLE, bag_topics
from tao_lora_ros.cli.arguments import UsageError, add_params_file, add_topic_argument, speed
from tao_lora_ros.cli.outputs import add_json_and_force, add_output, tell
from tao_lora_ros.cli.page import add_page_arguments
from tao_lora_ros.engine.sources import source_configs


def add_ros_parsers(subparsers: Any) -> None:
    """Add the commands to the subparsers of `tao-lora`."""
    demo = subparsers.add_parser("demo", help="node, player and live view on a recording")
    demo.set_defaults(run=_demo, model=None, params_file=None)
    demo.set_defaults(from_s=WHOLE[0], to_s=WHOLE[1])
    add_topic_argument(demo)
    demo.add_argument("bag", type=Path, nargs="?", help="bag to play; without one, simulate")
    what = "folder for the results"
    add_output(demo, "--out", grows=True, default=Path("out/demo"), help=what)
    demo.add_argument("--rate", type=speed, default=1.0, help="playing speed")

    watch = subparsers.add_parser("watch", help="see what a running node takes in and finds")
    watch.set_defaults(run=_watch)
    watch.add_argument(
        "node", nargs="?", help="its full name, or its namespace; default: the one that runs"
    )
    watch.add_argument("--web", action="store_true", help="as a page on loopback that grows")
    add_page_arguments(watch, "of --web; default: any")

    play = subparsers.add_parser("play", help="play a bag's IMU and wrench topics onto ROS 2")
    play.set_defaults(run=_play)
    play.add_argument("bag", type=Path, help="ROS 1 or ROS 2 bag")
    add_topic_argument(play)
    play.add_argument("--rate", type=speed, default=1.0, help="playing speed")
    add_json_and_force(play)
    play.add_argument("--clock", action="store_true", help="publish the bag's time on /clock")
    add_params_file(play)


@contextmanager
def _needs_ros() -> Iterator[None]:
    """Say in one line what to install where an import fails."""
    try:
        yield
    except ImportError as error:
        raise UsageError(f"{error}; this command needs ROS 2: source one, or use make") from None


def _demo(options: Namespace) -> int:
    with _needs_ros():
        from tao_lora_ros.cli.demo import run_demo
    return run_demo(options)


def _watch(options: Namespace) -> None:
    if not options.web and (options.port or options.open):
        raise UsageError("--port and --open are of the page: add --web")
    with _needs_ros():
        from tao_lora_ros.cli.watch import watch
    watch(options)


def _play(options: Namespace) -> None:
    with _needs_ros():
        from tao_lora_ros.ros.player import play
    try:
        found = sources_in(options.bag, options.params_file, bag_topics(options.topic))
        sources = source_configs(found.settings)
        count = play(options.bag, sources, found.topics, options.rate, clock=options.clock)
    except (ValueError, TimeoutError) as error:
        raise UsageError(str(error)) from None
    tell(options, {"bag": str(options.bag), "messages": count}, [f"{count} messages played"])
