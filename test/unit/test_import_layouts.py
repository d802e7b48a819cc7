"""CSV files as loggers of many kinds write them, and what a user says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import tao_lora

from tao_lora_ros.bags.column_names import Column
from tao_lora_ros.bags.columns import columns_of
from tao_lora_ros.bags.foreign_units import factor_of
from tao_lora_ros.bags.import_layout import FILE, Layout, load_layout, save_layout, with_columns
from tao_lora_ros.bags.importing import import_tables
from tao_lora_ros.bags.labels import read_contacts
from tao_lora_ros.bags.opening import open_bag
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.rows import read_run
from tao_lora_ros.engine.settings import Settings

G = 9.80665
TIMES_S = np.arange(40) / 100.0
ACCEL = np.random.default_rng(0).normal(size=(40, 3))
GYRO = np.random.default_rng(1).normal(size=(40, 3))
EPOCH_S = 1_708_857_503
IMU = Settings(wrenches=("",), wrench_lags_s=(0.0,))


def table(header: str, *columns: np.ndarray, sep: str = ",", fmt: str = "%.9g") -> str:
    lines = [sep.join(fmt % cell for cell in row) for row in np.column_stack(columns)]
    return "\n".join([header, *lines, ""])


def decimal_comma(text: str) -> str:
    return text.replace(".", ",")


PHONE = {
    name: table(
        "time,seconds_elapsed,z,y,x",
        1e3 * (EPOCH_S + TIMES_S),
        TIMES_S,
        values[:, ::-1],
        fmt="%.13g",
    )
    for name, values in (("TotalAcceleration.csv", ACCEL), ("Gyroscope.csv", GYRO))
}
PX4 = table(
    "timestamp,gyro_rad[0],gyro_rad[1],gyro_rad[2],gyro_integral_dt,accelerometer_m_s2[0],"
    "accelerometer_m_s2[1],accelerometer_m_s2[2]",
    *(1e6 * TIMES_S, GYRO, 0 * TIMES_S, ACCEL),
)
ROSTOPIC = table(
    "%time,field.header.stamp,field.angular_velocity.x,field.angular_velocity.y,"
    "field.angular_velocity.z,field.angular_velocity_covariance0,field.linear_acceleration.x,"
    "field.linear_acceleration.y,field.linear_acceleration.z",
    *(1e9 * TIMES_S**2, 1e9 * TIMES_S, GYRO, 0 * TIMES_S, ACCEL),
)
PHYPHOX = {
    f"{name}.csv": decimal_comma(
        table(";".join(f'"{name} {axis} ({unit})"' for axis in "xyz"), values, sep=";")
    )
    for name, unit, values in (("Acceleration", "m/s^2", ACCEL), ("Gyroscope", "rad/s", GYRO))
}
PHYPHOX = {
    name: "\n".join(
        [
            f'"Time (s)";{head}',
            *(f"{decimal_comma(f'{t:g}')};{row}" for t, row in zip(TIMES_S, rows, strict=True)),
        ]
    )
    for name, text in PHYPHOX.items()
    for head, *rows in [text.splitlines()]
}
EXCEL = "\r\n".join(
    [
        "\ufeffsep=;",
        "Measured on Monday;by hand",
        "Stamp;Acc X;Acc Y;Acc Z;Gx;Gy;Gz;Remark",
        "ms;g;g;g;deg/s;deg/s;deg/s;",
        *(
            ";".join(
                [f"{1e3 * (EPOCH_S + t):.13g}", *(decimal_comma(f"{v:.9g}") for v in row), '"a; b"']
            )
            for t, row in zip(TIMES_S, np.hstack((ACCEL / G, np.degrees(GYRO))), strict=True)
        ),
    ]
)
DATES = table(
    "t,acc_x,acc_y,acc_z,gyro_x_dps,gyro_y_dps,gyro_z_dps", TIMES_S, ACCEL, np.degrees(GYRO)
)
DATES = "\n".join(
    f"2024-02-25T10:05:03.{line[2:].partition(',')[0].ljust(6, '0')}Z,{line.partition(',')[2]}"
    if line[0] == "0"
    else line
    for line in DATES.replace("\n0,", "\n0.00,").splitlines()
)
SIX_OF_AN_IMU = {name: i for i, name in enumerate(("ax", "ay", "az", "wx", "wy", "wz"))}
SIX_OF_A_LOAD = {name: i for i, name in enumerate(("fx", "fy", "fz", "tx", "ty", "tz"))}
EUROC = table(
    "#timestamp [ns],w_RS_S_x [rad s^-1],w_RS_S_y [rad s^-1],w_RS_S_z [rad s^-1],"
    "a_RS_S_x [m s^-2],a_RS_S_y [m s^-2],a_RS_S_z [m s^-2]",
    *(1e9 * TIMES_S, GYRO, ACCEL),
)
ROS2 = table(
    "header.stamp.sec,header.stamp.nanosec,x_acc,y_acc,z_acc,ang_vel_x,ang_vel_y,ang_vel_z",
    *(EPOCH_S + np.arange(70, 110) // 100, np.arange(70, 110) % 100 * 1e7, ACCEL, GYRO),
    fmt="%.13g",
)
KINDS = {
    "EuRoC": ({"data.csv": EUROC}, Layout()),
    "times in two columns, axes first": ({"a.csv": ROS2}, Layout()),
    "g-force": (
        {"a.csv": table("millis,gFx,gFy,gFz,gx,gy,gz", 1e3 * TIMES_S, ACCEL / G, GYRO)},
        Layout(),
    ),
    "phone, a file a sensor": (PHONE, Layout()),
    "phone, with the unit of its times": (PHONE, Layout(units={"time": "ms"})),
    "PX4": ({"log_0.csv": PX4}, Layout(units={"time": "us"})),
    "rostopic": ({"imu.csv": ROSTOPIC}, Layout(units={"time": "ns"})),
    "semicolons and decimal commas": (PHYPHOX, Layout()),
    "Excel with remarks and units": ({"a.csv": EXCEL}, Layout(renames={"time": "Stamp"})),
    "dates": ({"a.csv": DATES}, Layout()),
    "spaces, no times": (
        {"a.csv": table("# ax ay az wx wy wz", ACCEL, GYRO, sep="  ")},
        Layout(rate_hz=100.0),
    ),
    "no header, counts": (
        {"a.csv": table("1,2,3,4,5,6,7", np.arange(40), ACCEL * 100, GYRO)},
        Layout(
            columns=("_", "ax", "ay", "az", "wx", "wy", "wz"),
            rate_hz=100.0,
            units={"accel": "0.01"},
        ),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_logger_s_files_read_back(tmp_path: Path, kind: str) -> None:
    files, layout = KINDS[kind]
    source = tmp_path / "walk"
    source.mkdir()
    for name, text in files.items():
        (source / name).write_text(text, encoding="utf-8")
    ((bag, told),) = import_tables([source], tmp_path / "bags", layout)
    values = read_run(bag, IMU, 100.0).values[-40:]
    np.testing.assert_allclose(values, np.hstack((ACCEL, GYRO)), atol=1e-5)
    assert not any("left out" in line for line in told)


def test_sensors_of_different_rates_make_one_bag(tmp_path: Path) -> None:
    slow = np.sin(np.arange(20) / 50.0 + 0.003)
    (tmp_path / "run_accel.csv").write_text(table("t,x,y,z", TIMES_S, ACCEL))
    (tmp_path / "run_gyro.csv").write_text(
        table("t,x,y,z", np.arange(20) / 50.0 + 0.003, *[slow] * 3)
    )
    (tmp_path / "run_wrench.csv").write_text(table("t,fz", np.arange(80) / 200.0, np.ones(80)))
    (tmp_path / "other_accel.csv").write_text(table("t,x,y,z", TIMES_S, ACCEL))
    bags = {bag.name: bag for bag, _ in import_tables([tmp_path], tmp_path / "bags", Layout())}
    assert sorted(bags) == ["other_accel", "run"]
    values = read_run(bags["run"], Settings(), 100.0).values[1:38]
    np.testing.assert_allclose(values[:, :3], ACCEL[1:38], atol=1e-6)
    np.testing.assert_allclose(values[:, 3], np.sin(TIMES_S[1:38]), atol=1e-4)
    assert (values[:, 8] == 1.0).all()
    assert np.isnan(values[:, [6, 7, 9, 10, 11]]).all()


def test_an_empty_cell_is_absent(tmp_path: Path) -> None:
    text = table("time,ax,ay,az,wx,wy,wz", TIMES_S, ACCEL, GYRO)
    rows = text.splitlines()
    rows[11] = ",".join([*rows[11].split(",")[:4], "", "", "NaN"])
    (tmp_path / "a.csv").write_text("\n".join(rows))
    ((bag, _),) = import_tables([tmp_path], tmp_path / "bags", Layout())
    values = read_run(bag, IMU, 100.0).values
    np.testing.assert_allclose(values[:, :3], ACCEL, atol=1e-6)
    assert np.isnan(values[10, 3:]).all()
    assert np.isfinite(np.delete(values, 10, axis=0)).all()


def test_a_layout_is_saved_and_used_again(tmp_path: Path) -> None:
    labels = np.repeat([0, 1, 0, 2], 10)
    (tmp_path / "a.csv").write_text(
        table("0,1,2,3", np.arange(40), ACCEL, labels).partition("\n")[2]
    )
    how = dict(columns="_ ax ay az label", rate_hz=100, unit="accel=g", out=tmp_path / "one")
    labels = ["--label=0=stable", "--label=1=slip"]
    assert tao_lora("import", tmp_path / "a.csv", *labels, **how) == 0
    layout = tmp_path / "one" / FILE
    assert tao_lora("import", tmp_path / "a.csv", layout=layout, out=tmp_path / "two") == 0
    one, two = (read_run(tmp_path / out / "a", IMU, 100.0) for out in ("one", "two"))
    np.testing.assert_array_equal(one.values, two.values)
    np.testing.assert_allclose(one.values[:, :3], G * ACCEL, atol=1e-5)
    assert one.spans == two.spans
    assert [(s.first, s.label) for s in one.spans] == [
        (0, "stable"),
        (10, "slip"),
        (20, "stable"),
        (30, "2"),
    ]
    assert len(read_contacts(tmp_path / "two" / "a")) == 4


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("ax,imu_acc_x", {"ax": 0}),
        ("user acceleration X (G),gravity X (G)", {"ax": 0}),
        ("time,timestamp,seconds_elapsed", {"time": 0}),
        ("gx,gy,mx", {}),
        ("gx (dps),gx_bias", {"wx": 0}),
        (
            "wrench.torque.x,force[2],effort_elbow,TimeUS",
            {"tx": 0, "fz": 1, "effort_elbow": 2, "time": 3},
        ),
        ("angularVelocityZ,rotationRateX", {"wz": 0, "wx": 1}),
        # by number: from 0 or 1, three axes, six of a load, else joints; one family a meaning
        ("acc_1,acc_2,acc_3", {"ax": 0, "ay": 1, "az": 2}),
        ("xyz[0],xyz[1],xyz[2]", {}),
        ("gyroADC[0],gyroADC[1],gyroADC[2]", {"wx": 0, "wy": 1, "wz": 2}),
        (
            ",".join(f"actual_TCP_force_{i}" for i in range(6)),
            SIX_OF_A_LOAD,
        ),
        (
            ",".join(f"tau_ext_{i},tau_{i}" for i in range(7)),
            {f"effort_joint_{i}": 2 * i + 1 for i in range(7)},
        ),
        (
            ",".join(f"target_moment_{i},joint{i}_torque" for i in range(1, 7)),
            {f"effort_joint_{i}": 2 * i - 1 for i in range(1, 7)},
        ),
        ("acc_0,acc_1,acc_2,acc_3", {}),
        ("cmd_force_x,desired_acceleration_y", {}),
        # by what is beside them
        ("Fx,Fy,Fz,Mx,My,Mz", SIX_OF_A_LOAD),
        ("ax,ay,az,mx,my,mz", {"ax": 0, "ay": 1, "az": 2}),
        (
            "ax,ay,az,gx,gy,gz",
            SIX_OF_AN_IMU,
        ),
        ("header.stamp.sec,header.stamp.nanosec", {"time": 0}),
        ("mx,my,fz", {"tx": 0, "ty": 1, "fz": 2}),
        ("t_sec,Fx_1,Fy_1,Fz_1,Mx_1 (Nm)", {"time": 0, "fx": 1, "fy": 2, "fz": 3, "tx": 4}),
        ("Fx1,Fx2", {}),
        ("f_x,f_y,f_z,w_x,w_y,w_z", dict(ax=0, ay=1, az=2, wx=3, wy=4, wz=5)),
        ("f_x,f_y,f_z,t_x,w_x,w_y,w_z", dict(fx=0, fy=1, fz=2, tx=3, wx=4, wy=5, wz=6)),
        # otherwise spelt, where the quantity has no better name
        ("gFx,gFy,gFz", {"ax": 0, "ay": 1, "az": 2}),
        ("xacc,y_acc,Acceleration Z-axis,ang_vel_x", {"ax": 0, "ay": 1, "az": 2, "wx": 3}),
        ("w_RS_S_x [rad s^-1],a_RS_S_z [m s^-2]", {"wx": 0, "az": 1}),
        ("acc_raw_x,ax", {"ax": 1}),
        ("gyro_bias_x,millis", {"time": 1}),
    ],
)
def test_names_of_columns(header: str, found: dict[str, int]) -> None:
    columns = columns_of("t", header.split(","), "run", Layout())
    assert {name: column.at for name, column in columns.items()} == found


@pytest.mark.parametrize(
    ("quantity", "unit", "factor"),
    [
        *(("accel", "m/s²", 1.0), ("accel", "mg", G / 1e3), ("accel", "2.5e-3", 2.5e-3)),
        *(("gyro", "°/s", np.pi / 180), ("gyro", "rpm", np.pi / 30), ("force", "kN", 1e3)),
        *(("torque", "N·m", 1.0), ("torque", "lbf-in", 0.1129848), ("time", "µs", 1e-6)),
    ],
)
def test_units(quantity: str, unit: str, factor: float) -> None:
    assert factor_of(quantity, unit) == pytest.approx(factor)


def refused(folder: Path, text: str, layout: Layout, name: str = "a.csv") -> str:
    (folder / name).write_text(text)
    with pytest.raises(BagError) as caught:
        list(import_tables([folder], folder / "bags", layout))
    return str(caught.value)


GOOD = table("time,ax,ay,az", TIMES_S, ACCEL)


@pytest.mark.parametrize(
    ("text", "layout", "told"),
    [
        (GOOD, Layout(renames={"wx": "gyr"}), "--columns: no file has a column 'gyr'; there are: "),
        (GOOD, Layout(renames={"vx": "ax"}), "no column is called 'vx'; expected time, label, ax"),
        (GOOD.replace("ax", "ax (furlong)"), Layout(), "unknown unit; give it with --unit accel=U"),
        (GOOD.replace("time", "time (days)"), Layout(), "unknown unit; give it with --time-unit U"),
        (GOOD.replace("ay", "acc_x"), Layout(), "column 'ay' is missing beside ['ax', 'az']"),
        (GOOD.replace("time,ax", "acc_x,acc2_acc_x"), Layout(), "may both be 'ax': choose with"),
        (GOOD.partition("\n")[2], Layout(), "no column names; give them with --columns"),
        (GOOD[:-20], Layout(), "line 41: 3 fields, expected 4 numbers a line; is it cut off?"),
        ("", Layout(), "it is empty"),
        (
            table("time,ax,ay,az", TIMES_S // 0.05, ACCEL),
            Layout(),
            "rounded too coarsely? Say --rate-hz",
        ),
        (  # seconds of a simulation in ns, which are these decades' in ms
            table("time,ax,ay,az", 1e9 * (1100.0 + TIMES_S), ACCEL, fmt="%.14g"),
            Layout(),
            "expected seconds; say --time-unit ns (100 Hz)",
        ),
        (
            "a,b\n1,2\n",
            Layout(),
            "no column of a sensor; name them with --columns, such as ax=NAME",
        ),
    ],
)
def test_what_will_not_do_is_said_with_the_remedy(
    tmp_path: Path, text: str, layout: Layout, told: str
) -> None:
    message = refused(tmp_path, text, layout)
    assert told in message
    assert "\n" not in message


def test_what_may_be_labels_is_asked(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,ax,ay,az,Target Name\n0,0,0,9.8,up\n0.01,0,0,9.8,up\n")
    ((_, notes),) = import_tables([tmp_path / "a.csv"], tmp_path / "bags", Layout())
    assert notes[0].endswith(
        "not used: Target Name; labels? --columns label=Target Name takes them"
    )


@pytest.mark.parametrize(
    ("name", "head", "told"),
    [
        ("a.ulg", b"ULog\x01\x12\x35\x01", "a PX4 log, ulog2csv"),
        ("a.bin", b"\xa3\x95\x80\x80", "an ArduPilot log, mavlogdump.py --format csv"),
        ("a.csv", b"PK\x03\x04\x14", "an Excel or ZIP file, save it as CSV, or unpack it"),
        ("a.csv", b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS, fetch"),
        ("a.mat", b"MATLAB 5.0 MAT-file", "a MATLAB file, write its arrays as CSV or NPZ"),
        ("a.csv", b"#ROSBAG V2.0\n", "a ROS 1 bag, it needs no import: tao-lora replay "),
        ("a.csv", b"\x89MCAP0\r\n", "an mcap bag, it needs no import: tao-lora replay "),
    ],
)
def test_what_is_no_table_is_named_with_the_remedy(
    tmp_path: Path, name: str, head: bytes, told: str
) -> None:
    (tmp_path / name).write_bytes(head + bytes(64))
    with pytest.raises(BagError) as caught:
        list(import_tables([tmp_path / name], tmp_path / "bags", Layout()))
    assert f"{tmp_path / name}: {told}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"time,ax\n", "a table, tao-lora import "),
        ("a.ulg", b"ULog\x01\x12\x35\x01", "a PX4 log, ulog2csv"),
        ("a.bag", b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS, fetch"),
        ("a.bag", b"1459.63 0.0021184 -0.000134088\n", "a table, tao-lora import "),
        ("a.csv", b"#ROSBAG V2.0\n", ""),
    ],
)
def test_what_is_no_bag_is_named_with_the_remedy(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BagError) as caught:
        open_bag(tmp_path / name)
    assert f"{tmp_path / name}: not a readable bag: {told}" in str(caught.value)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a_acc.csv").write_text(GOOD)
    later = table("time,wx,wy,wz", EPOCH_S + TIMES_S, GYRO, fmt="%.13g")
    assert "not one clock, or not one recording" in refused(tmp_path, later, Layout(), "a_gyro.csv")
    assert "accel is in" in refused(tmp_path, GOOD, Layout(), "a_gyro.csv")
    apart = Layout(merge="(.*)")
    assert len(list(import_tables([tmp_path], tmp_path / "bags", apart))) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("units: {accel: furlong}", "unit 'furlong' of accel: expected m/s^2"),
        ("units: {speed: g}", "unit of 'speed': expected one of time, accel"),
        ("units: g", "units is 'g', expected names with values"),
        ("rate_hz: fast", "rate_hz is 'fast', expected a number"),
        ("rate_hz: -1", "rate_hz is -1, expected rows a second"),
        ("merge: '('", "merge is '('"),
        ("merge: a", "merge is 'a', expected a group ( )"),
        ("column: [a]", "'column' is unknown, expected columns, renames, units"),
        ("[a]", "no mapping, expected columns"),
        ("a: [", "not YAML"),
    ],
)
def test_a_bad_layout_is_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(BagError) as caught:
        load_layout(tmp_path / FILE)
    assert str(caught.value).startswith(f"{tmp_path / FILE}: ")
    assert told in str(caught.value)


def test_columns_are_named_by_place_or_by_name(tmp_path: Path) -> None:
    assert with_columns(Layout(), "time ax _").columns == ("time", "ax", "_")
    layout = with_columns(Layout(units={"accel": "g"}), "time=stamp  ax=Acc X (g) effort_a=b")
    assert layout.renames == {"time": "stamp", "ax": "Acc X (g)", "effort_a": "b"}
    save_layout(layout, tmp_path / FILE)
    assert load_layout(tmp_path / FILE) == layout
    found = columns_of("t", ["stamp", "Acc X (g)"], "run", layout)
    assert found["ax"] == Column("ax", 1, "Acc X (g)", "g")
