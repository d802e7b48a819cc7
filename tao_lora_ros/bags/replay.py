"""Feed a bag to the pipeline, in-process and as fast as it goes: the same bytes and engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.bags.result_bag import ResultBag
from tao_lora_ros.bags.unread import Unread
from tao_lora_ros.contact.contact_model import how_expected
from tao_lora_ros.detection.findings import UNCALIBRATED
from tao_lora_ros.detection.unlike import unlike_text
from tao_lora_ros.engine.accounts import Account
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.messages.results import ContactLoad, Event, Inference, Kept, Phase, Result, State
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.signal.block import Block
from tao_lora_ros.signal.cdr import DecodeError


@dataclass(frozen=True)
class Chosen:
    """What a bag is replayed with.

    Args:
        settings: with the sources.
        topics: bag topic by source name.
        artifact: the model; for detection only and not calibrated where there is none for these
            channels and none was asked for.
        notices: what to say of it.
        asked: whether it was asked for, and so is calibrated for this robot.
    """

    settings: Settings
    topics: dict[str, str]
    artifact: Artifact
    notices: list[str] = field(default_factory=list)
    asked: bool = False


@dataclass
class Replay:
    """What a bag gave; `events` holds both phases.

    `keep` takes what was received around each event, which else is let go: of an hour these are
    gigabytes. Without `samples` events come without raw samples, hundreds of megabytes.
    `loads` are there where parameter `contact_wrench_hz` is above 0; `unread` and `damage` tell
    what the bag holds and did not give.
    """

    first_stamp_ns: int = 0
    inferences: list[Inference] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    loads: list[ContactLoad] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    damage: str = ""
    keep: Callable[[Kept], object] = lambda _: None
    samples: bool = True

    def take(self, results: Iterable[Result]) -> None:
        """Keep what a message brought."""
        for result in results:
            if isinstance(result, Inference):
                self.inferences.append(result)
            elif isinstance(result, State):
                self.states.append(result)
            elif isinstance(result, Event):
                self.events.append(result if self.samples else replace(result, raw=()))
            elif isinstance(result, Kept):
                self.keep(result)
            else:
                self.loads.append(result)


def replay(
    reader: BagReader,
    pipeline: Pipeline,
    progress: Callable[[int], None] = lambda _: None,
    out: ResultBag | None = None,
    result: Replay | None = None,
) -> Replay:
    """Run a bag through a pipeline.

    Args:
        reader: the bag, opened for the pipeline's sources.
        pipeline: a fresh pipeline.
        progress: called with the number of messages read so far, now and then.
        out: where to write messages and results too.
        result: what takes the results; of another class where not all of them are to be kept.

    >>> import numpy as np
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from tao_lora_ros.bags.writer import SourceRecording, write_bag
    >>> from tao_lora_ros.engine.settings import Settings
    >>> from tao_lora_ros.model.artifact import default_artifact, load_artifact
    >>> pipeline = Pipeline(Settings(), load_artifact(default_artifact()))
    >>> sources = [source.config for source in pipeline.intake.sources]
    >>> stamps_ns, still = 2_000_000 * np.arange(1, 501), np.zeros((500, 6))  # 1 s at 500 Hz
    >>> with TemporaryDirectory() as folder:
    ...     bag = Path(folder) / "bag"
    ...     streams = ((source.name, source.msgtype, "link") for source in sources)
    ...     write_bag([SourceRecording(*stream, stamps_ns, still) for stream in streams], bag)
    ...     with BagReader(bag, sources) as reader:
    ...         result = replay(reader, pipeline)
    >>> len(result.inferences), len(result.events)
    (24, 0)
    """
    result = Replay() if result is None else result
    pipeline.checkpoints.expect(reader.router_states())
    count = 0
    # Results are written beside the message that brought them.
    one_by_one = (Block.of([message]) for message in reader.messages())
    for block in one_by_one if out else reader.blocks():
        if not result.first_stamp_ns:
            # Times count from the bag's beginning, also of a part of it.
            stamp_ns = _first_stamp_ns(pipeline, block)
            result.first_stamp_ns = stamp_ns - round(reader.begin_s * 1e9) if stamp_ns else 0
        results = pipeline.push_block(block)
        result.take(results)
        if out:
            source, data, log_ns = block.message(0)
            out.take(source, log_ns, data)
            out.tell(results)
        count += len(block)
        progress(count)
    result.unread, result.damage = reader.unread, reader.damage
    results = pipeline.flush()
    result.take(results)
    if out:
        out.tell(results)
    pipeline.intake.finish()
    return result


def _first_stamp_ns(pipeline: Pipeline, block: Block) -> int:
    """Of the first message that has one; 0 where none has."""
    for number in range(len(block)):
        source, data, log_ns = block.message(number)
        try:
            if stamp_ns := pipeline.intake.sources[source].decode(data, log_ns).stamp_ns or log_ns:
                return stamp_ns
        except DecodeError:
            continue
    return 0


def summary(result: Replay, pipeline: Pipeline) -> dict[str, Any]:
    """The replay in numbers, ready for JSON; times in seconds from the first message's stamp."""
    counts = pipeline.counts
    return {
        "messages": counts.messages,
        "windows": counts.windows,
        "inferences": len(result.inferences),
        "paths": {"steady": counts.steady, "transient": counts.transient},
        "duty": counts.duty,
        "rejected": dict(pipeline.intake.rejected),
        "unread": {u.topic: {"read": u.read, "expected": u.expected} for u in result.unread},
        "sources": {account.name: _account_row(account) for account in pipeline.intake.accounts},
        "notices": notices_of(result, pipeline),
        "glitches": dict(pipeline.glitches),
        "jumps": dict(pipeline.jumps),
        "contacts_of_walking": counts.contacts_of_walking,
        "regime_changes": counts.regime_changes,
        "learned_s": pipeline.learner.seconds,
        "thresholds": {
            "calibrated": pipeline.learner.start.all_thresholds,
            "now": pipeline.calibration.all_thresholds,
        },
        "states": [_state_row(state, result.first_stamp_ns) for state in result.states],
        "events": [
            _event_row(event, result.first_stamp_ns)
            for event in result.events
            if event.phase is Phase.END
        ],
    }


