"""Many bags into tables: the same as one by one, gone on with after whatever happened."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from commands import complaint, tao_lora
from fleets.items import refuse, square
from fleets.tables import Here, content
from models import replayed, small_artifact
from recordings import motion, write_ros1, write_ros2

from tao_lora_ros.bags.reader import WHOLE
from tao_lora_ros.bags.replay import Chosen
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.fleet.columns import WindowRows, event_row
from tao_lora_ros.fleet.errors import FleetError
from tao_lora_ros.fleet.find import find_bags
from tao_lora_ros.fleet.remote import fetch
from tao_lora_ros.fleet.run import Run, replay_all
from tao_lora_ros.fleet.table import Table, read_rows
from tao_lora_ros.fleet.task import How
from tao_lora_ros.fleet.workers import LocalWorkers, done
from tao_lora_ros.messages.results import Phase
from tao_lora_ros.model.artifact import save_artifact

parquet = pytest.importorskip("pyarrow.parquet")
ROOT = Path(__file__).resolve().parents[2]
DAY_NS = 86_400_000_000_000


def choose(bag: Path) -> Chosen:
    return Chosen(Settings(), {}, small_artifact())


HOW = How(choose, "small", WHOLE, windows=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two robots, two days, a ROS 1 bag, and a bag that is cut short."""
    folder = tmp_path_factory.mktemp("fleet")
    for robot in ("left", "right arm"):
        (folder / robot).mkdir()
    write_ros2(folder / "left" / "monday", motion(1.3, [0.7, 1.1], seed=1))
    later = motion(1.0, [0.7], seed=2, start_ns=1_700_000_000_000_000_000 + DAY_NS)
    write_ros1(folder / "left" / "tuesday.bag", later)
    write_ros2(folder / "right arm" / "monday", motion(1.0, [0.8], seed=3))
    (folder / "right arm" / "cut.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(100))
    return folder


@pytest.fixture(scope="module")
def table(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all tests may read of these bags."""
    folder = tmp_path_factory.mktemp("table") / "t"
    told = run(made, folder)
    assert (told.bags, told.finished, told.events, told.failed) == (4, 4, 4, 1)
    return folder


@pytest.fixture
def bags(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "bags"))


def run(bags: Path, table: Path, how: How = HOW) -> Run:
    return replay_all(find_bags([str(bags)]), how, table, Here.opened)


def rows(table: Path, name: str = "events") -> list[dict[str, Any]]:
    """All but how long it took."""
    found = parquet.read_table(table / name).to_pylist()
    kept = [{k: v for k, v in row.items() if k != "seconds"} for row in found]
    return sorted(kept, key=lambda row: json.dumps(row, default=str))


def test_tables_hold_what_single_replays_give(made: Path, table: Path) -> None:
    events, windows = [], []
    for bag in ("left/monday", "left/tuesday.bag", "right arm/monday"):
        result, _ = replayed(made / bag, small_artifact(), Settings(backend="cpu"))
        of = {"bag": str(made / bag)}
        ended = [e for e in result.events if e.phase is Phase.END]
        events += [of | event_row(event) for event in ended]
        made_of = WindowRows(small_artifact().labels)
        windows += [of | row for row in made_of.of(result.inferences, result.first_stamp_ns)]
    assert len(events) == 4
    found = rows(table)
    key = lambda row: (row["bag"], row["onset_ns"])  # noqa: E731
    for row, event in zip(sorted(found, key=key), sorted(events, key=key), strict=True):
        assert row | event == row
        assert len(row["bag_sha256"]) == 64
    stored = rows(table, "windows")
    key = lambda row: (row["bag"], row["stamp_ns"])  # noqa: E731
    for row, window in zip(sorted(stored, key=key), sorted(windows, key=key), strict=True):
        assert row | window == row


def test_a_bag_is_a_row_whatever_became_of_it(table: Path) -> None:
    found = {Path(row["bag"]).name: row for row in rows(table, "bags")}
    good = {row["robot"] for row in found.values() if row["error"] is None}
    assert good == {"left", "right arm"}
    assert "not a readable bag" in found["cut.mcap"]["error"]
    tuesday = found["tuesday.bag"]
    assert (tuesday["day"], tuesday["messages"]) == ("2023-11-15", 1000)
    assert tuesday["messages"] == tuesday["used"] + tuesday["unused"]
    assert tuesday["refused"] == []
    assert tuesday["duration"] == pytest.approx(0.998, abs=0.01)
    metadata = parquet.read_schema(next((table / "bags").glob("*/*/*"))).metadata
    assert metadata[b"tao_lora_schema"] == b"1"


def test_only_what_is_new_or_changed_is_replayed(bags: Path, tmp_path: Path) -> None:
    table = tmp_path / "t"
    run(bags, table)
    before = rows(table, "bags"), rows(table)
    assert run(bags, table).finished == 0
    os.utime(bags / "left" / "monday" / "monday.mcap")  # looked at again, the same
    told = run(bags, table)
    assert (told.finished, told.skipped, told.failed) == (0, 4, 1)
    assert (rows(table, "bags"), rows(table)) == before
    write_ros2(bags / "left" / "wednesday", motion(0.5, seed=4))
    assert run(bags, table).finished == 1
    shutil.rmtree(bags / "left" / "monday")
    write_ros2(bags / "left" / "monday", motion(0.5, seed=5))
    assert run(bags, table).finished == 1
    assert not [row for row in rows(table) if row["bag"].endswith("left/monday")]
    assert run(bags, table, replace(HOW, inputs="other settings")).finished == 5
    assert run(bags, table, replace(HOW, inputs="other settings", windows=False)).finished == 5
    assert not list((table / "windows").glob("*/*/*"))


def damage_nothing_read(table: Path) -> None:
    for file in (table / "events").rglob("*.parquet"):
        file.unlink()


def damage_receipts(table: Path) -> None:
    file = next(table.glob("receipts/*.json"))
    file.write_bytes(file.read_bytes()[:40])


def damage_rows(table: Path) -> None:
    next(table.glob("receipts/*.parquet")).unlink()


@pytest.mark.parametrize("damage", [damage_nothing_read, damage_receipts, damage_rows])
def test_a_damaged_table_is_made_whole(
    made: Path, table: Path, tmp_path: Path, damage: Any
) -> None:
    damaged = shutil.copytree(table, tmp_path / "t")
    damage(damaged)
    run(made, damaged)
    assert (rows(damaged, "bags"), rows(damaged)) == (rows(table, "bags"), rows(table))


def test_rows_of_an_older_version_with_fewer_columns_stay(
    bags: Path, table: Path, tmp_path: Path
) -> None:
    older = Path(shutil.copytree(table, tmp_path / "t"))
    for file in older.glob("receipts/*.events.parquet"):
        parquet.write_table(parquet.read_table(file).drop_columns(["mean_load"]), file)
        receipt = next(older.glob(f"receipts/{file.name.partition('.')[0]}.json"))
        said = json.loads(receipt.read_bytes())
        said["files"]["events"] = file.stat().st_size
        receipt.write_text(json.dumps(said))
    (bags / "left" / "monday").rename(bags / "left" / "sunday")  # new, the same day
    run(bags / "left" / "sunday", older)
    assert (older / "events" / "robot=left").is_dir()
    without = [row | {"mean_load": None} for row in rows(table)]
    assert rows(older)[: len(without)] == without
    assert len(rows(older)) == len(without) + 2


def test_one_run_at_a_time_writes(bags: Path, tmp_path: Path) -> None:
    with Table(tmp_path / "t"), pytest.raises(FleetError, match="another run is writing"):
        run(bags, tmp_path / "t")


def test_a_killed_worker_costs_one_item(tmp_path: Path) -> None:
    with LocalWorkers(partial(square, tmp_path), 2) as workers:
        assert sorted(done(workers, range(6))) == [(i, None if i == 3 else i * i) for i in range(6)]


def test_what_a_worker_raises_ends_the_run() -> None:
    with LocalWorkers(refuse, 1) as workers, pytest.raises(FleetError, match="another version"):
        list(done(workers, range(3)))


@pytest.fixture(scope="module")
def command(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table that the command made by two processes."""
    folder = tmp_path_factory.mktemp("command")
    save_artifact(small_artifact(), folder / "model")
    how = dict(table=folder / "fleet", model=folder / "model", workers=2)
    assert tao_lora("replay", made, **how) == 0
    return folder


def test_the_command_on_two_processes_gives_the_same(
    command: Path, made: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rows(command / "fleet") == rows(table)
    how = dict(table=command / "fleet", model=command / "model", strict=True)
    assert tao_lora("replay", made, **how) == 1
    assert "4 bags: 0 replayed, 4 done before, 1 bad" in capsys.readouterr().out


def of_another_schema(folder: Path) -> None:
    for file in folder.glob("*/*/*/rows.parquet"):
        found = parquet.read_table(file)
        metadata = found.schema.metadata | {b"tao_lora_schema": b"2"}
        parquet.write_table(found.replace_schema_metadata(metadata), file)


def damaged(folder: Path) -> None:
    for file in folder.glob("bags/*/*/rows.parquet"):
        file.write_bytes(file.read_bytes()[:-100])


def of_wide_integers(folder: Path) -> None:
    """Damaged so that pyarrow raises another of its errors: a width of 128 bits."""
    pa = pytest.importorskip("pyarrow")
    for file in folder.glob("bags/*/*/rows.parquet"):
        parquet.write_table(pa.table({"x": pa.array([1], pa.int16())}), file)
        stored = parquet.read_metadata(file).metadata[b"ARROW:schema"]
        schema = base64.b64decode(stored)
        assert schema.endswith(b"\x10\0\0\0")  # the width
        wide = base64.b64encode(schema[:-4] + b"\x80\0\0\0")
        file.write_bytes(file.read_bytes().replace(stored, wide))


def test_a_folder_that_will_not_do_is_said_before_bags_are_looked_for(
    table: Path, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "file").write_text("")
    said = complaint(capsys, "replay", "no bag", table=tmp_path / "file")
    assert said.endswith("file: not a folder; choose another name")
    other = tmp_path / "other"
    shutil.copytree(table, other)
    of_another_schema(other)
    told = f"{other}: tables of version 2 of the schema, not 1; replay the bags into another"
    assert told in complaint(capsys, "replay", "no bag", table=other)
    assert told in complaint(capsys, "fleet", other)
    for damage in (damaged, of_wide_integers):
        other = tmp_path / damage.__name__
        shutil.copytree(table, other)
        damage(other)
        assert "a damaged file: " in complaint(capsys, "compare", table, other)


def test_a_cluster_that_is_not_there_is_said_at_once(tmp_path: Path, capsys: Any) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        told = complaint(capsys, "replay", "no bag", table=tmp_path / "t", ray=address)
    assert f"--ray {address}: no cluster there" in told
    assert "`ray status`" in told


def names(found: list[Any], folder: Path) -> list[str]:
    return [os.path.relpath(bag.name, folder) for bag in found]


def test_a_bag_has_one_name_wherever_the_command_runs(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    assert find_bags(["left"]) == find_bags([str(made / "left")])
    monkeypatch.chdir(made / "left")
    assert find_bags(["."], r"/(left)/") == find_bags([str(made / "left")], r"/(left)/")


def test_bags_are_found_by_folder_pattern_list_and_url(made: Path, tmp_path: Path) -> None:
    every = ["left/monday", "left/tuesday.bag", "right arm/cut.mcap", "right arm/monday"]
    assert names(find_bags([str(made)]), made) == every
    assert names(find_bags([f"{made}/*/mon*"]), made) == [every[0], every[3]]
    assert names(find_bags([f"{made}/left/monday", f"{made}/left/"]), made) == every[:2]
    listed = tmp_path / "bags.txt"
    listed.write_text(f"{made}/right arm\n\n{made}/left/monday\n")
    assert names(find_bags([str(listed)]), made) == [*every[2:], every[0]]
    (made / "left" / "loop").symlink_to(made)
    assert len(find_bags([str(made)])) == 4
    (made / "left" / "loop").unlink()
    pytest.importorskip("fsspec")
    found = find_bags([f"file://{made}", f"file://{made}/*/*.mcap"])
    assert [bag.name for bag in found] == [f"file://{made}/{name}" for name in every]
    local = {bag.name: bag.size for bag in find_bags([str(made)])}
    assert {bag.name.removeprefix("file://"): bag.size for bag in found} == local


@pytest.mark.parametrize("content", [b"a\0b\n", b"\xff\xfe/\0b", b"bags.txt\n", b"./bags.txt\n"])
def test_what_is_no_list_of_bags_is_said(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bags.txt").write_bytes(content)
    with pytest.raises(FleetError, match=r"bags.txt: (no list of bags|this list of bags names)"):
        find_bags(["bags.txt"])


def test_bags_at_urls_give_the_same_events(made: Path, table: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    told = replay_all(find_bags([f"file://{made}"]), HOW, tmp_path / "t", Here.opened)
    assert (told.finished, told.failed) == (4, 1)
    remote = [row | {"bag": row["bag"].removeprefix("file://")} for row in rows(tmp_path / "t")]
    assert remote == rows(table)


@pytest.fixture
def store(made: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """These bags in a store that says neither sizes nor times, as some servers of http do."""
    memory = pytest.importorskip("fsspec.implementations.memory").MemoryFileSystem
    find = memory.find
    monkeypatch.setattr(memory, "store", {})
    monkeypatch.setattr(memory, "pseudo_dirs", [""])
    memory().put(f"{made}/", "/bags", recursive=True)

    def find_alone(files: Any, path: str, detail: bool = False) -> Any:
        found = find(files, path)
        return {file: {} for file in found} if detail else found

    monkeypatch.setattr(memory, "find", find_alone)
    monkeypatch.setattr(memory, "info", lambda _, path: {"name": path, "type": "file"})
    return memory()


def test_a_store_that_tells_no_times_is_asked_again(
    store: Any, made: Path, table: Path, tmp_path: Path
) -> None:
    run = partial(replay_all, how=HOW, folder=tmp_path / "t", workers=Here.opened)
    bags = find_bags(["memory://bags", "memory://bags/gone.mcap"])
    told = run(bags)
    assert (told.bags, told.finished, told.failed) == (5, 5, 2)
    remote = [
        row | {"bag": row["bag"].replace("memory:///bags", str(made))}
        for row in rows(tmp_path / "t")
    ]
    assert remote == rows(table)
    errors = [row["error"] for row in rows(tmp_path / "t", "bags") if "gone" in row["bag"]]
    assert errors == ["memory://bags/gone.mcap: no such bag"]
    again = run(bags)
    assert (again.finished, again.skipped) == (1, 4)


def test_a_file_of_a_store_does_not_leave_its_bag(store: Any, tmp_path: Path) -> None:
    store.store["/bags/left/monday/../../out"] = store.store["/bags/left/monday/metadata.yaml"]
    with pytest.raises(FleetError, match="which leads out of it"):
        fetch("memory://bags/left/monday", tmp_path / "a" / "b")
    assert not (tmp_path / "out").exists()


def test_what_a_store_raises_names_the_url(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(store), "find", lambda *_, **__: 1 / 0)
    with pytest.raises(FleetError, match=r"memory://bags: ZeroDivisionError"):
        find_bags(["memory://bags"])


def test_names_that_mean_no_bag(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="no bag in this folder"):
        find_bags([str(tmp_path)])
    with pytest.raises(FleetError, match="nothing is called so"):
        find_bags([f"{tmp_path}/*.mcap"])
    with pytest.raises(FleetError, match="no group 1"):
        find_bags([f"{tmp_path}/x"], r"robot_(\d+)")
    assert find_bags([f"{tmp_path}/robot_7/x"], r"robot_(\d+)")[0].robot == "7"


def test_a_missing_bag_is_tried_again(tmp_path: Path) -> None:
    told = replay_all(find_bags([str(tmp_path / "x")]), HOW, tmp_path / "t", Here.opened)
    (row,) = rows(tmp_path / "t", "bags")
    assert row["error"].endswith("no such bag")
    write_ros2(tmp_path / "x", motion(0.5))
    told = replay_all(find_bags([str(tmp_path / "x")]), HOW, tmp_path / "t", Here.opened)
    assert (told.finished, told.failed) == (1, 0)


def test_what_cannot_be_looked_into_is_a_row_with_its_reason(
    bags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bags / "gone.mcap").symlink_to("nowhere")
    os.mkfifo(bags / "pipe.bag")
    (bags / "closed").mkdir()
    listed = Path.iterdir

    def iterdir(path: Path) -> Any:  # permissions do not hold for who tests as root
        if path.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    told = run(bags, tmp_path / "t")
    assert (told.bags, told.failed) == (7, 4)
    errors = {Path(row["bag"]).name: row["error"] for row in rows(tmp_path / "t", "bags")}
    assert errors["gone.mcap"].endswith("no such bag")
    assert errors["pipe.bag"].endswith("not a regular file")
    assert "Permission denied" in errors["closed"]


def test_a_name_that_is_no_text_is_escaped(bags: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(bags) + b"/right arm/\xff\xfe")
    (bags / "right arm" / "monday").rename(odd)
    assert run(bags, tmp_path / "t").failed == 1
    (name,) = {row["bag"] for row in rows(tmp_path / "t") if row["robot"] == "right arm"}
    assert name == f"{bags}/right arm/\\udcff\\udcfe"
    assert run(bags, tmp_path / "t").finished == 0


def test_a_bag_whose_recorder_has_ended_takes_the_place_of_its_files(
    made: Path, tmp_path: Path
) -> None:
    whole, growing = made / "left" / "monday", tmp_path / "bags" / "arm" / "monday"
    growing.mkdir(parents=True)
    (file,) = whole.glob("*.mcap")
    (growing / file.name).write_bytes(file.read_bytes()[:9000])
    assert run(tmp_path / "bags", tmp_path / "t").failed == 1
    shutil.copytree(whole, growing, dirs_exist_ok=True)
    assert run(tmp_path / "bags", tmp_path / "t").failed == 0
    assert [row["bag"] for row in rows(tmp_path / "t", "bags")] == [str(growing)]
    kept = (tmp_path / "t" / "receipts").iterdir()
    assert len({file.name.partition(".")[0] for file in kept}) == 1


def test_the_file_of_a_recorder_that_did_not_end_is_of_the_robot_above(tmp_path: Path) -> None:
    for name in ("arm/run/run_0.mcap", "arm/run.mcap", "arm/arms.mcap", "arm/run2/run2.mcap"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert {bag.robot for bag in find_bags([str(tmp_path)])} == {"arm"}


def test_robots_are_called_as_they_are_in_any_language(made: Path, tmp_path: Path) -> None:
    names = {"机" * 80, "Łódź é", "a=b", "%2F", "robot\nline"}
    for name in names:
        shutil.copytree(made / "left" / "monday", tmp_path / "bags" / name / "monday")
    run(tmp_path / "bags", tmp_path / "t")
    assert {row["robot"] for row in read_rows(tmp_path / "t", "events")} == names
    with pytest.raises(FleetError, match="too long for a folder; --robot"):
        find_bags([f"{tmp_path}/{'=' * 100}/x"])


def test_bags_that_have_moved_take_their_rows_with_them(bags: Path, tmp_path: Path) -> None:
    table = tmp_path / "t"
    run(bags, table)
    (bags / "left").rename(bags / "middle")
    shutil.copytree(bags / "middle" / "monday", bags / "copy" / "monday")
    told = run(bags, table)
    assert (told.bags, told.finished) == (5, 3)
    where = [Path(row["bag"]).parent.name for row in rows(table, "bags")]
    assert sorted(where) == ["copy", "middle", "middle", "right arm", "right arm"]
    assert {row["robot"] for row in read_rows(table, "events")} == {"copy", "middle", "right arm"}
    shutil.rmtree(bags / "right arm")  # nowhere else: its rows stay
    run(bags, table)
    assert len(rows(table, "bags")) == 5


def test_robots_may_be_called_by_numbers(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "left" / "monday", tmp_path / "bags" / "007" / "monday")
    run(tmp_path / "bags", tmp_path / "t")
    assert {row["robot"] for row in read_rows(tmp_path / "t", "events")} == {"007"}


def questions() -> list[str]:
    """The queries of the documentation."""
    return re.findall(r"^```sql\n(.*?)^```", (ROOT / "docs" / "fleets.md").read_text(), re.M | re.S)


def test_duckdb_answers_the_questions_of_the_documentation(
    command: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(command)
    run(made, command / "before", replace(HOW, part_s=(0.0, 0.9)))  # a release that missed events
    asked = [text.replace("current_date", "DATE '2023-11-15'") for text in questions()]
    hardest, changed, origins, costs = (duckdb.sql(text).fetchall() for text in asked)
    events = rows(command / "fleet")
    of = {row["robot"]: [e for e in events if e["robot"] == row["robot"]] for row in events}
    assert [row[:2] for row in hardest] == sorted(
        ((robot, len(found)) for robot, found in of.items()),
        key=lambda pair: -max(e["peak_force"] for e in of[pair[0]]),
    )
    assert [row[2] for row in hardest] == [max(e["peak_force"] for e in of[r[0]]) for r in hardest]
    assert changed == [("left", 1, 1, 2, 0, 0)]
    assert sum(row[2] for row in origins) == len(events)
    done = [row for row in parquet.read_table("fleet/bags").to_pylist() if row["error"] is None]
    took_s, robot_s = (sum(row[name] for row in done) for name in ("seconds", "duration"))
    assert costs[0][0] == pytest.approx(1e6 * took_s / robot_s, rel=1e-3)
    assert {row[0] for row in origins} == {e["channels"][0] for e in events}


def test_pandas_and_polars_read_the_folders(command: Path) -> None:
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    for name in ("events", "bags"):
        count = len(rows(command / "fleet", name))
        assert len(pandas.read_parquet(command / "fleet" / name)) == count
        lazy = polars.scan_parquet(command / "fleet" / name)
        assert lazy.select("robot", "day").collect().height == count


def test_a_ray_cluster_gives_the_same(command: Path, made: Path, table: Path) -> None:
    cluster = pytest.importorskip("ray.cluster_utils").Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2}
    )
    try:
        how = dict(table=command / "ray", model=command / "model", ray=cluster.address)
        assert tao_lora("replay", made, **how) == 0
    finally:
        cluster.shutdown()
    assert rows(command / "ray") == rows(table)


def test_without_ray_it_is_said(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    said = complaint(capsys, "replay", made, table=tmp_path / "t", ray="auto")
    assert "pip install ray" in said


def test_killed_before_every_write_and_gone_on_with_it_gives_the_same(
    made: Path, table: Path, tmp_path: Path
) -> None:
    """`make fleet` kills commands and workers at random."""
    line = [sys.executable, "-m", "fleets.killed_writes", str(made), str(tmp_path / "killed")]
    places = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, env=os.environ | places, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 5
    assert content(tmp_path / "killed") == content(table)
