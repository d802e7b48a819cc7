"""The card of an artifact, `model.json`: read within bounds, and checked before it is believed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from math import isfinite
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np

from tao_lora_ros.contact.contact_model import DYNAMIC, STATIC, imus_of, wrenches_of
from tao_lora_ros.detection.innovation import LAGS, prior
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.files import naming, read_regular
from tao_lora_ros.messages.texts import MOST_LINE, MOST_SHOWN, encodable, shown
from tao_lora_ros.model.mixer_config import features_of
from tao_lora_ros.signal.channels import quantities
from tao_lora_ros.signal.source import unit_of

SCHEMA_VERSION = 2
CARD = "model.json"
MOST_BYTES = 16 << 20
_EXACT = 2**53  # whole numbers beyond are read as floats, which no size is
# The CPU adds in 32 bits: 8192 products of at most 128 · 2047 (an INT8 layer's) stay below 2³¹, and
# 131072 of at most 8 · 2047 (an INT4 layer's). Sums of more could wrap around.
MOST_INT8_INPUTS = 8192
MOST_INT4_INPUTS = 131_072


# What no sensor's resolution (in its unit) nor a logarithm of energies reaches: nothing were found.
_MOST = {"floors": 1e6, "thresholds": 100.0}


class ArtifactError(TaoLoraError):
    """The folder is not a usable artifact; the text names the file, the field and what is wrong."""


_WANTED = "a model is a folder that tao-lora train or calibrate wrote"


def read_card(file: Path) -> dict[str, Any]:
    """The card of an artifact, as its schema says and in itself consistent.

    Raises:
        ArtifactError: the file cannot be read, or a field is not as it should be.
    """
    try:
        with naming(ArtifactError, file):
            content = read_regular(file, MOST_BYTES)
    except ArtifactError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            raise ArtifactError(f"{error}; {_WANTED}") from None
        raise
    try:
        return _checked(_parse(content))
    except RecursionError:
        raise ArtifactError(f"{file}: nested too deeply") from None
    except ValueError as error:
        raise ArtifactError(f"{file}: {error}") from None


def without_nan(value: Any) -> Any:
    """The same with null in place of numbers that JSON has not, such as a mean of nothing."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _parse(data: bytes) -> Any:
    try:
        return json.loads(
            data, parse_constant=_not_finite, parse_float=_float, parse_int=_whole_number
        )
    except ValueError as error:
        raise ValueError(f"not JSON: {shown(error)}") from None


def _not_finite(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _float(text: str) -> float:
    value = float(text)
    return value if isfinite(value) else _not_finite(shown(text))


def _whole_number(text: str) -> int | float:
    value = _float(text)
    return value if abs(value) > _EXACT else int(text)


def _checked(card: Any) -> dict[str, Any]:
    version = card.get("schema_version") if isinstance(card, dict) else None
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"schema_version is {shown(repr(version))}, expected {SCHEMA_VERSION}; "
            "another release wrote it: train and calibrate anew"
        )
    _check_schema(card)
    if not encodable(json.dumps(card, ensure_ascii=False)):
        raise ValueError("a text in it is not Unicode: it holds half a character")
    for check in _CHECKS:
        check(card)
    return card


def _check_schema(card: dict[str, Any]) -> None:
    text = (resources.files("tao_lora_ros.model") / "artifact.schema.json").read_text()
    base = jsonschema.Draft202012Validator
    # By the standard 16.0 is a whole number; as a size it is none.
    types = base.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    validator = jsonschema.validators.extend(base, type_checker=types)(json.loads(text))
    error = jsonschema.exceptions.best_match(validator.iter_errors(card))
    if error:
        raise ValueError(f"{shown(error.json_path)}: {shown(error.message, MOST_LINE)}")


def _check_lengths(card: dict[str, Any]) -> None:
    for name, length, expected in _lengths(card):
        if length != expected:
            raise ValueError(f"{name} has {length} entries, expected {expected}")


def _lengths(card: dict[str, Any]) -> Iterator[tuple[str, int, int]]:
    router, channels = card["router"], len(card["channels"])
    config = card.get("config", {"channels": channels, "classes": 0})
    yield "channels", channels, config["channels"]
    yield "labels", len(card["labels"]), config["classes"]
    for name in ("center", "width"):
        yield (
            f"known.{name}",
            len(card.get("known", {name: [0] * 2 * channels})[name]),
            2 * channels,
        )
    yield "router.floors", len(router["floors"]), channels
    yield "router.thresholds", len(router["thresholds"]), len(router["scales"])
    yield "router.autocovariance", len(router["autocovariance"]), LAGS + 1
    width = 1 + len(router["scales"]) + len(router.get("level_channels", []))
    for i, row in enumerate(router.get("peaks", [])):
        yield f"router.peaks[{i}]", len(row), width
    for lag, matrix in enumerate(router["autocovariance"]):
        yield f"router.autocovariance[{lag}]", len(matrix), channels
        for i, row in enumerate(matrix):
            yield f"router.autocovariance[{lag}][{i}]", len(row), channels


