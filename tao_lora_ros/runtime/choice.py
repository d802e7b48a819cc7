"""Which runtime infers, and why; the CPU takes over where the GPU fails."""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.runtime.cpu import CpuRuntime
from tao_lora_ros.runtime.gpu_return import GpuReturn
from tao_lora_ros.runtime.runtime import Array, Output, Runtime

BACKENDS = ("auto", "cpu", "cuda")

_log = logging.getLogger(__name__)


class ChosenRuntime:
    """A runtime that is there for as long as the process is: on the GPU while it works, else CPU.

    A GPU that failed is tried again now and then, and takes over once it works.

    Args:
        model: the quantised model.
        backend: one of `BACKENDS`; `auto` takes a GPU where there is one that works.

    Raises:
        ValueError: there is no such backend.

    `reason` says why it is the one it is.
    """

    def __init__(self, model: Mixer, backend: str = "auto") -> None:
        if backend not in BACKENDS:
            raise ValueError(f"backend is {backend!r}, expected one of {', '.join(BACKENDS)}")
        self._model = model
        self._failed: Runtime | None = None  # kept, for the GPU may still write to its memory
        self._return: GpuReturn | None = None
        self._runtime, self.reason = self._start(backend)

    @property
    def name(self) -> str:
        """Of the runtime that infers now."""
        return self._runtime.name

    def infer(self, window: Array, path: Route) -> Output:
        """See `Runtime`."""
        try:
            return self._now().infer(window, path)
        except RuntimeError as error:
            self._fall_back(error)
            return self._runtime.infer(window, path)

    def infer_batch(self, windows: Array, paths: NDArray[np.int32]) -> Output:
        """See `Runtime`."""
        try:
            return self._now().infer_batch(windows, paths)
        except RuntimeError as error:
            self._fall_back(error)
            return self._runtime.infer_batch(windows, paths)

    def _start(self, backend: str) -> tuple[Runtime, str]:
        if backend == "cpu":
            return CpuRuntime(self._model), "backend is set to cpu"
        if not torch.cuda.is_available():
            return CpuRuntime(self._model), _why_no_cuda()
        try:
            return _gpu(self._model), f"{torch.cuda.get_device_name()} works"
        except (ImportError, OSError, ValueError) as error:  # trying again would not help
            reason = f"the GPU cannot be used: {_line(error)}"
        except RuntimeError as error:
            reason = f"the GPU failed at the start: {_line(error)}"
            self._return = GpuReturn(partial(_gpu, self._model))
        _log.error("inference runs on the CPU: %s", reason)
        return CpuRuntime(self._model), reason

    def _now(self) -> Runtime:
        if self._return and (gpu := self._return.taken()):
            self._runtime, self._return, self._failed = gpu, None, None
            self.reason = f"{torch.cuda.get_device_name()} works again; before, {self.reason}"
            _log.warning("inference goes on with the GPU: %s", self.reason)
        return self._runtime

    def _fall_back(self, error: RuntimeError) -> None:
        """Go on with the CPU after the GPU failed; an error of the CPU is the caller's."""
        if isinstance(self._runtime, CpuRuntime):
            raise error
        self.reason = f"{self._runtime.name} failed while running: {_line(error)}"
        _log.error("inference goes on with the CPU: %s", self.reason)
        self._failed, self._runtime = self._runtime, CpuRuntime(self._model)
        self._return = GpuReturn(partial(_gpu, self._model))


class NoRuntime:
    """Says, in the place of a `ChosenRuntime`, that there is no model to run."""

    name = "none"
    reason = "the artifact is for detection only"


def _gpu(model: Mixer) -> Runtime:
    from tao_lora_ros.runtime.gpu import GpuRuntime  # needs Triton, which not every machine has

    return GpuRuntime(model)


def _why_no_cuda() -> str:
    if torch.version.cuda is None:
        return "this torch is built without CUDA"
    return f"torch (CUDA {torch.version.cuda}) finds no usable device or driver"


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
