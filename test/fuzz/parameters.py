"""ROS parameter files."""

from __future__ import annotations

from fuzz.harness import as_file, in_corpus, refused

from tao_lora_ros.engine.settings import parameter_file, read_settings

PARTS = (
    *(f"tao_lora_ros.engine.{name}" for name in ("parameter_file", "parameter", "settings")),
    *(f"yaml.{name}" for name in ("scanner", "parser", "composer", "reader")),
)


def seeds() -> list[bytes]:
    """The file that ships, small ones, and hostile ones."""
    small = b"/**:\n  ros__parameters:\n    hop_steady: 8\n    imus: [a, b]\n"
    return [parameter_file().encode(), small, *in_corpus("params")]


def one(data: bytes) -> None:
    """It gives settings, or is refused."""
    with refused():
        read_settings(as_file(data))
