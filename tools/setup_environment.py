"""Make `.venv` and build the package into it: `python3 tools/setup_environment.py setup|build`.

`.venv` becomes a Python environment and a ROS 2 prefix at once, so that `.venv/bin/tao-lora` runs
with nothing activated. Where a ROS 2 is sourced the package builds against that one; elsewhere
ROS 2 comes from wheels, Jazzy's or, with `ROS_WHEELS=kilted`, Kilted's. Each step leaves, when it
has finished, a stamp of what it read: a step whose stamp is missing was interrupted and starts from
nothing, one whose stamp agrees is skipped.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
SITE = VENV / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
REQUIREMENTS = ROOT / "requirements"
# Folders that CMakeLists.txt installs.
LINKED = ("tao_lora_ros", "kernels", "launch", "config", "examples")
GENERATORS = ("CMakeLists.txt", "package.xml", "tools/executable.py.in", "msg/*.msg")
RCLPY = importlib.util.find_spec("rclpy") if "ROS_DISTRO" in os.environ else None
WHEELS = os.environ.get("ROS_WHEELS") or "jazzy"  # the distribution where none is sourced
# Every wheel by its hash.
LOCKED = REQUIREMENTS / "locked" / f"{WHEELS}.txt"
SOURCED = f"ROS 2 {os.environ['ROS_DISTRO']}, {RCLPY.origin}" if RCLPY else ""

# The first pipeline of a machine compiles its loops, about a minute; here nobody waits for a node.
COMPILE = """
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.model.artifact import default_artifact, load_artifact
Pipeline(Settings(), load_artifact(default_artifact())).warm()
"""


def digest(files: Iterable[Path]) -> str:
    """SHA-256 of the files' names and contents."""
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return total.hexdigest()


def read(stamp: Path) -> str:
    """The stamp's text, empty where there is none."""
    return stamp.read_text() if stamp.exists() else ""


def call(command: list[str | Path], log: Path, environment: dict[str, str] | None = None) -> None:
    """Run `command` into `log`; where it fails, show the log's end and stop."""
    with log.open("a") as out:
        print(f"\n$ {' '.join(map(str, command))}", file=out, flush=True)
        code = subprocess.call(command, stdout=out, stderr=out, env=environment, cwd=VENV)
    if code:
        lines = [line for line in log.read_text().splitlines() if not line.startswith("WARNING")]
        sys.exit("\n".join([*lines[-30:], f"failed with {code}; all of it is in {log}"]))


def check_tools() -> None:
    """Stop, naming what is missing, where the messages could not be compiled."""
    if sys.version_info < (3, 10):  # noqa: UP036
        sys.exit(f"needs Python 3.10 or newer, this is {sys.version.split()[0]}: make PYTHON=...")
    if not SOURCED and platform.machine() not in ("x86_64", "AMD64"):
        remedy = "source one (apt, or RoboStack) and make again; for bags alone: pip install -e ."
        sys.exit(f"ROS 2 has no wheels for {platform.machine()}: {remedy}")
    include = Path(sysconfig.get_path("include"))
    missing = [tool for tool in ("cmake", "make", "c++") if not shutil.which(tool)]
    missing += [] if (include / "Python.h").exists() else ["Python.h"]
    if " " in str(ROOT):
        sys.exit(f"neither a #! line nor colcon takes a path with a space: {ROOT}")
    if missing:
        sys.exit(f"missing: {', '.join(missing)} (Ubuntu: apt install cmake make g++ python3-dev)")
    if SOURCED and importlib.util.find_spec("colcon_core") is None:
        sys.exit("missing: colcon (Ubuntu: apt install python3-colcon-common-extensions)")


def name_this_python() -> None:
    """Replace the Python of the wheels' builder by this one in the wheels' CMake files."""
    builder = re.compile(r"/opt/python/cp\d+-cp\d+/(include|lib)/python[\d.]+(/site-packages)?")
    here = {"include": sysconfig.get_path("include"), "lib": str(SITE)}
    for file in (VENV / "share").rglob("*.cmake"):
        text = file.read_text()
        if builder.search(text):
            file.write_text(builder.sub(lambda found: here[found[1]], text))


