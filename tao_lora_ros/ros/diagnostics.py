"""`/diagnostics`, once a second: what comes in, what goes out, and what a robot should act on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from operator import itemgetter
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode

from tao_lora_ros.contact.contact_model import told
from tao_lora_ros.detection.analyzer_state import Calibration
from tao_lora_ros.detection.findings import UNCALIBRATED
from tao_lora_ros.engine.accounts import Account
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.hardware.device import facts
from tao_lora_ros.hardware.process import resident_mib
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.ros import garbage
from tao_lora_ros.ros.failures import Failures
from tao_lora_ros.ros.inputs import Input
from tao_lora_ros.ros.outputs import Outputs
from tao_lora_ros.signal.condition import faults, missing
from tao_lora_ros.signal.source import Source

PERIOD_S = 1.0
_FULL = 0.8  # of a queue: the next stall loses messages
_HOPELESS = 0.5  # of the inferences late: the computer does not keep up
_OK, _WARN, _ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class Diagnostics:
    """Publishes the state of one configured node: of sources, inference, events and contacts.

    Args:
        node: the node.
        pipeline: what it reports on.
        outputs: likewise.
        inputs: likewise; empty while the node is inactive.
        failures: where faults of ours are logged; the next report is made all the same.
        longest_pause_s: by how much a poll for messages came too late, since this was last asked.
    """

    def __init__(
        self,
        node: LifecycleNode,
        pipeline: Pipeline,
        outputs: Outputs,
        inputs: Sequence[Input],
        failures: Failures,
        longest_pause_s: Callable[[], float],
    ) -> None:
        self._node = node
        self._pipeline = pipeline
        self._outputs = outputs
        self._inputs = inputs
        self._failures = failures
        self._longest_pause_s = longest_pause_s
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Steady, for a paused simulation has to be reported too.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(PERIOD_S, self._on_timer, clock=steady)
        found = facts()
        self._hardware = str(found.get("gpu") or found.get("cpu") or found["machine"])
        self._totals = self._count()
        self._said: Counter[str] = Counter()  # notices of each source
        self._at_s, self._cpu_s = time.monotonic(), time.process_time()

    def close(self) -> None:
        """Stop reporting."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _count(self) -> Counter[str]:
        """All that only grows."""
        counts = Counter(asdict(self._pipeline.counts))
        counts["late"] = self._outputs.late
        accounts = self._pipeline.intake.accounts
        for account in accounts:
            counts[f"used: {account.name}"] = account.used
            counts[f"refused: {account.name}"] = account.refused.total()
            counts[f"unused: {account.name}"] = account.unused.total()
        for source in self._pipeline.intake.sources:
            counts[f"lacking: {source.config.name}"] = source.incomplete
        for account, subscription in zip(accounts, self._inputs, strict=False):  # or inactive
            counts[f"lost: {account.name}"] = subscription.lost
            counts[f"lost anew: {account.name}"] = subscription.lost_anew
        if writer := self._outputs.writer:
            counts.update(written=writer.written, lost=writer.failed + writer.dropped)
        return counts

    def _on_timer(self) -> None:
        try:
            self._report()
        except Exception as error:
            self._failures.report("report diagnostics", error)

    def _report(self) -> None:
        garbage.collect()
        for subscription in self._inputs:
            subscription.find_publishers()
        now_s, cpu_s, totals = time.monotonic(), time.process_time(), self._count()
        seconds = now_s - self._at_s
        growth, load = totals - self._totals, (cpu_s - self._cpu_s) / seconds
        self._at_s, self._cpu_s, self._totals = now_s, cpu_s, totals
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [self._source(i, growth, seconds) for i in range(len(self._inputs))]
        message.status += [self._inference(growth, seconds, load), self._events(growth)]
        message.status += [self._contacts()] if self._pipeline.contact_models else []
        self._publisher.publish(message)

    def _source(self, index: int, growth: Counter[str], seconds: float) -> DiagnosticStatus:
        subscription, source = self._inputs[index], self._pipeline.intake.sources[index]
        queue = subscription.queue()
        account = self._pipeline.intake.accounts[index]
        level, summary = self._judge(index, account, growth, queue["queue_fill"])
        self._say(source)
        values: dict[str, Any] = {
            "topic": subscription.topic,
            "type": source.config.msgtype,
            "channels": ", ".join(source.config.channels),
            "lag_s": source.config.lag_s,
            "frame_id": source.frame_id,
            "clock_offset_s": self._clock_offset_s(source),
            "received": account.received,
            "used": account.used,
            "pending": account.pending,
            **{f"refused: {kind}": count for kind, count in sorted(account.refused.items())},
            **{f"unused: {why}": count for why, count in sorted(account.unused.items())},
            **subscription.timing(seconds),
            "lacking axes": source.incomplete,
            "lost": subscription.lost,
            "lost until subscribed anew": subscription.lost_anew,
            **queue,
            "publishers": subscription.publishers,
            "raw messages dropped": self._pipeline.intake.buffers[index].dropped,
        }
        return self._status(source.config.name, level, summary, values)

    def _judge(
        self, index: int, account: Account, growth: Counter[str], fill: int
    ) -> tuple[bytes, str]:
        """Level and summary of a source: all that is wrong with it, the worst first."""
        if trouble := self._inputs[index].trouble(PERIOD_S):
            return _ERROR, trouble
        newest = self._pipeline.intake.newest(index)
        channels = self._pipeline.intake.sources[index].config.channels
        found = [*self._troubles(index, account, growth, fill)]
        found += [(_WARN, text) for text in faults(channels, newest)]
        if found:
            found.sort(key=itemgetter(0), reverse=True)
            return found[0][0], "; ".join(text for _, text in found)
        absent = missing(channels, newest)
        return _OK, f"receiving, without {', '.join(absent)}" if absent else "receiving"

    def _troubles(
        self, index: int, account: Account, growth: Counter[str], fill: int
    ) -> Iterator[tuple[bytes, str]]:
        subscription, source = self._inputs[index], self._pipeline.intake.sources[index]
        name, off_s = source.config.name, self._clock_offset_s(source)
        gone = self._unused(source, account, growth)
        if gone:
            yield gone
        if subscription.publishers > 1:
            yield _WARN, f"{subscription.publishers} publishers on {subscription.topic}"
        if lost := growth[f"lost: {name}"]:
            anew = growth[f"lost anew: {name}"]
            why = f", {anew} of them until subscribed anew" if anew else ""
            yield _WARN, f"{lost} lost on the way{why}"
        if fill > _FULL * subscription.depth:
            yield _WARN, f"{fill} messages waited, the queue holds {subscription.depth}"
        if not gone and (refused := growth[f"refused: {name}"]):
            yield _WARN, f"{refused} refused, the last: {source.reason}"
        if off_s > source.jump_s:
            yield _WARN, f"stamps are {off_s:.1f} s ahead of the node clock"
        if source.warnings:
            yield _WARN, source.warnings[-1]
        if lacking := growth[f"lacking: {name}"]:
            yield _WARN, f"{lacking} messages lack axes: {', '.join(sorted(source.lacking))}"

    def _unused(
        self, source: Source, account: Account, growth: Counter[str]
    ) -> tuple[bytes, str] | None:
        """What there is to say where messages come and do not get into the rows."""
        used, refused, unused = (
            growth[f"{what}: {account.name}"] for what in ("used", "refused", "unused")
        )
        last = f", the last: {source.reason}" if refused else ""
        if account.remedy and (unused or refused):
            lost, level = unused + refused, _WARN if used else _ERROR
            return level, f"{lost} of {used + lost} not used{last}: {account.remedy}"
        why = ", ".join(reason.replace("_", " ") for reason in account.unused)
        if used:
            return (_WARN, f"{unused} of {used + unused} not used: {why}") if unused else None
        if refused:
            return _ERROR, f"none used, {refused} refused{last}"
        if unused:
            return _ERROR, f"none used of {unused}: {why}"
        return _WARN, "receiving, none used yet"

    def _say(self, source: Source) -> None:
        """Log what is new of what a user should know of a source."""
        said = self._said[source.config.name]
        for text in source.notices[said:]:
            self._node.get_logger().get_child(source.config.name).warning(text)
        self._said[source.config.name] = len(source.notices)

    def _clock_offset_s(self, source: Source) -> float:
        """How far the newest stamp is ahead of the node clock; NaN where there is none."""
        if source.newest_ns is None:
            return float("nan")
        off_ns = source.newest_ns - self._node.get_clock().now().nanoseconds
        return off_ns * 1e-9 - source.config.lag_s

    def _inference(self, growth: Counter[str], seconds: float, load: float) -> DiagnosticStatus:
        latencies_ms = np.array(self._outputs.latencies_ns) * 1e-6
        self._outputs.latencies_ns.clear()
        counts, artifact = self._pipeline.counts, self._pipeline.artifact
        level, summary = _OK, "inferring"
        if not self._inputs:
            summary = "inactive"
        elif not len(latencies_ms):
            level, summary = _WARN, "no inference: the window is not full, or a source is missing"
        elif growth["late"]:
            level = _ERROR if growth["late"] > _HOPELESS * len(latencies_ms) else _WARN
            summary = f"{growth['late']} of {len(latencies_ms)} inferences outlasted their hop"
        pause_s = self._longest_pause_s()
        if pause_s > self._outputs.longest_hop_s:  # a stopped process does not see what waits
            level = max(level, _WARN)
            summary += f"; stood still for {pause_s:.2g} s"
        values: dict[str, Any] = {
            "model": f"{artifact.model_id} {artifact.version}",
            "backend": self._pipeline.runtime.name,
            "why": self._pipeline.runtime.reason,
            "rate_hz": len(latencies_ms) / seconds,
            **_percentiles("latency", latencies_ms),
            "longest_pause_ms": pause_s * 1e3,
            "steady": counts.steady,
            "transient": counts.transient,
            "duty": counts.duty,
            "late": self._outputs.late,
            "glitches mended": self._pipeline.glitches.total(),
            "learned_h": self._pipeline.learner.seconds / 3600.0,
            "calibrated thresholds": _levels(self._pipeline.learner.start),
            "thresholds": _levels(self._pipeline.calibration),
            "resets": counts.resets,
            "cpu_share": load,
            "rss_mib": resident_mib(),
        }
        return self._status("inference", level, summary, values)

    def _events(self, growth: Counter[str]) -> DiagnosticStatus:
        counts, writer = self._pipeline.counts, self._outputs.writer
        level, summary = _OK, "keeping events" if writer else "keeping none"
        if not self._pipeline.calibration.has_thresholds:
            level, summary = _WARN, UNCALIBRATED
        values: dict[str, Any] = {
            "events": counts.events,
            "regime_changes": counts.regime_changes,
        }
        if writer:
            values |= {"written": writer.written, "failed": writer.failed}
            values |= {"dropped": writer.dropped}
            values |= {"queue_depth": writer.depth, "queue_fill": writer.queued}
            values |= {"store_mib": writer.used_bytes / (1 << 20)}
            if growth["lost"]:
                level, summary = _ERROR, f"{growth['lost']} events lost: {writer.reason}"
            elif writer.reason:
                level, summary = _WARN, writer.reason
        return self._status("events", level, summary, values)

    def _contacts(self) -> DiagnosticStatus:
        channels = self._pipeline.artifact.channels
        counts = self._pipeline.counts
        values: dict[str, Any] = {
            "contacts": counts.contacts,
            "unused: walking": counts.contacts_of_walking,
        }
        texts = []
        for name, model in self._pipeline.contact_models.items():
            texts.append(f"{name}: {told(model, channels)}")
            if model:
                values |= {f"{name}: found from N": model.thresholds[0]}
                values |= {f"{name}: found from Nm": model.thresholds[1]}
                values |= {f"{name}: unexplained N": model.noise[0]}
        return self._status("contacts", _OK, "; ".join(texts), values)

    def _status(
        self, name: str, level: bytes, summary: str, values: Mapping[str, Any]
    ) -> DiagnosticStatus:
        return DiagnosticStatus(
            name=f"{self._node.get_fully_qualified_name()}: {name}",
            level=level,
            message=shown(summary, MOST_LINE),
            hardware_id=self._hardware,
            values=[KeyValue(key=shown(key), value=_text(value)) for key, value in values.items()],
        )


def _percentiles(what: str, values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    p50, p99 = np.percentile(values, (50, 99))
    return {f"{what}_p50_ms": p50, f"{what}_p99_ms": p99, f"{what}_max_ms": values.max()}


def _levels(calibration: Calibration) -> str:
    given = calibration.all_thresholds if calibration.has_thresholds else ()
    return ", ".join(f"{threshold:.2f}" for threshold in given) or "none"


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else shown(value)
