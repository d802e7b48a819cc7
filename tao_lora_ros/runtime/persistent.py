"""The mixer on a GPU without a launch a call: a cluster of blocks that stays, each on a
multiprocessor, and waits for windows, `kernels/persistent_mixer.cu`."""

from __future__ import annotations

import time
import weakref
from ctypes import c_uint64, c_void_p

import numpy as np
import torch
from numpy.typing import NDArray

from tao_lora_ros.kernels.arrival import LEAD, record_size
from tao_lora_ros.kernels.fragments import LANES, Fragments, fragments, team_for
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.network import Network
from tao_lora_ros.runtime.choice import PERSISTENT
from tao_lora_ros.runtime.cuda_graph import new_stream
from tao_lora_ros.runtime.cuda_module import CudaKernel, attribute
from tao_lora_ros.runtime.gpu_tensors import Parts, mixer_tensors
from tao_lora_ros.runtime.pinned_mailbox import ENDED, LOST, ask
from tao_lora_ros.runtime.runtime import Array, Output, check_window

IDLE_S = 0.25  # without a window for so long the kernel ends: longer than a robot's hop
_LIFE_S = 10.0  # and after so long anyway, as whoever waits for the whole device waits for it
_END_S = 1.0  # how long it may take to end
_MOST_TAKEN = 12  # at most so manieth of the multiprocessors
_LAST = 2**31 - 1  # number of a call
_END = 2  # an order, beside the paths
_TYPES = (*(c_void_p,) * 4, *(c_uint64,) * 4)


class PersistentRuntime:
    """Runs a quantised model on a few multiprocessors of the first CUDA device, which it keeps.

    While the kernel waits, those and a share of the bus are taken, and another process has the
    GPU for half of the time. It ends when no window has come for `IDLE_S`, and the
    next window starts it again. One call at a time.

    Args:
        model: the quantised model.

    Raises:
        ImportError: `cuda.bindings` or what it loads is not there.
        ValueError: the device is too small for it, or the model too large.
        RuntimeError: the device failed.
    """

    name = PERSISTENT

    def __init__(self, model: Network) -> None:
        most = attribute("MAX_SHARED_MEMORY_PER_BLOCK_OPTIN")
        tensors = mixer_tensors(model)
        team = team_for(tensors, clusters=bool(attribute("CLUSTER_LAUNCH")))
        laid_out = fragments(tensors, most, team)
        _check_device(team.blocks)
        if (shared := laid_out.constants["SHARED"]) > most:
            raise ValueError(
                f"the persistent kernel needs {shared} bytes of shared memory for this model, "
                f"and a multiprocessor has {most}"
            )
        self._parts = Parts(laid_out.sizes)
        self._shape = model.config.window, model.config.channels
        self._kernel = _Kernel(laid_out)
        weakref.finalize(self, self._kernel.end)
        for path in Route:
            self.infer(np.zeros(self._shape, np.float32), path)

    def infer(self, window: Array, path: Route) -> Output:
        """See `Runtime`."""
        check_window(window.shape, window.dtype, self._shape)
        results = np.empty(self._kernel.words, np.float32)
        self._kernel.run(window, path, results)
        return self._parts(results)

    def infer_batch(self, windows: Array, paths: NDArray[np.int32] | Route) -> Output:
        """See `Runtime`; one window after the other."""
        check_window(windows.shape[1:], windows.dtype, self._shape)
        results = np.empty((len(windows), self._kernel.words), np.float32)
        for window, path, row in zip(
            windows, np.broadcast_to(paths, len(windows)), results, strict=True
        ):
            self._kernel.run(window, Route(path), row)
        return self._parts(results)


def _check_device(blocks: int) -> None:
    """Raise a ValueError that says why so many blocks cannot stay on this device."""
    count = attribute("MULTIPROCESSOR_COUNT")
    if attribute("COMPUTE_CAPABILITY_MAJOR") < 8:
        raise ValueError("the persistent kernel needs a GPU of compute capability 8.0 or more")
    if attribute("INTEGRATED") or count < _MOST_TAKEN * blocks:
        raise ValueError(
            f"the persistent kernel would starve others: it keeps {blocks} of {count} "
            "multiprocessors"
        )
    if attribute("KERNEL_EXEC_TIMEOUT"):
        raise ValueError("the persistent kernel cannot stay: this GPU's driver ends long kernels")


class _Kernel:
    """The kernel of a model, launched when a window finds that it has ended."""

    def __init__(self, model: Fragments) -> None:
        of = model.constants
        self._kernel = CudaKernel("persistent_mixer", "warp_primitives", of, of["WARPS"] * LANES)
        self._stream = new_stream()
        self._image = model.image.cuda()
        torch.cuda.current_stream().synchronize()
        self._record = torch.zeros(record_size(of["WINDOW"] * of["C"])).pin_memory()
        self.words = of["NP"] + of["CP"]
        self._outputs, self._ended = (
            torch.zeros(count, dtype=torch.int64).pin_memory() for count in (self.words, 1)
        )
        self._orders = self._record.view(torch.int64).numpy()
        self._found, self._last_end = self._outputs.numpy(), self._ended.numpy()
        self._paths = [np.full(1, path, np.int32) for path in Route]
        self._launches = 0  # the kernel that has ended last is the one that was launched last
        self._number = 0

    def run(self, window: Array, path: Route, results: Array) -> None:
        """Infer on a window into `words` values.

        Raises:
            RuntimeError: the GPU failed.
        """
        before, self._number = self._number, self._number % _LAST + 1
        error = ENDED
        for _ in range(2):
            error = ask(
                window.ravel(),
                self._paths[path],
                self._number,
                self._orders,
                LEAD.value,
                self._found,
                results,
                self._last_end,
                self._launches,
            )
            if error != ENDED:
                break
            self._launch(before)
        if error:
            raise RuntimeError(f"the GPU {LOST[error]}")

    def _launch(self, answered: int) -> None:
        self._launches += 1
        memory = (self._record, self._outputs, self._ended, self._image)
        numbers = self._launches, answered, int(1e9 * IDLE_S), int(1e9 * _LIFE_S)
        addresses = tuple(part.data_ptr() for part in memory)
        self._kernel.launch(self._stream.cuda_stream, addresses + numbers, _TYPES)

    def end(self) -> None:
        """Have the kernel end, and keep its memory until it has."""
        self._orders[0] = (self._number % _LAST + 1) << 32 | _END
        deadline = time.monotonic() + _END_S
        while self._last_end[0] != self._launches and time.monotonic() < deadline:
            time.sleep(1e-3)
        if self._last_end[0] != self._launches:
            _STUCK.append(self)


_STUCK: list[_Kernel] = []  # the GPU may still write to their memory