def setup() -> None:
    """Make the environment and install what `requirements/` names."""
    stamp = VENV / "setup.stamp"
    base = f"{sys.version} {VENV} {SOURCED or WHEELS}".replace("\n", " ")
    wanted = f"{base}\n{digest(REQUIREMENTS.rglob('*.txt'))}"
    found = read(stamp)
    if found == wanted:
        return
    check_tools()
    begun = time.monotonic()
    ros = SOURCED or f"ROS 2 {WHEELS} from wheels"
    how = f"some minutes, mostly downloads; log: {VENV.name}/setup.log"
    print(f"setup: Python {sys.version.split()[0]}, {ros} ({how}) ...", flush=True)
    if found.split("\n")[0] == base:  # only the requirements have changed
        stamp.unlink()
    else:
        python = getattr(sys, "_base_executable", sys.executable)  # .venv itself may be active
        site = ["--system-site-packages"] if SOURCED else []
        subprocess.check_call([python, "-m", "venv", "--clear", *site, VENV])
    names = ["runtime", "dev"] if SOURCED else ["runtime", "dev", f"ros-{WHEELS}"]
    files = [argument for name in names for argument in ("-r", REQUIREMENTS / f"{name}.txt")]
    pip = [PYTHON, "-m", "pip", "install"]
    if not SOURCED and LOCKED.exists():
        call([*pip, "--no-deps", "--require-hashes", "-r", LOCKED], VENV / "setup.log")
    call([*pip, "-c", REQUIREMENTS / "constraints.txt", *files], VENV / "setup.log")
    name_this_python()
    stamp.write_text(wanted)
    print(f"setup: done in {time.monotonic() - begun:.0f} s", flush=True)


def build() -> None:
    """Generate the messages and link the package into the environment.

    An edited Python, YAML or launch file is live, being a link; only a new or removed one, or a
    change to what generates the messages, needs colcon again.
    """
    stamp = VENV / "build.stamp"
    linked = sorted(file for name in LINKED for file in (ROOT / name).rglob("*") if file.is_file())
    names = [str(file.relative_to(ROOT)) for file in linked if file.parent.name != "__pycache__"]
    generators = digest(file for pattern in GENERATORS for file in ROOT.glob(pattern))
    wanted = "\n".join([read(VENV / "setup.stamp"), generators, *names])
    if read(stamp) == wanted:
        return
    begun = time.monotonic()
    print(f"build: colcon (a minute or two; log: {VENV.name}/build.log) ...", flush=True)
    if not stamp.exists():
        shutil.rmtree(VENV / "build", ignore_errors=True)
    stamp.unlink(missing_ok=True)
    environment = os.environ | {"PATH": f"{VENV / 'bin'}:{os.environ['PATH']}"}
    if not SOURCED:
        environment |= {"AMENT_PREFIX_PATH": str(VENV), "CMAKE_PREFIX_PATH": str(VENV)}
    colcon = f"""
        --log-base log build --base-paths {ROOT} --build-base build --install-base .
        --merge-install --symlink-install --event-handlers console_direct+
        --cmake-args -DPython3_EXECUTABLE={PYTHON} -DBUILD_TESTING=OFF
    """.split()
    main = "import sys; from colcon_core.command import main; sys.exit(main())"
    call([PYTHON, "-c", main, *colcon], VENV / "build.log", environment)
    for folder in (SITE / "tao_lora_ros", VENV / "share" / "tao_lora_ros"):
        for link in folder.rglob("*"):
            if link.is_symlink() and not link.exists():  # its file was removed
                link.unlink()
    stamp.write_text(wanted)
    print(f"build: done in {time.monotonic() - begun:.0f} s", flush=True)


def package_code() -> ModuleType:
    """The package's module that knows which sources are compiled; loaded alone, without numba."""
    file = ROOT / "tao_lora_ros" / "signal" / "code_digest.py"
    spec = importlib.util.spec_from_file_location("code_digest", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compile_loops() -> None:
    """Compile what numba compiles for this processor, unless its sources are as they were."""
    stamp = VENV / "loops.stamp"
    code = package_code()
    wanted = "\n".join([read(VENV / "setup.stamp"), code.digest(code.COMPILED)])
    if read(stamp) == wanted:
        return
    begun = time.monotonic()
    print("build: loops for this processor ...", flush=True)
    call([PYTHON, "-c", COMPILE], VENV / "loops.log")
    stamp.write_text(wanted)
    print(f"build: loops done in {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    with open(__file__) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second make waits for the first
        setup()
        if sys.argv[1:] == ["build"]:
            build()
            compile_loops()
