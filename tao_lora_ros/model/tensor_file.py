"""The tensors of an artifact: held against the sizes in its card before a model is made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from tao_lora_ros.messages.files import naming, read_regular
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.model.card import CARD, ArtifactError
from tao_lora_ros.model.network import Kind, Tensor

_HEADER_BYTES = 1 << 20  # and what a file of the right tensors may have beside them
_POSITIVE = ("scales", "x_scale", "level_std", "spread", "std")


def read_tensors(file: Path, digest: str, expected: Mapping[str, Kind]) -> dict[str, Tensor]:
    """The tensors of a file, which are those expected, finite, and positive where they must be.

    Raises:
        ArtifactError: the file cannot be read, has another SHA-256, or holds something else.
    """
    tensors = load_tensors(file, digest, expected)
    if names := expected.keys() ^ tensors.keys():
        name = min(names)
        what = "is missing" if name in expected else "is in no model of these sizes"
        raise ArtifactError(f"{file}: {shown(name)} {what}")
    for name, right in expected.items():
        if (found := kind_of(tensors[name])) != right:
            raise ArtifactError(f"{file}: {name} is {found}, expected {right}")
        check_values(file, name, tensors[name])
    return tensors


def load_tensors(file: Path, digest: str, bound: Mapping[str, Kind]) -> dict[str, Tensor]:
    """The tensors of a file of no more bytes than those of `bound` would take.

    Raises:
        ArtifactError: the file cannot be read, is larger, has another SHA-256, or is no such file.
    """
    most = sum(kind.bytes for kind in bound.values())
    with naming(ArtifactError, file):
        content = read_regular(file, most + _HEADER_BYTES)
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise ArtifactError(
            f"{file}: SHA-256 is {found}, {CARD} says {digest}: copy the model anew"
        )
    try:
        return load(content)
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ArtifactError(f"{file}: {shown(' '.join(str(error).split()), MOST_LINE)}") from None


def check_values(file: Path, name: str, tensor: Tensor) -> None:
    """Refuse a number that is none, and a scale that is not positive.

    Raises:
        ArtifactError: there is one.
    """
    if tensor.dtype.kind != "f":
        return
    if not np.isfinite(tensor).all():
        raise ArtifactError(f"{file}: {name} holds NaN or infinity, expected finite numbers")
    if name.rpartition(".")[2] in _POSITIVE and not (tensor > 0).all():
        raise ArtifactError(f"{file}: {name} holds {tensor.min():g}, expected above 0")


def kind_of(tensor: Tensor) -> Kind:
    """Type and shape."""
    return Kind(tensor.dtype.name, tensor.shape)
