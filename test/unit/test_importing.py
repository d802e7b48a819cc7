"""Foreign tables become bags that read back as what they were."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from commands import tao_lora

from tao_lora_ros.bags.import_layout import Layout
from tao_lora_ros.bags.importing import import_tables
from tao_lora_ros.bags.labels import read_contacts
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.rows import read_run
from tao_lora_ros.engine.settings import Settings

IMU = Settings(wrenches=("",), wrench_lags_s=(0.0,))
TIMES_S = 100.0 + np.arange(50) / 100.0
VALUES = np.random.default_rng(0).normal(size=(50, 6))
TABLE = np.column_stack([TIMES_S, VALUES])
HEADER = "time,ax,ay,az,wx,wy,wz"


def csv(folder: Path, header: str = HEADER, table: np.ndarray = TABLE) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    np.savetxt(folder / "run.csv", table, delimiter=",", header=header, comments="", fmt="%.9f")
    return folder


def imported(source: Path, out: Path, layout: Layout | None = None) -> list[Path]:
    return [bag for bag, _ in import_tables([source], out, layout or Layout())]


def test_a_csv_file_reads_back(tmp_path: Path) -> None:
    source = csv(tmp_path / "tables")
    (source / "run.labels.csv").write_text("start_s,end_s,label\n0.2,0.3,bump\n")
    (bag,) = imported(source, tmp_path / "bags")
    run = read_run(bag, IMU, 100.0)
    np.testing.assert_allclose(run.values, VALUES, atol=1e-6)
    assert [span.label for span in run.spans] == ["free", "bump", "free"]


def test_a_folder_of_each_label_with_files_of_the_same_names(tmp_path: Path) -> None:
    for label in ("walk", "run"):
        csv(tmp_path / "tables" / label).joinpath("run.csv").rename(
            tmp_path / "tables" / label / "1.csv"
        )
    bags = imported(tmp_path / "tables", tmp_path / "bags")
    assert [bag.name for bag in bags] == ["run_1", "walk_1"]
    each = sorted((tmp_path / "tables").iterdir())
    bags = [bag for bag, _ in import_tables(each, tmp_path / "others", Layout())]
    assert [bag.name for bag in bags] == ["run_1", "walk_1"]


def test_the_arrays_of_an_npz_file_read_back(tmp_path: Path) -> None:
    order = [0, 4, 5, 6, 1, 2, 3]
    np.savez(tmp_path / "runs.npz", **{"ICE/00": TABLE[:, order], "SNOW/01": TABLE[:20, order]})
    how = dict(columns="time wx wy wz ax ay az", out=tmp_path / "bags")
    assert tao_lora("import", tmp_path / "runs.npz", **how) == 0
    assert sorted(p.name for p in (tmp_path / "bags").glob("*_*")) == ["ICE_00", "SNOW_01"]
    run = read_run(tmp_path / "bags" / "ICE_00", IMU, 100.0)
    np.testing.assert_allclose(run.values, VALUES, atol=1e-6)


def test_times_that_are_rounded_to_float32_leave_a_sample_a_row(tmp_path: Path) -> None:
    """Those of some minutes jitter about the grid: two samples would be in a row, and none."""
    times_s = (np.arange(20_000) / 100.0).astype(np.float32)
    values = np.random.default_rng(1).normal(size=(20_000, 6))
    np.savez(tmp_path / "run.npz", run=np.column_stack((times_s, values)))
    layout = Layout(columns=tuple(HEADER.split(",")))
    (bag,) = imported(tmp_path / "run.npz", tmp_path / "bags", layout)
    np.testing.assert_allclose(read_run(bag, IMU, 100.0).values, values, rtol=1e-6)


def test_efforts_read_back_by_the_names_of_their_joints(tmp_path: Path) -> None:
    header = "time,effort_elbow,wx,effort_wrist_1,note"
    table = TABLE[:, :5]
    with pytest.raises(BagError, match="column 'ax' is missing beside"):
        imported(csv(tmp_path / "half", header.replace("note", "ay"), table), tmp_path)
    header = header.replace("wx", "temperature")
    (bag,) = imported(csv(tmp_path / "tables", header, table), tmp_path / "bags")
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
    (bag,) = imported(csv(tmp_path / "tables", f"time,{names}"), tmp_path / "bags")
    run = read_run(bag, Settings(imus=("",), imu_lags_s=(0.0,)), 100.0)
    np.testing.assert_allclose(run.values, VALUES, atol=1e-6)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("began,ax,ay,az,wx,wy,wz", "no column 'time'"),
        ("time,ax,ay,b,wx,wy,wz", "column 'az' is missing beside"),
        ("time,a,b,c,d,e,f", "no column of a sensor"),
        ("time,ax,ay,az", "expected 4 numbers a line"),
    ],
)
def test_a_bad_header_is_named(tmp_path: Path, header: str, told: str) -> None:
    with pytest.raises(BagError, match=told):
        imported(csv(tmp_path / "tables", header), tmp_path / "bags")


def test_what_has_no_sensor_is_left_out_and_said(tmp_path: Path) -> None:
    source = csv(tmp_path / "tables")
    (source / "other.csv").write_bytes(b"time,\x1b[2J\n0,1\n")
    ((_, told),) = import_tables([source], tmp_path / "bags", Layout())
    assert told[-1].startswith(f"left out: {source / 'other.csv'}: no column of a sensor")
    assert told[-1].endswith(r"there are: time, \x1b[2J")


def test_times_that_go_back_are_refused(tmp_path: Path) -> None:
    table = TABLE.copy()
    table[7, 0] = 0.0
    with pytest.raises(BagError, match="'time' has to increase"):
        imported(csv(tmp_path / "tables", table=table), tmp_path / "bags")


def test_nothing_to_import_and_bags_that_exist_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BagError, match="no CSV file and no array"):
        imported(tmp_path / "empty", tmp_path / "bags")
    source = csv(tmp_path / "tables")
    imported(source, tmp_path / "bags")
    with pytest.raises(BagError, match="exists already"):
        imported(source, tmp_path / "bags")


def test_arrays_want_names_a_shape_and_no_pickle(tmp_path: Path) -> None:
    np.savez(tmp_path / "runs.npz", run=TABLE)
    with pytest.raises(BagError, match="give them with --columns"):
        imported(tmp_path / "runs.npz", tmp_path / "bags")
    with pytest.raises(BagError, match=r"shape \(50, 7\), expected \[n, 2\]"):
        imported(tmp_path / "runs.npz", tmp_path / "bags", Layout(columns=("time", "ax")))
    np.savez(tmp_path / "pickled.npz", run=np.array([{}], dtype=object))
    with pytest.raises(BagError, match="allow_pickle"):
        imported(tmp_path / "pickled.npz", tmp_path / "bags", Layout(columns=("time",)))


@pytest.mark.parametrize(("axes", "first"), [("ax,ay,az", 0), ("wx,wy,wz", 3)])
def test_an_accelerometer_or_a_gyro_alone_reads_back(tmp_path: Path, axes: str, first: int) -> None:
    here = slice(first, first + 3)
    table = np.column_stack([TIMES_S, VALUES[:, here]])
    (bag,) = imported(csv(tmp_path / "tables", f"time,{axes}", table), tmp_path / "bags")
    values = read_run(bag, IMU, 100.0).values
    np.testing.assert_allclose(values[:, here], VALUES[:, here], atol=1e-6)
    assert np.isnan(np.delete(values, here, axis=1)).all()


def refusal(source: Path, out: Path, columns: tuple[str, ...] = ()) -> str:
    """Why a folder or an NPZ file is refused; nothing is written, not even what is good of it."""
    if source.is_dir():
        np.savetxt(source / "a_good_one.csv", TABLE, delimiter=",", header=HEADER, comments="")
    with pytest.raises(BagError) as caught:
        imported(source, out, Layout(columns=columns))
    assert not out.exists() or not list(out.iterdir())
    assert str(caught.value).isprintable()
    return str(caught.value)


def lines(*rows: str) -> str:
    return "\n".join((HEADER, "0.00,1,2,3,4,5,6", *rows, ""))


BAD_CSV = [
    (lines("0.01,1,2,3,4,5\xb2,6").encode("latin-1"), "line 3: byte 0xb2 is no text"),
    (lines().encode("utf-16"), "line 1: byte 0xff is no text"),
    (lines().encode("utf-16-le"), "line 1: a zero byte is no text"),
    (lines("0.01,1,2,3,4,5," + "6" * 140_000).encode(), "line 3: field larger than field limit"),
    (b"\0" * 100, "line 1: a zero byte"),
    (b"1" * (2 << 20), "line 1: 1048576 bytes and more"),
    (lines("0.01,1,2,3,4,5,abc").encode(), "line 3: column 'wz' is 'abc', expected 7 numbers"),
    (lines("", "0.01,1,2,3,4,5").encode(), "line 4: 6 fields, expected 7 numbers a line"),
    (lines('0.01,1,2,3,4,5,"6').encode(), "line 3: unexpected end of data"),
    (lines("0.01,1,2,3,4,5,6", "0.005,1,2,3,4,5,6").encode(), "row 3 is 0.005 after 0.01"),
    (lines("1e308,1,2,3,4,5,6").encode(), "steps of 1e+308"),
    (lines("nan,1,2,3,4,5,6").encode(), "'time' has to hold seconds"),
    (lines("1e-12,1,2,3,4,5,6").encode(), "less than a nanosecond"),
    (b"time,ax,ax,ay\n1,2,3,4\n", "column 'ax' is there 2 times"),
]


@pytest.mark.parametrize(("data", "told"), BAD_CSV, ids=[told[:20] for _, told in BAD_CSV])
def test_a_bad_file_is_named_with_line_and_field_and_nothing_is_written(
    tmp_path: Path, data: bytes, told: str
) -> None:
    (tmp_path / "tables").mkdir()
    file = tmp_path / "tables" / "run.csv"
    file.write_bytes(data)
    message = refusal(tmp_path / "tables", tmp_path / "bags")
    assert message.startswith(f"{file}: ")
    assert told in message


@pytest.mark.parametrize(("factor", "unit"), [(1e9, "ns"), (1e6, "us")])
def test_times_in_other_units_than_seconds_are_refused_until_the_unit_is_said(
    tmp_path: Path, factor: float, unit: str
) -> None:
    table = TABLE.copy()
    table[:, 0] = factor * (table[:, 0] - 100.0)
    message = refusal(csv(tmp_path / "tables", table=table), tmp_path / "bags")
    assert f"expected seconds; say --time-unit {unit} (100 Hz)?" in message
    (tmp_path / "tables" / "a_good_one.csv").unlink()
    (bag,) = imported(tmp_path / "tables", tmp_path / "bags", Layout(units={"time": unit}))
    np.testing.assert_allclose(read_run(bag, IMU, 100.0).values, VALUES, atol=1e-3)


def test_copies_of_rows_are_left_out_and_other_rows_of_one_time_are_refused(tmp_path: Path) -> None:
    """As a logger makes them that writes the newest message more often than it comes."""
    bags = imported(csv(tmp_path / "copies", table=TABLE.repeat(20, axis=0)), tmp_path / "bags")
    np.testing.assert_allclose(read_run(bags[0], IMU, 100.0).values, VALUES, atol=1e-6)
    coarse = TABLE.copy()
    coarse[:, 0] = coarse[:, 0].round(1)
    with pytest.raises(BagError, match="44 of 50 rows have the time of the row before"):
        imported(csv(tmp_path / "coarse", table=coarse), tmp_path / "others")


def test_rows_that_come_too_seldom_by_the_unit_of_their_times_are_no_milliseconds(
    tmp_path: Path,
) -> None:
    slow = TABLE.copy()
    slow[:, 0] = np.arange(50) * 1.001
    source = csv(tmp_path / "slow", HEADER.replace("time", "Time Elapsed (s)"), slow)
    with pytest.raises(BagError, match="rows come every 1 s, too seldom to find anything in"):
        imported(source, tmp_path / "bags")


def test_a_byte_order_mark_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    file = csv(tmp_path / "tables") / "run.csv"
    rows = file.read_text().splitlines()
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n\r\n".join([*rows, ",,", "", ""]).encode())
    (bag,) = imported(tmp_path / "tables", tmp_path / "bags")
    np.testing.assert_allclose(read_run(bag, IMU, 100.0).values, VALUES, atol=1e-6)


def test_labels_are_checked_before_anything_is_written(tmp_path: Path) -> None:
    source = csv(tmp_path / "tables")
    (source / "run.labels.csv").write_text("start_s,end_s,label\n2,1,bump\n")
    message = refusal(source, tmp_path / "bags")
    assert message.startswith(f"{source / 'run.labels.csv'}: line 2: column 'end_s' is 1")


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "runs.npz", **{"a/b": TABLE, "a_b": TABLE})
    words = tuple(HEADER.split(","))
    assert "another one of the name a_b" in refusal(tmp_path / "runs.npz", tmp_path / "bags", words)


def test_the_name_of_an_array_cannot_leave_the_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "runs.npz", "w") as file:
        buffer = io.BytesIO()
        np.save(buffer, TABLE)
        for name in ("..", "../../x\n\x1b[2J"):
            file.writestr(f"{name}.npy", buffer.getvalue())
    bags = imported(
        tmp_path / "runs.npz", tmp_path / "o" / "bags", Layout(columns=tuple(HEADER.split(",")))
    )
    assert {bag.parent for bag in bags} == {tmp_path / "o" / "bags"}
    assert all(bag.name.isprintable() for bag in bags)


@pytest.mark.parametrize("kept", [0, 1, 30, 500, -1, -30])
def test_a_cut_npz_file_is_refused(tmp_path: Path, kept: int) -> None:
    np.savez(tmp_path / "runs.npz", run=TABLE)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "runs.npz").read_bytes()[:kept])
    message = refusal(tmp_path / "cut.npz", tmp_path / "bags", tuple(HEADER.split(",")))
    assert message.startswith(f"{tmp_path / 'cut.npz'}: not a readable NPZ file: ")


@pytest.mark.parametrize("seed", range(8))
def test_a_spoilt_npz_file_is_read_or_refused(tmp_path: Path, seed: int) -> None:
    """Flags, methods, sizes, checksums: each byte of the archive's own fields in turn."""
    np.savez(tmp_path / "runs.npz", run=TABLE[:3])
    good = (tmp_path / "runs.npz").read_bytes()
    fields = [*range(170), *range(len(good) - 100, len(good))]
    for at in fields[seed::8]:
        data = bytearray(good)
        data[at] ^= 0xFF
        (tmp_path / "spoilt.npz").write_bytes(data)
        with suppress(BagError):
            imported(
                tmp_path / "spoilt.npz",
                tmp_path / f"{at}",
                Layout(columns=tuple(HEADER.split(","))),
            )


