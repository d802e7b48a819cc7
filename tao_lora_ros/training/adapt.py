"""Tune the low-rank branches together: to full precision's outputs, or to a task of their own."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor
from torch.nn import functional as F

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.adapter import Adapter
from tao_lora_ros.model.conversion import branches, set_adapter
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.training.dataset import UNKNOWN, Batch
from tao_lora_ros.training.distributed import Workers
from tao_lora_ros.training.fit import Progress, forecast_loss
from tao_lora_ros.training.tune import tune

LEARNING_RATE = 5e-3

Loss = Callable[[Tensor | None, Tensor, Batch], Tensor]  # logits, forecast, batch


def adapt(
    student: Mixer,
    draw: Callable[[int], Batch],
    loss: Loss,
    steps: int,
    progress: Progress = lambda step, loss: None,
) -> Adapter:
    """Tune all branches at once, from where they are; the steady path is not touched.

    Args:
        student: dual-path mixer, ready to infer; it gets the tuned branches.
        draw: windows for a step, by its number.
        loss: what to lessen, such as `fidelity(teacher)`.
        steps: of Adam, with a cosine rate.
        progress: called with step and loss, as by `fit`.

    Returns:
        The tuned branches, as `set_adapter` takes them.
    """
    layers = branches(student.to(Workers().device).prepare())
    tuned: list[Tensor] = []
    for layer in layers.values():
        layer.branch = _balanced(*layer.branch)
        tuned += [factor.requires_grad_() for factor in layer.branch]

    def loss_of(*tensors: Tensor) -> Tensor:
        batch = Batch(*tensors)
        logits, forecast = student(batch.windows, Route.TRANSIENT)
        return loss(logits, forecast, batch)

    tune(tuned, loss_of, lambda step: draw(step).tensors, LEARNING_RATE, steps, progress)
    adapter: Adapter = {}
    for name, layer in layers.items():
        down, up = layer.branch
        adapter[name] = down.detach().cpu().half().numpy(), up.detach().cpu().half().numpy()
    set_adapter(student.cpu().prepare(), adapter)
    return adapter


def _balanced(down: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """The same product, both factors equally large in every rank: Adam's steps then suit both."""
    ratio = (up.norm(dim=0) / down.norm(dim=1).clamp_min(1e-12)).clamp_min(1e-12).sqrt()
    return (down * ratio[:, None]).detach(), (up / ratio).detach()


def fidelity(teacher: Mixer) -> Loss:
    """Squared deviation from full precision, as `evaluate` measures it."""
    exactly = deepcopy(teacher).to(Workers().device)

    def loss(logits: Tensor | None, forecast: Tensor, batch: Batch) -> Tensor:
        with torch.no_grad():
            exact_logits, exact = exactly(batch.windows, Route.TRANSIENT)
        off, size = (forecast - exact).square().sum(), exact.square().sum()
        if logits is not None and exact_logits is not None:
            off = off + (logits - exact_logits).square().sum()
            size = size + exact_logits.square().sum()
        return off / size

    return loss


def task(teacher: Mixer) -> Loss:
    """The training's own loss; scales of the target are the teacher's."""
    scales = deepcopy(teacher).to(Workers().device)

    def loss(logits: Tensor | None, forecast: Tensor, batch: Batch) -> Tensor:
        value = forecast_loss(forecast, scales, batch)
        if logits is not None:
            value = value + F.cross_entropy(logits, batch.labels, ignore_index=UNKNOWN)
        return value

    return loss
