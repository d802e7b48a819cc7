"""Launch `fused_mixer`: its compile-time arguments, its grid, and its workspace."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .arrival import record_size
from .exchange import collect_asm
from .fused_mixer import fused_mixer
from .mixer_buffers import Buffers
from .mixer_tensors import Sizes

NUMBER_BITS = 32  # of a word of a window; the value has the other half
MOST_AT_ONCE = 16  # words that a thread asks for together: each takes registers
ONE_ROUND_SPLITS = 4  # more programs than that first share out the columns they add up


class Workspace(NamedTuple):
    """What the programs of windows share on the device, zero before the first launch.

    Args:
        seen: the last order of each program, int64 [windows, splits].
        words: for the windows themselves, int64 [windows, values]; nothing for a single program.
        slots: for its sums, int32 [windows, words]; the same.
    """

    seen: Tensor
    words: Tensor
    slots: Tensor

    def part(self, windows: slice) -> Workspace:
        """That of some of the windows."""
        return Workspace(self.seen[windows], self.words[windows], self.slots[windows])


def workspace(sizes: Sizes, windows: int, device: str) -> Workspace:
    """A workspace for so many windows."""
    values = words = 0
    if sizes.splits > 1:
        values = sizes.window * sizes.padded_channels
        words = 2 * (sizes.splits + _rounds(sizes) - 1) * sizes.tokens * sizes.width
    return Workspace(
        torch.zeros(windows, sizes.splits, dtype=torch.int64, device=device),
        torch.zeros(windows, values, dtype=torch.int64, device=device),
        torch.zeros(windows, words, dtype=torch.int32, device=device),
    )


def _rounds(sizes: Sizes) -> int:
    return 0 if sizes.splits == 1 else 1 if sizes.splits <= ONE_ROUND_SPLITS else 2


def constants(sizes: Sizes, warps: int, waits: bool = False) -> dict[str, Any]:
    """Compile-time arguments of `fused_mixer`."""
    splits, width, tokens = sizes.splits, sizes.width, sizes.tokens
    rounds = _rounds(sizes)
    whole = max(tokens * width // 2 // (32 * warps), 1)  # pairs of a thread
    part = max(whole // splits, 1)
    stride = tokens * width * 4 if rounds == 1 else tokens * width * 4 // splits
    values = max(sizes.window * sizes.padded_channels // (32 * warps), 1)  # of a thread
    window = collect_asm(1, 0, min(values, MOST_AT_ONCE), NUMBER_BITS)
    first = collect_asm(splits, stride, whole if rounds == 1 else part)
    second = collect_asm(1, 0, whole)
    return {
        "RECORD": record_size(sizes.window * sizes.channels),
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
        "SEGMENT": sizes.segment,
        "PART": sizes.part,
        "STEP": sizes.step,
        "SPLITS": splits,
        "WAITS": waits,
        "ROUNDS": rounds,
        "ASM_W": window.text,
        "FORM_W": window.constraints,
        "PACK_W": window.pack,
        "ASM_1": first.text,
        "FORM_1": first.constraints,
        "PACK_1": first.pack,
        "ASM_2": second.text,
        "FORM_2": second.constraints,
        "PACK_2": second.pack,
    }


def launch(
    records: Tensor, outputs: Tensor, model: Buffers, shared: Workspace, sizes: Sizes, warps: int,
    waits: bool = False,
) -> None:  # fmt: skip
    """Infer on windows into outputs [B, padded results + padded channels].

    Args:
        records: float32 [B, record size], see `arrival`; in the device's memory, or pinned in the
            host's. The numbers of the calls grow by one from launch to launch.
        outputs: int64; the same.
        model: the model.
        shared: what `workspace` gave for this many windows.
        sizes: of the model.
        warps: of each program.
        waits: for each record to have another number than at the launch before.

    Raises:
        ValueError: a shape or dtype is not as it should be.
    """
    shape = (len(records), record_size(sizes.window * sizes.channels))
    results = (shape[0], sizes.padded_results + sizes.padded_channels)
    for name, tensor, wanted, dtype in (
        ("records", records, shape, torch.float32),
        ("outputs", outputs, results, torch.int64),
    ):
        if tuple(tensor.shape) != wanted or tensor.dtype != dtype or not tensor.is_contiguous():
            raise ValueError(
                f"{name} is {tensor.dtype} {tuple(tensor.shape)}, "
                f"expected contiguous {dtype} {wanted}"
            )
    fused_mixer[(sizes.splits, shape[0])](
        records,
        outputs,
        shared.seen,
        *model,
        shared.words,
        shared.slots,
        **constants(sizes, warps, waits),
        num_warps=warps,
        enable_fp_fusion=True,
    )