def test_a_bag_that_cannot_be_written_is_not_left_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(sources: object, path: Path) -> None:
        path.mkdir()
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("tao_lora_ros.bags.importing.write_bag", fail)
    assert "No space left on device" in refusal(csv(tmp_path / "tables"), tmp_path / "bags")


BAD_LABELS = [
    (b"start_s,label\n", "line 1: no column 'end_s'; there are: start_s, label"),
    (b"start_s,end_s,label\n2,1,a\n", "line 2: column 'end_s' is 1, expected 'start_s' 2 or"),
    (b"start_s,end_s,label\n\nnan,1,a\n", "line 3: column 'start_s' is 'nan', expected seconds"),
    (b"start_s,end_s,label\n1,inf,a\n", "line 2: column 'end_s' is 'inf', expected seconds"),
    (b"start_s,end_s,label\n1,2\n", "line 2: column 'label' is empty, expected a name"),
    (b"start_s,end_s,label\n1\n", "line 2: column 'end_s' is '', expected seconds"),
    (b"start_s,end_s,label\n1,2,a\xff\n", "line 2: byte 0xff is no text"),
    (b"start_s,end_s,label,peak_sigma\n1,2,a,x\n", "column 'peak_sigma' is 'x', expected a number"),
]


@pytest.mark.parametrize(("data", "told"), BAD_LABELS)
def test_bad_labels_are_named_with_line_and_column(tmp_path: Path, data: bytes, told: str) -> None:
    file = tmp_path / "bag.labels.csv"
    file.write_bytes(data)
    with pytest.raises(BagError) as caught:
        read_contacts(tmp_path / "bag")
    assert str(caught.value).startswith(f"{file}: ")
    assert told in str(caught.value)


