"""An artifact comes back as it was saved; a bad one is refused with the reason."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import resource
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from models import small_artifact, windows
from safetensors.torch import load_file, save

from tao_lora_ros.detection.analyzer_state import new_analyzer
from tao_lora_ros.kernels.int4_linear import STEADY_MAX
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model import tensor_file
from tao_lora_ros.model.adapter import adapter_of
from tao_lora_ros.model.artifact import (
    CARD,
    TENSORS,
    ArtifactError,
    default_artifact,
    load_artifact,
    save_artifact,
)
from tao_lora_ros.model.card import MOST_INT8_INPUTS
from tao_lora_ros.model.conversion import mixer_of
from tao_lora_ros.runtime.cpu_product import multiply, panels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good artifact to be spoilt."""
    save_artifact(small_artifact(), tmp_path / "small")
    return tmp_path / "small"


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    card = json.loads((folder / CARD).read_text())
    change(card)
    (folder / CARD).write_text(json.dumps(card))


def put(folder: Path, field: str, value: Any) -> None:
    """Give a field of the card, such as `channels.3.name`, a value, or what a function makes of it.

    `REMOVED` takes it away.
    """
    *path, last = [int(part) if part.isdigit() else part for part in field.split(".")]

    def change(card: Any) -> None:
        for part in path:
            card = card[part]
        if value is REMOVED:
            del card[last]
        else:
            card[last] = value(card[last]) if callable(value) else value

    edit(folder, change)


REMOVED = object()


def put_tensors(folder: Path, data: bytes) -> None:
    """Replace the tensors, and the card's SHA-256 with them."""
    (folder / TENSORS).write_bytes(data)
    edit(folder, lambda card: card.update(tensors_sha256=hashlib.sha256(data).hexdigest()))


def refusal(folder: Path) -> str:
    with pytest.raises(ArtifactError) as caught:
        load_artifact(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_is_saved_is_loaded(folder: Path) -> None:
    saved, loaded = small_artifact(), load_artifact(folder)
    for name in ("model_id", "version", "rate_hz", "channels", "labels", "provenance", "metrics"):
        assert getattr(loaded, name) == getattr(saved, name), name
    assert loaded.calibration == saved.calibration
    assert loaded.model.config == saved.model.config


LATER = ("level_means", "load_channels", "borne_loads", "air_rows", "peaks", "peaks_s")


def test_what_was_saved_before_there_were_levels_has_them_off(folder: Path) -> None:
    known = load_artifact(folder).calibration

    def forget(card: dict[str, Any]) -> None:
        for name in ("level_channels", "level_thresholds", "level_rows", *LATER):
            del card["router"][name]

    edit(folder, forget)
    off = replace(known, level_thresholds=(), level_means=(), borne_loads=(), peaks=(), peaks_s=0.0)
    assert load_artifact(folder).calibration == off


def test_a_loaded_model_gives_the_same_outputs(folder: Path) -> None:
    models = small_artifact().network, load_artifact(folder).network
    saved, loaded = map(mixer_of, models)
    for path in Route:
        for a, b in zip(saved(windows(), path), loaded(windows(), path), strict=True):
            assert torch.equal(a, b)


def test_saving_twice_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    save_artifact(load_artifact(folder), tmp_path / "again")
    for name in (TENSORS, CARD):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_the_shipped_artifact_loads() -> None:
    artifact = load_artifact(default_artifact())
    assert artifact.model.config.channels == len(artifact.channels) == 12
    assert len(artifact.labels) == artifact.model.config.classes


def test_a_text_that_is_not_unicode_is_refused(folder: Path) -> None:
    edit(folder, lambda card: card.update(model_id="half a \ud83d"))
    assert refusal(folder).startswith(f"{folder / CARD}: a text in it is not Unicode: ")


def test_a_model_larger_than_memory_is_refused(folder: Path) -> None:
    edit(folder, lambda card: card["config"].update(width=1 << 20, expansion=1 << 20))
    assert refusal(folder).startswith(f"{folder / CARD}: config: ")
    edit(folder, lambda card: card["config"].update(blocks=1025))
    assert "$.config.blocks: 1025 is greater than the maximum of 1024" in refusal(folder)


def test_a_changed_tensor_is_refused(folder: Path) -> None:
    data = bytearray((folder / TENSORS).read_bytes())
    data[-1] ^= 1
    (folder / TENSORS).write_bytes(data)
    message = refusal(folder)
    assert message.startswith(f"{folder / TENSORS}: SHA-256 is ")
    assert hashlib.sha256(data).hexdigest() in message


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_cut_tensors_are_refused(folder: Path, kept: int) -> None:
    data = (folder / TENSORS).read_bytes()[:kept]
    (folder / TENSORS).write_bytes(data)
    assert "SHA-256 is" in refusal(folder)
    put_tensors(folder, data)
    assert refusal(folder).startswith(f"{folder / TENSORS}: ")


@pytest.mark.parametrize("name", [TENSORS, CARD])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert refusal(folder).startswith(f"{folder / name}: No such file or directory")


def test_a_missing_folder_and_a_file_in_its_place_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    assert "Not a directory" in refusal(tmp_path / "file")


@pytest.mark.parametrize("text", ["", "{", "\x00", '{"schema_version": 2,', "not json"])
def test_a_card_that_is_no_json_is_refused(folder: Path, text: str) -> None:
    (folder / CARD).write_text(text)
    assert refusal(folder).startswith(f"{folder / CARD}: not JSON: ")


def test_a_card_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / CARD).write_bytes(b"\xff\xfe{}")
    assert refusal(folder).startswith(f"{folder / CARD}: not JSON: ")


