"""Handing an event over never waits, and whatever is lost is counted and said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from event_records import assert_equal, event

from tao_lora_ros.preservation.event_catalogue import read_entries, read_event
from tao_lora_ros.preservation.event_process import WritingProcess
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


def test_process_that_is_killed_is_started_again(tmp_path):
    writer = EventWriter(tmp_path / "store", BIG, 0)
    writer.submit(event(0))
    wait_for(lambda: writer.written == 1)
    os.kill(writer._process.pid, signal.SIGKILL)
    writer.submit(event(1))
    wait_for(lambda: writer.failed == 1)
    assert "ended with status -9" in writer.reason
    writer.submit(event(2))
    assert writer.close(20.0)
    assert [e.sequence for e in read_entries(tmp_path / "store")] == [0, 2]
    assert verify(tmp_path / "store") == (2, [])


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
from tao_lora_ros.preservation.event_process import WritingProcess
process = WritingProcess(Path(sys.argv[1]), 2**30, 0)
process.write(None)
process._to.write(__import__("pickle").dumps(event(5, samples=2000)))
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
    assert process.write(None)[0] == ""
    os.kill(process.pid, sent)
    assert process.write(event())[0] == ""
    process.close()
    assert len(read_entries(tmp_path / "store")) == 1
