"""A full-precision mixer as others run it: a module of windows alone, in PyTorch or as ONNX."""

from __future__ import annotations

from pathlib import Path as FilePath

from torch import Tensor, nn
from torch.onnx import export

from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.router.router import Path


class SinglePath(nn.Module):
    """A full-precision mixer, whose paths are one, as a module of windows alone."""

    def __init__(self, mixer: Mixer) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, C] to logits and forecast."""
        return self.mixer(inputs, Path.STEADY)


def write_onnx(mixer: Mixer, example: Tensor, file: FilePath) -> None:
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
