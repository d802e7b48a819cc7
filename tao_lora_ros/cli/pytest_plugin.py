"""For tests of a robot's own: the fixture `replay_bag`, which pytest finds where we are installed.

All is imported when a test asks for it, so other test runs pay nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def replay_bag() -> Callable[..., dict[str, Any]]:
    """Replays a bag; gives what `tao-lora replay --json` writes."""
    return _replay_bag


def _replay_bag(
    bag: Path | str,
    model: Path | str | None = None,
    params_file: Path | str | None = None,
    topic: Sequence[str] = (),
) -> dict[str, Any]:
    """What a replay finds: `events`, `sources`, `notices` and more.

    Args:
        bag: ROS 1 or ROS 2 bag.
        model: artifact folder.
        params_file: ROS parameter file.
        topic: texts such as `imu=/imu/data_raw`.

    Raises:
        TaoLoraError: the bag, the model or the file will not do.
    """
    from argparse import Namespace

    from tao_lora_ros.bags.reader import BagReader
    from tao_lora_ros.bags.replay import replay, summary
    from tao_lora_ros.cli.chosen import ready
    from tao_lora_ros.engine.pipeline import Pipeline
    from tao_lora_ros.engine.sources import source_configs

    place = Path(bag)
    asked = Namespace(
        topic=topic,
        params_file=Path(params_file) if params_file else None,
        model=Path(model) if model else None,
        from_s=0.0,
        to_s=inf,
    )
    chosen = ready(asked, place)
    pipeline = Pipeline(chosen.settings, chosen.artifact)
    with BagReader(place, source_configs(chosen.settings), chosen.topics) as reader:
        numbers = summary(replay(reader, pipeline), pipeline)
    return numbers | {"notices": [*chosen.notices, *numbers["notices"]]}
