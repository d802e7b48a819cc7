"""Progress where nobody sees a bar, and the log of losses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tao_lora_ros.training import progress
from tao_lora_ros.training.losses import LossLog
from tao_lora_ros.training.progress import progress_bar, tracked


class Clock:
    """Time that passes by ten seconds whenever it is asked for."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        self.now_s += 10.0
        return self.now_s


def test_a_file_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "time", Clock())
    with progress_bar("training", 1006) as show:
        for step in range(1001, 1007):  # goes on where it was
            show(step, 0.5)
    assert capsys.readouterr().err.splitlines() == [
        "training: 1003 of 1006, loss 0.5000, 30 s left",
        "training: 1006 of 1006, loss 0.5000, 0 s left",
    ]
    assert list(tracked("abcd", "reading", 4)) == ["a", "b", "c", "d"]
    assert capsys.readouterr().err == "reading: 3 of 4, 10 s left\n"


def test_workers_but_the_first_say_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "time", Clock())
    with progress_bar("training", 9, shown=False) as show:
        for step in range(1, 10):
            show(step, 0.5)
    assert capsys.readouterr().err == ""


def test_losses_are_a_curve_of_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = LossLog(tmp_path / "losses.csv")
    for step in (10, 11, 20):
        log.add(step, 1.0 / step)
    curve = EventAccumulator(str(tmp_path / "tensorboard" / "losses")).Reload().Scalars("loss")
    assert [event.step for event in curve] == [10, 20]
    assert [event.value for event in curve] == pytest.approx([0.1, 0.05])
