"""Ten wrong uses of every command: each ends in one line that names what to do instead."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from event_records import event
from models import small_artifact
from recordings import motion, write_ros2

from tao_lora_ros.cli.main import main
from tao_lora_ros.model.artifact import save_artifact, training_folder
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.training.teacher import save_teacher

BAD_BAGS = (
    ("NONE", "no such bag"),
    ("EMPTY", "no bag in this folder, expected a ROS 2 bag's folder"),
    ("TEXT", "expected a ROS 2 bag's folder, an .mcap or .db3 file, or a ROS 1 .bag file"),
    ("CUT", "to mend it: mcap recover CUT/bag.mcap"),
    ("UNKNOWN", "to mend it: ros2 bag reindex UNKNOWN"),
)
BAD_STORE = (
    ("--store NONE", "NONE"),
    ("--store TEXT", "TEXT"),
    ("--store BAG", "BAG"),
    ("--store TABLE", "tables of many bags, expected an event store; tao-lora fleet TABLE shows"),
    ("--store MODEL", "--store MODEL makes one"),
    ("--store STORE --json STORE/index.jsonl --force", "writes over STORE, which is read"),
    ("--store STORE --json NONE/f", "mkdir -p makes it"),
    ("--store STORE --json TEXT", "--force writes over it"),
    ("--store STORE --json EMPTY --force", "choose another name"),
    ("--store", "expected one argument"),
    ("--colour red", "unrecognized arguments: --colour red"),
    ("--hlep", "unrecognized arguments: --hlep; did you mean '--help'?"),
    ("--hepl=x", "unrecognized arguments: --hepl=x; did you mean '--help'?"),
)
BAD_NUMBER = (
    ("0 --store STORE", "expected a whole number from 1"),
    ("x --store STORE", "expected a whole number from 1"),
    ("9 --store STORE", "no event 9; it holds 1 to 1"),
)
OF_ARTIFACTS = ("--workers 2", "--from 1", "--to 2", "--topic imu=/a", "--robot (.)", "--table NEW")
BAD_DATA = (
    ("BAG --name-label (", "'(' is no regular expression: missing )"),
    ("BAG --name-label ice", r"has no group, expected one such as '^(\w+)_'"),
    ("BAG --name-label (x)y", "its name has no group 1 of /(x)y/"),
    ("BAG --label-topic /no", "no topic /no of type std_msgs/msg/String; there are"),
    ("BAG --topic imu", "expected SOURCE=TOPIC"),
    ("BAG --params-file NONE", "NONE: No such file"),
    ("BAG BAG", "given twice"),
    ("BAG --cache TEXT", "not a folder; choose another name"),
    ("BAG --cache BAG/rows", "lies in a bag"),
)
FOREIGN = "holds something else, which --force does not write over"
WRONG = {
    "replay": [
        *BAD_BAGS,
        ("FOLDER", "a folder of 2 bags; name one, such as FOLDER/a"),
        ("", "the following arguments are required: "),
        ("BAG --model NONE", "No such file"),
        ("BAG --model EMPTY", "No such file"),
        ("BAG --params-file TEXT", "expected"),
        ("BAG --topic camera=/imu", "there are: imu, joint_states, wrench"),
        ("BAG --topic imu=/no", "there are: /imu, /wrench"),
        *((f"BAG --topic {text}", "expected SOURCE=TOPIC") for text in ("imu", "=x", "imu=")),
        ("BAG --from -1", "--from is -1, expected 0 or more seconds"),
        ("BAG --from nan", "--from is nan, expected 0 or more seconds"),
        ("BAG --to 0", "--to is 0, expected more than --from 0"),
        ("BAG --from 9", "is after its end at"),
        ("BAG --from 1 --to 1", "expected more than --from 1"),
        ("BAG --from x", "see tao-lora replay --help"),
        ("BAG --json NONE/f.json", "mkdir -p makes it"),
        ("BAG --report TEXT", "--force writes over it"),
        ("BAG --out EMPTY", "--force writes over it"),
        ("BAG --out TEXT --force", "not a folder; choose another name"),
        ("BAG --out TEXT/x", "there is no folder TEXT"),
        ("BAG --store TEXT", "TEXT"),
        ("BAG --store BAG", "lies in a bag"),
        ("BAG --store TABLE", "tao-lora fleet TABLE shows them"),
        ("BAG --store TEXT --json NEW", "not a folder; choose another name"),
        ("BAG --store NEW --json NEW", "choose another name"),
        ("BAG --table NEW --json NEW", "both --table and --json"),
        *((f"BAG --table {place}", "something else than tables") for place in ("STORE", "MODEL")),
        *((f"BAG --out {place} --force", FOREIGN) for place in ("STORE", "MODEL", "TABLE", "CSV")),
        ("BAG --params-file YAML --json YAML --force", "writes over YAML, which is read"),
        ("BAG --json BAG.labels.csv --force", "writes over BAG, which is read"),
        ("BAG --store BAG/found/here", "choose a folder outside of it"),
        ("BAG --out BAG/found", "lies in a bag"),
        ("BAG BAG", "2 bags: these need --table "),
        ("BAG --table NEW --report NEW.html", "--report is of one bag"),
        ("BAG --table NEW --store STORE", "--store is of one bag"),
        ("BAG --workers 2", "--workers is of many bags, it needs --table "),
        ("BAG --device cuda", "--device is of many bags, it needs --table "),
        ("BAG --table NEW --device cuda --ray auto", "it does not go with --ray"),
        *((f"BAG --table NEW --workers {n}", "number from 1 to 1024") for n in ("0", "1e6")),
        ("BAG --windows", "--windows needs a FILE, or --table "),
        ("BAG --windows w.parquet --table NEW", "no FILE goes with --table; put it last"),
        ("BAG --windows NONE/w.parquet", "mkdir -p makes it"),
        ("BAG --calibrate BAG --model MODEL", "at least 2 s are needed"),
        ("BAG --model EMPTY", "a model is a folder that tao-lora train or calibrate wrote"),
        ("BAG --out BAG --force", "writes over"),
        ("BAG --out FOLDER --calibrate FOLDER/a --force", "writes over"),
        ("BAG --model MODEL --out MODEL --force", "writes over"),
        ("BAG --report NEW.html --json NEW.html", "both --json and --report"),
        ("BAG/metadata.yaml", "it tells of one, name its folder: BAG"),
        ("BAG --params-file EMPTY", "Is a directory; expected a file"),
        ("BAG --expect EMPTY", "Is a directory; expected a file"),
        ("BAG --params-file LOOP", "symbolic links; a link leads back to itself"),
        ("BAG --model LOOP", "symbolic links; a link leads back to itself"),
        ("BAG --store LOOP", "not a folder; choose another name"),
        *((f"BAG {o} NEW\udcff", "no UTF-8; choose another") for o in ("--out", "--report")),
    ],
    "demo": [
        *((f"{bag} --out NEW_DEMO", words) for bag, words in BAD_BAGS),
        ("BAG --rate 0", "expected a number, above 0, 1000 at most"),
        ("BAG --rate -3", "expected a number, above 0, 1000 at most"),
        ("BAG --rate nan", "expected a number, above 0, 1000 at most"),
        ("BAG --out TEXT", "not a folder; choose another name"),
        ("BAG --topic imu", "expected SOURCE=TOPIC"),
    ],
    "play": [
        *BAD_BAGS,
        ("BAG --rate 0", "expected a number, above 0, 1000 at most"),
        ("BAG --rate inf", "expected a number, above 0, 1000 at most"),
        ("BAG --rate fast", "'fast', expected a number"),
        ("BAG --topic imu=/no", "there are: /imu, /wrench"),
        ("BAG --params-file NONE", "NONE: No such file"),
    ],
    "simulate": [
        ("", "required: out"),
        ("NEW --runs 0", "expected a whole number from 1 to 1000"),
        ("NEW --runs 2.5", "expected a whole number from 1 to 1000"),
        ("NEW --duration 0", "above 0"),
        ("NEW --duration -1", "above 0"),
        ("NEW --duration nan", "above 0"),
        ("NEW --duration 1e9", "86400 at most"),
        ("NEW --duration 0.0001", "duration_s too short"),
        ("NEW --seed -1", "expected a whole number from 0"),
        ("NEW --mounting -1", "expected a whole number from 0"),
        ("NEW --steady --presses", "not allowed with argument"),
        ("BAG", "--force writes over it"),
        ("TEXT/x", "there is no folder TEXT"),
        ("NEW\udcff", "NEW\\udcff: its name is no UTF-8; choose another name"),
        ("FOLDER --force", FOREIGN),
        ("NEW --json NEW", "both out and --json"),
    ],
    "calibrate": [
        *((f"{bag} --out NEW", words) for bag, words in BAD_BAGS),
        ("BAG", "required: --out"),
        ("BAG --out NEW --alarms-per-hour 0", "above 0, 3600 at most"),
        ("BAG --out NEW --alarms-per-hour -5", "above 0, 3600 at most"),
        ("BAG --out NEW --alarms-per-hour nan", "above 0, 3600 at most"),
        ("BAG --out NEW --alarms-per-hour inf", "above 0, 3600 at most"),
        ("BAG --out NEW --model MODEL", "at least 2 s are needed"),
        ("BAG --out MODEL", "--force writes over it"),
        ("BAG --out STORE --force", FOREIGN),
        ("BAG --out NEW --plot NONE/p.html", "mkdir -p makes it"),
    ],
    "events list": [
        *BAD_STORE,
        ("3 --store STORE", "unrecognized arguments: 3"),
        ("--json a b", "unrecognized arguments: b"),
    ],
    "events show": [*BAD_NUMBER, *((f"1 {words}", said) for words, said in BAD_STORE)],
    "events label": [
        *BAD_NUMBER,
        *((f"1 x {words}", said) for words, said in BAD_STORE[:4]),
        ("1 x --clear --store STORE", "a name, --clear or --undo"),
        ("1 --clear --undo --store STORE", "not allowed with argument"),
        ("1 --undo --store STORE", "event 1"),
    ],
    "events export": [
        ("--store STORE", "one of the arguments --out --csv --parquet --lerobot --labels"),
        ("9 --out NEW --store STORE", "no event 9; it holds 1 to 1"),
        ("x --out NEW --store STORE", "expected a whole number from 1"),
        ("--out BAG --store STORE", "--force writes over it"),
        ("--csv EMPTY --store STORE", "--force writes over it"),
        ("--parquet TEXT --store STORE", "--force writes over it"),
        ("--parquet NONE/t.parquet --store STORE", "mkdir -p makes it"),
        ("--lerobot TEXT/x --store STORE", "there is no folder TEXT"),
        ("--labels NONE --store STORE", "no such bag"),
        ("--out NEW --csv NEW --store STORE", "not allowed with argument"),
        ("--out STORE --force --store STORE", "writes over"),
        ("--out STORE/events --force --store STORE", "writes over STORE, which is read"),
        ("--csv STORE/events --force --store STORE", "writes over STORE, which is read"),
        ("--parquet STORE/index.jsonl --force --store STORE", "writes over STORE"),
        *((f"{to} MODEL --force --store STORE", FOREIGN) for to in ("--csv", "--lerobot", "--out")),
        ("--out NEW --store NONE", "NONE"),
    ],
    "events plot": [
        *((f"{words} --out NEW.html", said) for words, said in BAD_NUMBER),
        ("1 --store STORE", "required: --out"),
        ("1 --store STORE --out TEXT", "--force writes over it"),
        ("1 --store STORE --out NONE/e.html", "mkdir -p makes it"),
        ("1 --store STORE --out EMPTY --force", "choose another name"),
        ("1 --store STORE --out NEW.docx", ".html"),
        ("1 --store NONE --out NEW.html", "NONE"),
        ("1 --store TEXT --out NEW.html", "TEXT"),
        ("1 2 --store STORE --out NEW.html", "unrecognized arguments: 2"),
    ],
    "events verify": [
        *BAD_STORE,
        ("1 --store STORE", "unrecognized arguments: 1"),
        ("--out x", "unrecognized arguments: --out"),
    ],
    "doctor": [
        ("--backend tpu", "invalid choice: 'tpu' (choose from"),
        ("--model NONE", "No such file"),
        ("--model TEXT", "TEXT"),
        ("--model EMPTY", "No such file"),
        ("--model BAG", "No such file"),
        ("--json NONE/f", "mkdir -p makes it"),
        ("--json TEXT", "--force writes over it"),
        ("--store", "expected one argument"),
        ("BAG", "unrecognized arguments"),
        ("--roof line", "unrecognized arguments: line"),
        ("--store TABLE", "tao-lora fleet TABLE shows them"),
        ("--store TEXT", "a file, expected a folder for events"),
        ("--roofline --model MODEL", "leave the other arguments out"),
        ("--roofline --json", "leave the other arguments out"),
    ],
    "review": [
        ("--port -1", "expected a whole number from 0 to 65535"),
        ("--port 65536", "expected a whole number from 0 to 65535"),
        ("--port http", "expected a whole number from 0 to 65535"),
        ("--port 8.5", "expected a whole number from 0 to 65535"),
        ("--port", "expected one argument"),
        ("--store NONE", "NONE"),
        ("--store TEXT", "TEXT"),
        ("--store BAG", "BAG"),
        ("--store TABLE", "tao-lora fleet TABLE shows them"),
        ("--store", "expected one argument"),
        ("STORE", "unrecognized arguments: STORE; see tao-lora review --help"),
    ],
    "compare": [
        ("", "required: old, new"),
        ("MODEL BAG", "two tables or two artifacts, not both"),
        ("MODEL EMPTY BAG", "two tables or two artifacts, not both"),
        ("MODEL MODEL", "two artifacts are compared on bags, two tables without"),
        ("NONE NONE BAG", "two artifacts are compared on bags, two tables without"),
        *((f"{place} {place}", "--table makes one") for place in ("NONE", "EMPTY", "TEXT", "BAG")),
        ("MODEL MODEL EMPTY", "no bag in this folder"),
        ("MODEL MODEL BAG --json NONE/f", "mkdir -p makes it"),
        ("MODEL MODEL BAG --table TEXT", "TEXT"),
        ("MODEL MODEL BAG --params-file NONE", "NONE: No such file"),
        ("MODEL MODEL BAG --topic imu", "expected SOURCE=TOPIC"),
        ("MODEL MODEL BAG --robot (", "'(' is no regular expression: missing )"),
        ("MODEL MODEL BAG --workers 0", "expected a whole number from 1"),
        ("MODEL MODEL BAG --table BAG/found", "lies in a bag"),
        ("MODEL MODEL BAG --json MODEL/model.json --force", "writes over MODEL"),
        *((f"EMPTY EMPTY {words}", "is of two artifacts") for words in OF_ARTIFACTS),
    ],
    "fleet": [
        ("", "required: table"),
        *((place, "--table makes one") for place in ("NONE", "EMPTY", "TEXT", "BAG", "MODEL")),
        *((f"EMPTY --port {p}", "number from 0 to 65535") for p in ("-1", "65536", "http", "8.5")),
        ("EMPTY EMPTY", "unrecognized arguments"),
        ("EMPTY --model NONE", "a model is a folder that tao-lora train or calibrate wrote"),
        ("EMPTY --params-file NONE", "NONE: No such file"),
        ("EMPTY --topic imu", "expected SOURCE=TOPIC"),
        ("STORE", "--table makes one"),
    ],
    "watch": [
        *((f"--web --port {p}", "number from 0 to 65535") for p in ("-1", "65536", "http", "8.5")),
        ("--web --port", "expected one argument"),
        ("--port 8080", "add --web"),
        ("--open", "add --web"),
        ("--web=yes", "ignored explicit argument 'yes'"),
        ("--json", "unrecognized arguments: --json"),
        ("left right", "unrecognized arguments: right"),
    ],
    "export": [
        ("", "required: model, --onnx"),
        ("MODEL", "required: --onnx"),
        ("MODEL --onnx", "expected one argument"),
        ("MODEL --onnx TEXT", "--force writes over it"),
        ("MODEL --onnx NONE/f.onnx", "mkdir -p makes it"),
        ("MODEL --onnx EMPTY --force", "choose another name"),
        ("MODEL --onnx MODEL/model.json --force", "writes over"),
        ("MODEL --onnx NEW --json TEXT", "--force writes over it"),
        *((f"{place} --onnx NEW", "No such file") for place in ("NONE", "EMPTY", "BAG")),
        ("MODEL --onnx NEW --adapter gripper", "no adapter 'gripper'; there are: none"),
    ],
    "parameters": [
        ("--json NONE/f", "mkdir -p makes it"),
        ("--json TEXT", "--force writes over it"),
        ("--json EMPTY --force", "choose another name"),
        ("--json TEXT/f", "there is no folder TEXT"),
        ("--yml", "unrecognized arguments: --yml"),
        ("imus", "unrecognized arguments: imus"),
        ("--yaml file", "unrecognized arguments: file"),
        ("--json a b", "unrecognized arguments: b"),
        ("--force=1", "ignored explicit argument '1'"),
        ("--json " + "n" * 300, "File name too long"),
    ],
    "train": [
        *((f"{words} --steady BAG --out NEW", said) for words, said in BAD_DATA),
        ("--out NEW", "train needs bags, or --store"),
        ("BAG --out NEW", "no label, and no steady recording: label the bags"),
        ("BAG --steady BAG --out NEW --to 0.1", "rows, more than the 136 of a window"),
        ("BAG --steady BAG --out NEW", "at least 2 s are needed"),
        ("BAG --steady BAG --out NEW --name-label (.+)", "or leave --steady out where only"),
        ("BAG --out NEW --window 15", "a multiple of 4 from 8 to 1024, such as 12 or 16, or auto"),
        ("BAG --out NEW --window big", "expected a multiple of 4 from 8 to 1024, or auto"),
        ("BAG --out NEW --horizon 0", "expected a whole number from 1"),
        ("BAG --out NEW --rate-hz fast", "expected a number, 1 or more, 20000 at most; or auto"),
        ("BAG --steady NONE --out NEW", "no such bag"),
        ("BAG --steady BAG --out MODEL", "--force writes over it"),
        ("BAG --steady BAG --out NEW --rate-hz 0", "1 or more, 20000 at most"),
        ("BAG --steady BAG --out NEW --rate-hz -3", "1 or more, 20000 at most"),
        ("BAG --steady BAG --out NEW --rate-hz 1e9", "1 or more, 20000 at most"),
        ("BAG --steady BAG --out NEW --steps 0", "expected a whole number from 1"),
        ("BAG --steady BAG --out NEW --batch 0", "expected a whole number from 1"),
        ("BAG --steady BAG --out NEW --size huge", "choose from"),
        ("BAG --store STORE --out NEW", "--store learns from labelled events alone"),
    ],
    "quantize": [
        *((f"MODEL {words}", said) for words, said in BAD_DATA[:6]),
        ("NONE BAG", "No such file"),
        ("MODEL BAG --rank 0", "expected a whole number from 1"),
        ("MODEL BAG --rank 1000", "--rank is 1000, expected the width 32 at most"),
        ("MODEL BAG --out TEXT", "--force writes over it"),
        ("MODEL BAG --rounding up", "choose from"),
    ],
    "adapt": [
        *((f"MODEL {words}", said) for words, said in BAD_DATA[:6]),
        ("NONE BAG", "No such file"),
        ("MODEL BAG --steps 0", "expected a whole number from 1"),
        ("MODEL BAG --loss none", "choose from"),
        ("UNTAUGHT BAG", "training/teacher.safetensors: no such file"),
        *((f"MODEL BAG --name {name}", "at most 64 of a-z") for name in ("Tool", "a/b", "..")),
        ("MODEL BAG --out TEXT", "--force writes over it"),
    ],
    "name": [
        *((f"MODEL {words}", said) for words, said in BAD_DATA[:3]),
        ("MODEL NONE", "no such bag"),
        ("MODEL EMPTY", "no bag in this folder"),
        ("MODEL BAG --params-file NONE", "NONE: No such file"),
        ("MODEL BAG --topic imu", "expected SOURCE=TOPIC"),
        ("NONE BAG", "No such file"),
        ("MODEL", "required: bags"),
        ("MODEL BAG --out TEXT", "--force writes over it"),
    ],
    "evaluate": [
        *((f"MODEL {words}", said) for words, said in BAD_DATA[:6]),
        ("NONE BAG", "No such file"),
        ("MODEL BAG --adapter gripper", "no adapter 'gripper'; there are: none"),
        ("MODEL BAG --json TEXT", "--force writes over it"),
        ("MODEL BAG --json NONE/f", "mkdir -p makes it"),
    ],
    "info": [
        ("NONE", "No such file"),
        ("TEXT", "TEXT"),
        ("EMPTY", "No such file"),
        ("BAG", "No such file"),
        ("MODEL MODEL", "unrecognized arguments"),
        ("MODEL --json TEXT", "--force writes over it"),
        ("MODEL --json NONE/f", "mkdir -p makes it"),
        ("MODEL --json EMPTY --force", "choose another name"),
        ("MODEL --yaml", "unrecognized arguments: --yaml"),
        ("CUT", "No such file"),
    ],
    "import": [
        ("NONE --out NEW", "NONE"),
        ("TEXT --out NEW", "TEXT"),
        ("EMPTY --out NEW", "file and no array in it"),
        ("CSV", "required: --out"),
        ("CSV --out NEW --columns a", "name them with --columns, such as ax=NAME"),
        ("CSV --out NEW", "name it with --columns ay=NAME"),
        ("CSV --out NEW --json TEXT", "--force writes over it"),
        ("CSV --out NEW --json NONE/f", "mkdir -p makes it"),
        ("CUT --out NEW", "to mend it: mcap recover CUT/bag.mcap"),
        ("CSV NEW --out NEW", "NEW: No such file"),
        ("CSV --out TEXT", "not a folder; choose another name"),
        ("CSV --out BAG", "lies in a bag"),
        ("CSV --out NEW --json NEW", "both --out and --json"),
        ("CSV --out NEW --json CSV/a.csv --force", "writes over CSV, which is read"),
        ("ROWS.csv --out NEW --label 1=walk", "--label: no file has a column of labels"),
        ("CSV --out NEW --merge (walk)", "--merge (walk): in no file's name; there are: a"),
    ],
    "bench": [
        ("", "required: COMMAND"),
        ("speed", "no command 'speed'"),
        ("table NONE", "NONE: No such file"),
        ("table TEXT", "expected what `tao-lora bench ... --json FILE` writes"),
        ("table ROWS", "expected what `tao-lora bench ... --json FILE` writes"),
        ("table EMPTY", "Is a directory; expected a file"),
        ("latency --device tpu", "choose from"),
        ("latency --only nobody --device cpu", "there are: cpu-loop, tao-lora"),
        ("node --seconds 0", "expected a number, 1 or more"),
        ("node --case none", "there are: "),
        ("memory --json NONE/f", "mkdir -p makes it"),
    ],
}  # fmt: skip
CASES = [(f"{command} {words}", said) for command, uses in WRONG.items() for words, said in uses]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the words in capitals stand for."""
    folder = tmp_path_factory.mktemp("wrong")
    names = ("BAG", "CUT", "UNKNOWN", "FOLDER", "EMPTY", "TEXT", "NONE", "NEW", "MODEL", "STORE")
    names += ("CSV", "ROWS", "TABLE", "UNTAUGHT", "YAML", "LOOP")
    made = {name: folder / name for name in names}
    bag = write_ros2(folder / "bag", motion(0.3))
    for name in ("BAG", "CUT", "UNKNOWN", "FOLDER/a", "FOLDER/b"):
        shutil.copytree(bag, folder / name)
    cut = made["CUT"] / "bag.mcap"
    cut.write_bytes(cut.read_bytes()[:-1000])
    (made["UNKNOWN"] / "metadata.yaml").write_text("a: [")
    made["EMPTY"].mkdir()
    made["LOOP"].symlink_to(made["LOOP"])
    made["TEXT"].write_text("some words")
    made["YAML"].write_text("/**: {ros__parameters: {}}")
    (made["TABLE"] / "receipts").mkdir(parents=True)
    made["ROWS"].write_text('{"rows": [{"subject": 1, "value": "x"}]}')
    made["CSV"].mkdir()
    (made["CSV"] / "a.csv").write_text("time,ax\n0,x\n")
    (folder / "ROWS.csv").write_text("time,ax,ay,az\n0,1,2,3\n0.1,1,2,3\n")
    for name in ("MODEL", "UNTAUGHT"):
        save_artifact(small_artifact(), made[name])
    save_teacher(Mixer(small_artifact().network.config), training_folder(made["MODEL"]))
    with EventStore(made["STORE"]) as store:
        store.append(event(0))
    return {name: str(path) for name, path in made.items()}


