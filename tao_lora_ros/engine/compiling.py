"""A pipeline whose loops were compiled by a process of its own, which takes its memory with it.

Who compiles holds numba's and LLVM's compilers for good, twice what a node takes else.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.signal.compiled import COMPILING
from tao_lora_ros.signal.loop_cache import NotKept, kept_alone


def compiled_pipeline(
    settings: Settings, artifact: Artifact, now_ns: Callable[[], int], say: Callable[[str], None]
) -> Pipeline:
    """A pipeline, warm, of loops that were kept; `say` is called where these are compiled first.

    Where they cannot be kept they are compiled here.

    Raises:
        SettingsError: see `Pipeline`.
    """
    with suppress(NotKept), kept_alone():
        return _warm(settings, artifact, now_ns)
    say(COMPILING)
    on_cpu = pickle.dumps((replace(settings, backend="cpu"), artifact))
    subprocess.run([sys.executable, "-m", __name__], input=on_cpu, check=False)
    return _warm(settings, artifact, now_ns)


def _warm(
    settings: Settings, artifact: Artifact, now_ns: Callable[[], int] | None = None
) -> Pipeline:
    pipeline = Pipeline(settings, artifact, now_ns)
    pipeline.warm()
    return pipeline


if __name__ == "__main__":
    _warm(*pickle.load(sys.stdin.buffer))
