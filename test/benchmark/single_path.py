"""A full-precision mixer as others run it: a module of windows alone, in PyTorch or as ONNX."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.onnx import export

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.mixer import Mixer


class SinglePath(nn.Module):
    """A full-precision mixer, whose paths are one, as a module of windows alone."""

    def __init__(self, mixer: Mixer) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, C] to logits and forecast."""
        return self.mixer(inputs, Route.STEADY)


def write_onnx(mixer: Mixer, example: Tensor, file: Path) -> None:
    """Export a mixer for windows of the example's shape: `windows` to `logits` and `forecast`."""
    export(
        SinglePath(mixer).eval(),
        (example,),
        file,
        input_names=["windows"],
        output_names=["logits", "forecast"],
        external_data=False,
        verbose=False,
    )
