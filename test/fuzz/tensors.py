"""The header and the tensors of a safetensors file, whose SHA-256 a forger has put right."""

from __future__ import annotations

import hashlib

from fuzz.harness import as_file, refused
from models import SMALL, small_artifact
from safetensors.numpy import save

from tao_lora_ros.model.network import kinds_of
from tao_lora_ros.model.tensor_file import read_tensors

PARTS = ("tao_lora_ros.model.tensor_file", "safetensors.numpy")
_EXPECTED = dict(list(kinds_of(SMALL).items())[:6])  # small inputs go further


def seeds() -> list[bytes]:
    """The right tensors, and others."""
    tensors = small_artifact().network.tensors
    good = {name: tensors[name] for name in _EXPECTED}
    one_less = dict(list(good.items())[1:])
    return [save(good), save(one_less), save({}), b"\x02\0\0\0\0\0\0\0{}"]


def one(data: bytes) -> None:
    """It holds the expected tensors, or is refused."""
    with refused():
        read_tensors(as_file(data), hashlib.sha256(data).hexdigest(), _EXPECTED)
