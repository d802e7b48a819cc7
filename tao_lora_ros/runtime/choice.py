"""Which runtime infers, and why; the CPU takes over where the GPU fails."""

from __future__ import annotations

import ctypes
import logging
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.network import Network
from tao_lora_ros.runtime.cpu import CpuRuntime
from tao_lora_ros.runtime.faster import FasterRuntime
from tao_lora_ros.runtime.gpu_return import GpuReturn
from tao_lora_ros.runtime.runtime import Array, Output, Runtime

PERSISTENT = "cuda_persistent"
BACKENDS = ("auto", "cpu", "cuda", PERSISTENT)

_log = logging.getLogger(__name__)


class ChosenRuntime:
    """A runtime that is there for as long as the process is: on the GPU while it works, else CPU.

    A GPU that failed is tried again now and then, and takes over once it works.

    Args:
        model: the quantised model.
        backend: one of `BACKENDS`; `auto` takes the faster of GPU and CPU where there is a GPU,
            `cuda_persistent` the kernel that stays, and `cuda` where that cannot be used.

    Raises:
        ValueError: there is no such backend.
    """

    def __init__(self, model: Network, backend: str = "auto") -> None:
        if backend not in BACKENDS:
            raise ValueError(f"backend is {backend!r}, expected one of {', '.join(BACKENDS)}")
        self._cpu = CpuRuntime(model)
        self._gpu = partial(_gpu, model, backend, self._cpu)
        self._failed: Runtime | None = None  # kept, for the GPU may still write to its memory
        self._return = GpuReturn(self._gpu)
        self._runtime, self._reason = self._start(backend)

    @property
    def name(self) -> str:
        """Of the runtime that infers now."""
        return self._runtime.name

    @property
    def reason(self) -> str:
        """Why it is that one."""
        if isinstance(self._runtime, FasterRuntime):
            return f"{self._reason}: {self._runtime.comparison}"
        return self._reason

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
            return self._cpu, "backend is set to cpu"
        if not driver_finds_gpu():
            return self._cpu, "there is no NVIDIA driver that finds a GPU"
        try:
            return self._gpu()
        except (ImportError, OSError, ValueError) as error:  # trying again would not help
            reason = f"the GPU cannot be used: {_line(error)}"
        except RuntimeError as error:
            reason = f"the GPU failed at the start: {_line(error)}"
            self._return.begin()
        _log.error("inference runs on the CPU: %s", reason)
        return self._cpu, reason

    def _now(self) -> Runtime:
        if self._runtime is self._cpu and (made := self._return.taken()):
            (self._runtime, how), self._failed = made, None
            self._reason = f"{how} again; before, {self._reason}"
            _log.warning("inference goes on with the GPU: %s", self._reason)
        return self._runtime

    def _fall_back(self, error: RuntimeError) -> None:
        """Go on with the CPU after the GPU failed; an error of the CPU is the caller's."""
        if self._runtime is self._cpu:
            raise error
        self._reason = f"cuda failed while running: {_line(error)}"
        _log.error("inference goes on with the CPU: %s", self._reason)
        self._failed, self._runtime = self._runtime, self._cpu
        self._return.begin()


class NoRuntime:
    """Says, in the place of a `ChosenRuntime`, that there is no model to run."""

    name = "none"
    reason = "the artifact is for detection only"


def _gpu(model: Network, backend: str, cpu: CpuRuntime) -> tuple[Runtime, str]:
    """A runtime on the GPU, and how it works."""
    import torch

    torch.set_num_threads(1)  # waking a second core would cost more than it brings
    if not torch.cuda.is_available():
        raise ImportError(f"this torch (CUDA {torch.version.cuda}) does not find it")
    how = "the GPU works"
    if backend == PERSISTENT:
        try:
            from tao_lora_ros.runtime.persistent import PersistentRuntime  # needs cuda.bindings

            return PersistentRuntime(model), how
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            how = f"with a launch a call, as no kernel can stay ({_line(error)}), {how}"
            _log.warning(how)
    from tao_lora_ros.runtime.gpu import GpuRuntime  # needs Triton, which not every machine has

    gpu = GpuRuntime(model)
    return FasterRuntime(gpu, cpu) if backend == "auto" else gpu, how


def driver_finds_gpu() -> bool:
    """Whether CUDA's driver finds a GPU; torch, which takes seconds to load, is not asked."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    return (
        driver.cuInit(0) == 0
        and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
        and count.value > 0
    )


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
