"""Writes events beside the inference: `submit` never waits, whatever the disk does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from tao_lora_ros.preservation.event_record import EventRecord, StoreError
from tao_lora_ros.preservation.event_store import EventStore


class EventWriter:
    """One thread that appends to a store.

    The store is opened in the thread, and again at the next event where that failed: a disk that is
    read-only, full or not there yet costs its events and nothing else. The thread is a daemon, so a
    disk that hangs does not hold up the end of the process.

    Args:
        open_store: makes the store.
        report: told in one line what was lost and why; called in the thread.
        depth: most events that wait; one more is dropped and counted.

    Attributes:
        written: events on the disk.
        failed: events that the store did not take.
        dropped: events that found the queue full.
        reason: why the last one was lost; empty while none was.
    """

    def __init__(
        self,
        open_store: Callable[[], EventStore],
        report: Callable[[str], None] = lambda _: None,
        depth: int = 16,
    ) -> None:
        self.written = self.failed = self.dropped = 0
        self.reason = ""
        self._open_store = open_store
        self._report = report
        self._depth = depth
        self._reported = 0
        self._store: EventStore | None = None
        self._queue: SimpleQueue[EventRecord | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="event_writer", daemon=True)
        self._thread.start()

    def submit(self, record: EventRecord) -> bool:
        """Hand over an event; False where it is dropped. From one thread at a time."""
        if self._queue.qsize() >= self._depth:
            self.dropped += 1
            return False
        self._queue.put(record)
        return True

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write what waits and stop; False where that takes longer, and the rest is given up."""
        self._queue.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        self._attempt(None)
        while (record := self._queue.get()) is not None:
            kept = self._attempt(record)
            self.written += kept
            self.failed += not kept
            self._report_drops()
        self._report_drops()
        if self._store:
            self._store.close()

    def _attempt(self, record: EventRecord | None) -> bool:
        """Open the store where it is not, and append; nothing that goes wrong ends the thread."""
        try:
            self._store = self._store or self._open_store()
            if record:
                self._store.append(record)
            return True
        except StoreError as error:
            self._tell(str(error))
        except Exception as error:
            self._tell(f"event store: {type(error).__name__}: {error}")
        return False

    def _report_drops(self) -> None:
        dropped = self.dropped
        if new := dropped - self._reported:
            self._tell(f"event store: {new} events dropped: the disk is too slow for them")
        self._reported = dropped

    def _tell(self, reason: str) -> None:
        self.reason = reason
        self._report(reason)
