"""A slice of `make trust` on a live node; the whole takes a quarter of an hour."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")
pytestmark = [pytest.mark.ros, pytest.mark.slow]
SLICE = (
    "NaN in one axis",
    "gyro no longer reported",
    "saturated",
    "stray stamps, 1 s ahead",
    "frame that forges a log line",
)


def test_what_is_injected_is_counted_said_and_recovered_from(wire, tmp_path: Path) -> None:
    from trust.samples import rows
    from trust.stream_faults import FAULTS

    chosen = [fault for fault in FAULTS if fault.name in SLICE]
    assert len(chosen) == len(SLICE)
    for row in rows(wire, tmp_path, chosen):
        assert not row.wrong, (str(row), row.wrong)
        assert row.injected


def test_a_row_that_does_not_add_up_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    from trust.table import Row, show

    row = Row("a fault", injected=3, used=1, refused={"odd": 1}, lost=1)
    row.check(not row.lost, "1 message is in no count")
    assert show([row, Row("another")]) == 1
    out = capsys.readouterr().out
    assert "| a fault | 3 | 1 | odd 1 | 1 | - | - |" in out
    assert "WRONG: a fault: 1 message is in no count" in out


def test_robots_are_told_apart_in_diagnostics(wire, tmp_path: Path) -> None:
    from trust.processes import two_robots

    row = two_robots(wire, tmp_path)
    assert not row.wrong
    assert row.used == 2
