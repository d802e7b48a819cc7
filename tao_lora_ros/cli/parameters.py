"""`tao-lora parameters`: the table of parameters, which writes their file and documentation."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from tao_lora_ros.cli.outputs import add_json_and_force, tell
from tao_lora_ros.engine.settings import TABLE, parameter_file


def add_parameters_parser(subparsers: Any) -> None:
    """Add `parameters` to the subparsers of `tao-lora`."""
    parameters = subparsers.add_parser("parameters", help="print the table of parameters")
    parameters.set_defaults(run=_parameters)
    parameters.add_argument("--yaml", action="store_true", help="as a ROS parameter file")
    add_json_and_force(parameters)


def _parameters(options: Namespace) -> None:
    if options.yaml:
        print(parameter_file(), end="")
        return
    columns = ("name", "type_name", "default", "range", "unit", "live", "description")
    rows = [{column: getattr(row, column) for column in columns} for row in TABLE]
    tell(options, rows, _parameter_lines())


def _parameter_lines() -> Iterator[str]:
    yield "| parameter | type | default | range | unit | live | what it is |"
    yield "|---|---|---|---|---|---|---|"
    for row in TABLE:
        default = list(row.default) if isinstance(row.default, tuple) else row.default
        yield (
            f"| `{row.name}` | {row.type_name} | `{json.dumps(default)}` | {row.range} "
            f"| {row.unit} | {'yes' if row.live else ''} | {row.description} |"
        )
