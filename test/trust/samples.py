"""Every fault of `stream_faults` on the live node, one after the other: a soak of one process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from trust.live import Account, Live, node
from trust.stream_faults import FAULTS, Fault
from trust.table import Row
from wire import Wire

RECOVERY_S = 1.0
# Where a machine is too busy, DDS delivers one topic after the other: that is passed over, and
# counted.
_ANYWAY = {"late", "lost on the way"}


def rows(wire: Wire, folder: Path, faults: Sequence[Fault] = FAULTS) -> Iterator[Row]:
    """Each fault on one node."""
    with node(wire, folder / "samples.log", f"store:={folder / 'samples'}") as live:
        for fault in faults:
            yield inject(live, fault)


def inject(live: Live, fault: Fault) -> Row:
    """A fault in a good stream, and what becomes of it."""
    live.strike(0.3, ())
    before, log_from = live.settled(), len(live.process.log)
    sent = list(fault.alter(live.good(fault.seconds), live.random))
    live.play([message for message, _ in sent], fault.seconds)
    recovered_s = live.recovered_s(RECOVERY_S)
    total = len(sent) + round(RECOVERY_S * 1000)
    now = live.settled()
    refused, unused = (now.kinds(what) - before.kinds(what) for what in ("refused", "unused"))
    row = Row(
        fault.name,
        injected=sum(hit for _, hit in sent) or round(fault.seconds * 1000) - len(sent),
        used=_growth(now, before, "used"),
        refused=refused + unused,
        said=live.said(fault.said, before, log_from) if fault.said else "",
        recovered_s=recovered_s,
    )
    row.lost = total - row.used - sum(row.refused.values()) - _growth(now, before, "pending")
    row.check(not row.lost, f"{row.lost} messages are in no count")
    row.check(recovered_s is not None, f"no inference within {RECOVERY_S} s")
    row.check(row.said or not fault.said, f"nobody said /{fault.said}/")
    _check_kinds(row, fault, refused, unused)
    row.check(live.process.child.poll() is None, "the node ended")
    row.check("Traceback" not in live.process.log[log_from:], "a traceback")
    return row


def _growth(now: Account, before: Account, key: str) -> int:
    return now.count(key) - before.count(key)


def _check_kinds(row: Row, fault: Fault, refused: Counter, unused: Counter) -> None:
    strange = (refused.keys() - {*fault.refused}) | (unused.keys() - {*fault.unused} - _ANYWAY)
    row.check(not strange, f"counted as {', '.join(sorted(strange))}")
    row.check(row.said or not refused, "refused, and nothing said")
    if fault.all_refused:
        n = refused.total()
        row.check(n == row.injected, f"{n} refused of {row.injected}")
