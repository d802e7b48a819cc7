"""A foot that walks has no lasting contacts, which is counted; a tool that a hand lifts has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recordings import START_NS, Message, imu, wrench

from benchmark.touchdowns import read_walks, replayed
from tao_lora_ros.bags.replay import Replay, summary
from tao_lora_ros.contact import calibration as contact_calibration
from tao_lora_ros.detection.calibration import calibrated, uncalibrated
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import channels_of
from tao_lora_ros.messages.results import Event, Kind, Phase
from tao_lora_ros.model.artifact import Artifact

RATE_HZ, BORNE_N = 200.0, 20.0
S = round(RATE_HZ)  # rows
Array = np.ndarray


def borne(seconds: float, feet: int = 1, seed: int = 0) -> Array:
    """Rows of an Imu at rest and of so many wrenches that bear a load, [n, 6 + 6 feet]."""
    rng, count = np.random.default_rng(seed), round(seconds * S)
    rows = rng.normal(0.0, 0.05, (count, 6 + 6 * feet))
    rows[:, 2] += 9.81
    rows[:, 8::6] += BORNE_N
    return rows


def pipeline(feet: int = 1) -> Pipeline:
    settings = Settings(
        wrenches=tuple(f"foot{i}" for i in range(feet)),
        wrench_lags_s=(0.0,) * feet,
        wrench_types=("WrenchStamped",) * feet,
    )
    channels, steady = channels_of(settings), [borne(60.0, feet)]
    router, _ = calibrated(uncalibrated(channels, RATE_HZ), steady, RATE_HZ, 1.0)
    models, _ = contact_calibration.calibrated(channels, steady, RATE_HZ, 1.0)
    assert len(models) == feet
    return Pipeline(settings, Artifact("feet", "1", None, RATE_HZ, channels, (), router, models))


def messages_of(rows: Array) -> list[Message]:
    out = []
    for i, row in enumerate(rows.tolist()):
        stamp = START_NS + round(i * 1e9 / RATE_HZ)
        out.append(Message(0, stamp, imu(stamp, row[:6])))
        out += [
            Message(1 + foot, stamp, wrench(stamp, row[6 + 6 * foot : 12 + 6 * foot]))
            for foot in range((len(row) - 6) // 6)
        ]
    return out


def contacts(subject: Pipeline, rows: Array) -> list[Event]:
    results = [r for m in messages_of(rows) for r in subject.push(m.source, m.data).results]
    results += subject.flush()
    return [r for r in results if isinstance(r, Event) and r.kind is Kind.LASTING_CONTACT]


def phases_at(found: list[Event]) -> list[tuple[Phase, float]]:
    """Phase of each, and when it began or ended, s."""
    return [(e.phase, ((e.end_ns or e.onset_ns) - START_NS) * 1e-9) for e in found]


@pytest.mark.parametrize("lifted_s", [0.3, 2.0])
def test_a_tool_that_a_hand_lifts_once_is_in_contact_and_what_presses_it_later_too(
    lifted_s: float,
) -> None:
    rows = borne(14.0, seed=1)
    rows[4 * S : round((4.0 + lifted_s) * S), 8] -= BORNE_N
    rows[8 * S : 10 * S, 6] += 12.0
    subject = pipeline()
    found = phases_at(contacts(subject, rows))
    assert [phase for phase, _ in found] == [Phase.ONSET, Phase.END] * 2
    np.testing.assert_allclose(
        [at_s for _, at_s in found], (4.0, 4.0 + lifted_s, 8.0, 10.0), atol=0.06
    )
    assert subject.counts.contacts_of_walking == 0


def walking(seconds: float, feet: int) -> Array:
    """Feet that are off the ground for 0.25 s of every 0.5 s, half of them in turn, after 4 s."""
    rows, count = borne(seconds, feet, seed=2), round(seconds * S)
    phase = np.arange(count) % (S // 2) < S // 4
    for foot in range(feet):
        flies = (phase ^ bool(foot % 2)) & (np.arange(count) >= 4 * S)
        rows[flies, 8 + 6 * foot] -= BORNE_N
        rows[~flies & (np.arange(count) >= 4 * S), 8 + 6 * foot] += 0.8 * BORNE_N
    return rows


@pytest.mark.parametrize("feet", [1, 4])
def test_a_robot_that_walks_has_contacts_at_its_feet_in_the_first_steps_at_most(feet: int) -> None:
    subject = pipeline(feet)
    found = contacts(subject, walking(20.0, feet))
    assert all(at_s < 5.0 for _, at_s in phases_at(found))
    numbers = [event.sequence for event in found]
    assert all(numbers.count(number) == 2 for number in numbers)
    assert len(found) <= 2 * feet
    assert subject.counts.contacts_of_walking > 0
    numbers = summary(Replay(START_NS), subject)
    assert numbers["contacts_of_walking"] == subject.counts.contacts_of_walking
    assert any("of a foot that walks" in notice for notice in numbers["notices"])


def test_simulated_feet_have_no_contacts(data_folder: Path, tmp_path: Path) -> None:
    for walk in read_walks(data_folder):
        (tmp_path / walk.name).mkdir()
        result, _ = replayed(walk, tmp_path / walk.name)
        assert not any(event.kind is Kind.LASTING_CONTACT for event in result.events)
