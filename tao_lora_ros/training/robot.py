"""Fit a trained artifact to another robot of the kind: its channels' scales, without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.model.robot_scale import SMALL, Known, at_rest, rescaled, scales_of
from tao_lora_ros.signal.channels import quantities

Array = NDArray[np.float64]

WINDOWS = 2000  # at most, by which robots are compared
_DOUBTED = 0.2  # of a robot's windows unlike any trained on; more, and its labels are in doubt
_DOUBT = ": labels are to be doubted, train on this robot too"
_FOREIGN = 0.5  # more, and they flip between those of another robot


def fitted_to(artifact: Artifact, recordings: Sequence[Array]) -> tuple[Artifact, list[str]]:
    """The artifact for the robot of some recordings, and what there is to say of it.

    Args:
        artifact: with a network, or for detection only, which has nothing to fit.
        recordings: rows of its motion, each [n, C], NaN where they do not count.
    """
    if artifact.model is None:
        return artifact, []
    if not artifact.scales:
        return artifact, [
            "scales of the channels left as they are: the model does not know its own"
        ]
    new, lines = _ratios(artifact, recordings)
    scales = {name: new.get(name, 1.0) * scale for name, scale in artifact.scales.items()}
    model = rescaled(artifact.model, artifact.channels, new)
    fitted, doubts = doubted(replace(artifact, model=model, scales=scales), recordings)
    return fitted, [*lines, *doubts]


def _ratios(artifact: Artifact, recordings: Sequence[Array]) -> tuple[dict[str, float], list[str]]:
    """How many times the model's scale each quantity is."""
    found = scales_of(recordings, artifact.channels)
    ratios = {name: found[name] / scale for name, scale in artifact.scales.items() if name in found}
    columns = quantities(artifact.channels)
    resting = [q for q, r in ratios.items() if r < SMALL and at_rest(recordings, columns[q])]
    lines = [f"scale of {q} left as it is: it shows noise alone, record motion" for q in resting]
    ratios = {quantity: r for quantity, r in ratios.items() if quantity not in resting}
    measured = ", ".join(f"{quantity} {ratio:.3g}" for quantity, ratio in ratios.items())
    return ratios, [f"scales, by the model's so far: {measured}", *lines]


def doubted(artifact: Artifact, recordings: Sequence[Array]) -> tuple[Artifact, list[str]]:
    """How far a robot lies from what the model knows; far off, no states are told of it.

    Returns:
        The artifact, which tells no states where it was trained on nothing of the kind, and what
        there is to say.
    """
    windows = windows_in(recordings, artifact.window)
    if artifact.known is None or not len(windows):
        return artifact, []
    share, by_channel = artifact.known.unlike(artifact.network, windows)
    line = f"{share:.0%} of the windows are unlike any trained on (1% of those are)"
    if by_channel.any():
        line += f", most in {artifact.channels[int(np.argmax(by_channel))]}"
    if share > _FOREIGN:
        line += ": no states are told, train on this robot too"
        return replace(artifact, label_filter=None), [line]
    return artifact, [line + _DOUBT if share > _DOUBTED else line]


def windows_in(recordings: Sequence[Array], rows: int) -> NDArray[np.float32]:
    """Windows at even distances, float32 [up to `WINDOWS`, rows, C]."""
    starts = [(r, at) for r in recordings for at in range(0, len(r) - rows + 1, max(rows // 4, 1))]
    chosen = np.linspace(0, len(starts) - 1, min(WINDOWS, len(starts))).astype(int)
    found = [starts[i][0][starts[i][1] : starts[i][1] + rows] for i in chosen]
    return np.array(found, np.float32)


def with_scales(
    artifact: Artifact, recordings: Sequence[Array], windows: NDArray[np.float32]
) -> Artifact:
    """The artifact with the scales of the robot that it was trained on, and what it knows.

    Args:
        artifact: just trained.
        recordings: of the kind that `calibrate` is given, rows [n, C]; without any, whose scale
            that is cannot be told.
        windows: of the training, [B, T, C].
    """
    known = Known.of(artifact.network, windows)
    scales = scales_of(recordings, artifact.channels) if recordings else {}
    return replace(artifact, scales=scales, known=known)
