"""Progress on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress


@contextmanager
def progress_bar(
    what: str, steps: int, shown: bool = True
) -> Iterator[Callable[[int, float], None]]:
    """A bar; what it gives takes step and loss."""
    with Progress(disable=not shown) as bar:
        task = bar.add_task(what, total=steps)

        def show(step: int, loss: float) -> None:
            bar.update(task, completed=step, description=f"{what}, loss {loss:.4f}")

        yield show
