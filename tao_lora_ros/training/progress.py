"""Progress, on standard error: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

Item = TypeVar("Item")

EVERY_S = 30.0  # between lines where nobody sees a bar


def bar_on_terminal(shown: bool = True) -> Progress:
    """Bars that nobody sees but who sits before a terminal."""
    silent = not (shown and sys.stderr.isatty())
    return Progress(console=Console(stderr=True), transient=True, disable=silent)


def line_of(bar: Progress, what: str, total: float | None) -> Callable[[float], None]:
    """A bar of its own among others; what it gives takes how much of the total is done."""
    task = bar.add_task(what, total=total)
    return lambda done: bar.update(task, completed=done)


def tracked(items: Iterable[Item], what: str, count: int) -> Iterator[Item]:
    """The items, with progress that says how many are done."""
    with _progress(what, count) as show:
        for done, item in enumerate(items, start=1):
            yield item
            show(done, "")


@contextmanager
def progress_bar(
    what: str, steps: int, shown: bool = True
) -> Iterator[Callable[[int, float], None]]:
    """Progress of a fit; what it gives takes step and loss."""
    with _progress(what, steps, shown) as show:
        yield lambda step, loss: show(step, f", loss {loss:.4f}")


@contextmanager
def _progress(what: str, count: int, shown: bool = True) -> Iterator[Callable[[int, str], None]]:
    """What it gives takes how many are done, and more words."""
    begun_s = said_s = time.monotonic()
    before: int | None = None  # done by others, where a fit goes on
    with bar_on_terminal(shown) as bar:
        task = bar.add_task(what, total=count)

        def show(done: int, more: str) -> None:
            nonlocal said_s, before
            bar.update(task, completed=done, description=f"{what}{more}")
            before = done - 1 if before is None else before
            now_s = time.monotonic()
            if shown and bar.disable and now_s - said_s >= EVERY_S:
                said_s = now_s
                left_s = (now_s - begun_s) / (done - before) * (count - done)
                print(f"{what}: {done} of {count}{more}, {left_s:.0f} s left", file=sys.stderr)

        yield show
