"""When to infer: a slow hop in steady motion, a fast one in a transient, at once on an onset."""

from __future__ import annotations

from tao_lora_ros.messages.route import Route


class HopSchedule:
    """Counts rows since the last inference; deterministic, at most one inference a hop.

    Args:
        hop_steady: rows between inferences in steady motion.
        hop_transient: rows between inferences in a transient.
    """

    def __init__(self, hop_steady: int, hop_transient: int) -> None:
        self.hops = {Route.STEADY: hop_steady, Route.TRANSIENT: hop_transient}
        self.clear()

    def clear(self) -> None:
        """The next row is due."""
        self._since: int | None = None

    def due(self, path: Route, onset: bool) -> bool:
        """Whether this row is to be inferred on; called once a row."""
        if self._since is not None:
            self._since += 1
        if not onset and self._since is not None and self._since < self.hops[path]:
            return False
        self._since = 0
        return True
