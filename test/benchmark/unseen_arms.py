"""Detection on arms that nobody here designed for, by the commands that a user has.

Each arm, by each set of its sensors: CSV files to bags, `calibrate` on a steady minute and a half,
`replay` of other steady motion, of blows and of presses. Beside it thresholds at 1.1 times what the
calibration had at most, as robots are set up today.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.other_arms import ARMS, SENSORS, Moved, Touch, move
from benchmark.real_events import START_ROWS, sta_lta
from tao_lora_ros.benchmarks.results import OURS, Measurement
from tao_lora_ros.cli.main import main

Rows = NDArray[np.float64]

# By its name: kind of motion, seed, seconds.
MOTIONS = {
    "calibration": ("steady", 11, 90.0),
    "steady": ("steady", 12, 240.0),
    "blows": ("blows", 13, 200.0),
    "presses": ("presses", 14, 100.0),
}
SETS = (("imu",), ("wrench",), ("joints",), ("imu", "wrench"))
BANDS_N = ((1.0, 4.0), (4.0, 12.0), (12.0, 100.0))
MARGIN = 1.1
EARLY_S, LATE_S = 0.01, 0.05  # an onset's from a blow's begin and end
SETTLED_S = 0.5  # after a blow's end; what comes until then is its
APART_S = 0.1  # alarms of a peer this close are one
# What a force moves at once; peers read nothing else.
DIRECT = {"imu": slice(3), "wrench": slice(3), "joints": slice(None)}


def _change(rows: Rows, rate_hz: int) -> Rows:
    """Length of the change from row to row: of an accelerometer, the jerk."""
    return np.linalg.norm(np.diff(rows, axis=0, prepend=rows[:1]), axis=1)


def _sta_lta(rows: Rows, rate_hz: int) -> Rows:
    """Of 0.04 and 0.4 s, which do best on terrain."""
    return sta_lta(rate_hz // 25, 2 * rate_hz // 5, rate_hz)(rows)


PEERS = {"change-1.1-max": _change, "recursive-sta-lta-1.1-max": _sta_lta}


def bench_unseen_arms(quick: bool, say: Callable[[str], None]) -> Iterator[Measurement]:
    """Measure all of it; `quick`: one arm."""
    for arm in ARMS[-1:] if quick else ARMS:
        say(f"unseen arms: {arm}")
        moved = {name: move(arm, seed, s, kind) for name, (kind, seed, s) in MOTIONS.items()}
        for sensors in SETS:
            case = f"unseen-{arm}-{'+'.join(sensors)}"
            with tempfile.TemporaryDirectory() as folder:
                ours = _onsets(moved, sensors, Path(folder))
            presses = ours.pop("lasting")
            yield from _scored(OURS, case, moved, ours)
            for peer in PEERS:
                yield from _scored(peer, case, moved, _peer(peer, moved, sensors))
            if "wrench" in sensors:
                yield from _pressed(case, moved["presses"].touches, presses)


def _onsets(moved: dict[str, Moved], sensors: Sequence[str], folder: Path) -> dict[str, Rows]:
    """When each event begins: of blows by motion; and of lasting contacts of the presses."""
    for name in moved:
        for sensor in sensors:
            _write(moved[name].rows[sensor], sensor, folder / "csv" / f"{name}_{sensor}.csv")
    _run("import", folder / "csv", "--out", folder / "bags")
    bags = {name: next((folder / "bags").glob(f"{name}*")) for name in moved}
    _run("calibrate", bags["calibration"], "--out", folder / "model")
    events = {}
    for name in ("steady", "blows", "presses"):
        found = folder / f"{name}.json"
        _run("replay", bags[name], "--model", folder / "model", "--json", found)
        events[name] = json.loads(found.read_text())["events"]
    onsets = {name: _begin_s(events[name], "lasting_contact", False) for name in events}
    return onsets | {"lasting": _begin_s(events["presses"], "lasting_contact", True)}


def _begin_s(events: list[dict[str, Any]], kind: str, of_it: bool) -> Rows:
    return np.array([e["onset_s"] for e in events if (e["kind"] == kind) is of_it])


def _run(*arguments: object) -> None:
    with redirect_stdout(StringIO()) as said:
        status = main([str(argument) for argument in arguments])
    if status:
        raise RuntimeError(f"tao-lora {arguments[0]}: {said.getvalue()}")


def _write(rows: Rows, sensor: str, file: Path) -> None:
    rate_hz, columns, _ = SENSORS[sensor]
    columns = columns or tuple(f"effort_j{joint}" for joint in range(1, rows.shape[1] + 1))
    file.parent.mkdir(exist_ok=True)
    times = np.arange(len(rows))[:, None] / rate_hz
    header = ",".join(("time", *columns))
    np.savetxt(file, np.hstack((times, rows)), "%.9g", ",", header=header, comments="")


def _peer(peer: str, moved: dict[str, Moved], sensors: Sequence[str]) -> dict[str, Rows]:
    """When a peer alarms, by any of the sensors."""
    alarms: dict[str, list[Rows]] = {name: [] for name in ("steady", "blows")}
    for sensor in sensors:
        rate_hz = SENSORS[sensor][0]
        levels = {
            name: PEERS[peer](motion.rows[sensor][:, DIRECT[sensor]], rate_hz)
            for name, motion in moved.items()
        }
        threshold = MARGIN * levels["calibration"][START_ROWS:].max()
        for name, found in alarms.items():
            above = np.flatnonzero(levels[name] > threshold)
            found.append(above[above >= START_ROWS] / rate_hz)
    return {name: _apart(np.sort(np.concatenate(found))) for name, found in alarms.items()}


def _apart(times_s: Rows) -> Rows:
    return times_s[np.diff(times_s, prepend=-np.inf) > APART_S]


def _scored(
    subject: str, case: str, moved: dict[str, Moved], onsets: dict[str, Rows]
) -> Iterator[Measurement]:
    """Blows found by size, and alarms without any."""
    touches, at = moved["blows"].touches, onsets["blows"]
    for low, high in BANDS_N:
        band = [touch for touch in touches if low <= touch.size_n < high]
        hit = [bool(_within(at, touch, EARLY_S, LATE_S).any()) for touch in band]
        yield Measurement(subject, f"{case}-{low:g}-{high:g}", "blows", len(band), "")
        yield Measurement(subject, f"{case}-{low:g}-{high:g}", "recall", float(np.mean(hit)), "")
    explained = np.zeros(len(at), bool)
    for touch in touches:
        explained |= _within(at, touch, LATE_S, SETTLED_S)
    false = int(np.count_nonzero(~explained)) + len(onsets["steady"])
    yield Measurement(subject, case, "alarms_without_blow", false, "")


def _within(at: Rows, touch: Touch, before_s: float, after_s: float) -> NDArray[np.bool_]:
    return (at >= touch.begin_s - before_s) & (at <= touch.end_s + after_s)


def _pressed(case: str, presses: Sequence[Touch], at: Rows) -> Iterator[Measurement]:
    found = [bool(_within(at, press, EARLY_S, 0.0).any()) for press in presses]
    yield Measurement(OURS, case, "presses", len(found), "")
    yield Measurement(OURS, case, "presses_found", sum(found), "")
