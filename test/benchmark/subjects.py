"""Every form of one trained model that the accuracy benchmark compares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch

from benchmark.precision import PRECISIONS, rounded, stored_bytes, weight_bytes
from tao_lora_ros.benchmarks.results import OURS
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.training.adapt import adapt, fidelity, task
from tao_lora_ros.training.dataset import Batch
from tao_lora_ros.training.finetune_codes import finetune
from tao_lora_ros.training.quantize import LayerInputs, fit_branches, quantize


@dataclass(frozen=True)
class Subject:
    """A model, the path it takes on steady and on transient windows, and its bytes of weights."""

    name: str
    model: Mixer
    steady: Route
    transient: Route
    bytes: float


@dataclass(frozen=True)
class Draws:
    """Windows to tune on, by step: steady ones, transients, and transients oversampled to half."""

    steady: Callable[[int], Batch]
    transient: Callable[[int], Batch]
    mixed: Callable[[int], Batch]


def subjects(
    teacher: Mixer,
    inputs: dict[str, LayerInputs],
    draws: Draws,
    settle_steps: int,
    steps: int,
) -> Iterator[Subject]:
    """All forms, full precision first.

    Args:
        teacher: the trained model.
        inputs: what its layers are fed.
        draws: windows to tune on.
        settle_steps: of tuning codes, scales and biases.
        steps: of tuning the branches, each time.
    """
    both = Route.TRANSIENT, Route.TRANSIENT
    yield Subject("fp32", teacher, *both, weight_bytes(teacher, 32, 32))
    for name, how in PRECISIONS.items():
        size = weight_bytes(teacher, how.core_bits, how.edge_bits)
        yield Subject(name, rounded(teacher, inputs, how), *both, size)
    qera = quantize(teacher, inputs)
    finetune(
        qera, teacher, {Route.STEADY: draws.steady, Route.TRANSIENT: draws.transient}, settle_steps
    )
    grams = {name: watched.gram for name, watched in inputs.items()}
    fit_branches(qera, teacher, grams)
    size = stored_bytes(qera, with_branches=True)
    routed = Route.STEADY, Route.TRANSIENT
    lqer = deepcopy(qera)  # LQER (arXiv 2402.02446): the error's SVD, inputs weighed one by one
    fit_branches(lqer, teacher, {name: torch.diag(gram.diagonal()) for name, gram in grams.items()})
    yield Subject("routed-lqer", lqer, *routed, size)
    yield Subject("routed-qera", qera, *routed, size)
    tuned = deepcopy(qera)
    adapt(tuned, draws.transient, fidelity(teacher), steps)
    yield Subject(OURS, tuned, *routed, size)
    yield Subject("always-on-adapter", tuned, *both, size)
    for_task = deepcopy(qera)
    adapt(for_task, draws.transient, task(teacher), steps)
    yield Subject("routed-task-tuned", for_task, *routed, size)
    control = deepcopy(qera)  # what routing adds to an adapter that knows transients
    adapt(control, draws.mixed, task(teacher), steps)
    yield Subject("always-on-task-tuned", control, *both, size)
