"""`/diagnostics`, once a second: what comes in, what goes out, and what a robot should act on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode

from tao_lora_ros.contact.contact_model import how_expected
from tao_lora_ros.detection.analyzer_state import Calibration
from tao_lora_ros.detection.findings import UNCALIBRATED
from tao_lora_ros.detection.unlike import unlike_text
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.hardware.device import facts
from tao_lora_ros.hardware.process import resident_mib
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.ros import garbage
from tao_lora_ros.ros.failures import Failures
from tao_lora_ros.ros.inputs import Input
from tao_lora_ros.ros.outputs import Outputs
from tao_lora_ros.ros.source_health import PERIOD_S, SourceHealth

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
        self._sources = SourceHealth(node, pipeline, inputs)
        self._totals = self._count()
        self._at_s, self._cpu_s = time.monotonic(), time.process_time()

    def close(self) -> None:
        """Stop reporting."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _count(self) -> Counter[str]:
        """All that only grows."""
        counts = Counter(asdict(self._pipeline.counts))
        counts["late"] = self._outputs.late
        counts.update(self._sources.count())
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
        sources = (self._sources.status(i, growth, seconds) for i in range(len(self._inputs)))
        message.status = [self._status(*source) for source in sources]
        message.status += [self._inference(growth, seconds, load), self._events(growth)]
        message.status += [self._contacts()] if self._pipeline.contact_models else []
        self._publisher.publish(message)

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
        elif unlike := self._pipeline.unlike:
            when, target = unlike.since_ns * 1e-9, self._pipeline.calibration.alarms_per_hour
            level, summary = _ERROR, unlike_text(f"{when:.1f} s", unlike.how, target)
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
            texts.append(f"{name}: {how_expected(model, channels)}")
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
