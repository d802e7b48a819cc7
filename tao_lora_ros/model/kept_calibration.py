"""The model with the calibration that a node made of it, in a folder for the node's next start.

The folder is an artifact like any other. Its provenance names the model that it was made from, by
the digest of that one's card: of another model, or of a newer one, it is not taken.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from tao_lora_ros.messages.files import read_regular, refusal
from tao_lora_ros.model.artifact import Artifact, load_artifact, save_artifact
from tao_lora_ros.model.card import CARD, MOST_BYTES, ArtifactError

_MADE_FROM = "calibrated_from_sha256"


def keep_calibrated(artifact: Artifact, model: Path, folder: Path) -> None:
    """Write a calibrated model, over one that was kept there before.

    Args:
        artifact: the model with its new calibration.
        model: the folder it was loaded from.
        folder: where it is kept.

    Raises:
        ArtifactError: it cannot be written, or the folder holds something else.
    """
    try:
        used = folder.exists() and any(folder.iterdir())
        if used and not calibrated_here(load_artifact(folder)):
            raise ArtifactError(f"{folder}: not empty, and no model that a node kept; not touched")
        made_from = {_MADE_FROM: _digest(model)}
        save_artifact(replace(artifact, provenance=artifact.provenance | made_from), folder)
    except OSError as error:
        raise ArtifactError(f"{folder}: the calibration is not kept: {refusal(error)}") from error


def load_kept(model: Path, folder: Path) -> Artifact:
    """The kept calibration of a model.

    Raises:
        ArtifactError: there is none, it is damaged, or it was made from another model.
    """
    artifact = load_artifact(folder)
    if artifact.provenance.get(_MADE_FROM) != _digest(model):
        raise ArtifactError(f"{folder}: made from another model than {model}: calibrate anew")
    return artifact


def calibrated_here(artifact: Artifact) -> bool:
    """Whether it is one that a node calibrated."""
    return _MADE_FROM in artifact.provenance


def _digest(model: Path) -> str:
    return hashlib.sha256(read_regular(model / CARD, MOST_BYTES)).hexdigest()
