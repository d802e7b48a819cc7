"""An event head learns names from raw samples, is sure or silent, and is kept beside a card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import Phase
from tao_lora_ros.model.artifact import Artifact, default_artifact, load_artifact, save_artifact
from tao_lora_ros.model.card import CARD, ArtifactError
from tao_lora_ros.model.describe import describe
from tao_lora_ros.model.event_features import FEATURES, columns_of, event_features
from tao_lora_ros.model.event_head import FILE, EventHead
from tao_lora_ros.model.likeness import Likeness
from tao_lora_ros.training.event_likeness import fitted_likeness, limit_of
from tao_lora_ros.training.event_names import EventFit, EventNameError, NamedEvent, fit_event_head

MS = 1_000_000
ONSET_NS, END_NS = 1_000 * MS, 1_080 * MS
AXES = ("x", "y", "z")
CHANNELS = {
    "imu": [f"imu.{kind}_{axis}" for kind in ("accel", "gyro") for axis in AXES],
    "wrench": [f"wrench.{kind}_{axis}" for kind in ("force", "torque") for axis in AXES],
}


def event(name: str, rng: np.random.Generator, until_ms: int = 400) -> NamedEvent:
    """A blow, or a load that comes or goes, at 500 and 1000 Hz, in any direction."""
    rows = {"imu": 500, "wrench": 1000}
    direction = rng.normal(size=3)
    direction *= rng.uniform(0.7, 1.5) / np.linalg.norm(direction)
    raw = []
    for source, rate_hz in rows.items():
        times_s = np.arange(-0.25, until_ms * 1e-3, 1 / rate_hz)
        values = rng.normal(0.0, 0.02, (len(times_s), 6))
        values[:, :3] += (0.0, 0.0, 9.8)
        ringing = np.exp(-np.clip(times_s, 0, None) / 0.01) * np.cos(600 * times_s) * (times_s >= 0)
        values[:, :3] += 3.0 * ringing[:, None] * direction
        if source == "wrench" and name != "blow":
            held = times_s >= 0 if name == "hold" else times_s < 0
            values[:, :3] += 8.0 * held[:, None] * direction
        stamps_ns = ONSET_NS + np.round(times_s * 1e9).astype(np.int64)
        raw.append(RawSamples(source, "link", tuple(CHANNELS[source]), stamps_ns, values))
    group = str(rng.integers(6))
    return NamedEvent(tuple(raw), ONSET_NS, END_NS, name, group, ONSET_NS + 10 * MS)


def events(seed: int, count: int = 12) -> list[NamedEvent]:
    rng = np.random.default_rng(seed)
    return [event(name, rng) for name in ("blow", "hold", "let go") for _ in range(count)]


@pytest.fixture(scope="module")
def fit() -> EventFit:
    return fit_event_head(events(0))


def said(fit: EventFit, one: NamedEvent, phase: Phase = Phase.END) -> str:
    return fit.head.name(phase, event_features(one.raw, one.onset_ns, one.end_ns))[0]


def test_other_events_of_these_kinds_are_named(fit: EventFit) -> None:
    assert fit.head.names == ("blow", "hold", "let go")
    names = [(said(fit, one), one.name) for one in events(1)]
    assert all(found in ("", true) for found, true in names)
    assert np.mean([found == true for found, true in names]) > 0.9


def test_every_event_was_judged_by_a_fit_without_its_recording(fit: EventFit) -> None:
    assert fit.probabilities.shape == (36, 3)
    names = [fit.head.names[i] for i in fit.probabilities.argmax(axis=1)]
    assert np.mean([name == one.name for name, one in zip(names, events(0), strict=True)]) > 0.9


def test_below_its_margin_it_says_nothing(fit: EventFit) -> None:
    unsure = replace(fit.head, margins=np.full_like(fit.head.margins, 1.1))
    features = event_features(events(1)[0].raw, ONSET_NS, END_NS)
    name, probability = unsure.name(Phase.END, features)
    assert name == ""
    assert probability == fit.head.name(Phase.END, features)[1] > 0.3


def test_a_name_that_is_often_wrong_is_said_only_when_it_is_sure() -> None:
    doubtful = [
        replace(one, name="blow") if one.name == "hold" and number % 3 == 0 else one
        for number, one in enumerate(events(0))
    ]
    blow, hold, let_go = fit_event_head(doubtful).head.margins[Phase.ONSET]
    assert hold > max(blow, let_go)


def unlike(kind: str, rng: np.random.Generator) -> NamedEvent:
    """An event of no learned kind: the wrench, or the IMU, does what it does in none of them."""
    one = event("blow", rng)
    raw = {samples.source: samples for samples in one.raw}
    since_s = (raw["wrench"].stamps_ns - ONSET_NS) * 1e-9
    on = (since_s >= 0.0) & (since_s < 0.08)
    force = raw["wrench"].values[:, :3]
    if kind == "buzzes":
        force[on] += 30.0 * np.sign(np.sin(1500.0 * since_s[on]))[:, None]
    elif kind == "creeps":
        force += 40.0 * np.clip(since_s + 0.2, 0.0, None)[:, None]
    else:  # hardly shakes, and is turned slowly
        raw["imu"].values[:, :3] = 9.8 * np.array([1.0, 0.0, 0.0])
        raw["imu"].values[250:, :3] += np.linspace(0.0, 8.0, len(raw["imu"].values) - 250)[:, None]
    return one


@pytest.mark.parametrize("kind", ["buzzes", "creeps", "turns"])
def test_an_event_unlike_all_that_was_learned_has_no_name(fit: EventFit, kind: str) -> None:
    rng = np.random.default_rng(7)
    assert {said(fit, unlike(kind, rng)) for _ in range(8)} == {""}
    features = np.stack([event_features(one.raw, ONSET_NS, END_NS) for one in events(1)])
    distances = fit.head.distances(Phase.END, features)
    assert np.mean(distances <= fit.head.likeness.limits[Phase.END]) > 0.9


def test_a_name_that_was_left_out_is_farther_than_the_others() -> None:
    head = fit_event_head([one for one in events(0) if one.name != "let go"]).head
    features = np.stack([event_features(one.raw, ONSET_NS, END_NS) for one in events(3)])
    distances = head.distances(Phase.END, features)
    other = np.array([one.name == "let go" for one in events(3)])
    assert np.mean(distances[other][:, None] > distances[~other]) > 0.95  # the area under the curve


def test_a_robot_with_other_sensors_alone_is_told_nothing(fit: EventFit) -> None:
    stamps_ns = ONSET_NS + MS * np.arange(-250, 400)
    efforts = np.random.default_rng(0).normal(size=(len(stamps_ns), 2))
    raw = [RawSamples("joints", "", ("joints.effort_a", "joints.effort_b"), stamps_ns, efforts)]
    assert fit.head.name(Phase.END, event_features(raw, ONSET_NS, END_NS))[0] == ""


@pytest.mark.parametrize("lacking", [("gyro",), ("accel", "gyro"), ("gyro", "force", "torque")])
def test_a_robot_that_lacks_sensors_is_told_by_the_others(
    fit: EventFit, lacking: tuple[str, ...]
) -> None:
    """An accelerometer alone sees blows, not who holds."""
    for one in events(5):
        features = event_features(one.raw, ONSET_NS, END_NS)
        features[columns_of(*lacking)] = np.nan
        name, _ = fit.head.name(Phase.END, features)
        assert name in ("", one.name) or "force" in lacking


def test_an_onset_is_named_from_what_is_known_then(fit: EventFit) -> None:
    known = [
        replace(s, stamps_ns=s.stamps_ns[:280], values=s.values[:280]) for s in events(1)[-1].raw
    ]
    name, probability = fit.head.name(Phase.ONSET, event_features(known, ONSET_NS))
    assert name in ("", *fit.head.names)
    assert 0.0 < probability <= 1.0


def test_few_events_go_by_the_head_that_was_there() -> None:
    """Two events of each tell little."""
    base = fit_event_head(events(0)).head
    few = events(2, 2)
    started, alone = fit_event_head(few, base), fit_event_head(few)
    others = events(3, 30)

    def right(fit: EventFit) -> int:
        return sum(said(fit, one) == one.name for one in others)

    assert 0.9 * len(others) <= right(started) > right(alone)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["blow"] * 3, "blow 3; expected two names"),
        (["blow"] * 3 + ["hold"], "blow 3, hold 1"),
        (["blow"] * 3 + [""] * 3, "without a name 3"),
        ([], "none"),
    ],
)
def test_too_few_names_are_refused(names: list[str], message: str) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(EventNameError, match=message):
        fit_event_head([event(name, rng) for name in names])


def test_names_that_are_labelled_no_more_stay_and_few_new_labels_move_the_others() -> None:
    base = fit_event_head(events(0)).head
    labelled = [one for one in events(6) if one.name != "let go"]
    found = fit_event_head(labelled, base).head
    assert found.names == base.names
    features = np.stack([event_features(one.raw, ONSET_NS, END_NS) for one in events(3)])
    truth = [base.names.index(one.name) for one in events(3)]
    before, after = (
        np.mean(head.probabilities(Phase.END, features).argmax(axis=1) == truth)
        for head in (base, found)
    )
    assert before > 0.9 < after
    moved = np.abs(found.likeness.centres - base.likeness.centres)[Phase.END].max(axis=0)
    assert moved[found.names.index("hold")] > 0.01
    assert moved[found.names.index("let go")] < 1e-9
    forgetful = fit_event_head(labelled, replace(base, likeness=None)).head
    assert forgetful.names == ("blow", "hold")


def test_a_robot_that_lacks_a_sensor_keeps_the_names_that_nobody_labels() -> None:
    """Not by the absence of the sensor are its events told from those learned with it."""

    def blind(seed: int) -> list[NamedEvent]:
        return [replace(one, raw=one.raw[1:]) for one in events(seed)]  # no IMU

    base = fit_event_head(events(0)).head
    found = fit_event_head([one for one in blind(6) if one.name != "let go"], base).head
    features = np.stack(
        [event_features(one.raw, ONSET_NS, END_NS) for one in blind(3) if one.name == "let go"]
    )
    before, after = (
        head.probabilities(Phase.END, features)[:, base.names.index("let go")]
        for head in (base, found)
    )
    assert before.min() > 0.7
    assert np.abs(after - before).max() < 0.05


def test_labels_do_not_say_how_often_names_happen() -> None:
    """One name is labelled five times as often as the other; which of them is likelier stays."""
    base = fit_event_head(events(0)).head
    often = [one for one in events(6) if one.name == "hold"]
    seldom = [one for one in events(6) if one.name == "let go"][:3]
    found = fit_event_head(often + seldom, base).head
    nothing = np.full(FEATURES, np.nan)
    before, after = (head.probabilities(Phase.END, nothing) for head in (base, found))
    assert after == pytest.approx(before, abs=1e-9)


def test_a_rare_name_is_as_seldom_unknown_as_the_others() -> None:
    distances = np.concatenate((np.linspace(0.0, 1.0, 960), np.linspace(2.0, 4.0, 40)))
    limit = limit_of(distances, np.repeat([0, 1], [960, 40]))
    assert 3.9 < limit < 4.0


def without_network(head: EventHead) -> Artifact:
    """The model that ships, for detection and names alone."""
    shipped = load_artifact(default_artifact())
    parts = dict(model=None, labels=(), label_filter=None, scales={}, known=None)
    return replace(shipped, event_head=head, **parts)


def test_an_older_head_names_every_event_and_comes_back(tmp_path: Path, fit: EventFit) -> None:
    old = replace(fit.head, likeness=None)
    save_artifact(without_network(old), tmp_path)
    found = load_artifact(tmp_path)
    assert found.event_head.likeness is None
    assert "every event is named, however unlike" in describe(found)
    features = event_features(unlike("buzzes", np.random.default_rng(0)).raw, ONSET_NS, END_NS)
    assert found.event_head.name(Phase.END, features) == old.name(Phase.END, features)
    assert old.name(Phase.END, features)[0]


def test_features_do_not_see_how_a_sensor_is_turned_but_for_loads() -> None:
    one = events(4)[0]
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turned = [
        replace(s, values=np.hstack([s.values[:, :3] @ turn.T, s.values[:, 3:] @ turn.T]))
        for s in one.raw
    ]
    features = [event_features(raw, ONSET_NS, END_NS) for raw in (one.raw, turned)]
    assert features[0].shape == (FEATURES,)
    np.testing.assert_allclose(features[0], features[1], atol=1e-6)  # both turned: loads too


def test_features_look_no_further_than_soon_after_the_end() -> None:
    """So a stored event with its post-roll gives what the live one gave."""
    rng, same = np.random.default_rng(5), np.random.default_rng(5)
    longer, shorter = event("hold", rng, until_ms=400), event("hold", same, until_ms=400)
    cut = [
        replace(s, stamps_ns=s.stamps_ns[k], values=s.values[k])
        for s in shorter.raw
        for k in [s.stamps_ns <= END_NS + 60 * MS]
    ]
    features = [event_features(raw, ONSET_NS, END_NS) for raw in (longer.raw, cut)]
    np.testing.assert_array_equal(*features)


@pytest.mark.parametrize("kind", ["gyro", "force"])
def test_what_is_not_measured_is_not_known(kind: str) -> None:
    one = events(4)[0]
    blind = []
    for samples in one.raw:
        values = samples.values.copy()
        values[:, [i for i, name in enumerate(samples.channels) if kind in name]] = np.nan
        blind.append(replace(samples, values=values))
    features = event_features(blind, ONSET_NS, END_NS)
    assert np.isnan(features[columns_of(kind)]).all()
    assert np.isfinite(features[columns_of("torque")]).any()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("from_ms", "to_ms", "end_ms"),
    [(-250, -240, 80), (0, 4, 80), (600, 5000, 5000), (-250, 100, 9000), (-250, 100, 0), (0, 0, 0)],
)
def test_a_source_may_speak_at_any_time(from_ms: int, to_ms: int, end_ms: int) -> None:
    """Early alone, late alone, not at the end, hardly at all."""
    stamps_ns = ONSET_NS + MS * np.arange(from_ms, to_ms + 1)
    values = np.random.default_rng(0).normal(size=(len(stamps_ns), 6))
    raw = [RawSamples(s, "", tuple(CHANNELS[s]), stamps_ns, values) for s in CHANNELS]
    features = event_features(raw, ONSET_NS, ONSET_NS + end_ms * MS)
    assert not np.isinf(features).any()


def test_an_event_without_samples_has_a_duration_alone() -> None:
    features = event_features([], ONSET_NS, END_NS)
    assert features[0] == pytest.approx(np.log(0.08))
    assert np.isnan(features[1:]).all()


@pytest.fixture
def folder(tmp_path: Path, fit: EventFit) -> Path:
    save_artifact(without_network(fit.head), tmp_path)
    return tmp_path


def test_a_head_comes_back_as_it_was(folder: Path, fit: EventFit) -> None:
    head = load_artifact(folder).event_head
    assert head is not None
    assert head.names == fit.head.names
    np.testing.assert_array_equal(head.margins, fit.head.margins)
    assert head.likeness.limits == fit.head.likeness.limits
    features = event_features(events(1)[0].raw, ONSET_NS, END_NS)
    assert head.name(Phase.END, features) == fit.head.name(Phase.END, features)


def _tensors(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        tensors = load((folder / FILE).read_bytes())
        change(tensors)
        data = save(tensors)
        (folder / FILE).write_bytes(data)
        _card(lambda head: head.update(sha256=hashlib.sha256(data).hexdigest()))(folder)

    return spoil


def _card(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        card = json.loads((folder / CARD).read_text())
        change(card["event_head"])
        (folder / CARD).write_text(json.dumps(card))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / FILE).unlink(), FILE),
        (lambda folder: (folder / FILE).write_bytes(b""), "SHA-256"),
        (_tensors(lambda t: t["centres"].__setitem__((0, 0, 0), np.nan)), "centres holds NaN"),
        (_tensors(lambda t: t["covariance"].__setitem__((1, 1, 1), 1e-9)), "positive definite"),
        (_tensors(lambda t: t["covariance"].__setitem__((1, 3, 4), 1e-3)), "not symmetric"),
        (_tensors(lambda t: t["std"].__setitem__((0, 0), 0.0)), "std holds 0"),
        (_tensors(lambda t: t.pop("mean")), "mean is missing"),
        (_tensors(lambda t: t.update(mean=t["mean"][:, 1:].copy())), "mean is float64"),
        (_card(lambda head: head.update(names=["a", "b"])), "is float64"),
        (_card(lambda head: head.update(names=["a", "a", "b"])), "event_head.names"),
        (_card(lambda head: head.update(names=["a", "b", "\n"])), "event_head.names"),
        (_card(lambda head: head.update(margins=[[0.1] * 3, [2.0] * 3])), "event_head.margins"),
        (_card(lambda head: head.update(margins=[[0.1] * 3, [0.1] * 2])), "has 2 of 3 names"),
        (_card(lambda head: head.update(margins=[0.1, 0.2])), "event_head.margins"),
        (_card(lambda head: head.update(features=99)), "event_head.features is 99"),
        (_card(lambda head: head.update(limits=[1.0, 0.0])), "event_head.limits"),
        (_card(lambda head: head.pop("limits")), "centres is in no model"),
    ],
)
def test_a_bad_head_is_refused(folder: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(folder)
    with pytest.raises(ArtifactError, match=message):
        load_artifact(folder)


def test_features_that_are_seldom_known_together_do_not_widen_what_is_like() -> None:
    """Each two of three agree or disagree as all three never could."""
    rng = np.random.default_rng(0)
    values = np.full((300, 3), np.nan)
    for part, (one, other, sign) in enumerate(((0, 1, 1.0), (1, 2, 1.0), (0, 2, -1.0))):
        drawn = rng.normal(size=100)
        values[part::3, one], values[part::3, other] = drawn, sign * drawn
    blank = Likeness((0.0, 0.0), np.full((2, 3, 1), np.nan), np.zeros((2, 3, 3)))
    found = fitted_likeness(blank, np.stack([values[None]] * 2), np.zeros(300, np.int64))
    spread = np.nanvar(values, axis=0)
    np.testing.assert_allclose(found.covariance[0].diagonal(), spread, rtol=0.1)
    assert found.covariance[0, 0, 1] > 0.3 > -0.3 > found.covariance[0, 0, 2]
