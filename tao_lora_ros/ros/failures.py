"""What callbacks raise: logged, so that it neither ends the node nor passes without a word."""

from __future__ import annotations

import traceback

from rclpy.impl.rcutils_logger import RcutilsLogger

from tao_lora_ros.messages.texts import MOST_LINE, error_line, shown

_MOST_LINES = 200


class Failures:
    """Logs faults of ours: the first of a kind with its trace, the others in a line a second."""

    def __init__(self, logger: RcutilsLogger) -> None:
        self._logger = logger
        self._traced: set[tuple[str, type]] = set()

    def report(self, doing: str, error: Exception) -> str:
        """Log what was raised; returns it as a line, for whoever asked."""
        line = f"cannot {doing}: {type(error).__name__}: {error_line(error)}"
        kind = doing, type(error)
        if kind in self._traced:
            self._logger.error(line, throttle_duration_sec=1.0)
        else:
            self._traced.add(kind)
            self._logger.error(_trace(error))
            self._logger.error(line)
        return line


def _trace(error: Exception) -> str:
    """The trace, its lines set off: no text in it can pass for a line of the log."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(f"  | {shown(line, MOST_LINE)}" for line in lines[-_MOST_LINES:])
