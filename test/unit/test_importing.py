"""Foreign tables become bags that read back as what they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tao_lora_ros.bags.importing import import_folder
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.rows import read_run
from tao_lora_ros.cli.main import main
from tao_lora_ros.engine.settings import Settings

IMU = Settings(wrenches=("",), wrench_lags_s=(0.0,))
TIMES_S = 100.0 + np.arange(50) / 100.0
VALUES = np.random.default_rng(0).normal(size=(50, 6))
TABLE = np.column_stack([TIMES_S, VALUES])
HEADER = "time,ax,ay,az,wx,wy,wz"


def csv(folder: Path, header: str = HEADER, table: np.ndarray = TABLE) -> Path:
    folder.mkdir(exist_ok=True)
    np.savetxt(folder / "run.csv", table, delimiter=",", header=header, comments="", fmt="%.9f")
    return folder


def test_a_csv_file_reads_back(tmp_path: Path) -> None:
    source = csv(tmp_path / "tables")
    (source / "run.labels.csv").write_text("start_s,end_s,label\n0.2,0.3,bump\n")
    (bag,) = import_folder(source, tmp_path / "bags")
    run = read_run(bag, IMU, 100.0)
    np.testing.assert_allclose(run.values, VALUES, atol=1e-6)
    assert [span.label for span in run.spans] == ["free", "bump", "free"]


def test_the_arrays_of_an_npz_file_read_back(tmp_path: Path) -> None:
    order = [0, 4, 5, 6, 1, 2, 3]
    np.savez(tmp_path / "runs.npz", **{"ICE/00": TABLE[:, order], "SNOW/01": TABLE[:20, order]})
    words = ["import", str(tmp_path / "runs.npz"), "--out", str(tmp_path / "bags")]
    assert main([*words, "--columns", "time wx wy wz ax ay az"]) == 0
    assert sorted(p.name for p in (tmp_path / "bags").iterdir()) == ["ICE_00", "SNOW_01"]
    run = read_run(tmp_path / "bags" / "ICE_00", IMU, 100.0)
    np.testing.assert_allclose(run.values, VALUES, atol=1e-6)


def test_efforts_read_back_by_the_names_of_their_joints(tmp_path: Path) -> None:
    header = "time,effort_elbow,wx,effort_wrist_1,note"
    table = TABLE[:, :5]
    with pytest.raises(BagError, match="column 'ax' is missing beside"):
        [*import_folder(csv(tmp_path / "half", header.replace("note", "ay"), table), tmp_path)]
    header = header.replace("wx", "temperature")
    (bag,) = import_folder(csv(tmp_path / "tables", header, table), tmp_path / "bags")
    joints = Settings(
        imus=("",),
        wrenches=("",),
        joint_states=("joint_states",),
        joints=("wrist_1, elbow",),
    )
    run = read_run(bag, joints, 100.0)
    np.testing.assert_allclose(run.values, table[:, [3, 1]], atol=1e-6)


def test_a_wrench_alone_is_taken_by_its_long_names(tmp_path: Path) -> None:
    names = "force_x,force_y,force_z,torque_x,torque_y,torque_z"
    (bag,) = import_folder(csv(tmp_path / "tables", f"time,{names}"), tmp_path / "bags")
    run = read_run(bag, Settings(imus=("",), imu_lags_s=(0.0,)), 100.0)
    np.testing.assert_allclose(run.values, VALUES, atol=1e-6)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("t,ax,ay,az,wx,wy,wz", "no column 'time'"),
        ("time,ax,ay,b,wx,wy,wz", "column 'az' is missing beside"),
        ("time,a,b,c,d,e,f", "no column of a sensor"),
        ("time,ax,ay,az", "expected 4 numbers a line"),
    ],
)
def test_a_bad_header_is_named(tmp_path: Path, header: str, told: str) -> None:
    with pytest.raises(BagError, match=told):
        list(import_folder(csv(tmp_path / "tables", header), tmp_path / "bags"))


def test_times_that_go_back_are_refused(tmp_path: Path) -> None:
    table = TABLE.copy()
    table[7, 0] = 0.0
    with pytest.raises(BagError, match="'time' has to increase"):
        list(import_folder(csv(tmp_path / "tables", table=table), tmp_path / "bags"))


def test_nothing_to_import_and_bags_that_exist_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BagError, match="no CSV file and no array"):
        list(import_folder(tmp_path / "empty", tmp_path / "bags"))
    source = csv(tmp_path / "tables")
    list(import_folder(source, tmp_path / "bags"))
    with pytest.raises(BagError, match="exists already"):
        list(import_folder(source, tmp_path / "bags"))


def test_arrays_want_names_a_shape_and_no_pickle(tmp_path: Path) -> None:
    np.savez(tmp_path / "runs.npz", run=TABLE)
    with pytest.raises(BagError, match="give them with --columns"):
        list(import_folder(tmp_path / "runs.npz", tmp_path / "bags"))
    with pytest.raises(BagError, match=r"shape \(50, 7\), expected \[n, 2\]"):
        list(import_folder(tmp_path / "runs.npz", tmp_path / "bags", ["time", "ax"]))
    np.savez(tmp_path / "pickled.npz", run=np.array([{}], dtype=object))
    with pytest.raises(BagError, match="allow_pickle"):
        list(import_folder(tmp_path / "pickled.npz", tmp_path / "bags", ["time"]))


@pytest.mark.parametrize(("axes", "first"), [("ax,ay,az", 0), ("wx,wy,wz", 3)])
def test_an_accelerometer_or_a_gyro_alone_reads_back(tmp_path: Path, axes: str, first: int) -> None:
    here = slice(first, first + 3)
    table = np.column_stack([TIMES_S, VALUES[:, here]])
    (bag,) = import_folder(csv(tmp_path / "tables", f"time,{axes}", table), tmp_path / "bags")
    values = read_run(bag, IMU, 100.0).values
    np.testing.assert_allclose(values[:, here], VALUES[:, here], atol=1e-6)
    assert np.isnan(np.delete(values, here, axis=1)).all()
