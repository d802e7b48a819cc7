"""Memory once all that fills is full: the slope of its size, and how sure that is.

    python -m trust.memory --seconds 3600 [--rate 2 --impact-every 2 | --channels 48]

Live, a node and its event writer for so long, at the robot's rate or another, or with `--channels`
a pipeline in this process for so many seconds of robot time, by which both report.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from recordings import SECOND, START_NS, imu, motion, wrench
from trust.table import Row

from tao_lora_ros.detection.calibration import calibrated, uncalibrated
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import sources_of
from tao_lora_ros.model.artifact import Artifact, default_artifact, load_artifact
from tao_lora_ros.signal.cdr import IMU, WRENCH
from tao_lora_ros.signal.source import SourceConfig

if TYPE_CHECKING:
    from wire import Watch, Wire

FULL_S = 660.0  # ten minutes of rows are kept to calibrate on, and a minute to settle
# What is learned while running grows by the root of time until it is a day's: by a MiB in the first
# hour. One row of 12 channels kept too long each time would be 7 at 20 rows a second.
MOST_MIB_AN_HOUR = 2.0
_BLOCKS = 20
_T = 2.101  # Student's, 97.5 %, for that many blocks less two


def anonymous_mib(pid: int) -> float:
    """Resident memory of a process but for pages of files, which the kernel takes at will."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) / 1024


def slope(hours: NDArray, mib: NDArray) -> tuple[float, float]:
    """Least squares of means of blocks, which are as good as independent: MiB an hour, and half
    of its 95 % confidence interval."""
    x, y = (np.array([b.mean() for b in np.array_split(v, _BLOCKS)]) for v in (hours, mib))
    x -= x.mean()
    rise = float(x @ y / (x @ x))
    left = y - y.mean() - rise * x
    return rise, _T * float(np.sqrt(left @ left / (_BLOCKS - 2) / (x @ x)))


