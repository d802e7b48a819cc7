"""Which sources and model a command works with: what the user says, else what a bag holds."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from tao_lora_ros.bags.discover import discover, grid_rate_hz
from tao_lora_ros.bags.reader import WHOLE, BagReader, bag_topics
from tao_lora_ros.bags.replay import Chosen
from tao_lora_ros.cli.arguments import part_of
from tao_lora_ros.detection.analyzer_state import ALARMS_PER_HOUR
from tao_lora_ros.detection.calibration import CalibrationError
from tao_lora_ros.engine.settings import Settings, read_settings
from tao_lora_ros.engine.sources import channels_of, source_configs, sources_of_model
from tao_lora_ros.model.artifact import Artifact, default_artifact, load_artifact
from tao_lora_ros.training.calibrate import detection_only, recalibrate

CALIBRATION_S = 60.0  # of a bag, at most, where nobody gave a calibration


def choose(options: Namespace, bag: Path) -> Chosen:
    """The sources that a parameter file or a model names, else those found in the bag.

    Raises:
        BagError: the bag does not hold them.
        SettingsError: the parameter file is wrong.
        ArtifactError: the model cannot be used.
    """
    topics = bag_topics(options.topic)
    settings = read_settings(options.params_file) if options.params_file else Settings()
    asked = options.model or (Path(settings.model) if settings.model else None)
    if asked:
        artifact = load_artifact(asked)
        if not options.params_file:
            settings = sources_of_model(settings, artifact)
        return Chosen(replace(settings, model=str(asked)), topics, artifact)
    if not options.params_file:
        found = discover(bag, settings, topics)
        settings, topics = found.settings, found.topics
    artifact = load_artifact(default_artifact())
    if channels_of(settings) != artifact.channels:
        with BagReader(bag, source_configs(settings), topics) as reader:
            rate_hz = grid_rate_hz(bag, list(reader.topics.values()))
        artifact = detection_only(channels_of(settings), rate_hz)
    return Chosen(settings, topics, artifact)


def ready(options: Namespace, bag: Path) -> Chosen:
    """As `choose`, and calibrated on the bag itself where that is all there is to do.

    A network that nobody calibrated classifies without: a node with it does no more.

    Raises:
        CalibrationError: the bag is too short for that.
    """
    chosen = choose(options, bag)
    if chosen.artifact.calibration.has_thresholds or chosen.artifact.model:
        return chosen
    artifact, notices = calibrated_on_itself(chosen, bag, part_of(options))
    return replace(chosen, artifact=artifact, notices=notices)


def calibrated_on_itself(
    chosen: Chosen, bag: Path, part_s: tuple[float, float] = WHOLE
) -> tuple[Artifact, list[str]]:
    """An artifact calibrated on a bag's first minute, or on the first half of a shorter one.

    Returns:
        The artifact, and what to say of it.

    Raises:
        CalibrationError: the bag is too short.
    """
    with BagReader(bag, source_configs(chosen.settings), chosen.topics, part_s) as reader:
        duration_s = min(reader.duration_s, part_s[1]) - part_s[0]
    seconds = min(CALIBRATION_S, duration_s / 2)
    part_s = part_s[0], part_s[0] + seconds
    lines = []
    try:
        made = recalibrate(
            chosen.artifact, [bag], chosen.settings, chosen.topics, ALARMS_PER_HOUR, part_s
        )
    except CalibrationError as error:
        lines.append(f"the calibration is a poor one: {error}")
        made = recalibrate(
            chosen.artifact, [bag], chosen.settings, chosen.topics, ALARMS_PER_HOUR, part_s, True
        )
    left_out_s = made.findings.left_out_s
    lines.insert(
        0,
        f"detection only, calibrated on {seconds:.0f} s of this bag from {part_s[0]:g} s on, "
        f"taken for steady ({left_out_s:.1f} s left out); "
        "next: tao-lora calibrate STEADY_BAG... --out MODEL, then --model MODEL",
    )
    return made.artifact, [*lines, *made.contacts]