@pytest.mark.parametrize(("command", "said"), CASES, ids=[command for command, _ in CASES])
def test_ends_in_one_line(command: str, said: str, places, capsys) -> None:
    def placed(text: str) -> str:
        for name, path in places.items():
            text = text.replace(name, path)
        return text

    try:
        status = main(placed(command).split())
    except SystemExit as ended:  # argparse's
        status = ended.code
    out, err = capsys.readouterr()
    assert status in (1, 2)
    assert out == ""
    assert err.startswith("tao-lora: error: ")
    assert err.count("\n") == 1
    assert placed(said) in err
    assert not Path(places["NEW"]).exists()


def test_every_command_has_ten() -> None:
    assert {command: len(uses) for command, uses in WRONG.items() if len(uses) < 10} == {}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("repaly bag", "no command 'repaly'; did you mean 'replay'?"),
        ("--model model replay bag", "no command 'model'; it comes before all that it takes"),
        ("events --store found list", "no command 'found'; it comes before all that it takes"),
    ],
)
def test_a_command_that_is_none_is_named(command: str, said: str, capsys) -> None:
    with pytest.raises(SystemExit):
        main(command.split())
    assert said in capsys.readouterr().err


def test_what_the_disk_refuses_is_said_with_the_remedy(places, monkeypatch, tmp_path, capsys):
    def full(*_: object, **how: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    assert main(["info", places["MODEL"], "--html", str(tmp_path / "page.html")]) == 1
    assert "No space left on device; free some, or choose another disk" in capsys.readouterr().err


def test_a_folder_that_is_gone_is_named(places, monkeypatch, tmp_path, capsys) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["replay", places["BAG"], "--json", "found.json"]) == 1
    assert "the folder that you are in is gone" in capsys.readouterr().err


def test_a_recording_whose_name_is_no_text_is_reported(tmp_path) -> None:
    bag = write_ros2(tmp_path / "bag", motion(0.3))
    bag = bag.rename(tmp_path / "\udcff")
    assert main(["replay", str(bag), "--report", str(tmp_path / "page.html")]) == 0
    assert "udcff" in (tmp_path / "page.html").read_text()


def test_an_empty_argument_is_named(capsys) -> None:
    assert main(["replay", "bag", "--store", ""]) == 1
    assert "is a variable of the shell not set?" in capsys.readouterr().err
