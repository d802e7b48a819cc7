"""`tao-lora export`: a model's network for other runtimes."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from tao_lora_ros.cli.outputs import add_json_and_force, add_output, tell, written
from tao_lora_ros.model.artifact import load_artifact
from tao_lora_ros.model.onnx_graph import onnx_model

_LEFT_OUT = (
    "not in it: what makes rows of messages (alignment, glitch filter), the router with its two "
    "precisions and events, labels over time, names of events"
)


def add_export_parser(subparsers: Any) -> None:
    """Add the command to the subparsers of `tao-lora`."""
    parser = subparsers.add_parser("export", help="write a model's network as ONNX")
    parser.set_defaults(run=_export)
    parser.add_argument("model", type=Path, help="folder of a model")
    parser.add_argument("--adapter", default="", help="named adapter instead of the model's own")
    what = "file to write: FP32, the weights as transients use them, dequantised"
    add_output(parser, "--onnx", needs="onnx", required=True, metavar="FILE", help=what)
    add_json_and_force(parser)


def _export(options: Namespace) -> None:
    artifact = load_artifact(options.model, options.adapter)
    model = onnx_model(artifact)
    data = model.SerializeToString()
    with written(options.onnx) as file:
        file.write_bytes(data)
    values = {
        kind: {value.name: _shape(value) for value in of}
        for kind, of in (("inputs", model.graph.input), ("outputs", model.graph.output))
    }
    lines = [f"{options.onnx}: {len(data)} bytes, opset {model.opset_import[0].version}"]
    for kind, shapes in values.items():
        lines += [f"  {kind}: {name} float32 [{', '.join(of)}]" for name, of in shapes.items()]
    lines += [f"  channels: {', '.join(artifact.channels)}, at {artifact.rate_hz:g} Hz"]
    lines += [f"  labels: {', '.join(artifact.labels) or 'none'}", f"  {_LEFT_OUT}"]
    tell(options, {"file": str(options.onnx), **values, "left_out": _LEFT_OUT}, lines)


def _shape(value: Any) -> list[str]:
    return [str(d.dim_param or d.dim_value) for d in value.type.tensor_type.shape.dim]