def notices_of(result: Replay, pipeline: Pipeline) -> list[str]:
    """All that a user should know of the input and what is found in it."""
    of_sources = [f"{name}: {text}" for name, text in _notices_of(pipeline)]
    if unlike := pipeline.unlike:
        from_s = (unlike.since_ns - result.first_stamp_ns) * 1e-9
        target = pipeline.calibration.alarms_per_hour
        text = unlike_text(f"{from_s:.1f} s", unlike.how, target)
        of_sources.append(f"router: {text}, as with --from {from_s:.0f}")
    return [result.damage, *of_sources] if result.damage else of_sources


def _notices_of(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    for source, account in zip(pipeline.intake.sources, pipeline.intake.accounts, strict=True):
        name = account.name
        yield from ((name, text) for text in source.notices)
        if lost := account.unused["late"] + account.refused["other_clock"]:
            why = account.remedy or "their rows were given out before they came"
            yield name, f"{lost} of {account.received} not used: {why}"
        if refused := account.refused.total() - account.refused["other_clock"]:
            yield name, f"{refused} of {account.received} refused, the last: {source.reason}"
    for channel, count in pipeline.glitches.items():
        yield channel, f"{count} glitches mended, samples that no other channel bears out"
    if not pipeline.calibration.has_thresholds:
        yield "router", UNCALIBRATED
    for reason in pipeline.checkpoints.refused:
        yield "router_state", f"not taken on: {reason}; the router starts anew"
    for name, model in pipeline.contact_models.items():
        if model is None or not model.accel or model.by_own_force:
            yield name, how_expected(model, pipeline.artifact.channels)
    if count := pipeline.counts.contacts_of_walking:
        yield "contacts", f"{count} not used: of a foot that walks, whose touchdowns are told"


def _account_row(account: Account) -> dict[str, Any]:
    return {
        "received": account.received,
        "used": account.used,
        "refused": dict(account.refused),
        "unused": account.unused.total(),
    }


def _state_row(state: State, start_ns: int) -> dict[str, Any]:
    return {
        "from_s": (state.inference.stamp_ns - start_ns) * 1e-9,
        "label": state.label,
        "probability": round(state.probability, 4),
    }


def _event_row(event: Event, start_ns: int) -> dict[str, Any]:
    return {
        "onset_s": (event.onset_ns - start_ns) * 1e-9,
        "peak_s": (event.peak_ns - start_ns) * 1e-9,
        "end_s": (event.end_ns - start_ns) * 1e-9,
        "score": event.peak_score,
        "channels": {name: round(share, 4) for name, share in event.channels},
        "kind": event.kind.name.lower(),
        "label": event.label,
        "probability": round(event.probability, 4),
        "size": event.size.row(),
    }
