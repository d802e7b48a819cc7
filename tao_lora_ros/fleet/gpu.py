"""One GPU for the bags of all workers, in a process of its own; workers send it their windows.

Bags are decoded by as many processes as there are cores, while their windows are inferred on
together, and the GPU is set up once.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Client, Connection, Listener
from threading import Lock, Thread

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.fleet.errors import FleetError
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.network import Network
from tao_lora_ros.runtime.choice import driver_finds_gpu
from tao_lora_ros.runtime.runtime import Array, Output, Runtime
from tao_lora_ros.runtime.together import Together

LAUNCH = 64  # windows
_BACKLOG = 64  # workers that wait to be connected


class GpuError(FleetError):
    """The GPU does not work: not of one bag, it ends the run."""


def on_gpu(model: Network) -> Runtime:
    """What runs a model on the GPU."""
    from tao_lora_ros.runtime.gpu import GpuRuntime

    return GpuRuntime(model)


def check_gpu(remedy: str) -> None:
    """Whether there is a GPU.

    Raises:
        GpuError: there is none; it ends with the remedy.
    """
    if not driver_finds_gpu():
        raise GpuError(f"--device cuda: no NVIDIA driver finds a GPU here; {remedy}")


@contextmanager
def gpu_process(make: Callable[[Network], Runtime] = on_gpu, launch: int = LAUNCH) -> Iterator[str]:
    """A process that runs models for the workers of this one; gives its address.

    Args:
        make: makes what runs a model; picklable.
        launch: windows of every launch.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, make, launch), daemon=True)
    process.start()
    theirs.close()
    try:
        try:
            address = ours.recv()
        except EOFError as error:
            raise _gone(error) from None
        yield address
    finally:
        ours.close()  # ends it, as it does where this process is killed
        process.join()


class SharedGpu:
    """The GPU of `gpu_process`, as a runtime of one bag.

    Args:
        address: of that process, which this one descends from the same command as.
        model: the quantised model.

    Raises:
        GpuError: it is not there, or does not work; so do all calls.
    """

    name, reason = "cuda", "one GPU for the windows of all bags"

    def __init__(self, address: str, model: Network) -> None:
        try:
            key = multiprocessing.current_process().authkey
            self._connection: Connection = Client(address, authkey=key)
            self._connection.send((_digest(model), model))
        except (OSError, EOFError) as error:
            raise _gone(error) from None

    def infer(self, window: Array, path: Route) -> Output:
        """See `Runtime`."""
        return Output(*(part[0] for part in self.infer_batch(window[None], np.array([path]))))

    def infer_batch(self, windows: Array, paths: NDArray[np.int32]) -> Output:
        """See `Runtime`."""
        try:
            self._connection.send((windows, paths))
            found = self._connection.recv()
        except (OSError, EOFError) as error:
            raise _gone(error) from None
        if isinstance(found, str):
            raise GpuError(f"--device cuda: {found}")
        return Output(*found)


def _gone(error: Exception) -> GpuError:
    reason = f"{type(error).__name__} {error}".strip()
    return GpuError(f"--device cuda: the process that has the GPU has ended ({reason})")


def _digest(model: Network) -> str:
    """By which one model is known among those of all bags."""
    total = hashlib.sha256(repr(model.config).encode())
    for name, tensor in sorted(model.tensors.items()):  # a file's may be in any order
        total.update(f"{name} {tensor.dtype} {tensor.shape}".encode() + tensor.tobytes())
    return total.hexdigest()


def _serve(command: Connection, make: Callable[[Network], Runtime], launch: int) -> None:
    """Serve workers until the command ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too; workers still need us
    models = _Models(make, launch)
    with Listener(backlog=_BACKLOG, authkey=multiprocessing.current_process().authkey) as listener:
        command.send(listener.address)
        Thread(target=_accept, args=(listener, models), daemon=True).start()
        with suppress(EOFError, ConnectionError):
            command.recv()


def _accept(listener: Listener, models: _Models) -> None:
    while True:
        with suppress(multiprocessing.AuthenticationError, EOFError, ConnectionError):
            Thread(target=_answer, args=(listener.accept(), models), daemon=True).start()


def _answer(connection: Connection, models: _Models) -> None:
    """Serve one worker with one model, until it is there no more."""
    with connection, suppress(EOFError, ConnectionError):
        model = connection.recv()
        while True:
            windows, paths = connection.recv()
            try:
                answer: Output | str = models.of(*model).infer_batch(windows, paths)
            except Exception as error:  # whatever it is, the command says it
                answer = f"{type(error).__name__}: {error}"
            connection.send(answer)


class _Models:
    """What runs each model that was asked for."""

    def __init__(self, make: Callable[[Network], Runtime], launch: int) -> None:
        self._make, self._launch = make, launch
        self._made: dict[str, Together] = {}
        self._making = Lock()

    def of(self, digest: str, model: Network) -> Together:
        """For a model with its digest."""
        with self._making:
            if digest not in self._made:
                self._made[digest] = Together(self._make(model), self._launch)
            return self._made[digest]
