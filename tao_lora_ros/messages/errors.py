"""The one kind of error that a user can mend."""

from __future__ import annotations


class TaoLoraError(ValueError):
    """An input will not do; the text names it, what is wrong and what is expected.

    Commands print it as one line, services answer with it. Any other exception is a fault of ours.
    """
