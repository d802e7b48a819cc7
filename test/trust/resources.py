"""Disks, descriptors, memory and processors that fall short."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trust.live import Account, Live, node
from trust.processes import writer_of
from trust.table import Row
from wire import TIMEOUT_S, Process, Wire, node_command

from tao_lora_ros.preservation.event_verify import verify

_QUICK = "post_roll_s:=0.1"
_MIB = 1 << 20


def rows(wire: Wire, folder: Path, _: float) -> Iterator[Row]:
    """Each once."""
    if place := small_disk(folder / "disk"):
        yield from full_and_read_only(wire, folder, place)
        subprocess.call(["umount", "-l", str(place)])
    store = folder / "limited"
    with node(wire, folder / "limited.log", f"store:={store}", _QUICK) as live:
        yield trouble(live, store, "files of 4 KiB at most", "File too large", file_size(live))
        yield trouble(live, store, "no more descriptors", "Too many open files", descriptors(live))
        yield trouble(live, store, "the store is deleted", "made anew", deleted(store), loses=False)
        yield slow_disk(live)
        yield tenth_of_a_processor(live)
        yield no_memory_to_reload(live)
    yield from starts(folder)


def small_disk(place: Path) -> Path | None:
    """A disk of 3 MiB, where we may mount one."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    return place if shutil.which("mount") and _quietly(mount) else None


def _quietly(command: list[str]) -> bool:
    return subprocess.call(command, stderr=subprocess.DEVNULL) == 0


def _remounted(place: Path, options: str) -> None:
    subprocess.check_call(["mount", "-o", f"remount,{options}", str(place)])


def trouble(live: Live, store: Path, name: str, said: str, around, loses: bool = True) -> Row:
    """Events while something is short, and one when it is there again."""
    row = Row(name, injected=2)
    before, log_from = live.settled(), len(live.process.log)
    with around:
        live.strike(2.5, (0.5, 1.5))
        row.said = live.until_said(said, before, log_from)
        _until_accounted(live)
    begun = time.monotonic()
    live.strike(1.0, (0.3,))
    _until_accounted(live)
    row.recovered_s = time.monotonic() - begun
    now = live.settled()
    written, failed = (_events(now, key) - _events(before, key) for key in ("written", "failed"))
    row.used, row.refused = written, {"lost, said": failed} if failed else {}
    row.lost = 3 - written - failed
    row.check(not row.lost, f"{row.lost} events of 3 are in no count")
    row.check(written >= (1 if loses else 3), f"{written} events kept")
    row.check(verify(store)[1] == [], f"damage: {verify(store)[1]}")
    row.check("Traceback" not in live.process.log, "a traceback")
    return row


def _events(account: Account, key: str) -> int:
    return int(account.of["events"].get(key, 0))


def _until_accounted(live: Live) -> None:
    """Wait until each event is written, failed or dropped."""
    live.strike(0.5, ())
    live.wire.until(
        lambda: (
            sum(_events(Account(live.watch), k) for k in ("written", "failed", "dropped"))
            >= len(live.ended)
        ),
        "an account of all events",
    )


def full_and_read_only(wire: Wire, folder: Path, place: Path) -> Iterator[Row]:
    """The disk fills up, and another time takes nothing at all."""
    store = place / "store"

    @contextmanager
    def read_only() -> Iterator[None]:
        yield  # it is so already: the kernel takes no disk away that is written to
        _remounted(place, "rw")

    @contextmanager
    def full() -> Iterator[None]:
        ballast = place / "ballast"
        free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
        ballast.write_bytes(bytes(max(free - 100_000, 0)))
        yield
        ballast.unlink()
        _remounted(place, "size=64m")

    parameters = f"store:={store}", _QUICK, "store_min_free_mb:=0"
    with node(wire, folder / "disk.log", *parameters) as live:
        yield trouble(live, store, "the disk is full", "No space left|are free", full())
    _remounted(place, "ro")
    with node(wire, folder / "read_only.log", *parameters) as live:
        said = "Read-only file system"
        yield trouble(live, store, "the disk is read-only", said, read_only())


