"""What became of each source's messages, why some never reached a row, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tao_lora_ros.engine.settings import MOST_LAG_S, MOST_TIMEOUT_S
from tao_lora_ros.signal.cadence import SLOWEST_NS
from tao_lora_ros.signal.cdr import IMU, JOINT_STATE
from tao_lora_ros.signal.source import Source, SourceConfig
from tao_lora_ros.signal.track import Track

_ONCE_S = 1.0  # of what was in time: a constant lag lets nothing in
_LAGS = {IMU: "imu_lags_s", JOINT_STATE: "joint_state_lags_s"}


@dataclass(frozen=True)
class Account:
    """The messages of one source: received = used + refused + unused + pending.

    Args:
        name: of the source.
        used: went into a row.
        refused: by kind.
        unused: good, and never reached a row, by reason.
        pending: may still reach one.
        remedy: why some came too late or on another clock, and what to set; empty where none did.
    """

    name: str
    used: int
    refused: Counter[str]
    unused: Counter[str]
    pending: int
    remedy: str

    @property
    def received(self) -> int:
        """All messages."""
        return self.used + self.refused.total() + self.unused.total() + self.pending


def accounts_of(sources: Sequence[Source], tracks: Sequence[Track]) -> list[Account]:
    """The account of each source, by itself and its track."""
    configs = [source.config for source in sources]
    return [
        Account(
            name=source.config.name,
            used=track.used,
            refused=source.rejected,
            unused=source.unused + track.unused,
            pending=track.waiting + bool(source.held),
            remedy=_remedy(source, track, configs),
        )
        for source, track in zip(sources, tracks, strict=True)
    ]


def _remedy(source: Source, track: Track, configs: Sequence[SourceConfig]) -> str:
    config, period_s = source.config, track.measured_period_ns * 1e-9
    if track.unused["late"] and period_s > SLOWEST_NS * 1e-9:
        return (
            f"{config.name} comes every {period_s:.2g} s, too seldom to wait for: "
            "set source_timeout_s and max_gap_s above that, or leave it out"
        )
    if not track.behind:
        return ""
    behind_s, most_s = track.behind_ns * 1e-9, track.behind_most_ns * 1e-9
    whom, before = configs[track.behind_whom].name, track.used * period_s > _ONCE_S
    if track.behind_by_turns and most_s < MOST_TIMEOUT_S:
        return (
            f"{config.name} comes up to {most_s:.2f} s late, by turns: set source_timeout_s above "
            "that, or have it sent evenly"
        )
    if before and not track.behind_constantly:
        often = "set source_timeout_s above that where it is often"
        remedy = often if 0 < most_s < MOST_TIMEOUT_S else "look at its driver's clock"
        far = f"up to {most_s:.2f} s behind" if most_s else f"{-behind_s:.2f} s ahead of"
        return f"{config.name} came {far} {whom} for a moment: {remedy}"
    where = "behind" if behind_s >= 0 else "ahead of"
    lags, lag_s = _LAGS.get(config.msgtype, "wrench_lags_s"), config.lag_s - behind_s
    far_s = abs(behind_s)
    if abs(lag_s) > MOST_LAG_S:
        return (
            f"{config.name} is {far_s:.2f} s {where} {whom}: that is another clock, no lag; "
            "have its driver stamp by the same one"
        )
    if before:
        return (
            f"{config.name} is {far_s:.2f} s {where} {whom} and was not before: a clock was set or "
            "drifts, no lag; have both stamped by one clock"
        )
    return f"{config.name} is {far_s:.2f} s {where} {whom}: set {lags} to {lag_s:.2f}"
