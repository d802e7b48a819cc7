"""Every command as a user calls it, with what is no file of its kind in each place for one."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from models import small_artifact
from recordings import motion, write_ros2
from trust.table import Row

from tao_lora_ros.cli.main import main
from tao_lora_ros.model.artifact import save_artifact

LONGEST_S = 30
_NOBODY = 65534
# These write to PATH: into a FIFO when somebody reads it, as any command.
_KINDS = ("json", "report", "plot", "windows", "onnx", "parquet")
_WRITES = tuple(f"--{kind} PATH" for kind in _KINDS)
# What is given to a command: PATH is the hostile one, BAG a good bag, MODEL a good model, STORE a
# good store, OUT a fresh place.
COMMANDS = (
    "replay PATH", "replay BAG --params-file PATH", "replay BAG --model PATH",
    "replay BAG --calibrate PATH", "replay BAG --store PATH", "replay BAG --json PATH",
    "replay BAG --report PATH", "calibrate PATH --out OUT", "calibrate BAG --out PATH",
    "calibrate BAG --model PATH --out OUT", "calibrate BAG --params-file PATH --out OUT",
    "calibrate BAG --out OUT --insist --plot PATH", "import PATH --out OUT",
    "train PATH --out OUT --steps 1", "train BAG --out PATH --steps 1",
    "train BAG --steady PATH --out OUT --steps 1", "train BAG --params-file PATH --out OUT",
    "quantize PATH BAG", "quantize MODEL PATH", "adapt PATH BAG", "adapt MODEL PATH",
    "evaluate PATH BAG", "evaluate MODEL PATH", "info PATH", "events list --store PATH",
    "events show 1 --store PATH", "events verify --store PATH",
    "events export 1 --store PATH --out OUT", "events plot 1 --store PATH --out OUT.html",
    "doctor --model PATH", "doctor --store PATH", "doctor --params-file PATH",
    "bench table PATH", "play PATH", "demo PATH --out OUT", "simulate PATH --duration 0.1",
    "fleet PATH", "compare PATH PATH", "compare PATH MODEL BAG",
    "replay BAG --windows PATH", "train --store PATH --out OUT",
    "train --store STORE --model PATH --out OUT", "name PATH BAG", "name MODEL PATH",
    "export PATH --onnx OUT", "export MODEL --onnx PATH", "events label 1 x --store PATH",
    "events export --store PATH --csv OUT", "events export --store STORE --csv PATH",
    "events export --store STORE --parquet PATH", "events export --store STORE --lerobot PATH",
    "events export --store STORE --out PATH", "events export --store STORE --labels PATH",
)  # fmt: skip


def hostile(folder: Path) -> dict[str, Path]:
    """Paths that are none of what a command wants."""
    folder.mkdir()
    made = {name: folder / name.replace(" ", "_") for name in ("empty file", "random bytes")}
    made["empty file"].touch()
    made["random bytes"].write_bytes(bytes(range(256)) * 16)
    made |= {"empty folder": folder / "d", "a FIFO": folder / "fifo", "a loop": folder / "loop"}
    made["empty folder"].mkdir()
    os.mkfifo(made["a FIFO"])
    made["a loop"].symlink_to(made["a loop"])
    made["a name of 300 characters"] = folder / ("n" * 300)
    made["no such path"] = folder / "none" / "such"
    made["beneath a file"] = made["empty file"] / "x"
    made["/dev/zero"] = Path("/dev/zero")
    made["/dev/full"] = Path("/dev/full")
    made["an escape sequence"] = folder / "a\x1b[2J\n[ERROR]"
    made["an escape sequence"].write_text("x")
    made["folder of FIFOs"] = folder / "fifos"
    made["folder of FIFOs"].mkdir()
    for name in ("metadata.yaml", "model.json", "index.jsonl", "lock", "a.csv", "b.bag"):
        os.mkfifo(made["folder of FIFOs"] / name)
    made["folder of folders"] = folder / "folders"
    for name in ("metadata.yaml", "model.json", "index.jsonl", "lock", "a.csv", "b.bag"):
        (made["folder of folders"] / name).mkdir(parents=True)
    if os.geteuid() == 0:
        made["another user's"] = folder / "others"
        made["another user's"].mkdir(mode=0o700)
        made["another user's file"] = folder / "others_file"
        made["another user's file"].touch(mode=0o600)
    return made


def rows(folder: Path) -> Iterator[Row]:
    """A row a hostile path: how the commands took it."""
    folder = folder / "commands"
    folder.mkdir()
    bag = write_ros2(folder / "bag", motion(5.0, [3.0]))
    save_artifact(small_artifact(), folder / "model")
    given = {"BAG": bag, "MODEL": folder / "model", "STORE": folder / "store"}
    _called(["replay", str(bag), "--store", str(given["STORE"])], folder / "said", as_nobody=False)
    for name, path in hostile(folder / "hostile").items():
        yield _row(name, path, folder, given)


def _row(name: str, path: Path, folder: Path, given: dict[str, Path]) -> Row:
    commands = [c for c in COMMANDS if name != "a FIFO" or not c.endswith(_WRITES)]
    row = Row(f"commands, {name}", injected=len(commands))
    statuses: dict[str, int] = {}
    for i, command in enumerate(commands):
        places = {**given, "PATH": path, "OUT": folder / "out" / f"{name}_{i}".replace(" ", "_")}
        words = [str(places.get(word, word)) for word in command.split()]
        words = [word.replace("OUT", str(places["OUT"])) for word in words]
        status, said = _called(words, folder / "said", as_nobody="another" in name)
        what = {0: "done", 1: "refused", 2: "refused"}.get(status, "ended wrongly")
        statuses[what] = statuses.get(what, 0) + 1
        errors = [line for line in said.splitlines() if line.startswith("tao-lora: error")]
        row.said = row.said or (errors[0] if errors else "")
        row.check(what != "ended wrongly", f"{command}: status {status}: {said[-300:]!r}")
        row.check("Traceback" not in said, f"{command}: {said[-600:]}")
        row.check(status != 1 or errors or "events" in command or "doctor" in command,
                  f"{command}: status 1 without a word: {said[-200:]!r}")  # fmt: skip
        text = said.replace("\n", "").replace("\r", "")
        row.check("\x1b[2J" not in text, f"{command}: an escape sequence got through")
    row.used = statuses.pop("done", 0)
    row.refused = statuses
    return row


def _called(words: list[str], log: Path, as_nobody: bool) -> tuple[int, str]:
    """Status and output of a command in a child that is ended where it waits for ever."""
    child = os.fork()
    if not child:
        status = 70
        try:
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            null = os.open(os.devnull, os.O_RDONLY)
            for target, source in ((0, null), (1, out), (2, out)):
                os.dup2(source, target)
            signal.alarm(LONGEST_S)
            if as_nobody:
                os.setuid(_NOBODY)
            status = main(words)
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return ended, log.read_text(errors="replace")
