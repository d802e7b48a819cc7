"""Texts that come from elsewhere, made fit to be shown: one line, bounded, nothing that acts.

A frame of ten megabytes must not fill a log, and a line break or an escape sequence in it must not
forge a line of its own.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_SHOWN = 200  # characters of one foreign text
MOST_LINE = 1000  # of a whole message that has such texts in it
_MOST_NAME_BYTES = 120  # a file system allows 255, and we append to names


def shown(text: object, most: int = MOST_SHOWN) -> str:
    r"""A text on one line: what does not print is escaped, what is beyond `most` counted.

    >>> shown("imu\n\x1b[2Jlink")
    'imu\\n\\x1b[2Jlink'
    >>> shown("a" * 1000, most=4)
    'aaaa... (1000 characters)'
    """
    whole = str(text)
    line = "".join(map(_printable, whole[:most]))
    return line if len(whole) <= most else f"{line}... ({len(whole)} characters)"


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()


def digits(value: float, count: int = 2) -> str:
    """A number by its first digits.

    >>> digits(0.8437), digits(743.2), digits(13_210.0)
    ('0.84', '740', '13000')
    """
    return f"{float(f'{value:.{count}g}'):g}"


def error_line(error: BaseException) -> str:
    """What a foreign error says, on one line; its type where it says nothing."""
    return shown(" ".join(str(error).split()) or type(error).__name__, MOST_LINE)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The rest of an error about an unknown name: the known one nearest to it, if one is near.

    >>> did_you_mean("hop_stedy", ["hop_steady", "hold_s"])
    "; did you mean 'hop_steady'?"
    """
    near = difflib.get_close_matches(str(name)[:100], list(known), 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def encodable(text: str) -> bool:
    r"""Whether a text can be written at all; JSON can spell half a character, such as "\ud800"."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def file_name(text: str) -> str:
    """A name of a file, made of a foreign text: no folder, nothing hidden, of bounded length.

    >>> file_name("../ICE/00")
    '_ICE_00'
    """
    kept = "".join("_" if c == "/" or not c.isprintable() else c for c in text).lstrip(".")
    return kept.encode()[:_MOST_NAME_BYTES].decode(errors="ignore") or "_"
