"""Processes that end with the command that started them, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STOP_S = 10.0
_LOG_LINES = 8


class ChildError(RuntimeError):
    """A child failed; the text says which, and its last words."""


class Child:
    """A Python module as a process of its own, which does not outlive the `with` block.

    Its output goes to `<name>.log`. It has a session of its own, so that Ctrl-C reaches it from
    here alone, in order.
    """

    def __init__(self, name: str, out: Path, module: str, *arguments: object) -> None:
        self.name = name
        self._log = out / f"{name}.log"
        command = [sys.executable, "-u", "-m", module, *map(str, arguments)]
        # The package that is installed, whatever lies in this folder: the build compiled its loops.
        environment = {**os.environ, "PYTHONSAFEPATH": "1"}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=environment,
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def running(self) -> bool:
        """Whether it still runs.

        Raises:
            ChildError: it failed.
        """
        code = self._process.poll()
        if code:
            raise ChildError(f"the {self.name} failed with {code}\n{self.last_lines()}")
        return code is None

    def check(self) -> None:
        """Raise ChildError where it does not run any more."""
        if not self.running():
            raise ChildError(f"the {self.name} ended early\n{self.last_lines()}")

    def last_lines(self) -> str:
        """The end of its log."""
        lines = self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return "\n".join(f"  {line}" for line in lines)

    def end(self) -> None:
        """Interrupt it as Ctrl-C does; kill it where that does not help."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Family:
    """Starts children, and ends all of them however it is left.

    An interrupt in the middle of a start waits until the child is known: else it would stay.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._children: list[Child] = []

    def start(self, name: str, module: str, *arguments: object) -> Child:
        """Start a child."""
        with _uninterrupted():
            self._children.append(Child(name, self._out, module, *arguments))
        return self._children[-1]

    def __enter__(self) -> Family:
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._children):
            child.end()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold interrupts back until the end of the block."""
    caught: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: caught.append(number)) for number in ENDINGS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if caught:
        raise KeyboardInterrupt
