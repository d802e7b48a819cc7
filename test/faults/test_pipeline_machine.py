"""The pipeline in any order of messages and requests, against a model of plain counters.

received = used + refused + unused + pending, of each source, after every step; nothing is raised;
counts never fall; every event that begins ends.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from models import small_artifact, with_thresholds
from recordings import PERIOD_NS, SECOND, START_NS, imu, motion, wrench

from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.results import Event, Phase, Result

PACK = imu, wrench
SOURCES = st.sampled_from((0, 1))
NUMBERS = st.floats(width=64) | st.sampled_from((0.0, 1e5, 1e9, float("nan"), float("inf")))
STEPS_NS = st.sampled_from(
    (0, 1, PERIOD_NS, -PERIOD_NS, 20_000_000, -20_000_000, 200_000_000, SECOND, -SECOND)
    + (6 * SECOND, -6 * SECOND, 3600 * SECOND, -3600 * SECOND, -START_NS, 2**62)
)


class PipelineMachine(RuleBasedStateMachine):
    """What a robot, its drivers and its operators may do in any order."""

    messages = steps = 0  # of all machines

    def __init__(self) -> None:
        super().__init__()
        self.pipeline = Pipeline(Settings(post_roll_s=0.05), small_artifact())
        self.sent = [0, 0]
        self.now_ns = START_NS
        self.seed = 0
        self.began: set[int] = set()
        self.ended: list[int] = []
        self.before: Counter[str] = Counter()

    def push(self, source: int, data: bytes, received_ns: int = 0) -> None:
        self.sent[source] += 1
        type(self).messages += 1
        self.take(self.pipeline.push(source, data, received_ns).results)

    def take(self, results: list[Result]) -> None:
        for result in results:
            if isinstance(result, Event):
                if result.phase is Phase.ONSET:
                    self.began.add(result.sequence)
                else:
                    self.ended.append(result.sequence)

    @rule(count=st.integers(1, 120), struck=st.booleans())
    def motion(self, count: int, struck: bool) -> None:
        self.seed += 1
        chunk = motion(count * 2e-3, (count * 1e-3,) if struck else (), self.seed, self.now_ns)
        for message in chunk:
            self.push(message.source, message.data, message.stamp_ns)
        self.now_ns += count * PERIOD_NS

    @rule(step_ns=STEPS_NS)
    def time_moves(self, step_ns: int) -> None:
        self.now_ns = max(self.now_ns + step_ns, 0) % (2**31 * SECOND)

    @rule(source=SOURCES, step_ns=STEPS_NS, frame=st.sampled_from(("", "imu_link", "x\n\x1b[2J")))
    def stray(self, source: int, step_ns: int, frame: str) -> None:
        stamp_ns = max(self.now_ns + step_ns, 0) % (2**31 * SECOND)
        self.push(source, PACK[source](stamp_ns, frame=frame), self.now_ns)

    @rule(source=SOURCES, values=st.lists(NUMBERS, min_size=6, max_size=6))
    def values(self, source: int, values: list[float]) -> None:
        self.now_ns += PERIOD_NS
        self.push(source, PACK[source](self.now_ns, values), self.now_ns)

    @rule(source=SOURCES, data=st.binary(max_size=400))
    def bytes(self, source: int, data: bytes) -> None:
        self.push(source, data)

    @rule(source=SOURCES, seed=st.integers(0, 2**32), received_ns=st.integers(-1, 2**63 - 1))
    def damaged(self, source: int, seed: int, received_ns: int) -> None:
        random = Random(seed)
        data = bytearray(PACK[source](self.now_ns))
        for _ in range(random.randint(1, 8)):
            data[random.randrange(len(data))] = random.randrange(256)
        self.push(source, bytes(data[: random.randint(0, len(data))] or data), received_ns)

    @rule(off=st.floats(0.01, 0.99), steady=st.integers(1, 64), transient=st.integers(1, 64))
    def parameters(self, off: float, steady: int, transient: int) -> None:
        given = Settings(
            off_score=off, hop_steady=steady, hop_transient=transient, post_roll_s=0.05
        )
        self.pipeline.apply(given)

    @rule(factor=st.sampled_from((0.5, 1.0, 2.0)))
    def another_model(self, factor: float) -> None:
        self.pipeline.use(with_thresholds(small_artifact(), factor), self.take)

    @rule()
    def reset(self) -> None:
        self.take(self.pipeline.reset())
        assert sorted(self.began) == sorted(self.ended)

    @rule()
    def silence(self) -> None:
        self.take(self.pipeline.end_post_rolls())

    @rule()
    def tare(self) -> None:
        with suppress(TaoLoraError):
            self.take(self.pipeline.tare())

    @precondition(lambda self: sum(self.sent) > 1000)
    @rule()
    def calibrate(self) -> None:
        with suppress(TaoLoraError):
            self.pipeline.calibrate()

    @invariant()
    def accounts_add_up(self) -> None:
        type(self).steps += 1
        now: Counter[str] = Counter()
        for sent, account in zip(self.sent, self.pipeline.intake.accounts, strict=True):
            unused = account.unused.total()
            assert account.pending >= 0
            assert account.used >= 0
            assert sent == account.used + account.refused.total() + unused + account.pending
            now[f"{account.name} refused"] = account.refused.total()
            now[f"{account.name} unused"] = unused
            now[f"{account.name} used"] = account.used
        assert not self.before - now, f"a count fell: {self.before - now}"
        self.before = now
        assert self.pipeline.counts.messages == sum(self.sent)

    @invariant()
    def events_end_once(self) -> None:
        assert len(self.ended) == len(set(self.ended))
        assert set(self.ended) <= self.began
        assert len(self.began - set(self.ended)) <= 1

    @invariant()
    def reasons_are_lines(self) -> None:
        for source in self.pipeline.intake.sources:
            assert all(text.isprintable() for text in (source.reason, *source.notices))

    def teardown(self) -> None:
        self.take(self.pipeline.flush())
        assert set(self.ended) == self.began


PipelineMachine.TestCase.settings = settings(max_examples=6, stateful_step_count=30)
TestPipelineMachine = PipelineMachine.TestCase