@contextmanager
def file_size(live: Live) -> Iterator[None]:
    """The writer may write no large files."""
    writer = writer_of(live.process)
    old = resource.prlimit(writer, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    yield
    resource.prlimit(writer, resource.RLIMIT_FSIZE, old)


@contextmanager
def descriptors(live: Live) -> Iterator[None]:
    """The node gets no new descriptors, and its writer, which is killed, no successor."""
    pid = live.process.child.pid
    taken = len(os.listdir(f"/proc/{pid}/fd"))
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    os.kill(writer_of(live.process), signal.SIGKILL)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (taken - 2, old[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, old)


@contextmanager
def deleted(store: Path) -> Iterator[None]:
    """Somebody removes the store."""
    shutil.rmtree(store)
    yield


def slow_disk(live: Live) -> Row:
    """The writer hangs for longer than its queue is deep."""
    row = Row("the disk hangs")
    before, log_from = live.settled(), len(live.process.log)
    writer = writer_of(live.process)
    os.kill(writer, signal.SIGSTOP)
    ended = len(live.ended)
    for _ in range(4):
        live.strike(2.0, (0.1, 0.5, 0.9, 1.3, 1.7))
    row.injected = len(live.ended) - ended
    row.said = live.until_said("too slow", before, log_from)
    os.kill(writer, signal.SIGCONT)
    begun = time.monotonic()
    _until_accounted(live)
    row.recovered_s = time.monotonic() - begun
    now = live.settled()
    counts = {k: _events(now, k) - _events(before, k) for k in ("written", "dropped", "failed")}
    row.used, row.refused = counts["written"], {"dropped, said": counts["dropped"]}
    row.lost = len(live.ended) - ended - sum(counts.values())
    row.check(not row.lost, f"{row.lost} events are in no count")
    row.check(counts["written"] >= 16, f"{counts['written']} kept of {row.injected}")
    return row


def tenth_of_a_processor(live: Live) -> Row:
    """The node runs for 10 ms of every 100."""
    row = Row("a tenth of a processor", injected=3000)
    before, log_from = live.settled(), len(live.process.log)
    over = threading.Event()
    child = live.process.child

    def starve() -> None:
        while not over.is_set():
            child.send_signal(signal.SIGSTOP)
            time.sleep(0.09)
            child.send_signal(signal.SIGCONT)
            time.sleep(0.01)

    starving = threading.Thread(target=starve)
    starving.start()
    live.strike(3.0, ())
    over.set()
    starving.join()
    row.recovered_s = live.recovered_s()
    live.wire.until_acknowledged()
    now = live.settled()
    row.refused = now.kinds("unused") - before.kinds("unused")
    row.used = now.count("used") - before.count("used")
    pending = now.count("pending") - before.count("pending")
    row.lost = 4000 - row.used - sum(row.refused.values()) - pending
    row.check(not row.lost, f"{row.lost} messages are in no count")
    row.said = live.until_said("stood still for", before, log_from)
    return row


def no_memory_to_reload(live: Live) -> Row:
    """The address space is all taken when another model is asked for; the old one goes on."""
    from std_srvs.srv import Trigger

    row = Row("no memory for another model", injected=1)
    pid = live.process.child.pid
    size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    old = resource.prlimit(pid, resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    answer = live.wire.call(Trigger, "reload", Trigger.Request())
    resource.prlimit(pid, resource.RLIMIT_AS, old)
    row.said = answer.message
    row.refused = {} if answer.success else {"reload": 1}
    row.used = int(answer.success)  # what was freed before may do
    row.check(row.said, "nothing said")
    row.recovered_s = live.recovered_s()
    row.check(row.recovered_s is not None, "no inference afterwards")
    return row


def starts(folder: Path) -> Iterator[Row]:
    """Starts with too little of something: one line of ours, beside DDS's own, and status 1."""
    for name, limit, most in (
        ("start with 600 MiB of address space", resource.RLIMIT_AS, 600 * _MIB),
        ("start with 14 descriptors", resource.RLIMIT_NOFILE, 14),
    ):
        log = folder / "start.log"
        code = (
            f"import os, resource, sys; resource.setrlimit({int(limit)}, ({most}, {most}));"
            "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
        )
        command = [sys.executable, "-c", code, *node_command(["store_max_mb:=0"])[1:]]
        process = Process(log, command)
        row = Row(name, injected=1, refused={"start": 1})
        try:
            status = process.child.wait(TIMEOUT_S)
            ours = [line for line in process.log.splitlines() if line.startswith("tao_lora: ")]
            row.said = " ".join(ours)
            row.check(status == 1, f"status {status}")
            row.check(len(ours) == 1 and "Traceback" not in process.log, process.log)
        finally:
            process.kill()
        yield row
