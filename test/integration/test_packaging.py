"""The package as others get it: messages, version, metadata and the colcon builds."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata, util
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ElementTree.parse(ROOT / "package.xml").getroot()
MESSAGES = sorted((ROOT / "msg").glob("*.msg"))
INSTALLED = ("tao_lora_ros", "kernels", "launch", "config", "examples")


def installed_modules() -> list[str]:
    """Every module of the source tree, as it is imported."""
    files = {file: file.relative_to(ROOT) for file in (ROOT / "tao_lora_ros").rglob("*.py")}
    files |= {f: "tao_lora_ros" / f.relative_to(ROOT) for f in (ROOT / "kernels").rglob("*.py")}
    return sorted(
        re.sub(r"(/__init__)?\.py$", "", str(f)).replace("/", ".") for f in files.values()
    )


@pytest.fixture
def messages():
    """The generated messages; skips only where none are built, not where they fail to import."""
    if not any(Path(folder, "tao_lora_ros", "msg").is_dir() for folder in sys.path):
        pytest.skip("the messages are not built")
    return importlib.import_module("tao_lora_ros.msg")


@pytest.mark.ros
def test_messages_and_modules_are_one_package(messages):
    import tao_lora_ros.kernels
    import tao_lora_ros.signal

    assert Path(tao_lora_ros.signal.__file__).resolve().is_relative_to(ROOT)
    assert Path(tao_lora_ros.kernels.__file__).resolve().is_relative_to(ROOT)
    assert {file.stem for file in MESSAGES} <= set(dir(messages))


@pytest.mark.ros
def test_messages_cross_the_wire(messages):
    """Serialised and read back, a message has its values: the type support's libraries load."""
    serialization = pytest.importorskip("rclpy.serialization")
    samples = messages.RawSamples(source="wrench", channels=["force.x"], values=[1.5, -2.5])
    event = messages.EventSamples(phase=messages.TransientEvent.END, raw=[samples])
    data = serialization.serialize_message(event)
    assert serialization.deserialize_message(data, messages.EventSamples) == event


@pytest.mark.parametrize("file", MESSAGES, ids=lambda file: file.stem)
def test_every_field_says_what_it_is(file):
    lines = [line for line in file.read_text().splitlines() if line.strip()]
    assert lines[0].startswith("# "), "no sentence on what the message is"
    bare = [line for line in lines if not line.startswith("#") and not line.partition("#")[2]]
    assert not bare


def test_cmake_generates_every_message():
    listed = re.findall(r"msg/\w+\.msg", (ROOT / "CMakeLists.txt").read_text())
    assert sorted(listed) == [f"msg/{file.name}" for file in MESSAGES]


def test_one_version_everywhere():
    version = PACKAGE.findtext("version")
    python = [sys.executable, "setup.py", "--version"]
    printed = subprocess.run(python, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    newest = re.search(r"^(\d+\.\d+\.\d+) ", (ROOT / "CHANGELOG.rst").read_text(), re.MULTILINE)
    assert newest, "no version in CHANGELOG.rst"
    assert [printed.split()[-1], newest[1]] == [version, version]


def test_installed_metadata_has_the_version():
    try:
        installed = metadata.version("tao_lora_ros")
    except metadata.PackageNotFoundError:
        pytest.skip("neither pip nor colcon has installed the package")
    assert installed == PACKAGE.findtext("version")


def test_package_xml_names_the_ros_packages_imported():
    """A ROS package imported somewhere and not declared is missing on another's robot."""
    declared = {element.text for element in PACKAGE if element.tag.endswith("depend")}
    sources = [file for name in INSTALLED for file in (ROOT / name).rglob("*.py")]
    ros = re.compile(
        r"^\s*(?:import|from) (rclpy|launch\w*|\w+_(?:msgs|srvs|interfaces)\w*|ament_\w+)\b", re.M
    )
    imported = {name for file in sources for name in ros.findall(file.read_text())}
    assert imported <= declared


def test_every_folder_of_modules_is_a_package():
    """pip leaves out a folder without an __init__.py."""
    folders = {file.parent for name in INSTALLED[:2] for file in (ROOT / name).rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_source_init_is_only_the_merge():
    """A name defined there is lost in a build whose generated __init__.py comes first."""
    code = (ROOT / "tao_lora_ros" / "__init__.py").read_text().rpartition('"""')[2].split("\n")
    assert [line for line in code if line] == [
        "import pkgutil",
        "__path__ = pkgutil.extend_path(__path__, __name__)",
    ]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A colcon workspace with a copy of this package in `src/`."""
    if util.find_spec("colcon_core") is None:
        pytest.skip("colcon is not installed")
    if util.find_spec("rosidl_generator_py") is None:
        pytest.skip("the ROS 2 message generators are not installed")
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    folder = tmp_path_factory.mktemp("workspace")
    source = folder / "src" / "tao_lora_ros"
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in (*INSTALLED, "msg", "tools", "test/unit"):
        shutil.copytree(ROOT / name, source / name, ignore=unwanted)
    for name in ("CMakeLists.txt", "package.xml", "pyproject.toml"):
        shutil.copy(ROOT / name, source / name)
    return folder


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["--symlink-install"]], ids=["copies", "links"])
def test_colcon_build(workspace, flags):
    base = workspace / ("links" if flags else "copies")
    environment = dict(os.environ)
    if "ROS_DISTRO" not in os.environ:  # the environment itself is the ROS prefix
        environment |= {"AMENT_PREFIX_PATH": sys.prefix, "CMAKE_PREFIX_PATH": sys.prefix}
    main = "import sys; from colcon_core.command import main; sys.exit(main())"
    colcon = [sys.executable, "-c", main, "--log-base", str(base / "log"), "build", *flags]
    colcon += ["--build-base", str(base / "build"), "--install-base", str(base / "install")]
    colcon += ["--cmake-args", f"-DPython3_EXECUTABLE={sys.executable}"]
    built = subprocess.run(colcon, cwd=workspace, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr

    prefix = base / "install" / "tao_lora_ros"
    source = workspace / "src" / "tao_lora_ros"
    for name in ("launch", "config", "examples"):
        wanted = {str(f.relative_to(source)) for f in (source / name).rglob("*") if f.is_file()}
        share = prefix / "share" / "tao_lora_ros"
        assert wanted <= {str(file.relative_to(share)) for file in share.rglob("*")}
    node = prefix / "lib" / "tao_lora_ros" / "pipeline_node"
    command = prefix / "bin" / "tao-lora"
    for file in (node, command):
        assert os.access(file, os.X_OK)
        assert file.read_text().startswith(f"#!{sys.executable}\n")

    # Sourced, from elsewhere, every module and message comes from the installation.
    check = (
        "import importlib, sys, tao_lora_ros.msg\n"
        "from rclpy.serialization import serialize_message\n"
        "assert serialize_message(tao_lora_ros.msg.Inference(labels=['a']))\n"
        "for name in sys.argv[1:]: print(importlib.util.find_spec(name).origin)\n"
    )
    sourced = f'. "{base}/install/local_setup.sh" && exec "{sys.executable}" -c "$CHECK" "$@"'
    imported = subprocess.run(
        ["sh", "-c", sourced, "check", *installed_modules()],
        cwd=workspace,
        env=environment | {"CHECK": check},
        capture_output=True,
        text=True,
    )
    assert imported.returncode == 0, imported.stderr
    strangers = [f for f in imported.stdout.split() if not f.startswith(str(prefix))]
    assert not strangers
    compiled = [file for file in prefix.rglob("*.pyc") if file.is_symlink()]
    assert not compiled
