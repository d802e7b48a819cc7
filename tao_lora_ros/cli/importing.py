"""`tao-lora import`: bags from CSV and NPZ files, and from topics of foreign types."""

from __future__ import annotations

from argparse import Namespace
from itertools import chain
from pathlib import Path
from typing import Any

from tao_lora_ros.bags.foreign_units import FACTORS
from tao_lora_ros.bags.import_layout import FILE, Layout, load_layout, save_layout, with_options
from tao_lora_ros.bags.importing import import_tables
from tao_lora_ros.cli.arguments import MOST_RATE_HZ, number
from tao_lora_ros.cli.fleet import add_pool_arguments, pool_of, status_of
from tao_lora_ros.cli.outputs import add_json_and_force, add_output, tell
from tao_lora_ros.messages.texts import MOST_LINE, shown


def add_import_parser(subparsers: Any) -> None:
    """Add the command to the subparsers of `tao-lora`."""
    parser = subparsers.add_parser(
        "import", help="bags from CSV or NPZ files, or from topics of other types"
    )
    parser.set_defaults(run=_import)
    parser.add_argument(
        "sources", type=Path, nargs="+", help="CSV files, folders of them, NPZ files, or bags"
    )
    add_output(parser, "--out", grows=True, required=True, help="folder for the bags")
    parser.add_argument(
        "--columns",
        metavar="NAMES",
        help='by place where there is no header, "time ax ay az _ label" ("_": not used), or by '
        'name, "time=stamp ax=Acc X"; names of ours are time, ax ay az, wx wy wz, fx fy fz, '
        "tx ty tz, effort_JOINT, label",
    )
    parser.add_argument(
        "--unit",
        action="append",
        default=[],
        metavar="QUANTITY=UNIT",
        help="of accel, gyro, force, torque or effort, such as accel=g, or SI units a count",
    )
    add_pool_arguments(parser)
    add_json_and_force(parser)
    parser.add_argument("--time-unit", choices=FACTORS["time"], help="of the column of times")
    rates = number(above=0.0, most=MOST_RATE_HZ)
    parser.add_argument("--rate-hz", type=rates, help="of the rows, where there are no times")
    parser.add_argument(
        "--merge",
        metavar="REGEX",
        help="files in whose names the first group is the same make one bag "
        "(default: whose names differ by a sensor's name alone)",
    )
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="VALUE=NAME",
        help="what a value in column label is called",
    )
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="TOPIC",
        help="of a bag, one that is read (default: all that hold a sensor)",
    )
    parser.add_argument(
        "--layout", type=Path, metavar="YAML", help=f"read as an import before, see OUT/{FILE}"
    )


def _import(options: Namespace) -> int:
    layout = with_options(
        load_layout(options.layout) if options.layout else Layout(),
        options.columns,
        options.unit,
        options.time_unit,
        options.rate_hz,
        options.merge,
        options.label,
        options.topic,
    )
    pool = pool_of(options)
    found = list(import_tables(options.sources, options.out, layout, options.force, pool.map))
    save_layout(layout, options.out / FILE)
    rows = [{"bag": str(bag), "notes": notes} for bag, notes in found]
    lines = [[str(bag), *(f"  {shown(line, MOST_LINE)}" for line in notes)] for bag, notes in found]
    tell(options, {"bags": rows, "failed": pool.failed}, chain.from_iterable(lines))
    return status_of(options)
