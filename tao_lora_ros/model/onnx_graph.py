"""A model's network as an ONNX graph, its weights dequantised; it needs the package onnx."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.model.heads import CLASSES, FORECAST
from tao_lora_ros.model.network import Layer, Network, layers_of
from tao_lora_ros.model.spectrum import FLOOR, PARTS, spectral_basis
from tao_lora_ros.signal.source import unit_of

OPSET, IR_VERSION = 21, 10
INPUT, PROBABILITIES, OUTPUT = "windows", "probabilities", "forecast"
_LEAST_VARIANCE = 1e-4  # as the mixer's
_EPSILON = 1e-5  # of LayerNorm


def weights_of(network: Network, layer: Layer) -> NDArray[np.float32]:
    """Weights of a layer as transients use them, its branch added; float32 [N, K]."""
    tensors = network.tensors
    weights = network.codes(layer) * tensors[f"{layer.name}.scales"].astype(np.float32)
    if layer.rank:
        up, down = (tensors[f"{layer.name}.{what}"].astype(np.float32) for what in ("up", "down"))
        weights = weights + up @ down
    return weights.astype(np.float32)


class _Graph:
    """Nodes and constants, each named after where it comes."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: Any, output: str = "", **attributes: Any) -> str:
        """A node; inputs are names of others, or values."""
        names = [x if isinstance(x, str) else self._constant(x) for x in inputs]
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(kind, names, [output], **attributes))
        return output

    def _constant(self, value: Any) -> str:
        name = f"constant_{len(self.constants)}"
        array = np.asarray(value)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array.astype(np.int64)
        self.constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name


def onnx_model(artifact: Artifact) -> Any:
    """The network as an `onnx.ModelProto`.

    `windows`, float32 [batch, T, C] in SI units, NaN where there is no value, gives
    `probabilities` [batch, L], of a model with labels, and `forecast` [batch, H, C], the rows that
    follow, in SI units. Channels, labels and rate are in the metadata.

    Raises:
        ArtifactError: there is no network.
        ImportError: onnx is not installed.
    """
    import onnx

    network, helper = artifact.network, onnx.helper
    sizes, graph = network.config, _Graph(onnx)
    body = _Body(graph, network)
    body.write()
    shapes = {PROBABILITIES: [sizes.classes]} if sizes.classes else {}
    shapes |= {OUTPUT: [sizes.horizon, sizes.channels]}
    values = {INPUT: [sizes.window, sizes.channels], **shapes}
    described = {
        name: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", *shape])
        for name, shape in values.items()
    }
    made = helper.make_graph(
        graph.nodes,
        artifact.model_id,
        [described[INPUT]],
        [described[name] for name in shapes],
        graph.constants,
    )
    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="tao_lora_ros",
    )
    helper.set_model_props(model, _metadata(artifact))
    onnx.checker.check_model(model, full_check=True)
    return model


def _metadata(artifact: Artifact) -> dict[str, str]:
    return {
        "model_id": artifact.model_id,
        "version": artifact.version,
        "rate_hz": f"{artifact.rate_hz:g}",
        "channels": json.dumps(artifact.channels),
        "units": json.dumps([unit_of(name) for name in artifact.channels]),
        "labels": json.dumps(artifact.labels),
    }


