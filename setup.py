"""For pip alone (`pip install -e .`); colcon builds by CMakeLists.txt."""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

HERE = Path(__file__).parent
FOLDERS = ("config", "config/sros2", "examples", "launch")


def requirements(name: str) -> list[str]:
    """The requirements of `requirements/<name>.txt`."""
    lines = (HERE / "requirements" / f"{name}.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def files(folder: str) -> list[str]:
    """The files right in a folder."""
    return [str(file.relative_to(HERE)) for file in (HERE / folder).iterdir() if file.is_file()]


package = ElementTree.parse(HERE / "package.xml").getroot()

setup(
    name=package.findtext("name"),
    version=package.findtext("version"),
    description=" ".join(package.findtext("description").split()),
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=["tao_lora_ros.kernels", *find_packages(include=["tao_lora_ros", "tao_lora_ros.*"])],
    package_dir={"tao_lora_ros.kernels": "kernels"},
    package_data={
        "tao_lora_ros": [
            *("**/*.html", "**/*.json", "model/artifacts/**/*.safetensors"),
            *("report/page/*.css", "report/page/*.js", "report/page/*.LICENSE"),
        ],
        "tao_lora_ros.kernels": ["**/*.json", "*.cu"],
    },
    # And what this file itself reads, so that a source archive holds it too.
    data_files=[
        ("share/tao_lora_ros", ["package.xml"]),
        ("share/tao_lora_ros/msg", files("msg")),
        *((f"share/tao_lora_ros/{folder}", files(folder)) for folder in FOLDERS),
        ("share/tao_lora_ros/requirements", ["requirements/dev.txt", "requirements/runtime.txt"]),
    ],
    install_requires=requirements("runtime"),
    extras_require={
        "dev": requirements("dev"),
        "export": ["pyarrow"],
        "onnx": ["onnx"],
        "ray": ["pyarrow", "ray"],
        "rerun": ["rerun-sdk"],
        "simulate": ["mujoco"],
    },
    entry_points={
        "console_scripts": ["tao-lora = tao_lora_ros.cli.entry:main"],
        # Called as its module is, so that it may be named with -p as well.
        "pytest11": ["tao_lora_ros.cli.pytest_plugin = tao_lora_ros.cli.pytest_plugin"],
    },
)
