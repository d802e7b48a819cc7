"""Windows as another mounting, another gain or an impact would have made them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tao_lora_ros.signal.source import quantities
from tao_lora_ros.training.dataset import Batch

AXIAL = ("gyro", "torque")  # these turn with the handedness; accel and force are plain vectors
SCALAR = ("effort",)  # of joints, which turn with nothing


@dataclass(frozen=True)
class Augmentation:
    """How far windows are varied.

    Args:
        turn: share of windows that are turned by half a turn about z.
        mirror: share that are mirrored, left to right (y).
        tilt_rad: standard deviation of a random rotation of each source.
        scale: standard deviation of the logarithm of a gain about the window's level.
        jitter: white noise in units of a channel's usual spread.
        dropout: share that lose one quantity, as a robot without that sensor would.
        impact: share into which a decaying impact is planted.
    """

    turn: float = 0.5
    mirror: float = 0.5
    tilt_rad: float = 0.05
    scale: float = 0.1
    jitter: float = 0.02
    dropout: float = 0.1
    impact: float = 0.1


NONE = Augmentation(turn=0, mirror=0, tilt_rad=0, scale=0, jitter=0, dropout=0, impact=0)


def augment(
    batch: Batch, channels: tuple[str, ...], spread: Tensor, how: Augmentation, g: torch.Generator
) -> Batch:
    """A varied copy of a batch, on the device of batch, spread and generator.

    Args:
        batch: windows and what follows, [B, T, C] and [B, H, C].
        channels: names, those of a quantity side by side; only three axes turn.
        spread: usual standard deviation of each channel in a window, SI units, [C].
        how: how far.
        g: source of chance.
    """
    rows = batch.windows.shape[1]
    x = torch.cat((batch.windows, batch.following), dim=1)
    x = _rotate(x, channels, how, g)
    level = torch.nanmean(x[:, :rows], dim=1, keepdim=True)
    x = level + (x - level) * torch.exp(how.scale * _normal(g, len(x), 1, 1))
    x = x + how.jitter * spread * _normal(g, *x.shape)
    hit = _chance(g, len(x), how.impact)
    if x.is_cuda:  # how many are hit is not asked: a graph cannot, and asking waits
        x = torch.where(hit[:, None, None], x + impact(len(x), x.shape[1], channels, spread, g), x)
    else:
        x[hit] += impact(int(hit.sum()), x.shape[1], channels, spread, g)
    x = _drop(x, channels, how.dropout, g)
    return replace(batch, windows=x[:, :rows], following=x[:, rows:])


def impact(
    count: int, rows: int, channels: tuple[str, ...], spread: Tensor, g: torch.Generator
) -> Tensor:
    """Impacts alone, [count, rows, C]: damped oscillations of 3 to 100 spreads, log-uniform.

    Each begins at a random row, and rings at 5 to 25 % of the row rate for some 2 to 10 rows.
    """
    begin = (rows * _uniform(g, count, 1)).floor()
    time = torch.arange(rows, device=g.device) - begin
    decay = 2.0 * 5.0 ** _uniform(g, count, 1)
    cycles = 0.05 + 0.2 * _uniform(g, count, 1)
    shape = torch.exp(-time / decay) * torch.cos(2 * math.pi * cycles * time) * (time >= 0)
    size = 3.0 * (100.0 / 3.0) ** _uniform(g, count, 1)
    direction = _normal(g, count, len(channels))
    direction = direction / direction.abs().amax(dim=1, keepdim=True)
    return shape.nan_to_num()[:, :, None] * (size * direction * spread)[:, None, :]


def _rotate(x: Tensor, channels: tuple[str, ...], how: Augmentation, g: torch.Generator) -> Tensor:
    """The mirror and the turn are the robot's, the tilt is each source's own."""
    count = len(x)
    turn, mirror = (1 - 2 * _chance(g, count, p).float() for p in (how.turn, how.mirror))
    same = torch.ones_like(turn)
    flip_polar = torch.stack((same, mirror, same), dim=1)
    flip_axial = torch.stack((mirror, same, mirror), dim=1)
    half_turn = torch.stack((turn, turn, same), dim=1)
    tilts: dict[str, Tensor] = {}
    parts = []
    for name, columns in quantities(channels).items():
        source, _, quantity = name.rpartition(".")
        vectors = x[:, :, columns]
        if quantity not in SCALAR:
            if source not in tilts:
                tilts[source] = _rotation(how.tilt_rad * _normal(g, count, 3))
            flip = flip_axial if quantity in AXIAL else flip_polar
            vectors = vectors * (half_turn * flip)[:, None, :] @ tilts[source].transpose(1, 2)
        parts.append(vectors)
    return torch.cat(parts, dim=2)


def _rotation(vectors: Tensor) -> Tensor:
    """Rotation matrices [B, 3, 3] of rotation vectors [B, 3] (rad), by Rodrigues' formula."""
    x, y, z = vectors.unbind(dim=1)
    zero = torch.zeros_like(x)
    skew = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=1).view(-1, 3, 3)
    angle = vectors.norm(dim=1)[:, None, None] / math.pi
    once, twice = torch.sinc(angle), 0.5 * torch.sinc(angle / 2).square()
    return torch.eye(3, device=vectors.device) + once * skew + twice * skew @ skew


def _drop(x: Tensor, channels: tuple[str, ...], share: float, g: torch.Generator) -> Tensor:
    """Blank one quantity in some windows."""
    sizes = [columns.stop - columns.start for columns in quantities(channels).values()]
    lost = (len(sizes) * _uniform(g, len(x))).floor()
    lost = torch.where(_chance(g, len(x), share), lost, -1)
    blank = torch.stack([lost == n for n, size in enumerate(sizes) for _ in range(size)], dim=1)
    return torch.where(blank[:, None, :], torch.nan, x)


def _chance(g: torch.Generator, count: int, share: float) -> Tensor:
    return _uniform(g, count) < share


def _uniform(g: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=g, device=g.device)


def _normal(g: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=g, device=g.device)
