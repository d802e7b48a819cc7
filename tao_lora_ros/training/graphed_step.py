"""A step of training as one launch: most of a small step on a GPU is launches and waits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Number = float | Tensor  # a tensor where it changes from call to call of a graph
READ_STEPS = 10
WARM_UP = 3  # calls one kernel at a time: what is made at a first call must not be captured


def is_read(done: int, steps: int, device: torch.device) -> bool:
    """Whether a loss is read after so many of the steps: on a GPU that waits for all before."""
    return device.type == "cpu" or done % READ_STEPS == 0 or done == steps


class GraphedStep:
    """Calls a function of tensors on the GPU as a CUDA graph, without waiting for it.

    The function may ask for nothing that the device knows alone, and changes tensors in place.
    Every call counts: the first `WARM_UP` run as they are, with the same results.

    Args:
        step: the function; gives one tensor, which the next call overwrites.
        device: the GPU.
        chance: generators on it that the function draws from, and that may be seeded before a call.
    """

    def __init__(
        self, step: Callable[..., Tensor], device: torch.device, *chance: torch.Generator
    ) -> None:
        self._step, self._device = step, device
        self._graph = torch.cuda.CUDAGraph()
        for generator in chance:
            self._graph.register_generator_state(generator)
        self._stream = torch.cuda.Stream(device)
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
