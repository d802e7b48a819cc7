"""A process that writes events, and how to talk to it.

    python -m tao_lora_ros.preservation.event_process STORE MAX_BYTES MIN_FREE_BYTES

An event takes tens of milliseconds of Python. In a thread of the node these would be taken from the
inference, by the interpreter's lock and just when things happen; here they are nobody's. Pickled
records come on the standard input from the process that started this one, each answered by a line
of JSON on the standard output: the reason why not (empty where it was written), and the bytes that
the store takes. It ends with its input, so what it was given is written even when the node is
killed.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from tao_lora_ros.preservation.event_record import EventRecord, StoreError
from tao_lora_ros.preservation.event_store import EventStore

_MODULE = "tao_lora_ros.preservation.event_process"  # __name__ is __main__ in the process itself
_NICE = 10


class WritingProcess:
    """The process, seen from the one that starts it.

    Args:
        folder, max_bytes, min_free_bytes: as for `EventStore`.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, folder: Path, max_bytes: int, min_free_bytes: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, str(folder), str(max_bytes), str(min_free_bytes)],
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

    def write(self, record: EventRecord | None) -> tuple[str, int]:
        """Have a record written, or with None only the store opened, and wait for that.

        Returns:
            What went wrong, empty where nothing did, and the bytes that the store takes.

        Raises:
            OSError: the process is no more.
        """
        try:
            pickle.dump(record, self._to, pickle.HIGHEST_PROTOCOL)
            self._to.flush()
            answer = self._from.readline()
        except OSError:
            answer = b""
        if not answer:
            self.close()
            raise ChildProcessError(f"it ended with status {self._process.returncode}")
        reason, used_bytes = json.loads(answer)
        return str(reason), int(used_bytes)

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

    def keep(self, record: EventRecord | None) -> str:
        """Open the store where it is not, and append; returns what went wrong, or nothing."""
        try:
            self._store = self._store or EventStore(*self._arguments)
            if record:
                self._store.append(record)
        except StoreError as error:
            return str(error)
        except Exception as error:  # the node must be told, whatever it is
            return f"{self._arguments[0]}: {type(error).__name__}: {error}"
        return ""

    @property
    def used_bytes(self) -> int:
        """What the store takes on the disk; 0 while it is not open."""
        return self._store.bytes_used if self._store else 0


def main() -> int:
    """Write events until the input ends; returns the exit status."""
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    os.nice(_NICE)
    keeper = Keeper(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    while True:
        try:
            record = pickle.load(sys.stdin.buffer)
        except EOFError:
            return 0
        answer = json.dumps([keeper.keep(record), keeper.used_bytes]) + "\n"
        try:
            os.write(sys.stdout.fileno(), answer.encode())
        except BrokenPipeError:  # the node is gone; its last event is written
            return 0


if __name__ == "__main__":
    sys.exit(main())