def wide(channels: int, rate_hz: float) -> tuple[Settings, Artifact]:
    """Settings and a detection-only model of IMUs and wrenches, six channels each."""
    sources = range(channels // 12)
    packs = (IMU, *(f"imu_{i}" for i in sources)), (WRENCH, *(f"wrench_{i}" for i in sources))
    names = [
        channel
        for kind, *given in packs
        for n in given
        for channel in SourceConfig(n, kind).channels
    ]
    settings = sources_of(Settings(), names)
    noise = np.random.default_rng(0).standard_normal((round(40 * rate_hz), len(names)))
    calibration, _ = calibrated(uncalibrated(names, rate_hz), [noise], rate_hz, 1.0)
    bare = replace(load_artifact(default_artifact()), model=None, labels=())
    return settings, replace(bare, rate_hz=rate_hz, channels=tuple(names), calibration=calibration)


def in_process(
    channels: int, rate_hz: float, message_hz: float, seconds: float
) -> Iterator[tuple[float, float]]:
    """Run a pipeline over noise; gives robot time (s) and resident memory (MiB) each 5 s of it."""
    settings, artifact = wide(channels, rate_hz)
    pipeline = Pipeline(settings, artifact)
    rng = np.random.default_rng(1)
    packs = [imu] * (channels // 12) + [wrench] * (channels // 12)
    step_ns = round(SECOND / message_hz)
    every = round(5 * message_hz)
    for i in range(round(seconds * message_hz)):
        stamp = START_NS + i * step_ns
        values = rng.standard_normal((len(packs), 6))
        for source, pack in enumerate(packs):
            pipeline.push(source, pack(stamp, values[source]))
        if i % every == every - 1:
            yield (i + 1) / message_hz, anonymous_mib(os.getpid())


def alone(*load: float) -> list[tuple[float, float]]:
    """`in_process`, in a process of its own: what ran here before has left memory behind, some of
    it in pieces that are taken up again only by and by, which looks like growth."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_points, load)


def _points(*load: float) -> list[tuple[float, float]]:
    return list(in_process(*load))


def live(
    folder: Path, seconds: float, rate: float, impact_every_s: float
) -> Iterator[tuple[float, float]]:
    """Run a node over DDS with an Imu, a wrench and impacts; as `in_process`.

    Both are sampled at 500 Hz, as the rows of the model are, and played at `rate` times that, or as
    fast as the machine lets them. It ends after so many seconds of the wall's.
    """
    from wire import Process, node_command, open_wire

    os.environ["ROS_HOME"] = str(folder)
    wire = open_wire()
    process = Process(folder / "node.log", node_command(["store_max_mb:=64"]))
    try:
        watch = wire.watch()
        wire.until_listening(process)
        fill_queues(wire, watch)
        begun = time.monotonic()
        for second in count(0, 5):
            if time.monotonic() - begun >= seconds:
                break
            impacts = [0.5 + t for t in range(4) if (second + t) % impact_every_s < 1.0]
            start_ns = START_NS + second * SECOND
            chunk = motion(5.0, impacts, second, start_ns)
            wire.play(chunk, rate)
            yield second + 5.0, anonymous_mib(process.child.pid)
            for kept in (wire.inferences, wire.events, wire.samples):
                kept.clear()
        assert process.stop() == 0, process.log
    finally:
        process.kill()
        wire.close()


def fill_queues(wire: Wire, watch: Watch) -> None:
    """Send more than they hold while the node loads its model: queues keep what that took."""
    from std_srvs.srv import Trigger

    def filled(name: str) -> bool:
        return any(int(r["queue_fill"]) >= Settings().queue_depth for r in watch.of(name))

    old = motion(0.002)
    while not (filled("imu") and filled("wrench")):
        loaded = wire.ask(Trigger, "reload", Trigger.Request())
        while not loaded.done():
            for message in old * 500:
                wire.publishers[message.source].publish(message.data)
            wire.spin_for(0.0)
        wire.spin_for(2.0)
    wire.node.destroy_subscription(watch.subscription)


def rows(seconds: float) -> Iterator[Row]:
    """A pipeline of 12 channels at 50 Hz, for as long as it takes to fill and three times that."""
    row = Row("memory, 12 channels, 50 rows a second")
    hours = max(1.0, seconds / 60.0)
    points = alone(12, 50.0, 50.0, FULL_S + hours * 3600.0)
    row.said, rise, half = report(points)
    row.injected = row.used = round(points[-1][0] * 50.0) * 2
    row.check(rise - half < MOST_MIB_AN_HOUR, "it grows")
    yield row


def report(points: list[tuple[float, float]]) -> tuple[str, float, float]:
    """The slope of what came after all was full: in words, and in MiB an hour, with its half."""
    times_s, mib = np.array(points).T
    flat = times_s > FULL_S
    rise, half = slope(times_s[flat] / 3600, mib[flat])
    words = (
        f"{mib[flat][0]:.1f} MiB when full, {mib[-1]:.1f} MiB after {times_s[-1] / 3600:.2f} h: "
        f"{rise:+.2f} ± {half:.2f} MiB an hour"
    )
    return words, rise, half


def main() -> int:
    """Print the memory each minute, and the slope."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--channels", type=int)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--impact-every", type=float, default=60.0, metavar="S")
    parser.add_argument("--out", type=Path, default=Path("out/trust"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    points = []
    if options.channels:
        runs = in_process(options.channels, 500.0, 100.0, options.seconds)
    else:
        # Loops are compiled for where they are imported from: here, before the node has to.
        Pipeline(Settings(), load_artifact(default_artifact())).warm()
        folder = options.out.resolve()
        runs = live(folder, options.seconds, options.rate, options.impact_every)
    for at_s, mib in runs:
        points.append((at_s, mib))
        if at_s % 60.0 < 5.0:
            print(f"{at_s:7.0f} s  {mib:7.1f} MiB", flush=True)
    print(report(points)[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