@pytest.mark.parametrize("version", [0, 1, 3, "2", None, 1.5])
def test_another_schema_version_is_refused(folder: Path, version: object) -> None:
    edit(folder, lambda card: card.update(schema_version=version))
    expected = f"{folder / CARD}: schema_version is {version!r}, expected 2; "
    assert refusal(folder) == expected + "another release wrote it: train and calibrate anew"


@pytest.mark.parametrize("text", ["[]", "1", '"text"', "null"])
def test_a_card_that_is_no_object_is_refused(folder: Path, text: str) -> None:
    (folder / CARD).write_text(text)
    assert "schema_version is None" in refusal(folder)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"rate_hz": 500.0', '"rate_hz": NaN', "not JSON: NaN is no number"),
        ('"rate_hz": 500.0', '"rate_hz": Infinity', "not JSON: Infinity is no number"),
        ('"rate_hz": 500.0', '"rate_hz": 1e400', "not JSON: 1e400 is no number"),
        ('"accuracy": 0.25', '"accuracy": -Infinity', "not JSON: -Infinity is no number"),
        ('"rate_hz": 500.0', '"rate_hz": 1' + 400 * "0", "not JSON: 1000"),
        ('"trained": false', '"trained": ' + 10_000 * "[" + 10_000 * "]", "nested too deeply"),
    ],
)
def test_what_is_no_number_in_a_card_is_refused(
    folder: Path, old: str, new: str, told: str
) -> None:
    text = (folder / CARD).read_text()
    assert old in text
    (folder / CARD).write_text(text.replace(old, new))
    assert refusal(folder).startswith(f"{folder / CARD}: {told}")


def test_a_metric_of_nothing_is_written_as_null(tmp_path: Path) -> None:
    save_artifact(replace(small_artifact(), metrics={"error": float("nan")}), tmp_path / "nan")
    assert load_artifact(tmp_path / "nan").metrics == {"error": None}


def test_an_autocovariance_that_is_none_is_refused(folder: Path) -> None:
    for value in (-1.0, 1e200):
        edit(folder, lambda card, v=value: card["router"]["autocovariance"][1][0].__setitem__(0, v))
        assert "router.autocovariance: with router.floors not positive definite" in refusal(folder)


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        (dict(width=8194), "width is 8194, expected 8192 at most"),
        (dict(window=65536, patch=1024), "patch x channels is 12288, expected 8192 at most"),
        (
            dict(window=8200, expansion=9),
            "window / patch x expansion is 9225, expected 8192 at most",
        ),
        (dict(patch=32, expansion=4100), "width x expansion is 131200, expected 131072 at most"),
    ],
)
def test_layers_whose_sums_could_overflow_are_refused(
    folder: Path, sizes: dict[str, int], told: str
) -> None:
    edit(folder, lambda card: card["config"].update(sizes))
    assert refusal(folder).startswith(f"{folder / CARD}: config: {told}")


def test_the_widest_layer_adds_exactly() -> None:
    """The largest codes and activations there are, at the bound: the CPU's sums do not wrap."""
    inputs = MOST_INT8_INPUTS
    right = panels(np.full((inputs, 1), -128, np.int8))
    sums = np.zeros((1, right.shape[0] * right.shape[2]), np.int32)
    multiply(np.full((1, inputs), STEADY_MAX, np.int16), right, sums)
    assert sums[0, 0] == -128 * STEADY_MAX * inputs > -(2**31)
    assert -128 * STEADY_MAX * (inputs + 8) < -(2**31)


