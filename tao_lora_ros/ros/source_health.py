"""What diagnostics say of each source: whether its messages come, and get into the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleNode

from tao_lora_ros.engine.accounts import Account
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.ros.inputs import Input
from tao_lora_ros.signal.condition import faults, missing
from tao_lora_ros.signal.source import Source

PERIOD_S = 1.0  # from report to report
_FULL = 0.8  # of a queue: the next stall loses messages
_OK, _WARN, _ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class SourceHealth:
    """Judges the sources of one configured node.

    Args:
        node: the node.
        pipeline: what takes the messages.
        inputs: where they come from; empty while the node is inactive.
    """

    def __init__(self, node: LifecycleNode, pipeline: Pipeline, inputs: Sequence[Input]) -> None:
        self._node, self._pipeline, self._inputs = node, pipeline, inputs
        self._said: Counter[str] = Counter()  # notices of each source

    def count(self) -> Counter[str]:
        """All that only grows."""
        counts: Counter[str] = Counter()
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
        return counts

    def status(
        self, index: int, growth: Counter[str], seconds: float
    ) -> tuple[str, bytes, str, dict[str, Any]]:
        """Name, level, summary and numbers of a source that is subscribed to.

        Args:
            index: its number.
            growth: by how much the counts have grown since the last call, as `count` names them.
            seconds: how long that is ago.
        """
        subscription, source = self._inputs[index], self._pipeline.intake.sources[index]
        queue = subscription.queue()
        account = self._pipeline.intake.accounts[index]
        level, summary = self._judge(index, account, growth, queue["queue_fill"])
        self._log_notices(source)
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
        return source.config.name, level, summary, values

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
        if absent := missing(channels, newest):
            found.append((_OK, f"receiving, without {', '.join(absent)}"))
        found = found or [(_OK, "receiving")]
        found.sort(key=itemgetter(0), reverse=True)
        return found[0][0], "; ".join(text for _, text in found)

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

    def _log_notices(self, source: Source) -> None:
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
