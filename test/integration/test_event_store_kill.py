"""kill -9 at any instant: what was acknowledged is there, and nothing is damaged.

`TAO_LORA_KILLS` sets how many processes are killed for each bound (default 12).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from event_records import assert_equal, event

from tao_lora_ros.preservation.event_catalogue import read_entries, read_event
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.preservation.event_verify import verify

KILLS = int(os.environ.get("TAO_LORA_KILLS", "12"))
KILLS_A_STORE = 8  # then a fresh one: every event is checked after every kill
LONGEST_S = 0.25  # an append takes 15 to 30 ms; opening and repairing come first

CHILD = """
import sys
from itertools import count
from pathlib import Path
from event_records import event
from tao_lora_ros.preservation.event_store import EventStore
from test_event_store_kill import samples
first = int(sys.argv[3])
events = [event(sequence, samples(sequence)) for sequence in range(first, first + 30)]
print("opening", flush=True)
store = EventStore(Path(sys.argv[1]), int(sys.argv[2]), 0)
for record in events:
    entry = store.append(record)
    print(entry.number, record.sequence, flush=True)
"""


def samples(sequence: int) -> int:
    return 10 + sequence * 37 % 400


@dataclass
class Rounds:
    """One store and what its writers said before they were killed."""

    folder: Path
    max_bytes: int
    acknowledged: dict[int, int] = field(default_factory=dict)
    unfinished: int = 0

    def kill_one(self, delay_s: float, first: int) -> None:
        here = [*sys.path, str(Path(__file__).parent)]
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(self.folder), str(self.max_bytes), str(first)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, here))},
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
            sequence = self.acknowledged[number]
            assert_equal(read_event(self.folder, number)[1], event(sequence, samples(sequence)))

    def kept(self) -> set[int]:
        """Numbers in the store, all that were acknowledged but those that had to make room."""
        numbers = (
            {entry.number for entry in read_entries(self.folder)} if self.acknowledged else set()
        )
        if self.acknowledged:
            assert max(self.acknowledged) in numbers
            assert numbers == set(range(min(numbers), max(numbers) + 1))
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
    assert unfinished > KILLS // 4
    assert acknowledged > KILLS
