"""Processes that are killed, stopped, started anew, or get in each other's way."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from trust.live import Live, node
from trust.table import Row
from wire import START_S, TIMEOUT_S, Process, Wire, node_command

from tao_lora_ros.msg import TransientEvent
from tao_lora_ros.preservation.event_catalogue import read_entries
from tao_lora_ros.preservation.event_verify import verify

_POST_ROLL_S = 0.1
_HANDED_OVER_S = _POST_ROLL_S + 0.4  # after the event's end was heard of, at the latest
_QUICK = f"post_roll_s:={_POST_ROLL_S}"
_KILLS_A_STORE = 20  # then a fresh one: every event is checked after every kill


def rows(wire: Wire, folder: Path, _: float) -> Iterator[Row]:
    """Each once."""
    yield from stop_and_join(wire, folder)
    yield two_nodes_on_a_store(wire, folder)
    yield two_robots(wire, folder)


def kill_node(wire: Wire, folder: Path, kills: int) -> Row:
    """SIGKILL at random, and a new node on the same store; `kills.txt` tells how far it is."""
    row, log = Row("kill -9 of the node", injected=kills), folder / "kill.log"
    kept, late, row.recovered_s = 0, 0, 0.0
    for first in range(0, kills, _KILLS_A_STORE):
        store = folder / f"killed_node_{first}"
        expected, events, missing = set[int](), set[int](), set[int]()
        for kill in range(first, min(first + _KILLS_A_STORE, kills)):
            handed_over, recovered_s = _kill_one(wire, log, store, kill)
            late += "subscribed anew" in log.read_text()
            expected |= handed_over
            row.recovered_s = max(row.recovered_s, recovered_s)
            events = {entry.onset_ns for entry in read_entries(store)}
            missing, damage = expected - events, verify(store)[1]
            row.check(not missing, f"kill {kill}: events handed over are not kept: {missing}")
            row.check(not damage, f"kill {kill}: damage: {damage}")
            told = f"{kill + 1} kills, {row.used + len(expected)} events handed over"
            (folder / "kills.txt").write_text(f"{told}, {row.wrong}\n")
        row.used += len(expected)
        row.lost += len(missing)
        kept += len(events)
    row.said = f"{kept} events kept, all verified"
    row.refused = {"heard late, said": late} if late else {}
    row.check(row.used >= kills, f"only {row.used} events to lose")
    return row


def _kill_one(wire: Wire, log: Path, store: Path, kill: int) -> tuple[set[int], float]:
    """Kill a node amid events; which were surely handed over, and how soon it was there."""
    with node(wire, log, f"store:={store}", _QUICK) as live:
        live.random.seed(kill)
        live.now_ns += kill * 60_000_000_000
        recovered_s = live.recovered_s(2.0, (0.5, 1.2, 1.9)) or TIMEOUT_S
        due = time.monotonic() + live.random.uniform(0.0, 1.0)
        wire.spin_until(due)
        live.process.child.send_signal(signal.SIGKILL)
        live.process.child.wait()
        wire.spin_for(0.3)
    _until_free(store)
    return {ns for ns, heard in live.ended.items() if heard + _HANDED_OVER_S < due}, recovered_s


def _until_free(store: Path) -> None:
    """Wait until no process writes to a store: it ends with the node."""
    import fcntl

    deadline = time.monotonic() + TIMEOUT_S
    with (store / "lock").open() as lock:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.05)
    raise AssertionError(f"{store} is written to still")


def writer_of(process: Process) -> int:
    """Process id of a node's event writer."""
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and _is_writer(path, process.child.pid):
            return int(path.name)
    raise ProcessLookupError("no event writer")


def _is_writer(path: Path, parent: int) -> bool:
    try:
        ours = int((path / "stat").read_text().rpartition(")")[2].split()[1]) == parent
        return ours and b"event_process" in (path / "cmdline").read_bytes()
    except (OSError, IndexError):
        return False


def _writer_killed(process: Process) -> bool:
    """Kill it where there is one: after a kill the next begins with the next event."""
    with suppress(ProcessLookupError):
        os.kill(writer_of(process), signal.SIGKILL)
        return True
    return False


def kill_writer(wire: Wire, folder: Path, kills: int) -> Row:
    """SIGKILL of the process that writes events, at random after an event's end."""
    row, store = Row("kill -9 of the event writer", injected=kills), folder / "killed_writer"
    with node(wire, folder / "writer.log", f"store:={store}", _QUICK) as live:
        before, log_from = live.settled(), len(live.process.log)
        for _ in range(kills):
            live.strike(1.0, (0.5,))
            wire.spin_for(live.random.uniform(0.0, 0.3))
            wire.until(lambda: _writer_killed(live.process), "a writer to kill")
        live.strike(1.0, (0.5,))
        row.said = live.until_said("it is started anew", before, log_from)
        _all_kept(row, live, store)
        row.recovered_s = live.recovered_s()
    return row


