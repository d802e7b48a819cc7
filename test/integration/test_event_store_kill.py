"""kill -9 at any instant: what was acknowledged is there, and nothing is damaged.

`TAO_LORA_KILLS` sets how many processes are killed for each bound (default 10).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from event_records import assert_equal, event, varied

from tao_lora_ros.preservation.event_bag import largest_size
from tao_lora_ros.preservation.event_catalogue import EVENTS, read_entries, read_event
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.preservation.event_verify import verify
from tao_lora_ros.preservation.event_writer import EventWriter

KILLS = int(os.environ.get("TAO_LORA_KILLS", "10"))
KILLS_A_STORE = 4  # then a fresh one: every event is checked after every kill
LONGEST_S = 0.3  # an append takes 15 to 30 ms; opening and repairing come first
STEPS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}

CHILD = """
import sys
from itertools import count
from pathlib import Path
from event_records import varied
from tao_lora_ros.preservation.message_types import message_types
from tao_lora_ros.preservation.event_store import EventStore
first = int(sys.argv[3])
events = [varied(sequence) for sequence in range(first, first + 30)]
message_types()
print("opening", flush=True)
store = EventStore(Path(sys.argv[1]), int(sys.argv[2]), 0)
for record in events:
    entry = store.append(record)
    print(entry.number, record.event.sequence, flush=True)
"""


@dataclass
class Rounds:
    """One store and what its writers said before they were killed."""

    folder: Path
    max_bytes: int
    acknowledged: dict[int, int] = field(default_factory=dict)
    unfinished: int = 0

    def kill_one(self, delay_s: float, first: int) -> None:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(self.folder), str(self.max_bytes), str(first)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            text=True,
        )
        assert child.stdout.readline() == "opening\n"
        time.sleep(delay_s)
        child.send_signal(signal.SIGKILL)
        *lines, _ = child.stdout.read().split("\n")  # a torn line is no acknowledgement
        child.stdout.close()
        child.wait()
        self.acknowledged |= {int(n): int(s) for n, s in map(str.split, lines)}
        self.unfinished += any(self.folder.glob("writing/*/*"))

    def check(self) -> None:
        seen = self.kept()  # as a reader finds it, before any repair
        with EventStore(self.folder, self.max_bytes, 0) as store:
            assert {entry.number for entry in store.entries} == seen
        assert not (self.folder / "writing").exists()
        assert verify(self.folder) == (len(seen), [])
        for number in sorted(seen & self.acknowledged.keys())[-3:]:
            _, record = read_event(self.folder, number)
            assert_equal(record, varied(self.acknowledged[number]))

    def kept(self) -> set[int]:
        """Numbers in the store: all that were acknowledged but those that had to make room."""
        if not (self.folder / EVENTS).exists():
            assert not self.acknowledged
            return set()
        numbers = {entry.number for entry in read_entries(self.folder)}
        if numbers:
            assert numbers == set(range(min(numbers), max(numbers) + 1))
        assert max(self.acknowledged, default=0) <= max(numbers, default=0)
        assert self.max_bytes < 2**30 or self.acknowledged.keys() <= numbers
        return numbers


@pytest.mark.parametrize("max_bytes", [2**30, 1_500_000], ids=["roomy", "tight"])
def test_no_acknowledged_event_is_lost(tmp_path, max_bytes, capsys):
    rng, first, unfinished, acknowledged = random.Random(0), 0, 0, 0
    for kill in range(KILLS):
        if kill % KILLS_A_STORE == 0:
            rounds = Rounds(tmp_path / f"store_{kill}", max_bytes)
        rounds.kill_one(rng.uniform(0.0, LONGEST_S), first)
        first += 30
        rounds.check()
        if kill % KILLS_A_STORE == KILLS_A_STORE - 1 or kill == KILLS - 1:
            unfinished += rounds.unfinished
            acknowledged += len(rounds.acknowledged)
    with capsys.disabled():
        print(f"\n{KILLS} kills, {unfinished} within a write, {acknowledged} acknowledged events")
    assert unfinished  # the delays reach into the writing
    assert acknowledged


def test_killed_before_every_step(tmp_path):
    """Before each thing that an append, and the repair and the eviction before it, do to files."""
    with EventStore(tmp_path / "before", 2**30, 0) as store:
        for sequence in range(4):
            store.append(event(sequence))
        bound = store.bytes_used + largest_size(event()) - 1  # one event must go
    index = tmp_path / "before" / "index.jsonl"
    index.write_bytes(index.read_bytes()[:-9])  # and the index needs repair
    step, ended = 0, 1
    while ended:
        step += 1
        folder = tmp_path / str(step)
        shutil.copytree(tmp_path / "before", folder)
        ended = _append_until(step, folder, bound)
        assert ended in (0, -signal.SIGKILL)
        numbers = [entry.number for entry in read_entries(folder)]
        assert numbers in ([1, 2, 3, 4], [2, 3, 4], [2, 3, 4, 5])
        with EventStore(folder, bound, 0) as store:
            assert [entry.number for entry in store.entries] == numbers
            store.append(event(9))
        assert verify(folder) == (len(read_entries(folder)), [])
        shutil.rmtree(folder)
    assert numbers == [2, 3, 4, 5]
    assert step > 20


def _append_until(step: int, folder: Path, bound: int) -> int:
    """Append in a child that dies before its so-many-th step; returns how it ended, 0 in peace."""
    child = os.fork()
    if not child:
        left = [step]

        def count(name: str, _: object) -> None:
            left[0] -= name in STEPS
            if name in STEPS and left[0] <= 0:  # os.kill is heard of here too
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            EventStore(folder, bound, 0).append(event(4))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_the_writers_death_loses_no_event(tmp_path, capsys):
    """Killed at any instant of a write, and started anew: each event is there once, and whole."""
    rng, said = random.Random(1), []
    writer = EventWriter(tmp_path / "store", 2**30, 0, said.append)
    for sequence in range(KILLS):
        assert writer.submit(varied(sequence))
        time.sleep(rng.uniform(0.0, 0.05))
        process = writer._process
        if process:
            os.kill(process.pid, signal.SIGKILL)
        while writer.written + writer.failed <= sequence:
            time.sleep(0.01)
    assert writer.close(20.0)
    assert (writer.written, writer.failed, writer.dropped) == (KILLS, 0, 0), said
    assert [e.sequence for e in read_entries(tmp_path / "store")] == list(range(KILLS))
    assert verify(tmp_path / "store") == (KILLS, [])
    for number in range(1, KILLS + 1):
        assert_equal(read_event(tmp_path / "store", number)[1], varied(number - 1))
    assert all("it is started anew" in line for line in said)
    with capsys.disabled():
        print(f"\n{KILLS} kills of the writer, {len(said)} of them within a write or before one")
