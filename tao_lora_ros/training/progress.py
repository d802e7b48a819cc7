"""Progress on the terminal: on standard error, for results go to standard output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

Item = TypeVar("Item")


def bar_on_terminal(shown: bool = True) -> Progress:
    """Bars that nobody sees but who sits before a terminal."""
    silent = not (shown and sys.stderr.isatty())
    return Progress(console=Console(stderr=True), transient=True, disable=silent)


def tracked(items: Iterable[Item], what: str, count: int) -> Iterator[Item]:
    """The items, with a bar that says how many are done."""
    with bar_on_terminal() as bar:
        yield from bar.track(items, total=count, description=what)


@contextmanager
def progress_bar(
    what: str, steps: int, shown: bool = True
) -> Iterator[Callable[[int, float], None]]:
    """A bar; what it gives takes step and loss."""
    with bar_on_terminal(shown) as bar:
        task = bar.add_task(what, total=steps)

        def show(step: int, loss: float) -> None:
            bar.update(task, completed=step, description=f"{what}, loss {loss:.4f}")

        yield show
