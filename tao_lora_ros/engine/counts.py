"""What a pipeline has done so far, in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counts:
    """Since the pipeline was made; nothing here ever falls.

    Args:
        messages: that were pushed, refused ones too.
        rows: of the grid.
        transient_rows: of these, in a transient.
        windows: full ones, each of a row.
        steady: inferences on the steady path.
        transient: inferences on the transient path.
        events: transients and contacts that began.
        contacts: of these, lasting contacts.
        contacts_of_walking: that were found in what a walking foot bears, and are no events.
        regime_changes: transients and contacts that were accepted as the new steady state.
        resets: times that all signals were forgotten.
    """

    messages: int = 0
    rows: int = 0
    transient_rows: int = 0
    windows: int = 0
    steady: int = 0
    transient: int = 0
    events: int = 0
    contacts: int = 0
    contacts_of_walking: int = 0
    regime_changes: int = 0
    resets: int = 0

    @property
    def duty(self) -> float:
        """Share of the rows that were in a transient."""
        return self.transient_rows / max(self.rows, 1)
