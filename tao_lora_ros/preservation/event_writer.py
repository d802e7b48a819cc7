"""Writes events beside the inference: `submit` never waits, whatever the disk does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from tao_lora_ros.preservation.event_process import MODULE, WritingProcess
from tao_lora_ros.preservation.event_record import EventRecord

# An event that kills the process is given up in the end; others may kill it a few times in a row.
_ATTEMPTS = 8
_LOOK_S = 1.0  # from look to look whether the process lives
_TOO_SLOW = "the disk is too slow for them"


class EventWriter:
    """Hands events to a process of their own, which appends them to a store.

    A process, since writing is Python and a thread would hold up the inference at every event (see
    `event_process`). It is started at once, and again at the next event where it died. A disk that
    is read-only, full, slow or not there costs its events and nothing else.

    Args:
        folder: the store.
        max_bytes, min_free_bytes: as for `EventStore`.
        report: called with a line of what was lost and why, in another thread.
        depth: most events that wait; one more is dropped and counted.
        process: the module that runs in the process, and what else that is told.

    Attributes:
        written: events on the disk.
        failed: events that the store did not take.
        dropped: events that found the queue full.
        used_bytes: what the store took on the disk after the newest of them.
        reason: the newest trouble; empty while there was none.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        min_free_bytes: int,
        report: Callable[[str], None] = lambda _: None,
        depth: int = 16,
        process: Sequence[str] = (MODULE,),
    ) -> None:
        self.written = self.failed = self.dropped = self.used_bytes = 0
        self.reason = ""
        self._store = folder, max_bytes, min_free_bytes
        self._command = tuple(process)
        self._report = report
        self.depth = depth
        self._reported = 0
        self._process: WritingProcess | None = None
        self._queue: SimpleQueue[EventRecord | None] = SimpleQueue()
        # A daemon: a disk that hangs does not hold up the end of this process.
        self._thread = threading.Thread(target=self._work, name="event_writer", daemon=True)
        self._thread.start()

    def submit(self, record: EventRecord) -> bool:
        """Hand over an event; False where it is dropped. From one thread at a time."""
        if self._queue.qsize() >= self.depth:
            self.dropped += 1
            self.reason = f"{_TOO_SLOW} ({self.dropped} dropped)"
            return False
        self._queue.put(record)
        return True

    @property
    def queued(self) -> int:
        """Events that wait to be written."""
        return self._queue.qsize()

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write what waits and stop; False where that takes longer, and what waits is given up."""
        self._queue.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        self._attempt(None)
        while (record := self._next()) is not None:
            kept = self._attempt(record)
            self.written += kept
            self.failed += not kept
            self._report_drops()
        self._report_drops()
        if self._process:
            self._process.close()

    def _next(self) -> EventRecord | None:
        """The next event; meanwhile a process that dies is replaced."""
        while True:
            with suppress(Empty):
                return self._queue.get(timeout=_LOOK_S)
            if self._process and self._process.ended:
                self._attempt(None)

    def _attempt(self, record: EventRecord | None) -> bool:
        """Have the process write; where it dies, another."""
        for again in range(_ATTEMPTS):
            try:
                self._process = self._process or WritingProcess(*self._store, *self._command)
                answer = self._process.write(record, again > 0)
            except Exception as error:  # whatever it is costs this event, not the later ones
                self._end_process()
                what = f"{type(error).__name__}: {error}"
                self.reason = f"{self._store[0]}: the process that writes events failed: {what}"
                continue
            self.used_bytes = answer.used_bytes
            if said := answer.said or (again and f"{self.reason}; it is started anew") or "":
                self._report_reason(said)
            return not answer.lost
        self._report_reason(self.reason)
        return False

    def _end_process(self) -> None:
        if self._process:
            self._process.close()
        self._process = None

    def _report_drops(self) -> None:
        dropped = self.dropped
        if new := dropped - self._reported:
            self._report_reason(f"event store: {new} events dropped: {_TOO_SLOW}")
        self._reported = dropped

    def _report_reason(self, reason: str) -> None:
        self.reason = reason
        self._report(reason)
