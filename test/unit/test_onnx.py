"""A network as ONNX gives in ONNX Runtime what it gives in torch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import tao_lora
from models import CHANNELS, LABELS, SMALL, full_precision, small_artifact, windows

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.artifact import default_artifact, load_artifact, save_artifact
from tao_lora_ros.model.conversion import mixer_of
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.network import Network, layers_of

onnxruntime = pytest.importorskip("onnxruntime")
onnx_graph = pytest.importorskip("onnx") and pytest.importorskip("tao_lora_ros.model.onnx_graph")


def dequantized(network: Network) -> Mixer:
    """The mixer in full precision with a network's weights."""
    model = full_precision(network.config)
    layers = layers_of(network.config)
    state = {n: torch.tensor(t) for n, t in network.tensors.items() if n in model.state_dict()}
    for name, layer in layers.items():
        state[f"{name}.weight"] = torch.from_numpy(onnx_graph.weights_of(network, layer))
    model.load_state_dict(state)
    return model


def poisoned(network: Network) -> torch.Tensor:
    """Windows of all sizes, with gaps, and a channel without a value."""
    inputs = windows(seed=3, count=5, config=network.config)
    inputs[1] *= 10.0
    inputs[2, 5:20, 2] = torch.nan
    inputs[3, :, 0] = torch.nan
    return inputs


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"classes": 0},
        {"segment": 16, "blocks": 1},
        {"window": 24, "rank": 0},
        {"absolute": True},
    ],
    ids=str,
)
def test_it_agrees_with_torch(change: dict) -> None:
    artifact = small_artifact(replace(SMALL, **change))
    network = artifact.network
    model = onnx_graph.onnx_model(artifact)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    inputs = poisoned(network)
    found = dict(
        zip(
            [output.name for output in session.get_outputs()],
            session.run(None, {"windows": inputs.numpy()}),
            strict=True,
        )
    )
    exact = dequantized(network)
    with torch.inference_mode():
        logits, ahead = exact(inputs, Route.TRANSIENT)
        level = exact.level(inputs)
        _, coarse = mixer_of(network)(inputs, Route.TRANSIENT)
    expected = level + exact.spread * torch.sinh(ahead)
    scale = exact.spread.numpy()
    near = {"rtol": 1e-4, "atol": 2e-3}
    np.testing.assert_allclose(found["forecast"] / scale, expected.numpy() / scale, **near)
    np.testing.assert_allclose(ahead, coarse, atol=0.02)  # activations in FP16
    if logits is None:
        assert list(found) == ["forecast"]
    else:
        np.testing.assert_allclose(found["probabilities"], logits.softmax(1), atol=1e-4)


def test_the_command_says_what_is_in_it_and_what_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_artifact(small_artifact(), tmp_path / "model")
    file = tmp_path / "small.onnx"
    assert tao_lora("export", tmp_path / "model", onnx=file) == 0
    told = capsys.readouterr().out
    assert "inputs: windows float32 [batch, 32, 12]" in told
    assert "outputs: probabilities float32 [batch, 3]" in told
    assert "outputs: forecast float32 [batch, 4, 12]" in told
    assert "not in it: " in told
    session = onnxruntime.InferenceSession(file)
    kept = session.get_modelmeta().custom_metadata_map
    assert json.loads(kept["labels"]) == list(LABELS)
    assert json.loads(kept["channels"]) == list(CHANNELS)
    assert (kept["rate_hz"], json.loads(kept["units"])[0]) == ("500", "m/s^2")


def test_the_model_that_ships() -> None:
    artifact = load_artifact(default_artifact())
    session = onnxruntime.InferenceSession(onnx_graph.onnx_model(artifact).SerializeToString())
    inputs = windows(seed=1, count=3, config=artifact.network.config)
    found = session.run(["probabilities"], {"windows": inputs.numpy()})[0]
    with torch.inference_mode():
        logits, _ = mixer_of(artifact.network)(inputs, Route.TRANSIENT)
    np.testing.assert_allclose(found, logits.softmax(1), atol=0.01)
