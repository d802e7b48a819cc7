"""The peer among small convolutional ensembles: LITETime (arXiv 2409.02869), in torch.

Its five members are one network of five groups, so that they train in one launch a step. As in the
paper, 1,500 epochs of Adam in batches of 64, the rate halved where the training loss has stopped to
fall for 50 epochs; unlike there, all members share the rate, and the last weights are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tao_lora_ros.training.graphed_step import GraphedStep, Number

MEMBERS, EPOCHS, BATCH = 5, 1500, 64
_WIDTH = 32
_KERNELS = (40, 20, 10)
_DEEPER = ((20, 2), (10, 4))  # kernels and dilations
_TRENDS = (2, 4, 8, 16, 32, 64)
_RATE, _LEAST_RATE, _PATIENCE = 1e-3, 1e-4, 50


def hand_crafted() -> list[Tensor]:
    """The filters that are not trained: rises, falls and peaks of several lengths, [rows] each."""
    rises = [torch.ones(n) for n in _TRENDS]
    for rise in rises:
        rise[::2] = -1
    peaks = []
    for n in _TRENDS[1:]:
        flank = (torch.arange(1, n // 4 + 1) / (n // 4)).square()
        bump = torch.cat((flank, flank.flip(0)))
        peaks.append(torch.cat((-bump, 2 * bump, -bump)))
    return [*rises, *(-rise for rise in rises), *peaks]


class LiteTime(nn.Module):
    """Windows [B, C, T] to logits of every member, [B, MEMBERS, L]."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self._fixed = len(hand_crafted())
        for number, taps in enumerate(hand_crafted()):
            self.register_buffer(f"fixed_{number}", taps.expand(1, channels, -1).clone())
        all_of = MEMBERS * _WIDTH
        # All members see the same channels.
        self.first = nn.ModuleList(nn.Conv1d(channels, all_of, k, bias=False) for k in _KERNELS)
        wide = MEMBERS * (len(_KERNELS) * _WIDTH + self._fixed)
        self.norm = nn.BatchNorm1d(wide)
        self.deeper = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(n, n, kernel, dilation=dilation, groups=n, bias=False),
                nn.Conv1d(n, all_of, 1, groups=MEMBERS, bias=False),
                nn.BatchNorm1d(all_of),
                nn.ReLU(),
            )
            for n, (kernel, dilation) in zip((wide, all_of), _DEEPER, strict=True)
        )
        self.head = nn.Conv1d(all_of, MEMBERS * classes, 1, groups=MEMBERS)

    def forward(self, x: Tensor) -> Tensor:
        fixed = [self.get_buffer(f"fixed_{number}") for number in range(self._fixed)]
        seen = torch.cat([F.conv1d(_padded(x, w.shape[2] - 1), w) for w in fixed], dim=1).relu()
        parts = [conv(_padded(x, n - 1)) for conv, n in zip(self.first, _KERNELS, strict=True)]
        parts = [part.unflatten(1, (MEMBERS, _WIDTH)) for part in parts]
        parts.append(seen[:, None].expand(-1, MEMBERS, -1, -1))
        h = self.norm(torch.cat(parts, dim=2).flatten(1, 2)).relu()
        for layer, (kernel, dilation) in zip(self.deeper, _DEEPER, strict=True):
            h = layer(_padded(h, (kernel - 1) * dilation))
        return self.head(h.mean(dim=2, keepdim=True))[:, :, 0].unflatten(1, (MEMBERS, -1))


def _padded(x: Tensor, rows: int) -> Tensor:
    """With so many rows of zeros, half on either side."""
    return F.pad(x, (rows // 2, rows - rows // 2))


def grow(
    windows: NDArray[np.float32], labels: NDArray[np.int64], seed: int, epochs: int = EPOCHS
) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    """Fit on windows [n, T, C] and labels [n]; windows to logarithms of shares [n, L]."""
    torch.manual_seed(seed)
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    mean, spread = windows.mean(axis=(0, 1)), windows.std(axis=(0, 1)) + 1e-9

    def channels_first(x: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(((x - mean) / spread).transpose(0, 2, 1).copy())

    x, y = channels_first(windows).to(device), torch.from_numpy(labels).to(device)
    model = LiteTime(x.shape[1], int(labels.max()) + 1).to(device)
    optimizer = torch.optim.Adam(
        model.parameters(), _RATE, eps=1e-7, fused=on_gpu, capturable=on_gpu
    )

    def learn(chosen: Tensor, rate: Number) -> Tensor:
        for group in optimizer.param_groups:
            group["lr"] = rate
        logits = model(x[chosen]).transpose(1, 2)
        loss = F.cross_entropy(logits, y[chosen][:, None].expand(-1, MEMBERS))
        optimizer.zero_grad()
        (MEMBERS * loss).backward()
        optimizer.step()
        return loss.detach()

    call = GraphedStep(learn, device) if on_gpu else learn
    total = torch.zeros((), device=device)
    rng, rate, least, waited = np.random.default_rng(seed), _RATE, math.inf, 0
    batch = min(BATCH, len(x))
    for _ in range(epochs):
        order = rng.permutation(len(x))[: len(x) // batch * batch].reshape(-1, batch)
        total.zero_()
        for chosen in order:
            total += call(torch.from_numpy(chosen), rate)
        loss = float(total) / len(order)
        waited = 0 if loss < least - 1e-4 else waited + 1
        least = min(least, loss)
        if waited >= _PATIENCE:
            rate, waited = max(rate / 2, _LEAST_RATE), 0
    model = model.cpu().eval()

    @torch.no_grad()
    def predict(windows: NDArray[np.float32]) -> NDArray[np.float64]:
        said = [
            model(part).softmax(dim=2).mean(dim=1) for part in channels_first(windows).split(512)
        ]
        return torch.cat(said).double().log().numpy()

    return predict
