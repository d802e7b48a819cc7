"""The quantised mixer is the trained one, nearly; gaps and outliers do it no harm."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from models import SMALL, SPREAD, full_precision, quantized, windows
from torch import Tensor

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.layers import DualPathLinear, FullLinear, Int8Linear
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig


@pytest.fixture(scope="module")
def teacher() -> Mixer:
    return full_precision()


@pytest.fixture(scope="module")
def student(teacher: Mixer) -> Mixer:
    return quantized(teacher, windows())


@torch.inference_mode()
def outputs(model: Mixer, x: Tensor, path: Route) -> Tensor:
    """Logits and forecast in one, [B, ...]."""
    logits, forecast = model(x, path)
    return torch.cat((logits, forecast.flatten(1)), dim=1)


def off(model: Mixer, teacher: Mixer, x: Tensor, path: Route) -> float:
    """Relative deviation from full precision."""
    exact = outputs(teacher, x, Route.TRANSIENT)
    return float((outputs(model, x, path) - exact).norm() / exact.norm())


def test_shapes_follow_the_configuration(student: Mixer) -> None:
    logits, forecast = student(windows(count=5), Route.STEADY)
    assert logits.shape == (5, 3)
    assert forecast.shape == (5, 4, 12)


def test_both_paths_are_close_to_full_precision_and_the_transient_one_closer(
    teacher: Mixer, student: Mixer
) -> None:
    fresh = windows(seed=1)
    steady, transient = (off(student, teacher, fresh, path) for path in Route)
    assert steady < 0.15
    assert transient < 0.8 * steady


def test_more_rank_is_closer(teacher: Mixer) -> None:
    errors = []
    for rank in (0, 8, 32):
        ranked = full_precision(replace(SMALL, rank=rank))
        errors.append(off(quantized(ranked, windows()), teacher, windows(seed=1), Route.TRANSIENT))
    assert errors[0] > errors[1] > errors[2]


def test_the_branch_does_not_touch_the_steady_path(teacher: Mixer, student: Mixer) -> None:
    bare = quantized(full_precision(replace(SMALL, rank=0)), windows())
    x = windows(seed=2)
    assert torch.equal(outputs(bare, x, Route.STEADY), outputs(student, x, Route.STEADY))
    assert not torch.equal(outputs(bare, x, Route.TRANSIENT), outputs(student, x, Route.TRANSIENT))


def test_rank_zero_still_has_a_transient_path(teacher: Mixer) -> None:
    bare = quantized(full_precision(replace(SMALL, rank=0)), windows())
    assert off(bare, teacher, windows(seed=1), Route.TRANSIENT) < 0.15


def test_a_batch_is_its_windows_one_by_one(student: Mixer) -> None:
    x = windows(seed=3, count=5)
    for path in Route:
        together = outputs(student, x, path)
        alone = torch.cat([outputs(student, window[None], path) for window in x])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("missing", ["a value", "a channel", "a source", "all"])
@pytest.mark.parametrize("path", Route)
def test_missing_values_give_finite_outputs(student: Mixer, missing: str, path: Route) -> None:
    x = windows(seed=4, count=2)
    where = {
        "a value": (0, 3, 1),
        "a channel": (..., 2),
        "a source": (..., slice(6, 12)),
        "all": ...,
    }
    x[where[missing]] = torch.nan
    assert torch.isfinite(outputs(student, x, path)).all()


def test_a_missing_value_counts_as_the_mean(student: Mixer) -> None:
    x = windows(seed=5, count=1)
    x[0, 10:20, 4] = torch.nan
    filled = x.clone()
    filled[0, 10:20, 4] = x[0, :, 4].nanmean()
    for path in Route:
        torch.testing.assert_close(
            outputs(student, x, path), outputs(student, filled, path), rtol=1e-3, atol=1e-4
        )


def test_a_missing_channel_counts_as_the_training_mean(student: Mixer) -> None:
    x = windows(seed=5, count=1)
    x[..., 2] = torch.nan
    assert student.level(x)[0, 0, 2] == student.level_mean[2]


def test_rows_as_they_lie_are_about_the_usual_level() -> None:
    model = full_precision(replace(SMALL, absolute=True))
    x = windows(seed=5, count=2)
    assert torch.equal(model.level(x), model.level_mean.expand(2, 1, -1))
    standard = model.standardize(x, model.level(x))
    moved = model.standardize(x + 3 * model.spread, model.level(x))
    torch.testing.assert_close(torch.sinh(moved), torch.sinh(standard) + 3, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("size", [100.0, 1e4, 1e6])
def test_an_impact_of_any_size_stays_finite(student: Mixer, size: float) -> None:
    x = windows(seed=6, count=1)
    x[0, 16:18] += size * SPREAD
    for path in Route:
        assert torch.isfinite(outputs(student, x, path)).all()


def test_values_are_squashed_standard_units(student: Mixer) -> None:
    level = torch.zeros(1, 1, 12)
    values = (SPREAD * torch.tensor([[0.0], [1.0], [-100.0]]))[None]
    expected = torch.asinh(torch.tensor([0.0, 1.0, -100.0]))
    for channel in range(12):
        torch.testing.assert_close(student.standardize(values, level)[0, :, channel], expected)


def test_without_classes_there_is_a_forecast_alone() -> None:
    model = Mixer(replace(SMALL, classes=0))
    logits, forecast = model(windows(count=1), Route.STEADY)
    assert logits is None
    assert forecast.shape == (1, 4, 12)


def test_the_full_model_is_the_same_on_both_paths(teacher: Mixer) -> None:
    x = windows(seed=7)
    assert torch.equal(outputs(teacher, x, Route.STEADY), outputs(teacher, x, Route.TRANSIENT))


def test_channel_mixing_alone_is_int4(student: Mixer) -> None:
    kinds = {name: type(m) for name, m in student.named_modules()}
    assert FullLinear not in kinds.values()
    for name, kind in kinds.items():
        if kind in (DualPathLinear, Int8Linear):
            assert (kind is DualPathLinear) == ("channel_" in name), name


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        (dict(window=30), "patch 8 does not divide 30"),
        (dict(patch=5), "patch 5 does not divide 32"),
        (dict(rank=33), "rank 33 is above width 32"),
        (dict(width=33), "width 33 is odd"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        replace(SMALL, **sizes)


def test_tokens_are_the_patches_of_a_window() -> None:
    assert MixerConfig(channels=12, classes=4).tokens == 16
