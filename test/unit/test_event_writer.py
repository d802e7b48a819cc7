"""Handing an event over never waits, and whatever is lost is counted and said."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from event_records import assert_equal, event

from tao_lora_ros.preservation.event_catalogue import read_entries, read_event
from tao_lora_ros.preservation.event_process import Keeper, WritingProcess
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.preservation.event_verify import verify
from tao_lora_ros.preservation.event_writer import EventWriter

BIG = 2**30


def wait_for(condition, timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_events_are_written_and_close_waits_for_them(tmp_path):
    writer = EventWriter(tmp_path / "store", BIG, 0)
    assert all(writer.submit(event(sequence)) for sequence in range(10))
    assert writer.close(20.0)
    assert (writer.written, writer.failed, writer.dropped, writer.reason) == (10, 0, 0, "")
    with EventStore(tmp_path / "store") as store:
        assert writer.used_bytes == store.bytes_used > 0
    for number in range(1, 11):
        assert_equal(read_event(tmp_path / "store", number)[1], event(number - 1))


def test_too_many_are_dropped_and_counted(tmp_path):
    said: list[str] = []
    writer = EventWriter(tmp_path / "store", BIG, 0, said.append, depth=3)
    taken = sum(writer.submit(event(sequence)) for sequence in range(20))
    assert writer.close(20.0)
    assert 3 <= taken < 20
    assert (writer.written, writer.dropped) == (taken, 20 - taken)
    assert said == [f"event store: {20 - taken} events dropped: the disk is too slow for them"]
    assert len(read_entries(tmp_path / "store")) == taken


def test_submit_does_not_wait(tmp_path):
    """Not even for a process that has not started yet."""
    writer = EventWriter(tmp_path / "store", BIG, 0)
    record, start = event(samples=2000), time.perf_counter()
    for _ in range(16):
        writer.submit(record)
    assert time.perf_counter() - start < 0.1
    writer.close(20.0)


def test_bad_disk_costs_its_events_only(tmp_path):
    """A file where the store should be, until somebody takes it away."""
    place, said = tmp_path / "store", []
    place.write_text("")
    writer = EventWriter(place, BIG, 0, said.append)
    writer.submit(event(0))
    wait_for(lambda: writer.failed == 1)
    assert len(said) == 2  # at the start and for the event
    assert all(str(place) in text and "Not a directory" in text for text in said)
    place.unlink()
    writer.submit(event(1))
    assert writer.close(20.0)
    assert (writer.written, writer.failed) == (1, 1)
    assert [e.sequence for e in read_entries(place)] == [1]


def test_refused_event_is_said(tmp_path):
    writer = EventWriter(tmp_path / "store", 200_000, 0)
    writer.submit(event(7, samples=5000))
    writer.submit(event(8))
    assert writer.close(20.0)
    assert (writer.written, writer.failed) == (1, 1)
    assert "event 7 refused" in writer.reason


def test_store_in_use_is_said(tmp_path):
    with EventStore(tmp_path / "store"):
        writer = EventWriter(tmp_path / "store", BIG, 0)
        wait_for(lambda: writer.reason)
        assert "another process writes" in writer.reason
    writer.submit(event())
    assert writer.close(20.0)
    assert writer.written == 1


def test_process_that_is_killed_costs_no_event(tmp_path):
    """Neither the one that it was given, nor the next."""
    said: list[str] = []
    writer = EventWriter(tmp_path / "store", BIG, 0, said.append)
    writer.submit(event(0))
    wait_for(lambda: writer.written == 1)
    os.kill(writer._process.pid, signal.SIGKILL)
    writer.submit(event(1))
    wait_for(lambda: writer.written == 2)
    os.kill(writer._process.pid, signal.SIGSTOP)
    writer.submit(event(2))
    time.sleep(0.1)  # it is handed over
    os.kill(writer._process.pid, signal.SIGKILL)
    assert writer.close(20.0)
    assert len(said) == 2
    assert all("ended with status -9; it is started anew" in line for line in said)
    assert [e.sequence for e in read_entries(tmp_path / "store")] == [0, 1, 2]
    assert verify(tmp_path / "store") == (3, [])


def test_process_that_is_killed_again_and_again_loses_nothing(tmp_path):
    """As often as the killed one's successors while they start."""
    writer, killed = EventWriter(tmp_path / "store", BIG, 0), 0
    wait_for(lambda: writer._process)
    writer.submit(event(0))
    while killed < 4:
        process = writer._process
        if process:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
            wait_for(lambda dead=process: writer._process is not dead)
    wait_for(lambda: writer.written + writer.failed == 1)
    assert (writer.written, writer.failed) == (1, 0)
    assert writer.close(20.0)


