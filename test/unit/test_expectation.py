"""A replay that finds other events than expected says which, and ends with status 3."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import pytest
from commands import json_of, tao_lora
from models import small_artifact
from recordings import motion, write_ros2

from tao_lora_ros.bags.expectation import TOLERANCE, differences, read_expected
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.cli.pytest_plugin import replay_bag as ours
from tao_lora_ros.model.artifact import save_artifact

EVENT = {"onset_s": 3.0, "end_s": 3.2, "kind": "blow", "label": "impact"}


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([EVENT], []),
        ([EVENT | {"onset_s": 3.019, "end_s": 3.29}], []),
        ([], ["missing     3.000 s blow impact"]),
        ([EVENT, EVENT | {"onset_s": 5.0}], ["unexpected  5.000 s blow impact"]),
        ([EVENT | {"label": ""}], ["changed     3.000 s blow impact: label -, not impact"]),
        ([EVENT | {"end_s": 4.0}], ["changed     3.000 s blow impact: end 4.000 s, not 3.200 s"]),
    ],
)
def test_differences(events, said: list[str]) -> None:
    assert list(differences([EVENT], events, TOLERANCE)) == said


@pytest.mark.parametrize(
    "content",
    [
        *([], {}, {"events": [1]}, {"events": [EVENT | {"onset_s": 10**400}]}),
        *({"events": [EVENT | {name: []}]} for name in EVENT),
    ],
    ids=lambda content: str(content)[:80],
)
def test_what_is_no_file_of_events_is_said(content, tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    file.write_text(json.dumps(content))
    with pytest.raises(BagError, match="no file of expected events; tao-lora replay BAG --json"):
        read_expected(file)


replay_bag = ours  # as pytest finds it where the package was installed by pip


def test_the_fixture_gives_what_the_command_writes(replay_bag, tmp_path: Path) -> None:
    save_artifact(small_artifact(), tmp_path / "model")
    bag = write_ros2(tmp_path / "struck", motion(4.0, [3.0], seed=1))
    given = replay_bag(str(bag), model=str(tmp_path / "model"))
    assert len(given["events"]) == 1
    assert json.loads(json.dumps(given)) == json_of("replay", bag, model=tmp_path / "model")


def test_a_replay_against_its_own_events_and_others(tmp_path: Path, capsys) -> None:
    save_artifact(small_artifact(), tmp_path / "model")
    bag = write_ros2(tmp_path / "struck", motion(4.0, [3.0], seed=1))
    file = tmp_path / "events.json"
    expecting = partial(tao_lora, "replay", bag, model=tmp_path / "model", expect=file)
    content = json_of("replay", bag, model=tmp_path / "model")
    file.write_text(json.dumps(content))
    assert expecting() == 0
    content["events"][0]["onset_s"] += 0.03
    file.write_text(json.dumps(content))
    assert expecting() == 3
    out = capsys.readouterr().out
    assert "missing     3.0" in out
    assert "unexpected  3.0" in out
    file.write_text(json.dumps(content | {"tolerance": {"onset_s": 0.05}}))
    assert expecting() == 0
    file.write_text("[]")
    assert expecting() == 1
    assert "tao-lora replay BAG --json FILE writes one" in capsys.readouterr().err


def test_the_fixture_may_be_named_where_pip_installed_it() -> None:
    setup = (Path(__file__).parents[2] / "setup.py").read_text()
    named, module = re.search(r'"pytest11": \["(\S+) = (\S+)"\]', setup).groups()
    assert named == module  # else pytest refuses `-p MODULE`: two names of one plugin
