"""A step of training as one launch: most of a small step on a GPU is launches and waits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3  # calls one kernel at a time: what is made at a first call must not be captured


class GraphedStep:
    """Calls a function of tensors on the GPU as a CUDA graph, without waiting for it.

    The function may ask for nothing that the device knows alone, and changes tensors in place.
    Every call counts: the first `WARM_UP` run as they are, with the same results.

    Args:
        step: the function; gives one tensor, which the next call overwrites.
        chance: generator on the GPU that it draws from; it may be seeded before each call.
    """

    def __init__(self, step: Callable[..., Tensor], chance: torch.Generator) -> None:
        self._step, self._device = step, chance.device
        self._graph = torch.cuda.CUDAGraph()
        self._graph.register_generator_state(chance)
        self._stream = torch.cuda.Stream(self._device)
        self._inputs: list[Tensor] = []
        self._calls = 0

    def __call__(self, *inputs: Tensor | float) -> Tensor:
        """Queue a call; `inputs`, on the host, have the same shapes each time."""
        given = [torch.as_tensor(x).pin_memory() for x in inputs]
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            if not self._calls:
                self._inputs = [x.to(self._device) for x in given]
            for mine, x in zip(self._inputs, given, strict=True):
                mine.copy_(x, non_blocking=True)
            if self._calls < WARM_UP:
                self._output = self._step(*self._inputs)
            else:
                if self._calls == WARM_UP:
                    with torch.cuda.graph(self._graph, stream=self._stream):
                        self._output = self._step(*self._inputs)
                self._graph.replay()
        self._calls += 1
        torch.cuda.current_stream().wait_stream(self._stream)
        return self._output
