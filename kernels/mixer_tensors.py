"""A mixer as plain tensors, and the sizes that the fused kernel is compiled for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

LEAST_DOT = 16  # rows and columns of the smallest product on tensor cores
AT_ONCE = 128  # hidden units that a program works on at once; more of them in steps of `STEP`
STEP = 64


class Linear(NamedTuple):
    """A quantised layer.

    Args:
        codes: whole numbers, int8 [N, K].
        scales: of the weights, [N].
        bias: [N].
        x_scale: of the activations while steady.
        down: A, [r, K], in the layers that have an adapter.
        up: B, [N, r].
    """

    codes: Tensor
    scales: Tensor
    bias: Tensor
    x_scale: float
    down: Tensor | None = None
    up: Tensor | None = None


class Norm(NamedTuple):
    """LayerNorm's gain and bias, [D]."""

    gain: Tensor
    bias: Tensor


@dataclass(frozen=True)
class BlockTensors:
    """One mixer block."""

    token_norm: Norm
    channel_norm: Norm
    token_up: Linear
    token_down: Linear
    channel_up: Linear
    channel_down: Linear


@dataclass(frozen=True)
class MixerTensors:
    """All of a mixer.

    Args:
        window: rows of a window.
        patch: rows of a patch.
        level_mean: of the channels, [C]; with `level_std` and `spread` it standardises windows.
        labels: outputs of the first head, which reads the mean of the tokens; the last head reads
            the last token. A model of 0 labels has that one alone.
        basis: what turns a segment of the window into powers, [parts, frequencies, segment];
            None: the model has no spectrum.
    """

    window: int
    patch: int
    level_mean: Tensor
    level_std: Tensor
    spread: Tensor
    embed: Linear
    embed_features: Linear
    blocks: Sequence[BlockTensors]
    norm: Norm
    labels: int
    heads: Sequence[Linear]
    basis: Tensor | None = None


@dataclass(frozen=True)
class Sizes:
    """What the kernel is compiled for. Padded ones are powers of two, the padding's weights 0.

    Args:
        window, tokens, channels, width, hidden, token_hidden, blocks, rank, labels: of the model;
            rank padded, to a power of two alone.
        results: labels and forecast values of a window.
        splits: programs that share a window.
        segment: rows of a segment of the spectrum; 0: there is none.
    """

    window: int
    tokens: int
    channels: int
    width: int
    hidden: int
    token_hidden: int
    blocks: int
    rank: int
    labels: int
    results: int
    splits: int
    segment: int = 0

    @property
    def powers(self) -> int:
        """Powers of all channels, padded."""
        return self.segment * self.padded_channels // 2

    @property
    def part(self) -> int:
        """Powers whose weights a program takes at a time: with more a large model spills."""
        return min(self.powers, 128 if self.width <= 128 else 32)

    @property
    def step(self) -> int:
        """Hidden units that a program works on at a time; it has `hidden / splits` of them."""
        share = self.hidden // self.splits
        return share if share <= AT_ONCE else STEP

    @property
    def padded_channels(self) -> int:
        """Channels, padded; the product of their features is as deep as two of each."""
        return max(_power_of_two(self.channels), LEAST_DOT // 2)

    @property
    def padded_results(self) -> int:
        """Results, padded; at least what one program works on."""
        return max(_power_of_two(self.results), 2 * LEAST_DOT)

    @property
    def scalars(self) -> int:
        """Activation scales: of both embeddings, both heads, and four a block; padded."""
        return _power_of_two(4 + 4 * self.blocks)

    def check(self) -> None:
        """Raise a ValueError that names the first size that the kernel cannot take."""
        powers = ["window", "tokens", "width", "hidden", "token_hidden", "splits"]
        powers += ["segment"] * bool(self.segment)
        for name in powers:
            value = getattr(self, name)
            if value != _power_of_two(value):
                raise ValueError(f"{name} is {value}, expected a power of two")
        if self.segment and not LEAST_DOT <= self.segment <= self.window // 2:
            raise ValueError(
                f"segment is {self.segment}, expected {LEAST_DOT} to {self.window // 2}"
            )
        for name in ("tokens", "width", "token_hidden"):
            if getattr(self, name) < LEAST_DOT:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {LEAST_DOT}")
        if self.token_hidden > 64:
            raise ValueError(f"token_hidden is {self.token_hidden}, expected at most 64")
        most = min(self.hidden // LEAST_DOT, self.window)
        if self.splits > most:
            raise ValueError(
                f"splits is {self.splits}, expected at most {most} for {self.hidden} hidden units "
                f"and windows of {self.window}"
            )


def sizes_of(model: MixerTensors, splits: int) -> Sizes:
    """The sizes of a model.

    Raises:
        ValueError: one that the kernel cannot take.
    """
    block = model.blocks[0]
    ranks = [_rank(layer) for b in model.blocks for layer in (b.channel_up, b.channel_down)]
    sizes = Sizes(
        window=model.window,
        tokens=model.window // model.patch,
        channels=len(model.level_mean),
        width=len(model.norm.gain),
        hidden=len(block.channel_up.bias),
        token_hidden=len(block.token_up.bias),
        blocks=len(model.blocks),
        rank=_power_of_two(max(ranks)),
        labels=model.labels,
        results=sum(len(head.bias) for head in model.heads),
        splits=splits,
        segment=0 if model.basis is None else model.basis.shape[-1],
    )
    sizes.check()
    return sizes


def _rank(layer: Linear) -> int:
    return 0 if layer.down is None else len(layer.down)


def _power_of_two(least: int) -> int:
    return 1 << max(least - 1, 0).bit_length()