BAD_VALUES = [
    *((f"blocks.0.channel_up.{name}", torch.nan) for name in ("scales", "down", "up", "bias")),
    *(("embed.x_scale", value) for value in (0.0, -1.0, torch.inf, torch.nan)),
    *((name, 0.0) for name in ("spread", "level_std", "embed.scales")),
    *((name, torch.inf) for name in ("norm.weight", "level_mean")),
]


@pytest.mark.parametrize(("name", "value"), BAD_VALUES)
def test_a_tensor_of_bad_values_is_named(folder: Path, name: str, value: float) -> None:
    tensors = load_file(folder / TENSORS)
    tensors[name].view(-1)[-1] = value
    put_tensors(folder, save(tensors))
    message = refusal(folder)
    assert message.startswith(f"{folder / TENSORS}: {name} holds ")
    assert "expected " in message


def test_a_tensor_of_another_type_is_named(folder: Path) -> None:
    tensors = load_file(folder / TENSORS)
    tensors["embed.codes"] = tensors["embed.codes"].to(torch.int16)
    put_tensors(folder, save(tensors))
    assert "embed.codes is int16 [32, 96], expected int8 [32, 96]" in refusal(folder)


def test_sizes_are_refused_before_memory_is_taken(folder: Path) -> None:
    edit(folder, lambda card: card["config"].update(blocks=1024, width=8192, rank=8192))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(folder).startswith(f"{folder / TENSORS}: ")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024  # KiB


