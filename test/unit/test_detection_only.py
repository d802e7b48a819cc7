"""An artifact without a network: the router alone, in files, pipeline and commands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from models import SMALL, small_artifact
from recordings import motion

from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.messages.results import Event, Inference, Result
from tao_lora_ros.model.artifact import Artifact, ArtifactError, load_artifact, save_artifact
from tao_lora_ros.model.describe import describe

MESSAGES = motion(4.0, impacts_s=(3.0,))


def bare() -> Artifact:
    return replace(small_artifact(SMALL), model=None, labels=())


def results(artifact: Artifact) -> list[Result]:
    pipeline = Pipeline(Settings(), artifact)
    pipeline.warm()
    out = [result for m in MESSAGES for result in pipeline.push(m.source, m.data).results]
    return out + pipeline.flush()


def test_files_give_it_back(tmp_path: Path) -> None:
    save_artifact(bare(), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.json"]
    found = load_artifact(tmp_path)
    assert (found.model, found.labels, found.channels) == (None, (), bare().channels)
    assert found.calibration == bare().calibration
    assert "detection only" in describe(found)


def test_it_finds_what_the_same_router_finds_beside_a_network() -> None:
    alone, beside = results(bare()), results(small_artifact(SMALL))
    events = [(e.phase, e.onset_ns, e.end_ns, e.peak_score) for e in alone if isinstance(e, Event)]
    assert events
    assert events == [
        (e.phase, e.onset_ns, e.end_ns, e.peak_score) for e in beside if isinstance(e, Event)
    ]
    assert {e.label for e in alone if isinstance(e, Event)} == {""}


def test_scores_are_given_out_without_probabilities() -> None:
    inferences = [result for result in results(bare()) if isinstance(result, Inference)]
    assert len(inferences) > 50
    assert {inference.probabilities for inference in inferences} == {()}
    assert all(np.isnan(inference.forecast_error) for inference in inferences)
    assert max(inference.score for inference in inferences) > 1.0


def test_the_runtime_says_that_there_is_none() -> None:
    runtime = Pipeline(Settings(), bare()).runtime
    assert (runtime.name, runtime.reason) == ("none", "the artifact is for detection only")


def test_a_network_can_be_taken_on_while_running() -> None:
    pipeline = Pipeline(Settings(), bare())
    pipeline.use(small_artifact(SMALL), list)
    assert pipeline.runtime.name != "none"


def test_what_needs_a_network_says_how_to_make_one() -> None:
    with pytest.raises(ArtifactError, match=r"detection only.*tao-lora train"):
        _ = bare().network


@pytest.mark.parametrize("field", ["config", "tensors_sha256"])
def test_half_a_network_is_refused(field: str, tmp_path: Path) -> None:
    save_artifact(small_artifact(SMALL), tmp_path)
    card = tmp_path / "model.json"
    lines = card.read_text()
    card.write_text(lines.replace(f'"{field}"', '"provenance_old"'))
    with pytest.raises(ArtifactError, match=r"model\.json"):
        load_artifact(tmp_path)
