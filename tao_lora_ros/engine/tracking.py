"""What rows give: windows, routes and contacts, and what the model and the events say of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.contact.contacts import Contact
from tao_lora_ros.detection.router import Change
from tao_lora_ros.detection.transients import Transient
from tao_lora_ros.engine.checkpoints import Checkpoints
from tao_lora_ros.engine.counts import Counts
from tao_lora_ros.engine.describer import EventDescriber
from tao_lora_ros.engine.due import DueWindows
from tao_lora_ros.engine.following import Follower
from tao_lora_ros.engine.inferrer import Inferrer, NoInferrer
from tao_lora_ros.engine.intake import Intake
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.signals import Signals
from tao_lora_ros.engine.states import States
from tao_lora_ros.messages.results import Event, Phase, Result
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.signal.align import AFTER_GLITCH, FLAGS, MESSAGE, STAMP, TIME, Rows
from tao_lora_ros.signal.window import SlidingWindow

_PATHS = Route.STEADY, Route.TRANSIENT


class Tracking:
    """Follows rows with one model.

    Args:
        artifact: the model, with its labels.
        inferrer: runs it.
        signals: what follows the rows besides.
        intake: knows the messages that the rows came of.
        settings: how much is kept of an event.
        counts: of rows, windows, inferences and events.

    Attributes:
        checkpoints: what router and contacts remembered.
        newest_ns: time of the newest row; 0 before the first.
    """

    def __init__(
        self,
        artifact: Artifact,
        inferrer: Inferrer | NoInferrer,
        signals: Signals,
        intake: Intake,
        settings: Settings,
        counts: Counts,
    ) -> None:
        self._detector, self._contacts, self._contact_events, self._steady, self._schedule = signals
        self._intake, self._counts, self._inferrer = intake, counts, inferrer
        self._window = SlidingWindow(artifact.window, len(artifact.channels))
        self._window_rows = artifact.window
        self._states = States(artifact)
        self.checkpoints = Checkpoints(artifact)
        self._describer = EventDescriber(
            intake,
            self._contacts,
            artifact.labels,
            artifact.event_head,
            settings.pre_roll_s,
            settings.store_pre_roll_s,
            settings.max_transient_s,
            settings.post_roll_s,
            self.checkpoints.before,
            counts.events,
        )
        self._due = DueWindows(inferrer, self._describer, self._states, counts)
        self._follower = Follower(self._detector, self._contacts)
        self.newest_ns = 0

    def clear(self) -> None:
        """Forget all rows, and what was to be said of them."""
        for one in (self._window, self._inferrer, self._due, self._states, self._describer):
            one.clear()
        self.checkpoints.clear()
        self.newest_ns = 0

    @property
    def window(self) -> NDArray[np.float64] | None:
        """The newest rows, [T, C]; None before there are so many."""
        return self._window.values if self._window.full else None

    @property
    def events_going_on(self) -> set[int]:
        """Numbers of the events that have begun and not ended."""
        return self._describer.going_on

    def stop(self) -> list[Result]:
        """Close what goes on at the newest row; post-rolls end here too."""
        results: list[Result] = []
        if transient := self._detector.stop():
            results.append(self._describer.describe(Phase.END, transient, self.newest_ns))
        for contact in self._contacts.stop():
            results.append(self._describer.describe(Phase.END, contact, self.newest_ns))
        return results + self.end_post_rolls()

    def end_post_rolls(self) -> list[Result]:
        """Give out the events that wait for their post-roll."""
        return list(self._describer.kept(inf))

    def wish(self, reason: str) -> list[Result]:
        """Keep the scene of the newest row as an event of its own."""
        self._counts.events += 1
        return list(self._describer.wish(self.newest_ns, reason))

    def follow(self, rows: Rows) -> list[Result]:
        """All that rows give, piece by piece."""
        count, done = len(rows), 0
        if not count:
            return []
        results: list[Result] = []
        while done < count:
            end = self._end_of_piece(rows, done) if done + 1 < count else count
            done += self._follow_piece(rows.part(done, end), results)
        return results + self._infer()

    def _end_of_piece(self, rows: Rows, begin: int) -> int:
        """Up to which row nothing is due but inferences, that one included."""
        if self._contacts.waits:
            return begin + 1
        times = rows.times[begin + 1 :]
        after_glitch = np.flatnonzero(times[:, FLAGS] & AFTER_GLITCH)
        due_ns = min(self._describer.due_ns, self.checkpoints.due_ns)
        due = int(np.searchsorted(rows.times[begin:, TIME], due_ns)) + 1
        ahead = *after_glitch[:1].tolist(), due - 1, self._contact_events.due_rows - 1
        return begin + 1 + min(ahead)

    def _follow_piece(self, rows: Rows, results: list[Result]) -> int:
        """Follow rows up to the first that changes something; how many those are."""
        if rows.times[0, FLAGS] & AFTER_GLITCH:
            self._detector.interrupt()
        contacts = self._contacts
        steps, change, followed, touched = self._follower.follow(rows)
        rows = rows.part(0, len(steps))
        self._collect(rows, steps, change)
        time_ns, message = self.newest_ns, int(rows.times[-1, MESSAGE])
        if change is not Change.NONE:
            self._look_at(message, results)
            results += self._changes(change, time_ns)
        if not followed:
            touched = contacts.follow(time_ns, rows.values[-1])
        if touched or contacts.waits:
            for changed, contact in self._contact_events.among(contacts.changes()):
                self._look_at(message, results)
                results.append(self._changed(changed, contact, time_ns))
        if loads := self._contact_events.loads(time_ns):
            results += [*self._infer(), *loads]
        if self._describer.due_ns <= time_ns:
            self._look_at(message, results)
            results += self._describer.kept(time_ns)
        if self.checkpoints.due_ns <= time_ns:
            if state := self.checkpoints.due(time_ns):
                self._look_at(message, results)
                results += self._resume(state, time_ns)
            self.checkpoints.take(time_ns, self._detector, self._contacts)
        return len(rows)

    def _look_at(self, message: int, results: list[Result]) -> None:
        """Have all known of what came up to a message of the block, before an event is told."""
        results += self._infer()
        self._intake.look_at(message)

    def _collect(self, rows: Rows, steps: NDArray, change: Change) -> None:
        """Count rows, and collect the windows that are due."""
        counts, window, times = self._counts, self._window, rows.times
        before = counts.rows
        counts.rows += len(rows)
        counts.transient_rows += int(np.count_nonzero(steps["transient"]))
        self.newest_ns = int(times[-1, TIME])
        self._steady.extend(rows.values)
        full = self._window_rows - window.count - 1  # the first row whose window is full
        window.extend(times[:, TIME], rows.values)
        windows, due = self._schedule.due(times, steps, full, change is Change.ONSET)
        counts.windows += windows
        for i, missed in due:
            score, transient = steps[i].item()
            row, ago = before + i + 1, len(rows) - 1 - i
            path, stamp_ns = _PATHS[transient], int(times[i, STAMP])
            self._due.add(stamp_ns, path, score, row, missed, *window.ago(ago))

    def _infer(self) -> list[Result]:
        return self._due.infer(self._intake.sources[0].frame_id)

    def _changes(self, change: Change, time_ns: int) -> Iterator[Event]:
        """A transient that begins or ends, and with it contacts of a robot that walks."""
        transient = self._detector.transient
        yield self._changed(change, transient, time_ns)
        if transient.touchdown:
            for contact in self._contact_events.end_those_of_walking():
                yield self._changed(Change.END, contact, time_ns)

    def _resume(self, state: bytes, time_ns: int) -> Iterator[Event]:
        """Take on what router and contacts remembered, with the events that went on then."""
        before = self._going_on()
        if not self.checkpoints.restore(state, self._detector, self._contacts):
            return
        after = self._going_on()
        for key in before.keys() - after.keys():
            yield self._changed(Change.END, replace(before[key], end_ns=time_ns), time_ns)
        for key in after.keys() - before.keys():
            yield self._changed(Change.ONSET, replace(after[key], end_ns=0), time_ns)

    def _going_on(self) -> dict[int, Transient | Contact]:
        """The contacts that go on, by their wrench, and the transient, by -1."""
        found: dict[int, Transient | Contact] = {c.wrench: c for c in self._contacts.going_on}
        if self._detector.path is Route.TRANSIENT:
            found[-1] = self._detector.transient
        return found

    def _changed(self, change: Change, found: Transient | Contact, time_ns: int) -> Event:
        if change is Change.ONSET:
            self._counts.events += 1
            return self._describer.describe(Phase.ONSET, found, time_ns)
        accepted = change is Change.ACCEPTED
        self._counts.regime_changes += accepted
        return self._describer.describe(Phase.END, found, time_ns, accepted)
