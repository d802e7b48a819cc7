"""Which sources and model a command works with: what the user says, else what a bag holds."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from tao_lora_ros.bags.discover import discover
from tao_lora_ros.bags.reader import BagError, BagReader, bag_topics
from tao_lora_ros.bags.replay import Chosen
from tao_lora_ros.bags.rows import grid_rate_hz, measured_rate_hz
from tao_lora_ros.cli.arguments import part_of
from tao_lora_ros.detection.analyzer_state import ALARMS_PER_HOUR
from tao_lora_ros.detection.calibration import CalibrationError
from tao_lora_ros.engine.settings import Settings, read_settings
from tao_lora_ros.engine.sources import channels_of, source_configs, sources_of_model
from tao_lora_ros.model.artifact import Artifact, default_artifact, load_artifact
from tao_lora_ros.training.calibrate import Recalibration, detection_only, recalibrate
from tao_lora_ros.training.robot import doubted

CALIBRATION_S = 60.0  # of a bag, at most, where nobody gave a calibration
LEAST_S = 20.0  # less says too little to give up a calibration for
_NEXT = "next: tao-lora calibrate STEADY_BAG... --out MODEL, then --model MODEL"


def asked(options: Namespace) -> tuple[Settings, dict[str, str], Path | None, Artifact | None]:
    """What the user says: parameters, topics by source, and the model's folder with the model.

    Raises:
        BagError: a topic is given without its source.
        SettingsError: the parameter file is wrong.
        ArtifactError: the model cannot be used.
    """
    topics = bag_topics(options.topic)
    settings = read_settings(options.params_file)
    folder = options.model or (Path(settings.model) if settings.model else None)
    return settings, topics, folder, load_artifact(folder) if folder else None


def choose(options: Namespace, bag: Path) -> Chosen:
    """The sources that a parameter file or a model names, else those found in the bag.

    Raises:
        BagError: the bag does not hold them.
        SettingsError: the parameter file is wrong.
        ArtifactError: the model cannot be used.
    """
    settings, topics, folder, artifact = asked(options)
    if artifact:
        if not options.params_file:
            settings = sources_of_model(settings, artifact)
        return Chosen(replace(settings, model=str(folder)), topics, artifact, asked=True)
    besides: list[str] = []
    if not options.params_file:
        found = discover(bag, settings, topics)
        settings, topics, besides = found.settings, found.topics, list(found.notices)
    artifact = load_artifact(default_artifact())
    if channels_of(settings) != artifact.channels:
        rate_hz = grid_rate_hz(measured_rate_hz(bag, settings, topics))
        artifact = detection_only(channels_of(settings), rate_hz)
    return Chosen(settings, topics, artifact, besides)


def ready(options: Namespace, bag: Path) -> Chosen:
    """As `choose`, and calibrated on the bag itself where nobody asked for a model.

    The model that ships keeps its own calibration where the bag will not do for one. A network that
    nobody calibrated classifies without, where it was asked for: a node with it does no more.

    Raises:
        CalibrationError: the bag is too short, and no model ships for its channels.
    """
    chosen = choose(options, bag)
    known = chosen.artifact.calibration.has_thresholds or chosen.artifact.model
    if chosen.asked and known:
        return chosen
    artifact, notices = _calibrated_on_itself(chosen, bag, part_of(options))
    return replace(chosen, artifact=artifact, notices=[*notices, *chosen.notices])


def _calibrated_on_itself(
    chosen: Chosen, bag: Path, part_s: tuple[float, float]
) -> tuple[Artifact, list[str]]:
    """An artifact calibrated on a bag's first minute, or on the first half of a shorter one.

    Returns:
        The artifact, and what to say of it.

    Raises:
        CalibrationError: the bag is too short, and the artifact not calibrated.
    """
    with BagReader(bag, source_configs(chosen.settings), chosen.topics, part_s) as reader:
        duration_s = min(reader.duration_s, part_s[1]) - part_s[0]
        is_stored_event = any(True for _ in reader.router_states())
    seconds = min(CALIBRATION_S, duration_s / 2)
    first_s = part_s[0], part_s[0] + seconds
    known = chosen.artifact.calibration.has_thresholds
    if known and (is_stored_event or seconds < LEAST_S):
        return chosen.artifact, [] if is_stored_event else [_foreign(chosen, "it is short")]
    reading = chosen.settings, chosen.topics
    poor: list[str] = []
    try:
        made, seconds = _steadiest(chosen.artifact, bag, reading, part_s[0], seconds)
    except (BagError, CalibrationError) as error:
        if known:
            return chosen.artifact, [_foreign(chosen, str(error))]
        first_s = part_s[0], part_s[0] + seconds
        make = partial(recalibrate, chosen.artifact, [bag], *reading, ALARMS_PER_HOUR, first_s)
        made = _poorly(make, f"{bag}: no model was asked for, and the first {seconds:.1f} s")
        poor = [f"the calibration is a poor one: {error}"]
    what = "names by the model that ships" if known else "detection only"
    said = (
        f"{what}, calibrated on {seconds:.0f} s of this bag from {part_s[0]:g} s on, taken for "
        f"steady ({made.findings.left_out_s:.1f} s left out); {_NEXT}"
    )
    contacts = tuple(replace(model, same_run=True) for model in made.artifact.contacts)
    notices = [said, *poor, *made.contacts, made.sensitivity(chosen.settings)]
    artifact = replace(made.artifact, contacts=contacts)
    artifact, doubts = doubted(artifact, made.recordings)
    return artifact, [*notices, *doubts]


def _steadiest(
    artifact: Artifact,
    bag: Path,
    reading: tuple[Settings, dict[str, str]],
    begin_s: float,
    seconds: float,
) -> tuple[Recalibration, float]:
    """Calibrated on so many seconds, else on half of them: a robot stands before it moves.

    Raises:
        BagError: the bag does not hold the sources.
        CalibrationError: of all, where half of them will not do either, or is too short.
    """
    first_s = begin_s, begin_s + seconds
    try:
        return recalibrate(artifact, [bag], *reading, ALARMS_PER_HOUR, first_s), seconds
    except CalibrationError:
        half_s = seconds / 2
        if half_s < LEAST_S:
            raise
        with suppress(CalibrationError):
            first_s = begin_s, begin_s + half_s
            return recalibrate(artifact, [bag], *reading, ALARMS_PER_HOUR, first_s), half_s
        raise


def _poorly(make: Callable[..., Recalibration], what: str) -> Recalibration:
    """The same of motion that is mostly not steady.

    Raises:
        CalibrationError: there is too little even for that.
    """
    try:
        return make(force=True)
    except CalibrationError as error:
        raise CalibrationError(
            f"{what} do not calibrate one: {error}; give a longer bag, or --model"
        ) from None


def _foreign(chosen: Chosen, reason: str) -> str:
    model = chosen.artifact.model_id
    return (
        f"by the model that ships, {model}, with the thresholds of a simulated arm, as this bag "
        f"does not calibrate others: {reason}; {_NEXT}"
    )
