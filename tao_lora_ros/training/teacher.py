"""The full-precision model that training leaves beside the artifact, to quantise and adapt from."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tao_lora_ros.model.artifact import ArtifactError
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig

FILE = "teacher.safetensors"


def save_teacher(teacher: Mixer, folder: Path) -> None:
    """Write a full-precision model into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in teacher.state_dict().items()}, folder / FILE)


def load_teacher(folder: Path, sizes: MixerConfig) -> Mixer:
    """Read the full-precision model of these sizes.

    Raises:
        ArtifactError: it is missing or damaged, or of other sizes.
    """
    file = folder / FILE
    if not file.exists():
        raise ArtifactError(f"{file}: no such file; `tao-lora train` leaves it there")
    model = Mixer(sizes)
    try:
        model.load_state_dict(load_file(file))
    except (SafetensorError, RuntimeError) as error:
        raise ArtifactError(f"{file}: {' '.join(str(error).split())}") from None
    return model.eval()
