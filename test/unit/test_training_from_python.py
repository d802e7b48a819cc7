"""The lines of docs/training.md that train from Python, run as they stand but for fewer steps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from recordings import motion, write_ros2

from tao_lora_ros.model.artifact import load_artifact

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"
FEWER = {
    "folds=5": "folds=2, settle_steps=1, adapt_steps=1",
    "FitConfig(steps=1500)": "FitConfig(2)",
}
IMPACTS_S = (0.4, 0.8)


def test_the_lines_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        bag = write_ros2(tmp_path / "bags" / f"run_{seed}", motion(1.2, IMPACTS_S, seed))
        rows = "".join(f"{t},{t + 0.02},impact\n" for t in IMPACTS_S)
        bag.with_name(f"{bag.name}.labels.csv").write_text(f"start_s,end_s,label\n{rows}")
    write_ros2(tmp_path / "steady" / "run", motion(5.0, seed=9))
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for usual, fewer in FEWER.items():
        assert usual in code
        code = code.replace(usual, fewer)
    exec(compile(code, str(PAGE), "exec"), {})
    assert capsys.readouterr().out.startswith("('free', 'impact') {'mean': ")
    assert load_artifact(Path("my_model")).window == 64