class _Body:
    """The mixer's forward pass, as in `mixer.Mixer`, which says what each step is for."""

    def __init__(self, graph: _Graph, network: Network) -> None:
        self._add = graph.add
        self._network = network
        self._sizes = network.config
        self._layers = layers_of(network.config)

    def write(self) -> None:
        """From the input to the outputs."""
        add, sizes = self._add, self._sizes
        absent = add("IsNaN", INPUT)
        level = self._level(absent)
        x = self._standardized(absent, level)
        features = self._features(level, x)
        patches = add("Reshape", x, [0, sizes.tokens, sizes.patch * sizes.channels])
        x = self._linear("embed", patches)
        x = add("Add", x, add("Unsqueeze", self._linear("embed_features", features), [1]))
        for number in range(sizes.blocks):
            x = self._block(f"blocks.{number}", x)
        x = self._norm("norm", x)
        if sizes.classes:
            logits = self._linear(CLASSES.name, add("ReduceMean", x, [1], keepdims=0))
            add("Softmax", logits, output=PROBABILITIES, axis=1)
        last = add("Gather", x, sizes.tokens - 1, axis=1)
        ahead = self._linear(FORECAST.name, last)
        ahead = add("Reshape", ahead, [0, sizes.horizon, sizes.channels])
        moved = add("Mul", add("Sinh", ahead), self._network.tensors["spread"])
        add("Add", moved, level, output=OUTPUT)

    def _level(self, absent: str) -> str:
        add, usual = self._add, self._network.tensors["level_mean"]
        least = float("inf") if self._sizes.absolute else 0.0
        values = add("Where", absent, 0.0, INPUT)
        there = add("Cast", add("Not", absent), to=1)  # float32
        count = add("ReduceSum", there, [1])
        mean = add("Div", add("ReduceSum", values, [1]), add("Max", count, 1.0))
        return add("Where", add("Greater", count, least), mean, usual)

    def _standardized(self, absent: str, level: str) -> str:
        add = self._add
        units = add("Div", add("Sub", INPUT, level), self._network.tensors["spread"])
        return add("Asinh", add("Where", absent, 0.0, units))

    def _features(self, level: str, x: str) -> str:
        add, sizes, tensors = self._add, self._sizes, self._network.tensors
        off = add("Sub", add("Squeeze", level, [1]), tensors["level_mean"])
        placed = add("Asinh", add("Div", off, tensors["level_std"]))
        apart = add("Sub", x, add("ReduceMean", x, [1]))
        squares = add("ReduceSum", add("Mul", apart, apart), [1], keepdims=0)
        variance = add("Div", squares, float(sizes.window - 1))
        parts = [placed, add("Log", add("Add", variance, _LEAST_VARIANCE))]
        if sizes.segment:
            squared = add("Mul", x, x)
            found = [
                add("ReduceMean", add("Abs", x), [1], keepdims=0),
                add("ReduceMean", add("Mul", squared, squared), [1], keepdims=0),
                self._powers(x),
            ]
            parts += [add("Log", add("Add", part, FLOOR)) for part in found]
        return add("Concat", *parts, axis=1)

    def _powers(self, x: str) -> str:
        add, sizes = self._add, self._sizes
        basis = spectral_basis(sizes.window, sizes.segment)
        count = basis.shape[1]
        cut = add("Reshape", x, [0, sizes.window // sizes.segment, sizes.segment, sizes.channels])
        waves = add("MatMul", basis.reshape(PARTS * count, sizes.segment), cut)
        powers = add("ReduceSum", add("Mul", waves, waves), [1], keepdims=0)
        powers = add("Reshape", powers, [0, PARTS, count, sizes.channels])
        summed = add("ReduceSum", powers, [1], keepdims=0)
        return add("Reshape", summed, [0, count * sizes.channels])

    def _block(self, name: str, x: str) -> str:
        add = self._add
        mixed = add("Transpose", self._norm(f"{name}.token_norm", x), perm=[0, 2, 1])
        mixed = self._linear(f"{name}.token_down", self._gelu(f"{name}.token_up", mixed))
        x = add("Add", x, add("Transpose", mixed, perm=[0, 2, 1]))
        mixed = self._gelu(f"{name}.channel_up", self._norm(f"{name}.channel_norm", x))
        return add("Add", x, self._linear(f"{name}.channel_down", mixed))

    def _gelu(self, name: str, x: str) -> str:
        return self._add("Gelu", self._linear(name, x), approximate="tanh")

    def _norm(self, name: str, x: str) -> str:
        gain, bias = (self._network.tensors[f"{name}.{what}"] for what in ("weight", "bias"))
        return self._add("LayerNormalization", x, gain, bias, axis=-1, epsilon=_EPSILON)

    def _linear(self, name: str, x: str) -> str:
        weights = weights_of(self._network, self._layers[name])
        product = self._add("MatMul", x, weights.T)
        return self._add("Add", product, self._network.tensors[f"{name}.bias"])