@pytest.mark.parametrize("name", [CARD, TENSORS])
def test_what_is_no_regular_file_is_refused_at_once(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert refusal(folder) == f"{folder / name}: not a regular file"
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    assert refusal(folder) == f"{folder / name}: not a regular file"
    (folder / name).unlink()
    (folder / name).mkdir()
    assert refusal(folder) == f"{folder / name}: Is a directory; expected a file"


@pytest.mark.parametrize("name", [CARD, TENSORS])
def test_a_file_without_end_is_refused_unread(folder: Path, name: str) -> None:
    with (folder / name).open("wb") as file:
        file.truncate(1 << 40)
    assert "1099511627776 bytes, expected " in refusal(folder)


def test_files_may_be_links(folder: Path, tmp_path: Path) -> None:
    """As in an installation by links."""
    (tmp_path / "linked").mkdir()
    for name in (CARD, TENSORS):
        (tmp_path / "linked" / name).symlink_to(folder / name)
    assert load_artifact(tmp_path / "linked").model_id == "small"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(value=JSON, data=st.data())
def test_any_json_in_the_place_of_a_field_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, value: Any, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("card")
    save_artifact(small_artifact(), folder)
    card = json.loads((folder / CARD).read_text())
    section = data.draw(st.sampled_from([card, card["config"], card["router"]]))
    section[data.draw(st.sampled_from(sorted(section)))] = value
    (folder / CARD).write_text(json.dumps(card))
    with suppress(ArtifactError):
        artifact = load_artifact(folder)
        new_analyzer(artifact.calibration)
    (folder / CARD).write_text(json.dumps(value))
    refusal(folder)


BAD_FIELDS = [
    ("config.window", 32.0, "$.config.window"),
    ("config.blocks", 1e30, "$.config.blocks"),
    ("router.covariance_rows", 1e12, "$.router.covariance_rows"),
    ("router.covariance_rows", 10**20, "$.router.covariance_rows"),
    ("model_id", "", "$.model_id"),
    ("version", 3, "$.version"),
    ("rate_hz", 0, "$.rate_hz"),
    ("rate_hz", 1e-300, "$.rate_hz"),
    ("rate_hz", 1e300, "$.rate_hz"),
    ("rate_hz", "500", "$.rate_hz"),
    ("tensors_sha256", "abc", "$.tensors_sha256"),
    ("labels.1", 2, "$.labels[1]"),
    ("provenance", [], "$.provenance"),
    ("metrics", None, "$.metrics"),
    ("channels", [], "$.channels"),
    ("channels.3.name", "imu.magnet_x", "$.channels[3].name"),
    ("channels.3.name", "accel_x", "$.channels[3].name"),
    ("channels.3.unit", "g", "$.channels[3].unit"),
    ("config.width", 32.5, "$.config.width"),
    ("config.window", 1, "$.config.window"),
    ("config.blocks", 0, "$.config.blocks"),
    ("config.rank", -1, "$.config.rank"),
    ("config.channels", True, "$.config.channels"),
    ("router.scales", [], "$.router.scales"),
    ("router.scales.0", 0, "$.router.scales[0]"),
    ("router.scales.1", 10**6, "$.router.scales[1]"),  # rows that the analyzer would allocate
    ("router.scales", list(range(1, 18)), "$.router.scales"),
    ("router.memories.0", 0, "$.router.memories[0]"),
    ("router.thresholds.0", 0.0, "$.router.thresholds[0]"),
    ("router.level_thresholds.0", 0.0, "$.router.level_thresholds[0]"),
    ("router.level_rows", 0, "$.router.level_rows"),
    ("router.start_rows", 0, "$.router.start_rows"),
    ("router.leak_rows", 0, "$.router.leak_rows"),
    ("router.floors.2", 0, "$.router.floors[2]"),
    ("router.autocovariance.0.0.0", "1", "$.router.autocovariance[0][0][0]"),
    ("router.alarms_per_hour", 0, "$.router.alarms_per_hour"),
]


@pytest.mark.parametrize(("field", "value", "named"), BAD_FIELDS)
def test_a_bad_field_is_named(folder: Path, field: str, value: object, named: str) -> None:
    put(folder, field, value)
    assert refusal(folder).startswith(f"{folder / CARD}: {named}: ")


REQUIRED = [
    *("model_id", "version", "config", "rate_hz", "channels", "labels", "router"),
    *("tensors_sha256", "provenance", "metrics", "config.width", "router.thresholds"),
    "channels.0.unit",
]


@pytest.mark.parametrize("field", REQUIRED)
def test_a_missing_field_is_named(folder: Path, field: str) -> None:
    put(folder, field, REMOVED)
    # A network's config and the hash of its tensors go together, or are left out together.
    said, name = refusal(folder), field.rpartition(".")[2]
    assert f"'{name}' is a required property" in said or f"'{name}' is a dependency of" in said


@pytest.mark.parametrize("field", ["colour", "config.colour", "router.colour"])
def test_an_unknown_field_is_named(folder: Path, field: str) -> None:
    put(folder, field, "blue")
    assert "'colour' was unexpected" in refusal(folder)


def shorter(values: list[Any]) -> list[Any]:
    return values[:-1]


UNFIT = [
    ("channels", shorter, "channels has 11 entries, expected 12"),
    ("labels", lambda names: [*names, "more"], "labels has 4 entries, expected 3"),
    ("router.floors", shorter, "router.floors has 11 entries, expected 12"),
    ("router.autocovariance", shorter, "router.autocovariance has 2 entries, expected 3"),
    ("router.autocovariance.1", shorter, "router.autocovariance[1] has 11 entries, expected 12"),
    (
        *("router.autocovariance.2.0", shorter),
        "router.autocovariance[2][0] has 11 entries, expected 12",
    ),
    ("router.scales", [1, 3, 64], "router.thresholds has 2 entries, expected 3"),
    ("router.scales", [3, 1], "router.scales is [3, 1], expected ascending"),
    ("router.memories", [6, 6], "router.memories is [6, 6], expected ascending"),
    (
        *("labels.1", "\x1b[2Jslip\n"),
        r"labels[1] is '\x1b[2Jslip\n', expected 200 printable characters at most",
    ),
    ("router.floors.3", 10**30, "router.floors[3] is 1e+30, expected 1e+06 at most"),
    ("router.thresholds.0", 1e300, "router.thresholds[0] is 1e+300, expected 100 at most"),
    ("router.level_thresholds", shorter, "router.level_thresholds has 1 entries, expected 2"),
    *(
        ("router.level_channels", value, f"router.level_channels is {value}, expected each once")
        for value in ([[0, 1], [1, 2]], [[0, 1], [12]])
    ),
    ("config.window", 30, "config: patch 8 does not divide 30"),
    ("config.width", 33, "config: width 33 is odd"),
    ("config.rank", 64, "config: rank 64 is above width 32"),
    ("channels.0.unit", "N", "channels[0].unit is 'N', expected 'm/s^2'"),
]


@pytest.mark.parametrize(("field", "value", "reason"), UNFIT)
def test_lengths_and_sizes_that_do_not_fit_are_refused(
    folder: Path, field: str, value: Any, reason: str
) -> None:
    put(folder, field, value)
    assert refusal(folder) == f"{folder / CARD}: {reason}"


@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        (dict(width=64), "embed.bias is float32 [32], expected float32 [64]"),
        (dict(blocks=3), "blocks.2.channel_down.bias is missing"),
        (dict(blocks=1), "blocks.1.channel_down.bias is in no model of these sizes"),
        (dict(rank=2), ".down is float16 [4, 32], expected float16 [2, 32]"),
    ],
)
def test_tensors_of_other_sizes_are_refused(folder: Path, sizes: dict, named: str) -> None:
    edit(folder, lambda card: card["config"].update(sizes))
    message = refusal(folder)
    assert message.startswith(f"{folder / TENSORS}: ")
    assert named in message


