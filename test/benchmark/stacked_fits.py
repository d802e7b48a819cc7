"""Many fits of the mixer that go on side by side, their weights stacked, each in a way of its own.

One GPU takes minutes for hundreds. Draws are alike by chance, not by number, so that a fit scores a
little otherwise than `training.fit`'s of the same seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from benchmark import borealtc
from benchmark.series_peers import Task
from tao_lora_ros.detection.calibration import uncalibrated
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.training import fit as training
from tao_lora_ros.training.augment import Augmentation, augment
from tao_lora_ros.training.dataset import Batch
from tao_lora_ros.training.folds import runs_in
from tao_lora_ros.training.held_out import hop_of

Tensors = dict[str, Tensor]
_TAPS = torch.arange(-3, 5)


@dataclass(frozen=True)
class Way:
    """What is done otherwise than in `fit`.

    Args:
        augmentation: how far windows are varied.
        decay: of the weights.
        smoothing: of the labels.
        averaging: of the weights, step by step.
        forecast: weight of the forecast's loss.
        lengths: power of a run's length by which it counts among its like.
        noise: standard deviation of what is added to the features (logarithms of powers).
        dropout: share of the last hidden values that are blanked.
        mixup: of how many windows another one is a part, evenly distributed.
        stretch: standard deviation of the logarithm of the rate at which rows pass.
        branch: whether the features reach the logits by weights of their own, too.
        rate: of learning, in units of `fit`'s.
        teacher: share of the truth that is what a teacher says, who never saw the run.
        robust: how fast runs gain weight that are called wrong (group DRO, arXiv 1911.08731).
    """

    augmentation: Augmentation = field(default_factory=Augmentation)
    decay: float = training.WEIGHT_DECAY
    smoothing: float = training.LABEL_SMOOTHING
    averaging: float = training.AVERAGING
    forecast: float = training.FORECAST_WEIGHT
    lengths: float = 0.5
    noise: float = 0.0
    dropout: float = 0.0
    mixup: float = 0.0
    stretch: float = 0.0
    branch: bool = False
    rate: float = 1.0
    teacher: float = 0.0
    robust: float = 0.0


class Branched(Mixer):
    """The mixer with noise on its features, dropout, and a way around for the features."""

    def __init__(self, config: MixerConfig) -> None:
        super().__init__(config)
        self.around = nn.Linear(config.features * config.channels, config.classes)
        nn.init.zeros_(self.around.weight)
        nn.init.zeros_(self.around.bias)

    def forward(  # type: ignore[override]
        self, windows: Tensor, noise: Tensor, kept: Tensor, branch: Tensor
    ) -> tuple[Tensor, Tensor]:
        level = self.level(windows)
        x = self.standardize(windows, level)
        told = self._features(level, x) + noise
        x = self.embed(x.reshape(len(x), self.config.tokens, -1), Route.TRANSIENT)
        x = x + self.embed_features(told, Route.TRANSIENT)[:, None, :]
        for block in self.blocks:
            x = block(x, Route.TRANSIENT)
        x = self.norm(x)
        assert self.class_head is not None
        logits = self.class_head(x.mean(dim=1) * kept, Route.TRANSIENT)
        forecast = self.forecast_head(x[:, -1], Route.TRANSIENT)
        return logits + branch * self.around(told), forecast.view(len(x), self.config.horizon, -1)


@dataclass(frozen=True)
class Fit:
    """One of them: a way to train, a seed, and the number of the fold that is held out."""

    way: Way
    seed: int
    fold: int


class Stack:
    """Fits that go on side by side; parameters [fits, ...].

    Args:
        tasks: the folds.
        fits: of them.
        device: where.
        teacher: of each fold and run (by its number) what a teacher says of the windows that
            overlap by half, [n, L]; of runs that are trained on.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        fits: Sequence[Fit],
        device: str,
        teacher: Mapping[tuple[int, int], NDArray[np.float32]] | None = None,
    ) -> None:
        self.fits, self.sizes = fits, tasks[0].sizes
        self._device, self._values = torch.device(device), dict[str, Tensor]()
        runs = sorted((part for t in tasks for part in t.fold.held_out), key=lambda part: part[0])
        lengths = [len(run.values) for _, run in runs]
        self._rows = self._at(np.concatenate([run.values for _, run in runs]).astype(np.float32))
        self._first = self._at(np.cumsum([0, *lengths[:-1]]))
        self._count = self._at(np.array(lengths) - self.sizes.window - self.sizes.horizon)
        labels = [tasks[0].labels.index(run.spans[0].label) for _, run in runs]
        self._labels = self._at(np.array(labels))
        held = [{number for number, _ in task.fold.held_out} for task in tasks]
        self._shares = self._at(np.stack([self._drawn(fit, held[fit.fold]) for fit in fits]))
        self._weights = torch.ones_like(self._shares)
        self._teach(teacher or {})
        models = [self._started(tasks[fit.fold], fit.seed) for fit in fits]
        self.parameters, self.buffers = stack_module_state(models)
        self.parameters = {n: p.detach().requires_grad_() for n, p in self.parameters.items()}
        self._model = models[0].to("meta")
        self.average = {n: p.detach().clone() for n, p in self.parameters.items()}

    def _teach(self, teacher: Mapping[tuple[int, int], NDArray[np.float32]]) -> None:
        """What teachers say, [fits, most windows of a run together, L]; ignorance where nothing."""
        hop, runs = hop_of(self.sizes.window), len(self._count)
        windows = -(-self._count.cpu().numpy().clip(1) // hop)
        self._window = self._at(np.cumsum([0, *windows[:-1]]))
        said = np.full((len(self.fits), windows.sum(), self.sizes.classes), 1 / self.sizes.classes)
        for number, fit in enumerate(self.fits):
            for run, first in zip(range(runs), self._window.tolist(), strict=True):
                if (fit.fold, run) in teacher:
                    part = teacher[fit.fold, run][: windows[run]]
                    said[number, first : first + len(part)] = part
        self._said, self._last_window = self._at(said.astype(np.float32)), self._at(windows - 1)

    def _at(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self._device)

    def _started(self, task: Task, seed: int) -> Branched:
        torch.manual_seed(seed)
        model = Branched(self.sizes)
        floors = torch.tensor(uncalibrated(borealtc.CHANNELS, borealtc.RATE_HZ).floors)
        windows = task.windows(runs_in(task.fold.training)).spaced(2000).windows
        training.set_scales(model, windows, floors)
        return model.to(self._device)

    def _drawn(self, fit: Fit, held: set[int]) -> NDArray[np.float64]:
        """Chance of every run: half by length, half spread evenly over labels."""
        count = np.maximum(self._count.cpu().numpy(), 0)
        share = np.where(np.isin(np.arange(len(count)), list(held)), 0, count**fit.way.lengths)
        share = np.where(count > 0, share, 0)
        labels = self._labels.cpu().numpy()
        of_label = np.bincount(labels, share)
        return share / share.sum() + share / of_label[labels] / (of_label > 0).sum()

    def _of(self, name: str) -> Tensor:
        if name not in self._values:
            values = [float(getattr(fit.way, name)) for fit in self.fits]
            self._values[name] = torch.tensor(values, device=self._device)
        return self._values[name]

    def train(self, steps: int, batch: int, seed: int) -> None:
        """Fit all."""
        g = torch.Generator(self._device).manual_seed(seed)
        rate, decay, averaging = self._of("rate"), self._of("decay"), self._of("averaging")
        optimizer = torch.optim.AdamW(
            self.parameters.values(), 1.0, weight_decay=0.0, fused=self._device.type == "cuda"
        )
        for step in range(steps):
            now = training.learning_rate(step, steps)
            optimizer.param_groups[0]["lr"] = now
            loss = self._loss(*self._batch(batch, g), g)
            optimizer.zero_grad()
            loss.sum().backward()
            with torch.no_grad():
                self._clip()
                before = [p.detach().clone() for p in self.parameters.values()]
                optimizer.step()
                for p, old in zip(self.parameters.values(), before, strict=True):
                    wide = (-1, *[1] * (p.dim() - 1))
                    change = (p - old) * rate.view(wide) - now * (rate * decay).view(wide) * old
                    p.copy_(old + change)
                keep = averaging.clamp(max=(step + 1) / (step + 10))
                for name, p in self.parameters.items():
                    wide = (-1, *[1] * (p.dim() - 1))
                    self.average[name].lerp_(p.detach(), (1 - keep).view(wide).expand_as(p))

    def _clip(self) -> None:
        grads = [p.grad for p in self.parameters.values() if p.grad is not None]
        norm = sum(g.flatten(1).square().sum(dim=1) for g in grads)
        shrink = (1 / (torch.as_tensor(norm).sqrt() + 1e-6)).clamp(max=1)
        for g in grads:
            g.mul_(shrink.view(-1, *[1] * (g.dim() - 1)))

    def _batch(self, size: int, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Windows [fits, B, T, C], what follows, shares of labels [fits, B, L], runs [fits, B]."""
        run = torch.multinomial(self._shares, size, replacement=True, generator=g)
        place = torch.rand(run.shape, generator=g, device=self._device) * self._count[run]
        start = self._first[run] + place.long()
        rows = torch.arange(self.sizes.window + self.sizes.horizon, device=self._device)
        x = self._rows[start[:, :, None] + rows]
        stretch = self._of("stretch")
        if len(bent := stretch.nonzero()[:, 0]):
            x[bent] = self._stretched(start[bent], run[bent], stretch[bent], rows, g)
        truth = F.one_hot(self._labels[run], self.sizes.classes).float()
        nearest = (place / hop_of(self.sizes.window)).round().long().minimum(self._last_window[run])
        rows_of = torch.arange(len(self.fits), device=self._device)[:, None]
        told = self._said[rows_of, self._window[run] + nearest]
        truth = truth.lerp(told, self._of("teacher")[:, None, None].expand_as(truth))
        mixup = self._of("mixup")[:, None]
        mixed = torch.rand(run.shape, generator=g, device=self._device) < mixup
        own = torch.where(mixed, torch.rand(run.shape, generator=g, device=self._device), 1.0)
        x = own[..., None, None] * x + (1 - own)[..., None, None] * x.roll(1, dims=1)
        truth = own[..., None] * truth + (1 - own)[..., None] * truth.roll(1, dims=1)
        spread = self.buffers["spread"].mean(dim=0)
        windows, following = x.split((self.sizes.window, self.sizes.horizon), dim=2)
        outs = [torch.empty_like(windows), torch.empty_like(following)]
        for how in dict.fromkeys(fit.way.augmentation for fit in self.fits):
            at = torch.tensor([i for i, f in enumerate(self.fits) if f.way.augmentation == how])
            flat = Batch(windows[at].flatten(0, 1), following[at].flatten(0, 1), run[at].flatten())
            varied = augment(flat, borealtc.CHANNELS, spread, how, g)
            for out, part in zip(outs, (varied.windows, varied.following), strict=True):
                out[at] = part.unflatten(0, (len(at), size))
        return outs[0], outs[1], truth, run

    def _stretched(
        self, start: Tensor, run: Tensor, by: Tensor, rows: Tensor, g: torch.Generator
    ) -> Tensor:
        """Rows at another rate, by a windowed sinc of 8 taps."""
        speed = torch.exp(by[:, None] * torch.randn(run.shape, generator=g, device=self._device))
        middle = rows[-1] / 2
        at = start[..., None] + middle + (rows - middle) * speed[..., None]
        at = at.double()
        base = at.floor()
        off = (at - base)[..., None] - _TAPS.to(self._device)
        weights = torch.sinc(off) * torch.cos(np.pi * off / 9).square()
        last = self._first[run] + self._count[run] + len(rows) - 1
        index = base.long()[..., None] + _TAPS.to(self._device)
        index = index.clamp(self._first[run][..., None, None], last[..., None, None])
        weights = (weights / weights.sum(dim=-1, keepdim=True)).float()
        return torch.einsum("fbtk,fbtkc->fbtc", weights, self._rows[index])

    def _loss(
        self,
        windows: Tensor,
        following: Tensor,
        truth: Tensor,
        run: Tensor,
        g: torch.Generator,
    ) -> Tensor:
        count, size = windows.shape[:2]
        features = self.sizes.features * self.sizes.channels
        noise = torch.randn((count, size, features), generator=g, device=self._device)
        noise = noise * self._of("noise")[:, None, None]
        chance = torch.rand((count, size, self.sizes.width), generator=g, device=self._device)
        dropout = self._of("dropout")[:, None, None]
        kept = (chance >= dropout) / (1 - dropout)
        logits, forecast = self.call(self.parameters, windows, noise, kept)
        smoothing = self._of("smoothing")[:, None, None]
        truth = (1 - smoothing) * truth + smoothing / self.sizes.classes
        surprises = -(truth * logits.log_softmax(dim=2)).sum(dim=2)
        surprise = (self._weights.gather(1, run) * surprises).mean(dim=1)
        self._reweight(run, surprises.detach())
        mean, spread = self.buffers["level_mean"], self.buffers["spread"]
        level = torch.nanmean(windows, dim=2, keepdim=True)
        level = torch.where(level.isnan(), mean[:, None, None], level)
        target = torch.asinh((following - level) / spread[:, None, None])
        there = ~target.isnan()
        error = (forecast - target.nan_to_num()) * there
        huber = F.huber_loss(error, torch.zeros_like(error), reduction="none").sum(dim=(1, 2, 3))
        return surprise + self._of("forecast") * huber / there.sum(dim=(1, 2, 3))

    def _reweight(self, run: Tensor, surprises: Tensor) -> None:
        """Runs by an exponential of their losses so far; one on average of what is drawn."""
        if not self._of("robust").any():
            return
        raised = torch.zeros_like(self._weights).scatter_add_(1, run, surprises.double())
        count = torch.zeros_like(raised).scatter_add_(
            1, run, torch.ones_like(raised[:, :1]).expand(run.shape)
        )
        step = self._of("robust")[:, None] * raised / count.clamp(min=1)
        weights = self._weights * step.exp()
        share = self._shares / self._shares.sum(dim=1, keepdim=True)
        self._weights = weights / (weights * share).sum(dim=1, keepdim=True)

    def call(
        self, parameters: Tensors, windows: Tensor, noise: Tensor, kept: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits and forecasts of windows [fits, B, T, C]."""

        def one(p: Tensors, b: Tensors, *inputs: Tensor) -> tuple[Tensor, Tensor]:
            return functional_call(self._model, (p, b), inputs)

        return vmap(one)(parameters, self.buffers, windows, noise, kept, self._of("branch"))

    @torch.no_grad()
    def said(
        self, tasks: Sequence[Task], lost: Sequence[int] = ()
    ) -> Iterator[tuple[Fit, Tensor, Tensor]]:
        """Of each fit what it says of the windows held out, probabilities [n, L], and labels.

        Args:
            tasks: the folds.
            lost: channels that are not there.
        """
        for number, fit in enumerate(self.fits):
            task = tasks[fit.fold]
            held = [b for b in task.halves(task.fold.held_out) if len(b.labels)]
            windows = torch.cat([batch.windows for batch in held]).to(self._device)
            windows[:, :, list(lost)] = torch.nan
            own = {n: p[number] for n, p in self.average.items()}
            buffers = {n: b[number] for n, b in self.buffers.items()}
            plain = windows.new_zeros(()), windows.new_ones(()), self._of("branch")[number]
            logits, _ = functional_call(self._model, (own, buffers), (windows, *plain))
            labels = torch.cat([batch.labels for batch in held])
            yield fit, logits.softmax(dim=1).cpu(), labels
