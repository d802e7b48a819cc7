"""Fuzz the readers, guided by coverage: `make fuzz [SECONDS=60] [ARGS="cdr card"]`.

Each entry is a process of its own that runs for so many seconds, from its seeds and what earlier
runs found worth keeping (`out/fuzz/ENTRY`). Prints a table, and ends with 1 where there are
findings: each is a file, and belongs into `test/faults/corpus` once what it breaks is mended.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha1
from importlib.metadata import version
from pathlib import Path
from types import FunctionType, ModuleType
from typing import NamedTuple

from fuzz.harness import ENTRIES

OUT = Path("out/fuzz")
_SLOW_S = 20  # for one input: something waits or goes round and round


class Found(NamedTuple):
    """What came of fuzzing an entry; findings are files, or what else went wrong."""

    executions: int
    branches: int
    findings: list[str]


def main() -> int:
    """Fuzz the entries asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("entries", nargs="*", default=ENTRIES, metavar="ENTRY")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of what is kept and found")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _fuzz(options.entries[0], options.seconds, options.out)
    print(f"atheris {version('atheris')}, Python {sys.version.split()[0]}")
    print("| entry | executions | a second | branches | findings |\n|---|---|---|---|---|")
    total = findings = 0
    for entry in options.entries:
        found = fuzz(entry, options.seconds, options.out)
        rate = found.executions / max(options.seconds, 1.0)
        cells = f"{found.executions:,} | {rate:,.0f} | {found.branches} | {len(found.findings)}"
        print(f"| {entry} | {cells} |", flush=True)
        print(*(f"    {finding}\n" for finding in found.findings), sep="", end="", file=sys.stderr)
        total, findings = total + found.executions, findings + len(found.findings)
    print(f"| all | {total:,} | | | {findings} |")
    return int(findings > 0)


def fuzz(entry: str, seconds: float, out: Path) -> Found:
    """Fuzz one entry in a process of its own."""
    (out / entry).mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "fuzz.run", entry, "--child"]
    command += ["--seconds", f"{seconds:g}", "--out", str(out)]
    log = out / entry / "log"
    with log.open("w") as said:
        code = subprocess.call(command, stdout=said, stderr=said)
    text = log.read_text(errors="replace")
    runs = re.findall(r"^#(\d+).* cov: (\d+)", text, re.MULTILINE)
    done = re.search(r"number_of_executed_units: (\d+)", text)
    executions = int(done[1]) if done else int(runs[-1][0]) if runs else 0
    findings = re.findall(r"Test unit written to (\S+)", text)
    if code and not findings:
        findings = [f"status {code}: {log}"]
    return Found(executions, int(runs[-1][1]) if runs else 0, findings)


def _fuzz(entry: str, seconds: float, out: Path) -> None:
    """Fuzz in this process; does not return."""
    import atheris

    harness = importlib.import_module(f"fuzz.{entry}")
    for part in harness.PARTS:
        for function in _functions(importlib.import_module(part)):
            atheris.instrument_func(function)
    kept = out / entry / "kept"
    kept.mkdir(parents=True, exist_ok=True)
    for seed in harness.seeds():
        (kept / sha1(seed).hexdigest()).write_bytes(seed)
    options = {
        "max_total_time": max(int(seconds), 1),
        "seed": 1,
        "timeout": _SLOW_S,
        "rss_limit_mb": 4096,
        "max_len": 16384,
        "print_final_stats": 1,
        "artifact_prefix": f"{out / entry}{os.sep}",
    }
    words = [f"-{key}={value}" for key, value in options.items()]
    atheris.Setup([sys.argv[0], *words, str(kept)], harness.one)
    atheris.Fuzz()


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """The functions and methods that a module defines."""
    spaces = [vars(module)]
    spaces += [vars(kind) for kind in spaces[0].values() if isinstance(kind, type)]
    for space in spaces:
        for value in space.values():
            value = value.fget if isinstance(value, property) else value
            value = getattr(value, "__func__", value)
            if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                yield value


if __name__ == "__main__":
    sys.exit(main())
