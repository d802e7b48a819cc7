"""Commands over many bags give the same by workers, and go on where a bag is bad."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import json_of, tao_lora
from models import small_artifact
from recordings import motion, write_ros2

from tao_lora_ros.model.artifact import load_artifact, save_artifact

_WAYS = {"alone": {}, "workers": {"workers": 2}}  # a process takes seconds to start


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and folders of bags whose first one is cut off."""
    folder = tmp_path_factory.mktemp("many")
    save_artifact(small_artifact(), folder / "model")
    for kind, strikes in (("struck", [0.8, 1.2]), ("steady", [])):
        (folder / kind / "a_cut").mkdir(parents=True)
        (folder / kind / "a_cut" / "a_cut.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(100))
        seconds = 1.5 if strikes else 6.0
        for seed in range(2):
            write_ros2(folder / kind / f"run_{seed}", motion(seconds, strikes, seed))
    for seed, label in enumerate(small_artifact().labels[:2]):
        labels = f"start_s,end_s,label\n0.8,0.9,{label}\n1.2,1.3,{label}\n"
        (folder / "struck" / f"run_{seed}.labels.csv").write_text(labels)
    return folder


def test_evaluate_by_workers_gives_the_same_and_leaves_out_what_is_bad(
    made: Path, tmp_path: Path, capsys: Any
) -> None:
    found, rows = {}, {}
    for way, how in _WAYS.items():
        cache, words = tmp_path / way, ("evaluate", made / "model", made / "struck")
        found[way] = json_of(*words, status=1, **how, strict=True, cache=cache)
        assert capsys.readouterr().err.count("left out: ") == 1
        rows[way] = {file.name: file.read_bytes() for file in cache.iterdir()}
    assert found["alone"] == found["workers"]
    assert rows["alone"] == rows["workers"]
    assert found["alone"]["events"]["events"] > 0
    (reason,) = found["alone"]["failed"].values()
    assert "a_cut: not a readable bag" in reason


def test_import_by_workers_gives_the_same_and_leaves_out_what_is_bad(
    tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "logs").mkdir()
    lines = [f"{i / 100},{i},0,9.8" for i in range(50)]
    for name, rows in (("a", lines), ("cut", [*lines, "0.5,1"]), ("empty", None), ("z", lines)):
        text = "" if rows is None else "\n".join(["time,ax,ay,az", *rows])
        (tmp_path / "logs" / f"{name}.csv").write_text(text)
    np.savez(tmp_path / "logs.npz", run=np.loadtxt(lines, delimiter=","))
    sources = [tmp_path / "logs", tmp_path / "logs.npz"]
    made = {}
    for way, how in _WAYS.items():
        found = json_of("import", *sources, columns="time ax ay az", out=tmp_path / way, **how)
        assert len(found["failed"]) == 2
        told = capsys.readouterr().err.splitlines()
        assert [line.startswith("left out: ") for line in told] == [True, True]
        assert "cut.csv: line 52: 2 fields" in told[0]
        assert "empty.csv: " in told[1]
        files = [file for file in sorted((tmp_path / way).rglob("*")) if file.is_file()]
        made[way] = {file.relative_to(tmp_path / way): file.read_bytes() for file in files}

    assert {path.parts[0] for path in made["alone"]} >= {"a", "z", "run"}
    assert made["alone"] == made["workers"]


def test_calibrate_by_workers_gives_the_same_and_leaves_out_what_is_bad(
    made: Path, tmp_path: Path
) -> None:
    for way, how in {"alone": {}, "worker": {"workers": 1}}.items():
        how |= {"model": made / "model", "insist": True, "out": tmp_path / way}
        assert tao_lora("calibrate", made / "steady", **how) == 0
    one, two = (load_artifact(tmp_path / way) for way in ("alone", "worker"))
    assert one.provenance["calibration_runs"] == ["run_0", "run_1"]
    assert one.calibration == two.calibration
    assert one.calibration != small_artifact().calibration