def test_event_that_had_got_through_is_kept_once(tmp_path):
    """Killed after it wrote and before it answered."""
    keeper = Keeper(tmp_path / "store", BIG, 0)
    assert not keeper.keep(event(0)).lost
    keeper._store.close()
    other = Keeper(tmp_path / "store", BIG, 0)
    assert not other.keep(event(0), again=True).lost
    assert not other.keep(event(1), again=True).lost
    assert [e.sequence for e in read_entries(tmp_path / "store")] == [0, 1]


@pytest.mark.parametrize("then", ["nothing", "folder"])
def test_store_that_is_deleted_is_made_anew_and_said_once(tmp_path, then):
    place, said = tmp_path / "store", []
    writer = EventWriter(place, BIG, 0, said.append)
    for sequence in range(7):
        if sequence == 2:
            wait_for(lambda: writer.written == 2)
            shutil.rmtree(place)
            if then == "folder":
                place.mkdir()
        writer.submit(event(sequence))
    assert writer.close(20.0)
    assert (writer.written, writer.failed) == (7, 0)
    assert said == [f"{place}: the store was deleted while in use; it is made anew"]
    assert [e.sequence for e in read_entries(place)] == [2, 3, 4, 5, 6]
    assert verify(place) == (5, [])


def test_reason_is_there_as_soon_as_an_event_is_lost(tmp_path):
    writer = EventWriter(tmp_path / "store", BIG, 0, depth=1)
    while writer.submit(event(samples=2000)):
        pass
    assert writer.dropped == 1
    assert "too slow" in writer.reason
    writer.close(20.0)


def test_python_that_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    writer = EventWriter(tmp_path / "store", BIG, 0)
    writer.submit(event())
    assert writer.close(20.0)
    assert writer.failed == 1
    assert "No such file" in writer.reason


def test_close_gives_up_on_a_disk_that_hangs(tmp_path):
    writer = EventWriter(tmp_path / "store", BIG, 0)
    writer.submit(event(0))
    wait_for(lambda: writer.written == 1)
    pid = writer._process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        writer.submit(event(1))
        assert not writer.close(0.2)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: writer.written == 2)


NODE = """
import os, signal, sys, time
from pathlib import Path
from event_records import event
from tao_lora_ros.preservation.event_process import Keeper, WritingProcess
process = WritingProcess(Path(sys.argv[1]), 2**30, 0)
process.write(None)
process._to.write(__import__("pickle").dumps((event(5, samples=2000), False)))
process._to.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_event_handed_over_outlives_the_node(tmp_path):
    """kill -9 of the node, not of the process that writes."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    store = tmp_path / "store"
    ended = subprocess.run([sys.executable, "-c", NODE, str(store)], env=env)
    assert ended.returncode == -signal.SIGKILL
    wait_for(lambda: len(read_entries(store)) == 1)
    assert read_entries(store)[0].sequence == 5


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_process_ends_with_its_input_only(tmp_path, sent):
    """The signals that stop a node reach its children too; they still have work to do."""
    process = WritingProcess(Path(tmp_path / "store"), BIG, 0)
    assert process.write(None).said == ""
    os.kill(process.pid, sent)
    assert not process.write(event()).lost
    process.close()
    assert len(read_entries(tmp_path / "store")) == 1
