"""A node's loops are compiled by a process that ends, and only where they are not kept."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba

from tao_lora_ros.engine.compiling import compiled_pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.model.artifact import default_artifact, load_artifact
from tao_lora_ros.signal.compiled import COMPILING, _folder

LOOP = "schedule._due"
NODE = """
import time
from tao_lora_ros.engine import schedule
from tao_lora_ros.engine.compiling import compiled_pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.model.artifact import default_artifact, load_artifact
said = []
artifact = load_artifact(default_artifact())
compiled_pipeline(Settings(backend="cpu"), artifact, time.time_ns, said.append)
stats = schedule._due.stats
print(said, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def test_one_loop_that_is_not_kept_is_compiled_elsewhere(tmp_path: Path) -> None:
    settings, artifact = Settings(backend="cpu"), load_artifact(default_artifact())
    said: list[str] = []
    pipeline = compiled_pipeline(settings, artifact, lambda: 0, said.append)
    assert pipeline.runtime is not None
    kept = _folder(numba.config.CACHE_DIR)
    shutil.copytree(kept, tmp_path / kept.name)
    gone = list((tmp_path / kept.name).rglob(f"{LOOP}-*"))
    assert gone
    for file in gone:
        file.unlink()
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    for said in ([COMPILING], []):
        done = subprocess.run(
            [sys.executable, "-c", NODE], env=environment, capture_output=True, text=True
        )
        assert done.stdout == f"{said} 1 0\n", done.stderr
