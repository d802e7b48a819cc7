"""Tune some parameters after the fit: Adam with a cosine rate, on a GPU a launch a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tao_lora_ros.training.fit import Progress
from tao_lora_ros.training.graphed_step import GraphedStep, Number, is_read


def tune(
    parameters: Sequence[Tensor],
    loss: Callable[..., Tensor],
    draw: Callable[[int], Sequence[Tensor]],
    rate: float,
    steps: int,
    progress: Progress,
) -> None:
    """Lessen a loss.

    Args:
        parameters: to tune in place, all on one device.
        loss: of tensors on that device.
        draw: these tensors, on the host, for a step by its number; of the same shapes each time.
        rate: of Adam at first; falls to zero.
        steps: how many.
        progress: called with step and loss, as by `fit`.
    """
    device = parameters[0].device
    on_gpu = device.type == "cuda"
    optimizer = torch.optim.Adam(parameters, rate, fused=on_gpu, capturable=on_gpu)

    def learn(now: Number, *tensors: Tensor) -> Tensor:
        for group in optimizer.param_groups:
            group["lr"] = now
        value = loss(*tensors)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.detach()

    call = GraphedStep(learn, device) if on_gpu else learn
    for step in range(steps):
        value = call(rate * 0.5 * (1 + math.cos(math.pi * step / steps)), *draw(step))
        if is_read(step + 1, steps, device):
            progress(step + 1, value.item())
