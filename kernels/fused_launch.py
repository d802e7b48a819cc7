"""Launch `fused_mixer`: its compile-time arguments, its grid, and the room its programs meet in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .exchange import collect_asm
from .fused_mixer import fused_mixer
from .mixer_buffers import Buffers
from .mixer_tensors import Sizes

ONE_HOP_SPLITS = 4  # more programs than that first share out the columns they add up


def constants(sizes: Sizes, warps: int) -> dict[str, Any]:
    """Compile-time arguments of `fused_mixer`."""
    splits, width, tokens = sizes.splits, sizes.width, sizes.tokens
    hops = 0 if splits == 1 else 1 if splits <= ONE_HOP_SPLITS else 2
    whole = max(tokens * width // 2 // (32 * warps), 1)  # pairs of a thread
    part = max(whole // splits, 1)
    stride = tokens * width * 4 if hops == 1 else tokens * width * 4 // splits
    first = collect_asm(splits, stride, whole if hops == 1 else part)
    second = collect_asm(1, 0, whole)
    return {
        "C": sizes.channels,
        "CP": sizes.padded_channels,
        "WINDOW": sizes.window,
        "T": tokens,
        "TE": sizes.token_hidden,
        "D": width,
        "E": sizes.hidden,
        "NB": sizes.blocks,
        "R": sizes.rank,
        "L": sizes.labels,
        "NOUT": sizes.results,
        "NP": sizes.padded_results,
        "SCALARS": sizes.scalars,
        "SPLITS": splits,
        "HOPS": hops,
        "ASM_1": first.text,
        "FORM_1": first.constraints,
        "PACK_1": first.pack,
        "ASM_2": second.text,
        "FORM_2": second.constraints,
        "PACK_2": second.pack,
    }


def slots(sizes: Sizes, windows: int, device: str) -> Tensor:
    """Room for the exchanges of windows, int32 [windows, words]; nothing for a single program."""
    words = sizes.blocks * (sizes.splits + 1) * sizes.tokens * sizes.width
    shape = windows, words if sizes.splits > 1 else 0
    return torch.zeros(shape, dtype=torch.int32, device=device)


def launch(
    windows: Tensor, outputs: Tensor, orders: Tensor, model: Buffers, room: Tensor, sizes: Sizes,
    warps: int,
) -> None:  # fmt: skip
    """Infer on windows [B, T, C] into outputs [B, padded results + padded channels].

    Args:
        windows: float32; in the device's memory, or pinned in the host's.
        outputs: float32; the same.
        orders: int32 [B, 2]: path, and a number that grows by one a launch, starting at 1.
        model: the model.
        room: what `slots` gave for this many windows.
        sizes: of the model.
        warps: of each program.

    Raises:
        ValueError: a shape or dtype is not as it should be.
    """
    shape = (len(windows), sizes.window, sizes.channels)
    results = (shape[0], sizes.padded_results + sizes.padded_channels)
    for name, tensor, wanted, dtype in (
        ("windows", windows, shape, torch.float32),
        ("outputs", outputs, results, torch.float32),
        ("orders", orders, (shape[0], 2), torch.int32),
    ):
        if tuple(tensor.shape) != wanted or tensor.dtype != dtype or not tensor.is_contiguous():
            raise ValueError(
                f"{name} is {tensor.dtype} {tuple(tensor.shape)}, "
                f"expected contiguous {dtype} {wanted}"
            )
    fused_mixer[(sizes.splits, shape[0])](
        windows,
        outputs,
        orders,
        *model,
        room,
        **constants(sizes, warps),
        num_warps=warps,
        enable_fp_fusion=True,
    )
