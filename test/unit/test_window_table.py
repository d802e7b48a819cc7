"""`tao-lora replay --windows`: a row a window, with the state that holds from it on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from commands import tao_lora
from models import replayed, small_artifact
from recordings import motion, write_ros2

from tao_lora_ros.model.artifact import save_artifact
from tao_lora_ros.model.label_filter import LabelFilter

parquet = pytest.importorskip("pyarrow.parquet")


def test_a_row_says_what_its_window_did(tmp_path: Path) -> None:
    artifact = replace(small_artifact(), label_filter=LabelFilter(20.0, 0.2, 1.0))
    bag = write_ros2(tmp_path / "bag", motion(2.0, (0.8,)))
    save_artifact(artifact, tmp_path / "model")
    file = tmp_path / "windows.parquet"
    assert tao_lora("replay", bag, model=tmp_path / "model", windows=file) == 0
    table = parquet.read_table(file).to_pylist()
    found, _ = replayed(bag, artifact)
    assert [row["end_ns"] for row in table] == [i.window_end_ns for i in found.inferences]
    assert {row["path"] for row in table} == {"steady", "transient"}
    changes = {state.inference.window_end_ns: state.label for state in found.states}
    assert changes
    state = None
    for row, inference in zip(table, found.inferences, strict=True):
        state = changes.get(row["end_ns"], state)
        assert row["state"] == state
        assert row["probabilities"] == list(inference.probabilities)
        assert row["label"] == row["labels"][row["probabilities"].index(max(row["probabilities"]))]
        assert row["time_s"] == (row["end_ns"] - found.first_stamp_ns) * 1e-9
    assert table[0]["forecast_error"] is None  # none has come due
    assert table[-1]["forecast_error"] == found.inferences[-1].forecast_error
