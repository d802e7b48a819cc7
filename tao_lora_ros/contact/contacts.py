"""Rows in, contact loads and lasting contacts out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.contact import level_test
from tao_lora_ros.contact.contact_model import STATIC, ContactModel
from tao_lora_ros.detection.router import Change


@dataclass(frozen=True)
class Contact:
    """A lasting contact as far as it is known.

    Times are grid times in ns. `wrench` is its number among the models; `shares` is float64 [C] of
    all channels, non-negative, sum 1; `mean_load` is of the contact force in N, averaged as
    `level_test` says; `peak_score` is 1 at the threshold. `end_ns` is the last row that
    the load was not yet below half of the threshold, 0 while it goes on.
    """

    wrench: int
    onset_ns: int
    peak_ns: int
    peak_score: float
    shares: NDArray[np.float64]
    mean_load: float
    end_ns: int = 0


Changes = Sequence[tuple[Change, Contact]]


class Contacts:
    """Follows the contact load of every wrench that a model is known of, whatever the route.

    Args:
        models: of the wrenches; none: nothing is found.
        channels: how many there are in a row.
        rate_hz: of the rows.
        most_s: after this long a contact is taken as the usual load.
    """

    def __init__(
        self, models: Sequence[ContactModel], channels: int, rate_hz: float, most_s: float
    ) -> None:
        self._channels = channels
        self._rate_hz, self._most_s = rate_hz, most_s
        self._use(models)

    def _use(self, models: Sequence[ContactModel]) -> None:
        self.models = tuple(models)
        self.clear()
        unknown = np.full(self._channels, np.nan)
        level_test.follow(self._state, 0, unknown)  # compiles, if nobody did before
        self.clear()

    def clear(self) -> None:
        """Forget all signals, and contacts that go on or whose end was not given out."""
        self._state = level_test.new_level_test(self.models, self._rate_hz, self._most_s)
        self._ended: list[Contact] = []

    def begin(self) -> None:
        """Where the first rows are of the run that was calibrated on, begin with its bias."""
        for wrench, model in enumerate(self.models):
            if model.same_run:
                level_test.begin_as_usual(self._state, wrench)

    def recalibrate(self, models: Sequence[ContactModel]) -> None:
        """Go on with other models; contacts that go on end with the next row."""
        ended = self.stop()
        self._use(models)
        self.begin()
        self._ended = ended

    def stop(self) -> list[Contact]:
        """End the contacts that go on, at their last rows, and give out all that have ended."""
        ended, self._ended = [*self._ended, *self.going_on], []
        self._state.now["open"] = self._state.now["above"] = 0
        return ended

    @property
    def going_on(self) -> list[Contact]:
        """Contacts whose onset was given out, as they would end now."""
        wrenches = np.flatnonzero(self._state.now["open"]).tolist()
        return [self._contact(wrench, ended=True) for wrench in wrenches]

    def drop(self, wrench: int) -> None:
        """End a contact without a word; what the wrench bears from now on is the usual load."""
        for name in ("open", "above", "learned", "bias"):
            self._state.now[name][wrench] = 0

    @property
    def waits(self) -> bool:
        """Whether an end is to be given out with the next row."""
        return bool(self._ended)

    @property
    def state(self) -> level_test.LevelState:
        """What the compiled loops follow; rows that change nothing need not be told of."""
        return self._state

    @property
    def memory(self) -> list[NDArray]:
        """All that it goes by, to be worked on in place; the last is the ring."""
        return [*self._state]

    def push(self, time_ns: int, values: NDArray[np.float64]) -> Changes:
        """Take one row, float64 [C], NaN where a channel has no value; what it changed."""
        touched = self.follow(time_ns, values)
        return self.changes() if touched or self._ended else ()

    def follow(self, time_ns: int, values: NDArray[np.float64]) -> bool:
        """Take one row likewise; whether it changed anything."""
        return bool(level_test.follow(self._state, time_ns, values))

    def changes(self) -> Changes:
        """What the newest row changed, after the ends that wait."""
        ended, self._ended = self._ended, []
        return [*((Change.END, contact) for contact in ended), *self._changes()]

    def run(self, rows: NDArray[np.float64]) -> list[Contact]:
        """Take rows [n, C], of which each one's time is its number; the contacts that end."""
        taken, found = 0, []
        while taken < len(rows):
            taken += level_test.follow_on(self._state, taken, rows[taken:])
            found += [contact for change, contact in self._changes() if change is Change.END]
        return found

    def _changes(self) -> Iterator[tuple[Change, Contact]]:
        """What the newest row changed."""
        for wrench, number in enumerate(self._state.now["change"].tolist()):
            if change := Change(number):
                yield change, self._contact(wrench, change is not Change.ONSET)

    @property
    def load_delay_ns(self) -> int:
        """From the middle of what a load is a mean of to the newest row."""
        return round(0.5e9 * (int(self._state.now["load_rows"][0]) - 1) / self._rate_hz)

    def load(self, wrench: int) -> NDArray[np.float64]:
        """Contact force (N) and torque (Nm) of the newest rows, [6], NaN where there is none."""
        now = self._state.now[wrench]
        if now["learned"] <= now["start_rows"]:
            return np.full(6, np.nan)
        load = now["load"].copy()
        if now["by_own_force"]:  # the torque is about the sensor, not about what hangs on it
            load[3:] += now["gains"][3:, :STATIC] @ load[:3]
        return load

    def _contact(self, wrench: int, ended: bool) -> Contact:
        now = self._state.now[wrench]
        shares = np.zeros(self._channels)
        shares[list(self.models[wrench].wrench)] = now["shares"]
        return Contact(
            wrench,
            int(now["onset_ns"]),
            int(now["peak_ns"]),
            float(now["peak_score"]),
            shares / shares.sum(),
            float(now["held_sum"] / now["held"]),
            int(now["last_ns"]) if ended else 0,
        )
