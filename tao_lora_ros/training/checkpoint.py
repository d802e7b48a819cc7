"""The state of a training under way, as safetensors: weights, their average, the optimiser."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, optim

from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.training.fit_config import FitConfig

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
_STATE = "state"  # key of the metadata: steps that were done, of which training


class CheckpointError(TaoLoraError):
    """The checkpoint cannot be resumed; the text names the file and why."""


def save_checkpoint(
    file: Path,
    model: Mixer,
    average: dict[str, Tensor],
    optimizer: optim.Optimizer,
    config: FitConfig,
    step: int,
) -> None:
    """Write the state after `step` steps: aside, then renamed, so that a crash leaves the old."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    for name, value in model.named_parameters():
        tensors |= {f"{key}.{name}": optimizer.state[value][key] for key in _MOMENTS}
    aside = file.with_suffix(".unfinished")
    aside.parent.mkdir(parents=True, exist_ok=True)
    # One entry: safetensors writes several in an order of chance.
    metadata = {_STATE: json.dumps({"step": step, "training": _training(model, config)})}
    save_file({name: value.contiguous() for name, value in tensors.items()}, aside, metadata)
    aside.replace(file)


def load_checkpoint(
    file: Path,
    model: Mixer,
    average: dict[str, Tensor],
    optimizer: optim.Optimizer,
    config: FitConfig,
) -> int:
    """Fill model, average and optimiser from a file; returns the steps that were done.

    Raises:
        CheckpointError: the file is damaged, or of another model, seed or number of steps.
    """
    try:
        with safe_open(file, "pt") as content:
            state = json.loads((content.metadata() or {}).get(_STATE, "{}"))
            if state.get("training") != _training(model, config):
                raise CheckpointError(
                    f"{file}: of another training ({state.get('training')}); remove it to begin "
                    f"anew ({_training(model, config)})"
                )
            saved = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(f"{file}: {error}; remove it to begin anew") from None
    model.load_state_dict(_part(saved, "model"))
    for name, value in _part(saved, "average").items():
        average[name].copy_(value)
    moments = {key: _part(saved, key) for key in _MOMENTS}
    for name, value in model.named_parameters():
        places = {"step": value.device if optimizer.defaults["fused"] else "cpu"}
        optimizer.state[value] = {
            key: moments[key][name].to(places.get(key, value.device)) for key in _MOMENTS
        }
    return int(state["step"])


def _part(saved: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name[len(start) :]: v for name, v in saved.items() if name.startswith(start)}


def _training(model: Mixer, config: FitConfig) -> str:
    return json.dumps({"sizes": asdict(model.config), "fit": asdict(config)}, sort_keys=True)