def _check_groups(card: dict[str, Any]) -> None:
    router = card["router"]
    for name, values in (
        ("level_channels", "level_thresholds"),
        ("level_channels", "level_means"),
        ("load_channels", "borne_loads"),
    ):
        groups, given = router.get(name, []), router.get(values, [])
        if given and len(given) != len(groups):
            raise ValueError(f"router.{values} has {len(given)} entries, expected {len(groups)}")
        numbers = [number for group in groups for number in group]
        if len(set(numbers)) < len(numbers) or max(numbers, default=0) >= len(card["channels"]):
            raise ValueError(f"router.{name} is {groups}, expected each once")


def _check_contacts(card: dict[str, Any]) -> None:
    names = [channel["name"] for channel in card["channels"]]
    for i, model in enumerate(card.get("contacts", [])):
        where, own = f"contacts[{i}]", tuple(model["wrench"][:3])
        for key, known in (
            ("wrench", wrenches_of(names).values()),
            ("accel", [(), own, *(accel for accel, _ in imus_of(names).values())]),
            ("gyro", [(), *(gyro for _, gyro in imus_of(names).values())]),
        ):
            if tuple(model[key]) not in known:
                raise ValueError(f"{where}.{key} is {model[key]}, expected a sensor's channels")
        terms = DYNAMIC if model["gyro"] else STATIC if model["accel"] else 0
        if any(len(row) != terms for row in model["gains"]):
            raise ValueError(f"{where}.gains has rows that are not of {terms} terms")
        if tuple(model["accel"]) == own and (model["gyro"] or np.any(model["gains"][:3])):
            raise ValueError(f"{where}.accel is the wrench's own force, which tells torque alone")
        if len(usual := model.get("usual", [])) not in (0, 6):
            raise ValueError(f"{where}.usual has {len(usual)} entries, expected 6 or none")


def _check_order(card: dict[str, Any]) -> None:
    router = card["router"]
    numbers = [row[0] for row in router.get("peaks", [])]
    if numbers != sorted(set(map(int, numbers))) or min(numbers, default=0) < 0:
        raise ValueError("router.peaks has numbers that are not whole and ascending")
    for name in ("scales", "memories"):
        if router[name] != sorted(set(router[name])):
            raise ValueError(f"router.{name} is {router[name]}, expected ascending")


def _check_bounds(card: dict[str, Any]) -> None:
    for name, most in _MOST.items():
        if name == "thresholds" and card["router"]["alarms_per_hour"] is None:
            continue  # not calibrated: they do not count
        for i, value in enumerate(card["router"][name]):
            if value > most:
                raise ValueError(f"router.{name}[{i}] is {value:g}, expected {most:g} at most")


def _check_units(card: dict[str, Any]) -> None:
    for i, channel in enumerate(card["channels"]):
        unit, expected = channel["unit"], unit_of(channel["name"])
        if unit != expected:
            raise ValueError(f"channels[{i}].unit is {unit!r}, expected {expected!r}")


def _check_scales(card: dict[str, Any]) -> None:
    there = quantities(channel["name"] for channel in card["channels"])
    for name in card.get("scales", {}):
        if name not in there:
            raise ValueError(f"scales has {shown(repr(name))}, expected {', '.join(there)}")


def _check_texts(card: dict[str, Any]) -> None:
    """They go to logs, displays and files."""
    texts = {name: card[name] for name in ("model_id", "version")}
    texts |= {f"labels[{i}]": label for i, label in enumerate(card["labels"])}
    names = card.get("event_head", {}).get("names", [])
    texts |= {f"event_head.names[{i}]": name for i, name in enumerate(names)}
    texts |= {f"channels[{i}].name": row["name"] for i, row in enumerate(card["channels"])}
    for name, text in texts.items():
        if not text.isprintable() or len(text) > MOST_SHOWN:
            found = shown(repr(text))
            raise ValueError(
                f"{name} is {found}, expected {MOST_SHOWN} printable characters at most"
            )


def _check_inputs(card: dict[str, Any]) -> None:
    """Sums of a layer's codes have to stay in the range of the integers they are added in."""
    if "config" not in card:
        return
    sizes = card["config"]
    tokens = sizes["window"] // sizes["patch"]
    features = features_of(sizes.get("segment", 0))
    for what, inputs, most in (
        ("patch x channels", sizes["patch"] * sizes["channels"], MOST_INT8_INPUTS),
        ("features x channels", features * sizes["channels"], MOST_INT8_INPUTS),
        ("window / patch x expansion", tokens * sizes["expansion"], MOST_INT8_INPUTS),
        ("width", sizes["width"], MOST_INT8_INPUTS),
        ("width x expansion", sizes["width"] * sizes["expansion"], MOST_INT4_INPUTS),
    ):
        if inputs > most:
            raise ValueError(
                f"config: {what} is {inputs}, expected {most} at most: sums would overflow"
            )


def _check_prior(card: dict[str, Any]) -> None:
    router = card["router"]
    with np.errstate(all="ignore"):
        covariance = prior(router["autocovariance"], router["floors"])
        try:
            good = np.isfinite(np.linalg.cholesky(covariance)).all()
        except np.linalg.LinAlgError:
            good = False
    if not good:
        raise ValueError("router.autocovariance: with router.floors not positive definite")


_CHECKS = [_check_lengths, _check_groups, _check_order, _check_bounds, _check_units, _check_texts]
_CHECKS += [_check_scales, _check_inputs, _check_prior, _check_contacts]
