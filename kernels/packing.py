"""Codes as 32-bit words, in the order in which `numerics` takes them apart."""

from __future__ import annotations

import torch
from torch import Tensor

BYTES = 4  # codes of a word
NIBBLES = 8


def byte_words(codes: Tensor) -> Tensor:
    """INT8 codes [N, K], K a multiple of 4, to int32 [N, K / 4].

    A code is stored as code + 128, the first one in the lowest byte.
    """
    return _words(codes.long() + 128, BYTES, 8)


def nibble_words(codes: Tensor) -> Tensor:
    """INT4 codes [N, K], K a multiple of 8, to int32 [N, K / 8].

    A code is stored as code + 8; the even columns in the lower half of the word, the odd ones in
    the upper half, so that one mask yields two neighbours as the halves of a register.
    """
    grouped = (codes.long() + 8).reshape(len(codes), -1, NIBBLES)
    return _words(torch.cat((grouped[..., 0::2], grouped[..., 1::2]), -1).flatten(1), NIBBLES, 4)


def _words(values: Tensor, count: int, bits: int) -> Tensor:
    grouped = values.reshape(len(values), -1, count) << (bits * torch.arange(count))
    words = grouped.sum(-1)
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)
