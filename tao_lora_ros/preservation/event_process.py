"""A process that writes events, and how to talk to it.

    python -m tao_lora_ros.preservation.event_process STORE MAX_BYTES MIN_FREE_BYTES

(`ros/scene_process.py` is the same with further topics of its own.)

An event takes tens of milliseconds of Python. In a thread of the node these would be taken from the
inference, by the interpreter's lock and just when things happen; here they are nobody's. Pickled
pairs, a record and whether it was handed over before, come on the standard input from the process
that started this one, each answered by an `Answer` as a line of JSON on the standard output. It
ends with its input, so what it was given is written even when the node is killed.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, cast

from tao_lora_ros.preservation.event_record import EventRecord, StoreError
from tao_lora_ros.preservation.event_store import EventStore

MODULE = "tao_lora_ros.preservation.event_process"  # __name__ is __main__ in the process itself
_NICE = 10


@dataclass(frozen=True)
class Answer:
    """What became of an event.

    Args:
        lost: it was not written.
        said: why, or what else a user should know; empty where there is nothing, never if lost.
        used_bytes: what the store takes on the disk.
    """

    lost: bool
    said: str
    used_bytes: int


class WritingProcess:
    """The process, seen from the one that starts it.

    Args:
        folder, max_bytes, min_free_bytes: as for `EventStore`.
        module, *more: what runs in it, and what else that is told.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        min_free_bytes: int,
        module: str = MODULE,
        *more: str,
    ) -> None:
        store = str(folder), str(max_bytes), str(min_free_bytes)
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *store, *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # Ctrl-C is not for it
        )
        self._to = cast(IO[bytes], self._process.stdin)
        self._from = cast(IO[bytes], self._process.stdout)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it is no more."""
        return self._process.poll() is not None

    def write(self, record: EventRecord | None, again: bool = False) -> Answer:
        """Have a record written, or with None only the store opened, and wait for that.

        Args:
            record: the event.
            again: it was handed over before, to a process that died; it is kept once.

        Raises:
            OSError: the process is no more.
        """
        try:
            pickle.dump((record, again), self._to, pickle.HIGHEST_PROTOCOL)
            self._to.flush()
            answer = self._from.readline()
        except OSError:
            answer = b""
        if not answer.endswith(b"\n"):  # it may have died while it answered
            self.close()
            raise ChildProcessError(f"it ended with status {self._process.returncode}")
        return Answer(**json.loads(answer))

    def close(self) -> None:
        """End it and wait for that."""
        # A process that died leaves unread what it was sent, and closing tries that once more.
        with suppress(OSError):
            self._to.close()
        self._from.close()
        self._process.wait()


class Keeper:
    """A store that is opened when it can be."""

    def __init__(self, folder: Path, max_bytes: int, min_free_bytes: int) -> None:
        self._arguments = folder, max_bytes, min_free_bytes
        self._store: EventStore | None = None

    def keep(self, record: EventRecord | None, again: bool = False) -> Answer:
        """Open the store where it is not, and append what it does not hold yet."""
        lost, said = True, ""
        try:
            said = self._keep(record, again)
            lost = False
        except StoreError as error:
            said = str(error)
        except Exception as error:  # the node must be told, whatever it is
            said = f"{self._arguments[0]}: {type(error).__name__}: {error}"
        return Answer(lost, said, self._store.bytes_used if self._store else 0)

    def _keep(self, record: EventRecord | None, again: bool) -> str:
        """Returns what a user should know though the event is kept."""
        self._store = self._store or EventStore(*self._arguments)
        if record is None or (again and self._store.holds(record)):
            return ""
        try:
            self._store.append(record)
            return ""
        except StoreError:
            if not self._store.gone:
                raise
        self._store.close()
        self._store = None
        self._store = EventStore(*self._arguments)
        self._store.append(record)
        return f"{self._arguments[0]}: the store was deleted while in use; it is made anew"


def be_modest() -> None:
    """Leave the end to the node, and the processor to whoever is in a hurry."""
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    os.nice(_NICE)


def serve(keep: Callable[[EventRecord | None, bool], Answer]) -> int:
    """Write events until the input ends; returns the exit status."""
    while True:
        try:
            record, again = pickle.load(sys.stdin.buffer)
        except (EOFError, pickle.UnpicklingError):  # the node is gone, perhaps within an event
            return 0
        answer = json.dumps(asdict(keep(record, again))) + "\n"
        try:
            os.write(sys.stdout.fileno(), answer.encode())
        except BrokenPipeError:  # the node is gone; its last event is written
            return 0


def main() -> int:
    """Run as a process of its own; returns the exit status."""
    be_modest()
    return serve(Keeper(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])).keep)


if __name__ == "__main__":
    sys.exit(main())
