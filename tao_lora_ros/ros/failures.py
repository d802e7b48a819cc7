"""What callbacks raise: logged, so that it neither ends the node nor passes without a word."""

from __future__ import annotations

import traceback

from rclpy.impl.rcutils_logger import RcutilsLogger


class Failures:
    """Logs faults of ours: the first of a kind with its trace, the others in a line a second."""

    def __init__(self, logger: RcutilsLogger) -> None:
        self._logger = logger
        self._traced: set[tuple[str, type]] = set()

    def report(self, doing: str, error: Exception) -> str:
        """Log what was raised; returns it as a line, for whoever asked."""
        line = f"cannot {doing}: {type(error).__name__}: {' '.join(str(error).split())}"
        kind = doing, type(error)
        if kind in self._traced:
            self._logger.error(line, throttle_duration_sec=1.0)
        else:
            self._traced.add(kind)
            self._logger.error("".join(traceback.format_exception(error)).rstrip())
            self._logger.error(line)
        return line
