"""Commands that serve a page on loopback: their arguments, and the page for as long as it is up."""

from __future__ import annotations

import webbrowser
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tao_lora_ros.cli.arguments import UsageError, whole
from tao_lora_ros.report.loopback import LoopbackServer


def add_page_arguments(parser: ArgumentParser, port: str = "default: a free one") -> None:
    """`--port` and `--open`."""
    parser.add_argument("--port", type=whole(0, 65_535), default=0, help=port)
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


@contextmanager
def served(
    server: Callable[[int], LoopbackServer], options: Namespace, said: str
) -> Iterator[LoopbackServer]:
    """The server of a page, which is told of; its caller runs `serve_forever`.

    Args:
        server: makes it, given the port.
        options: of `add_page_arguments`.
        said: a line below the address.

    Raises:
        UsageError: the port cannot be had.
    """
    try:
        made = server(options.port)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"port {options.port}: {why}; choose another --port") from None
    with made:
        print(f"{made.url}\n{said}", flush=True)
        if options.open:
            webbrowser.open(made.url)
        yield made
