"""The pipeline in any order of messages and requests: hypothesis against a model of counters."""

from __future__ import annotations

from collections.abc import Iterator

from faults.test_pipeline_machine import PipelineMachine
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from trust.table import Row

_EXAMPLES_A_SECOND = 5.0


def rows(seconds: float) -> Iterator[Row]:
    """As many examples as take about so many seconds."""
    row, examples = Row("messages and requests in any order"), round(seconds * _EXAMPLES_A_SECOND)
    try:
        run_state_machine_as_test(
            PipelineMachine,
            settings=settings(max_examples=examples, stateful_step_count=60, deadline=None),
        )
    except BaseException as error:
        row.wrong.append(f"{type(error).__name__}: {error}")
    row.injected = row.used = PipelineMachine.messages
    row.said = f"{PipelineMachine.steps} steps of {examples} examples, counters add up after each"
    yield row
