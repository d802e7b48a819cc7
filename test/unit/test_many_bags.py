"""Commands over many bags give the same by workers, and go on where a bag is bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import small_artifact
from recordings import motion, write_ros2

from tao_lora_ros.cli.main import main
from tao_lora_ros.model.artifact import load_artifact, save_artifact

_WAYS = {"alone": [], "workers": ["--workers", "2"]}  # a process takes seconds to start


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
    for way, words in _WAYS.items():
        out, cache = tmp_path / f"{way}.json", tmp_path / way
        command = ["evaluate", str(made / "model"), str(made / "struck"), *words, "--strict"]
        assert main([*command, "--cache", str(cache), "--json", str(out)]) == 1
        assert capsys.readouterr().err.count("left out: ") == 1
        found[way] = json.loads(out.read_text())
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
    sources = [str(tmp_path / "logs"), str(tmp_path / "logs.npz"), "--columns", "time ax ay az"]
    made = {}
    for way, words in _WAYS.items():
        out = ["--out", str(tmp_path / way), "--json", str(tmp_path / f"{way}.json")]
        assert main(["import", *sources, *out, *words]) == 0
        told = capsys.readouterr().err.splitlines()
        assert [line.startswith("left out: ") for line in told] == [True, True]
        assert "cut.csv: line 52: 2 fields" in told[0]
        assert "empty.csv: " in told[1]
        files = [file for file in sorted((tmp_path / way).rglob("*")) if file.is_file()]
        made[way] = {file.relative_to(tmp_path / way): file.read_bytes() for file in files}
        assert len(json.loads((tmp_path / f"{way}.json").read_text())["failed"]) == 2
    assert {path.parts[0] for path in made["alone"]} >= {"a", "z", "run"}
    assert made["alone"] == made["workers"]


def test_calibrate_by_workers_gives_the_same_and_leaves_out_what_is_bad(
    made: Path, tmp_path: Path
) -> None:
    for way, words in {"alone": [], "worker": ["--workers", "1"]}.items():
        out = ["--out", str(tmp_path / way), "--model", str(made / "model"), "--insist"]
        assert main(["calibrate", str(made / "steady"), *out, *words]) == 0
    one, two = (load_artifact(tmp_path / way) for way in ("alone", "worker"))
    assert one.provenance["calibration_runs"] == ["run_0", "run_1"]
    assert one.calibration == two.calibration
    assert one.calibration != small_artifact().calibration
