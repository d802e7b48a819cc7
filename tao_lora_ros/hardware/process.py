"""What a process has used, by proc(5)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """CPU time of a process and its children in seconds, resident memory of all in MiB.

    `own_cpu_s` is the process's alone.
    """

    cpu_s: float
    rss_mib: float
    own_cpu_s: float


def usage(pid: int) -> Usage:
    """Usage so far of a process and of its children.

    Raises:
        ProcessLookupError: there is no such process.
    """
    stats = {int(path.name): _stat(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    if stats.get(pid) is None:
        raise ProcessLookupError(f"no process {pid}")
    family = [stat for child, stat in stats.items() if stat and pid in (child, int(stat[1]))]
    # of proc(5)'s fields, from the third on, 24 is rss
    resident = sum(int(stat[21]) for stat in family) * _PAGE_BYTES / (1 << 20)
    return Usage(sum(map(_cpu_s, family)), resident, _cpu_s(stats[pid]))


def resident_mib() -> float:
    """Resident memory of this process in MiB (statm); NaN where there is no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return float("nan")
    return pages * _PAGE_BYTES / (1 << 20)


def _cpu_s(stat: list[str]) -> float:
    """utime and stime, the fields 14 and 15."""
    return (int(stat[11]) + int(stat[12])) / _TICKS


def _stat(process: Path) -> list[str]:
    """Fields of a process from its state on; empty where it has ended."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
