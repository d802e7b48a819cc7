"""Sizes of the mixer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MixerConfig:
    """Sizes of the mixer.

    Args:
        channels: input channels C.
        classes: labels L; 0 leaves the class head out.
        window: rows T of a window.
        patch: rows of a patch; T / patch tokens.
        width: d.
        blocks: number of mixer blocks.
        expansion: hidden width of both MLPs over their input's.
        horizon: rows that the forecast head predicts.
        rank: rank of the low-rank branches.
        segment: rows of a segment of the spectrum that is among the features; 0: there is none.
        absolute: rows are taken about their usual level, not about their mean in the window.

    Raises:
        ValueError: sizes that do not fit each other.
    """

    channels: int
    classes: int
    window: int = 128
    patch: int = 8
    width: int = 128
    blocks: int = 4
    expansion: int = 2
    horizon: int = 8
    rank: int = 8
    segment: int = 0
    absolute: bool = False

    def __post_init__(self) -> None:
        if self.window % self.patch:
            raise ValueError(f"patch {self.patch} does not divide {self.window}")
        if self.width % 2:  # two codes share a byte
            raise ValueError(f"width {self.width} is odd")
        if self.rank > self.width:
            raise ValueError(f"rank {self.rank} is above width {self.width}")
        if self.segment and (self.window % self.segment or self.segment % 2):
            raise ValueError(f"segment {self.segment} is odd or does not divide {self.window}")

    @property
    def tokens(self) -> int:
        """Patches of a window."""
        return self.window // self.patch

    @property
    def features(self) -> int:
        """Features of a channel."""
        return features_of(self.segment)


def features_of(segment: int) -> int:
    """Features of a channel: mean and variance; with a spectrum two more moments, and powers."""
    return 4 + segment // 2 if segment else 2
