"""What `tao-lora info` says of a model on one screen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from commands import tao_lora

from tao_lora_ros.contact.contact_model import ContactModel
from tao_lora_ros.detection.calibration import uncalibrated
from tao_lora_ros.detection.tail import NEVER
from tao_lora_ros.model.artifact import Artifact, default_artifact, load_artifact, save_artifact
from tao_lora_ros.model.summary import summary

WRENCH, STATIC = tuple(range(6, 12)), 3


@pytest.fixture
def shipped() -> Artifact:
    return load_artifact(default_artifact())


def text(artifact: Artifact) -> str:
    return "\n".join(summary(artifact))


def test_a_screen_and_all_of_it_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert tao_lora("info") == 0
    short = capsys.readouterr().out.splitlines()
    assert len(short) <= 24
    assert max(map(len, short)) <= 120
    assert tao_lora("info", all=True) == 0
    whole = capsys.readouterr().out
    assert "blocks.0.channel_up" in whole
    assert "by window, by label" in whole


def test_what_it_reads_knows_and_scores(
    shipped: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tao_lora("info") == 0
    said = capsys.readouterr().out
    held_out, events = shipped.metrics["held_out"], shipped.metrics["events"]
    for words in (
        f"reads wrench at {shipped.rate_hz:g} rows a second: force_x, force_y",
        f"labels of motion: {', '.join(shipped.labels)}",
        f"names of events: {', '.join(shipped.event_head.names)}",
        f"for {shipped.calibration.alarms_per_hour:g} false alarms an hour",
        "not known what hangs on it",
        f"{held_out['by_window']['accuracy']['mean']:.3f} ± ",
        f"names of {events['events']} events: {events['right']:.3f} right",
    ):
        assert words in said, words


@pytest.mark.parametrize(
    ("thresholds", "hangs", "words"),
    [
        ((0.4, 0.03), 1.0, "9.81 N hang on it; lasting contacts from 0.4 N and 0.03 Nm on"),
        ((0.4, NEVER), 1.0, "9.81 N hang on it; lasting contacts from 0.4 N on"),
        ((NEVER, NEVER), 0.0, "; no lasting contacts"),
    ],
)
def test_what_hangs_on_a_wrench(shipped: Artifact, thresholds, hangs, words) -> None:
    gains = tuple(tuple(hangs * (row == column) for column in range(STATIC)) for row in range(6))
    known = ContactModel(WRENCH, (0, 1, 2), (), gains, thresholds, (0.1, 0.01))
    assert f"wrench: expected by imu{', ' * bool(hangs)}{words}" in text(
        replace(shipped, contacts=(known,))
    )


def test_without_thresholds_it_says_how_to_get_them(shipped: Artifact) -> None:
    none = uncalibrated(shipped.channels, shipped.rate_hz)
    said = text(replace(shipped, calibration=none))
    assert "thresholds: not calibrated, no event is found" in said
    assert "tao-lora calibrate" in said


def test_a_head_that_does_not_know_what_is_unlike(shipped: Artifact) -> None:
    older = replace(shipped.event_head, likeness=None)
    assert "named all the same" in text(replace(shipped, event_head=older))


def test_provenance_of_any_form_is_no_error(shipped: Artifact, tmp_path: Path) -> None:
    """A card is a file that anyone may write."""
    bare = replace(shipped, provenance={"training_runs": 3, "calibration_runs": ["a", "b"]})
    save_artifact(replace(bare, metrics={}), tmp_path)
    said = text(load_artifact(tmp_path))
    assert "made by: tao-lora calibrate on a, b" in said
