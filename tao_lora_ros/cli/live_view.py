"""What the node infers, as it infers it: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tao_lora_ros.messages.results import Event, Inference, Phase, name_text
from tao_lora_ros.messages.route import Route
from tao_lora_ros.messages.texts import shown

_ROWS = 12
_COLORS = ("bright_black", "red", "blue", "magenta", "green", "yellow")


class Run(Protocol):
    """What the view looks at; a recorder and a watcher are such."""

    onset_latencies_s: dict[int, float]
    labels: tuple[str, ...]
    model: tuple[str, str]
    earlier: set[tuple[int, int]]  # onset and sequence of events from before it was looked at

    @property
    def newest(self) -> Inference | None:
        """The newest inference."""

    @property
    def events(self) -> list[Event]:
        """What began and what was over, in order; perhaps the last word on each alone."""

    @property
    def counted(self) -> str:
        """How many inferences there were, by route."""

    def when(self, stamp_ns: int) -> str:
        """A stamp in words."""


class View(ABC):
    """Shows a run while it goes on."""

    @abstractmethod
    def update(self, status: str) -> None:
        """Show what is new, with a word on what goes on."""

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        self.update("")


def view_of(run: Run, console: Console, head: Callable[[str], RenderableType]) -> View:
    """The view that suits the console; `head` makes its top, given a word on what goes on."""
    return LiveView(run, console, head) if console.is_terminal else PlainView(run, console)


def progress(status: str, share: float, text: str) -> RenderableType:
    """How much of a known whole is done."""
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(width=14)
    grid.add_column(ratio=1)
    grid.add_column(justify="right")
    grid.add_row(status, ProgressBar(total=1.0, completed=min(share, 1.0)), text)
    return grid


class PlainView(View):
    """A line for each event when it is over."""

    def __init__(self, run: Run, console: Console) -> None:
        self._run, self._console = run, console
        self._shown: set[tuple[int, int]] = set()

    def update(self, status: str) -> None:
        for event in self._run.events:
            which = event.onset_ns, event.sequence
            if event.phase is Phase.END and which not in self._shown:
                self._shown.add(which)
                line = "  ".join(cell for cell in _cells(self._run, event) if cell)
                before = "earlier " * (which in self._run.earlier)
                said = Text(f"{before}event {line}")
                self._console.print(said, highlight=False, soft_wrap=True)


class LiveView(View):
    """Its head, route, classes and the newest events, ten times a second."""

    def __init__(self, run: Run, console: Console, head: Callable[[str], RenderableType]) -> None:
        self._run, self._head = run, head
        self._live = Live(console=console, auto_refresh=False)

    def update(self, status: str) -> None:
        self._live.update(self._screen(status), refresh=True)

    def _screen(self, status: str) -> Panel:
        name, version = self._run.model
        parts = [self._head(status), self._now(), self._events()]
        title = Text(f"tao-lora {shown(name)} {shown(version)}".strip())
        return Panel(Group(*parts), title=title, title_align="left")

    def _now(self) -> Table:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(width=14)
        grid.add_column()
        newest = self._run.newest
        if newest is None:
            grid.add_row("route", "waiting for the first full window")
            return grid
        transient = newest.path is Route.TRANSIENT
        style = "bold white on dark_orange3" if transient else "bold white on grey42"
        route = Text(f" {newest.path.name.lower():9} ", style)
        route.append(f"  score {newest.score:6.2f} ", "default")
        route.append(_bar(newest.score / 3.0), "dark_orange3" if newest.score >= 1 else "green")
        grid.add_row("route", route)
        classes = Text()
        for number, (label, share) in enumerate(
            zip(self._run.labels, newest.probabilities, strict=True)
        ):
            color = _COLORS[number % len(_COLORS)]
            classes.append(f"{shown(label)} ").append(_bar(share, 10), color).append(
                f" {share:4.0%}   "
            )
        grid.add_row("classes", classes)
        grid.add_row("inferences", self._run.counted)
        return grid

    def _events(self) -> Table:
        table = Table(expand=True, box=None, header_style="dim", padding=(0, 1))
        names = ["#", "onset", "label", "kind", "how hard", "score", "lasts"]
        for name in [*names, *["reported after"] * bool(self._run.onset_latencies_s)]:
            table.add_column(
                name, justify="left" if name in ("label", "kind") else "right", no_wrap=True
            )
        table.add_column("driven by", ratio=1, no_wrap=True)
        latest = {(event.onset_ns, event.sequence): event for event in self._run.events}
        for key, event in list(latest.items())[-_ROWS:]:
            style = "bold dark_orange3" if event.phase is Phase.ONSET else ""
            style = "dim" if key in self._run.earlier else style
            table.add_row(*map(Text, _cells(self._run, event)), style=style)
        return table

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def _cells(run: Run, event: Event) -> list[str]:
    """What the table says of an event."""
    latency_s = run.onset_latencies_s.get(event.sequence)
    lasts = f"{(event.end_ns - event.onset_ns) * 1e-6:.0f} ms" if event.end_ns else "open"
    return [
        f"{event.sequence}",
        run.when(event.onset_ns),
        name_text(shown(event.label), event.probability) or "-",
        event.kind.text,
        event.size.text,
        f"{event.peak_score:.2f}",
        lasts,
        *([] if not run.onset_latencies_s else [_ms(latency_s)]),
        ", ".join(f"{shown(name)} {share:.0%}" for name, share in event.channels[:3]),
    ]


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{1e3 * seconds:.1f} ms"


def _bar(share: float, width: int = 20) -> str:
    full = round(min(max(0.0, share), 1.0) * width)  # a NaN is none
    return "█" * full + "·" * (width - full)
