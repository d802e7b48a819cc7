"""CUDA graphs by the runtime library's own functions: captured apart, replayed from compiled code.

torch's graphs take its random generators and forbid other threads to allocate while they are
captured. These do neither, so a user's own CUDA threads may run beside them.
"""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable
from ctypes import byref, c_int, c_uint, c_uint64, c_void_p

import torch

from tao_lora_ros.runtime.pinned_mailbox import Replay

_NON_BLOCKING = 1  # cudaStreamNonBlocking: does not wait for the legacy default stream
_THREAD_LOCAL = 1  # cudaStreamCaptureModeThreadLocal
_POLL_S = 1e-3


@functools.cache
def shared_stream() -> torch.cuda.Stream:
    """The stream of all our launches: programs that share a window must all be resident, so
    launches of two runtimes may not run at the same time. Of the highest priority."""
    return new_stream()


def wait(stream: torch.cuda.Stream, seconds: float) -> None:
    """Wait until a stream has done its work.

    Raises:
        RuntimeError: it failed, or has not done it in that time.
    """
    deadline = time.monotonic() + seconds
    while not stream.query():
        if time.monotonic() > deadline:
            raise RuntimeError(f"the GPU did not finish within {seconds:g} s")
        time.sleep(_POLL_S)


class CudaGraph:
    """Launches that were captured while `work` ran; lives as long as they are replayed.

    Args:
        work: launches kernels on the current stream, and does nothing else.

    Raises:
        RuntimeError: CUDA refused it.
        OSError: torch has CUDA's runtime built in, so its functions cannot be called.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        stream, graph, self._handle = new_stream(), c_void_p(), c_void_p()
        with torch.cuda.stream(stream):
            _call("cudaStreamBeginCapture", c_void_p(stream.cuda_stream), c_int(_THREAD_LOCAL))
            try:
                work()
            finally:
                _call("cudaStreamEndCapture", c_void_p(stream.cuda_stream), byref(graph))
        try:
            _call("cudaGraphInstantiateWithFlags", byref(self._handle), graph, c_uint64(0))
        finally:
            _library().cudaGraphDestroy(graph)
            _library().cudaStreamDestroy(c_void_p(stream.cuda_stream))
        address = ctypes.cast(_library().cudaGraphLaunch, c_void_p).value or 0
        self.replay: Replay = (address, self._handle.value or 0, shared_stream().cuda_stream)

    def launch(self) -> None:
        """Queue it; `replay` is for compiled code, which does the same.

        Raises:
            RuntimeError: CUDA refused it.
        """
        _call("cudaGraphLaunch", self._handle, c_void_p(self.replay[2]))

    def __del__(self) -> None:
        if self._handle:
            _library().cudaGraphExecDestroy(self._handle)


def new_stream() -> torch.cuda.Stream:
    """A stream that waits for no other, of the highest priority, for as long as the process."""
    least, greatest, stream = c_int(), c_int(), c_void_p()
    torch.cuda.current_stream()  # makes the device's context current in this thread
    _call("cudaDeviceGetStreamPriorityRange", byref(least), byref(greatest))
    _call("cudaStreamCreateWithPriority", byref(stream), c_uint(_NON_BLOCKING), greatest)
    return torch.cuda.ExternalStream(stream.value)


def _call(name: str, *arguments: object) -> None:
    code = getattr(_library(), name)(*arguments)
    if code:
        message = ctypes.string_at(_library().cudaGetErrorString(code)).decode()
        raise RuntimeError(f"CUDA error: {name}: {message}")


@functools.cache
def _library() -> ctypes.CDLL:
    """CUDA's runtime library, the one that torch has loaded."""
    library = ctypes.CDLL(f"libcudart.so.{str(torch.version.cuda).split('.')[0]}")
    library.cudaGetErrorString.restype = c_void_p
    return library