def recorded(file: Path, first_s: float = 0.0, count: int = 400) -> Path:
    """A table of an accelerometer at 100 Hz."""
    rows = [f"{first_s + i / 100:.3f},0,{i % 7},9.8" for i in range(count)]
    file.write_text("\n".join(["time,ax,ay,az", *rows]))
    return file


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize(
    ("name", "head", "first_s", "times"),
    [
        ("run_labels.csv", "begin,end,label", 0.0, (1, 2)),
        ("run-labels.csv", "start_s;end_s;class", 0.0, (1, 2)),
        ("labels_run.csv", "t0,t1,name", 0.0, (1, 2)),
        ("labels.csv", "start,stop,activity", 0.0, (1, 2)),
        ("run_events.csv", "Onset (s),End (s),event", 5e3, (1, 2)),
        ("run_annotations.csv", "begin,end,label", 5e3, (5001, 5002)),
        ("run_gt.csv", "id,from,to,label", 1.7e9, (1.7e9 + 1, 1.7e9 + 2)),
        ("run_labels.csv", "start_time,end_time,label", 1.7e9, (1.7e12 + 1e3, 1.7e12 + 2e3)),
        ("run.labels.csv", "start_s,end_s,label", 5e3, (1, 2)),
        ("run_labels.csv", "begin_ms,end_ms,label", 5e3, (1e3, 2e3)),
    ],
)
def test_labels_in_a_table_beside_are_used_however_they_are_called(
    tmp_path: Path, name: str, head: str, first_s: float, times: tuple[float, float], asked: bool
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    table, labels = recorded(folder / "run.csv", first_s), folder / name
    sep = ";" if ";" in head else ","
    before = ["3"] if head.startswith("id") else []
    row = sep.join([*before, *(f"{t:.12g}" for t in times), "push"])
    labels.write_text(f"{head}\n{row}\n")
    sources = [table, labels] if asked and name != "run.labels.csv" else [table]
    (found,) = import_tables(sources, tmp_path / "bags", Layout())
    assert found.bag.name == "run"
    (span,) = read_contacts(found.bag)
    assert (span.start_s, span.end_s, span.label) == (pytest.approx(1), pytest.approx(2), "push")
    if name != "run.labels.csv":
        assert f"{labels}: 1 labels" in found.notes


def test_labels_that_may_be_of_several_recordings_or_of_none_are_said(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    both = [recorded(folder / f"run{i}.csv") for i in range(2)]
    labels = folder / "labels.csv"
    labels.write_text("begin,end,label\n1,2,push\n")
    with pytest.raises(BagError, match=r"labels of which recording of 2.*run0_labels\.csv"):
        list(import_tables([folder], tmp_path / "bags", Layout()))
    list(import_tables(both[:1], tmp_path / "bags", Layout()))  # nobody asked for the labels
    assert not read_contacts(tmp_path / "bags" / "run0")
    labels.rename(folder / "walk_labels.csv")
    found = [*import_tables([folder], tmp_path / "other", Layout())]
    assert any("walk_labels.csv: labels, and no recording" in n for f in found for n in f.notes)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("100,200,push", "not within .*run.csv, 5000 to 5003.99 s, nor within its 3.99 s"),
        ("2,1,push", "label 1 is from 2 to 1, expected two times"),
        (",1,push", "label 1 is from nan to 1"),
    ],
)
def test_labels_of_another_time_are_refused(tmp_path: Path, row: str, told: str) -> None:
    table = recorded(tmp_path / "run.csv", 5e3)
    (tmp_path / "run_labels.csv").write_text(f"begin,end,label\n{row}\n")
    with pytest.raises(BagError, match=told):
        list(import_tables([table], tmp_path / "bags", Layout()))
    assert not (tmp_path / "bags").exists()


def test_a_wrench_that_is_not_connected_is_told_of(tmp_path: Path) -> None:
    rows = np.column_stack([np.arange(3000) / 100.0, np.full((3000, 6), 0.25)])
    folder = csv(tmp_path / "data", "time,fx,fy,fz,tx,ty,tz", rows)
    (found,) = import_tables([folder], tmp_path / "bags", Layout())
    assert any("/wrench: does not change, whatever happens: wrench" in n for n in found.notes)
