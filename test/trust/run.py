"""`make trust [SECONDS=30] [ARGS="samples processes"]`: does the node keep what it promises?

Injects faults into the running node and its tools, prints what became of each, and ends with 1
where counters do not add up, something is lost, or nothing is said.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from trust import (
    commands,
    fuzzing,
    graph,
    lifecycle,
    machine,
    memory,
    processes,
    resources,
    samples,
    texts,
)
from trust.table import HEAD, Row, show
from wire import Wire, open_wire

from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.model.artifact import default_artifact, load_artifact

Family = Callable[[Wire, Path, float], Iterable[Row]]
FAMILIES: dict[str, Family] = {
    "samples": lambda wire, folder, _: samples.rows(wire, folder),
    "graph": lambda wire, folder, _: graph.rows(wire, folder),
    "node_kills": lambda wire, folder, seconds: [
        processes.kill_node(wire, folder, max(2, round(seconds / 12)))
    ],
    "writer_kills": lambda wire, folder, seconds: [
        processes.kill_writer(wire, folder, max(4, round(seconds / 4)))
    ],
    "processes": processes.rows,
    "resources": resources.rows,
    "lifecycle": lifecycle.rows,
    "texts": lambda _, folder, __: texts.rows(folder),
    "commands": lambda _, folder, __: commands.rows(folder),
    "machine": lambda _, __, seconds: machine.rows(seconds),
    "memory": lambda _, __, seconds: memory.rows(seconds),
    "fuzzing": lambda _, folder, seconds: fuzzing.rows(folder, seconds),
}


def main() -> int:
    """Run the families asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=", ".join(FAMILIES))
    parser.add_argument("--seconds", type=float, default=30.0, help="of what has no end of its own")
    parser.add_argument("--kills", type=int, help="node and writer, so often each, and no more")
    options = parser.parse_args()
    families = FAMILIES
    if kills := options.kills:
        families = {
            "node_kills": lambda wire, folder, _: [processes.kill_node(wire, folder, kills)],
            "writer_kills": lambda wire, folder, _: [processes.kill_writer(wire, folder, kills)],
        }
    folder = Path("out/trust").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # Loops are compiled for the place that they are imported from: here, before a node has to.
    Pipeline(Settings(), load_artifact(default_artifact())).warm()
    begun, failures = time.monotonic(), 0
    print(*HEAD, sep="\n", flush=True)
    for name in options.families or families:
        wire = open_wire()
        try:
            failures += show(families[name](wire, folder, options.seconds))
        except Exception as error:
            print(f"    WRONG: {name}: {type(error).__name__}: {error}", flush=True)
            failures += 1
        finally:
            wire.close()
    print(f"\n{time.monotonic() - begun:.0f} s, {failures} wrong")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
