"""A calibration of the node is kept for the next start, and for the same model alone."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from tao_lora_ros.model.artifact import default_artifact, load_artifact, save_artifact
from tao_lora_ros.model.card import CARD, ArtifactError
from tao_lora_ros.model.kept_calibration import calibrated_here, keep_calibrated, load_kept


@pytest.fixture
def calibrated():
    artifact = load_artifact(default_artifact())
    thresholds = tuple(value + 1.0 for value in artifact.calibration.thresholds)
    return replace(artifact, calibration=replace(artifact.calibration, thresholds=thresholds))


def test_what_is_kept_is_the_model_with_the_new_calibration(calibrated, tmp_path):
    for _ in range(2):  # the second one replaces the first
        keep_calibrated(calibrated, default_artifact(), tmp_path / "a" / "kept")
    kept = load_kept(default_artifact(), tmp_path / "a" / "kept")
    assert kept.calibration == calibrated.calibration
    assert kept.model.config == calibrated.model.config
    assert calibrated_here(kept)
    assert not calibrated_here(calibrated)


def test_it_is_not_taken_for_another_model(calibrated, tmp_path):
    keep_calibrated(calibrated, default_artifact(), tmp_path / "kept")
    save_artifact(replace(calibrated, version="other"), tmp_path / "other")
    with pytest.raises(ArtifactError, match=r"made from another model .*calibrate anew"):
        load_kept(tmp_path / "other", tmp_path / "kept")


def test_a_folder_that_holds_something_else_is_left_alone(calibrated, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(default_artifact(), model)
    before = (model / CARD).read_bytes()
    with pytest.raises(ArtifactError, match="not touched"):
        keep_calibrated(calibrated, default_artifact(), model)
    assert (model / CARD).read_bytes() == before
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "list.txt").write_text("mine")
    with pytest.raises(ArtifactError):
        keep_calibrated(calibrated, default_artifact(), tmp_path / "notes")
    assert [file.name for file in (tmp_path / "notes").iterdir()] == ["list.txt"]


def test_a_folder_that_cannot_be_made_is_said(calibrated, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="not kept: "):
        keep_calibrated(calibrated, default_artifact(), tmp_path / "file" / "kept")