def test_a_tensor_too_many_is_refused(folder: Path) -> None:
    tensors = load_file(folder / TENSORS)
    put_tensors(folder, save(tensors | {"extra": torch.zeros(1)}))
    assert "extra" in refusal(folder)


def test_a_panic_of_a_library_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):  # pyo3's own is made when Rust panics, as without memory
        pass

    def panic(content: bytes) -> NoReturn:
        raise PanicException("PyObject pointer is null")

    monkeypatch.setattr(tensor_file, "load", panic)
    with pytest.raises(RuntimeError, match="PyObject pointer is null"):
        load_artifact(folder)


def test_a_pickle_is_refused_and_never_run(folder: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "boom",)

    put_tensors(folder, pickle.dumps(Bomb()))
    assert refusal(folder).startswith(f"{folder / TENSORS}: ")
    torch.save({"packed": torch.zeros(2)}, folder / TENSORS)
    put_tensors(folder, (folder / TENSORS).read_bytes())
    assert refusal(folder).startswith(f"{folder / TENSORS}: ")
    assert not (tmp_path / "boom").exists()


def with_adapter(tmp_path: Path) -> Path:
    """An artifact with an adapter `tool` beside the model's own."""
    artifact = small_artifact()
    tool = {layer: (2 * down, up) for layer, (down, up) in adapter_of(artifact.model).items()}
    save_artifact(replace(artifact, adapters={"tool": tool}), tmp_path / "model")
    return tmp_path / "model"


def test_a_named_adapter_changes_the_transient_path_alone(tmp_path: Path) -> None:
    folder = with_adapter(tmp_path)
    own, tool = load_artifact(folder).model, load_artifact(folder, "tool").model
    for path in Route:
        a, b = (mixer_of(model)(windows(), path)[1] for model in (own, tool))
        assert torch.equal(a, b) == (path is Route.STEADY)


def test_adapters_survive_loading_and_saving(tmp_path: Path) -> None:
    folder = with_adapter(tmp_path)
    save_artifact(load_artifact(folder), tmp_path / "again")
    for name in (TENSORS, CARD, "adapter.tool.safetensors"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_an_adapter_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no adapter 'drill'; there are: tool"):
        load_artifact(with_adapter(tmp_path), "drill")


def test_a_changed_adapter_is_refused(tmp_path: Path) -> None:
    file = with_adapter(tmp_path) / "adapter.tool.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert "adapter.tool.safetensors: SHA-256 is" in refusal(file.parent)
    file.unlink()
    assert "No such file" in refusal(file.parent)


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({"blocks.0.channel_up.down": torch.zeros(4, 32).half()}, "channel_up.up' is missing"),
        ({"blocks.0.channel_up.down": torch.zeros(4, 32)}, "float32, expected float16"),
        (dict(zip(("a.up", "a.down"), torch.zeros(2, 1).half(), strict=True)), "in the model or"),
        ({"a.up": torch.full((1,), torch.nan).half()}, "a.up holds NaN"),
    ],
)
def test_an_adapter_of_another_model_is_refused(tmp_path: Path, tensors: dict, told: str) -> None:
    folder = with_adapter(tmp_path)
    data = save(tensors)
    (folder / "adapter.tool.safetensors").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    edit(folder, lambda card: card.update(adapters={"tool": digest}))
    assert told in refusal(folder)


def test_the_name_of_an_adapter_cannot_leave_the_folder(tmp_path: Path) -> None:
    folder = with_adapter(tmp_path)
    edit(folder, lambda card: card.update(adapters={"../tool": "0" * 64}))
    assert "adapters" in refusal(folder)