def _all_kept(row: Row, live: Live, store: Path) -> None:
    """Wait until all events that ended are written; what is missing is lost."""
    live.strike(0.5, ())
    try:
        live.wire.until(
            lambda: int(live.watch.of("events")[-1]["written"]) >= len(live.ended), "events"
        )
    except AssertionError as error:
        row.wrong.append(str(error))
    kept = [entry.onset_ns for entry in read_entries(store)]
    row.used, row.lost = len(kept), len(live.ended.keys() - {*kept})
    row.check(not row.lost, f"{row.lost} of {len(live.ended)} events are not kept")
    row.check(len(kept) == len({*kept}), "an event is kept twice")
    row.check(verify(store)[1] == [], f"damage: {verify(store)[1]}")


def stop_and_join(wire: Wire, folder: Path) -> Iterator[Row]:
    """SIGSTOP of the node for 2 s amid messages; who joins late; a stop and a new start."""
    store = folder / "stopped"
    with node(wire, folder / "stop.log", f"store:={store}", _QUICK) as live:
        live.strike(2.0, (0.5, 1.5))
        row = Row("SIGSTOP of the node, 2 s", injected=2000)
        before, log_from = live.settled(), len(live.process.log)
        live.process.child.send_signal(signal.SIGSTOP)
        live.strike(2.0, ())
        live.process.child.send_signal(signal.SIGCONT)
        row.recovered_s = live.recovered_s()
        now = live.settled()
        row.refused = now.kinds("unused") - before.kinds("unused")
        row.used = now.count("used") - before.count("used")
        pending = now.count("pending") - before.count("pending")
        row.lost = 3000 - row.used - sum(row.refused.values()) - pending
        row.said = live.until_said("stood still for", before, log_from)
        row.check(not row.lost, f"{row.lost} messages are in no count")
        yield row

        row, late = Row("a late joiner", injected=1), list[TransientEvent]()
        wire.join_events(late)
        wire.until(lambda: len(late) >= 2 * len(live.ended), "the past events")
        row.used, row.said = len(late), f"{len(late)} past events came"
        yield row
        ended = len(live.ended)
    begun = time.monotonic()
    with node(wire, folder / "again.log", f"store:={store}", _QUICK) as live:
        row = Row("stopped and started anew", injected=1, recovered_s=time.monotonic() - begun)
        row.used = len(read_entries(store))
        row.check(row.used >= ended, f"{row.used} events kept of {ended}")
        row.said = f"{row.used} events kept"
        yield row


def two_nodes_on_a_store(wire: Wire, folder: Path) -> Row:
    """The second one says that it keeps nothing."""
    row, store = Row("two nodes on a store", injected=1), f"store:={folder / 'shared'}"
    with node(wire, folder / "first.log", store, _QUICK) as live:
        command = [*node_command([store, _QUICK]), "-r", "__node:=second"]
        second = Process(folder / "second.log", command)
        try:
            wire.until(lambda: "reading /imu" in second.log, "the second node", START_S)
            wire.spin_for(1.0)
            live.strike(2.0, (1.0,))
            said = "another process writes to this store"
            wire.until(lambda: said in second.log, said)
            row.said = next(line for line in second.log.splitlines() if said in line)
            row.said = row.said.rpartition("]: ")[2]
            _all_kept(row, live, folder / "shared")
            assert second.stop() == 0
        finally:
            second.kill()
    return row


def two_robots(wire: Wire, folder: Path) -> Row:
    """Their reports on one topic are told apart by full names."""
    row = Row("two robots, one diagnostics topic", injected=2)
    watch = wire.watch()
    robots = [
        Process(
            folder / f"{name}.log",
            [*node_command(["store_max_mb:=0"]), "-r", f"__ns:=/{name}"],
        )
        for name in ("left", "right")
    ]
    names = {
        f"/{robot}/tao_lora: {part}" for robot in ("left", "right") for part in ("imu", "events")
    }
    try:
        wire.until(lambda: names <= watch.names, "reports of both", START_S)
        row.said = ", ".join(sorted(names))
        row.used = 2
        for robot in robots:
            row.check(robot.stop() == 0, robot.log)
    finally:
        for robot in robots:
            robot.kill()
    return row
