"""Varied windows are what another mounting would have measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from models import CHANNELS, SPREAD, windows

from tao_lora_ros.training.augment import NONE, Augmentation, augment, impact
from tao_lora_ros.training.dataset import Batch


def batch(count: int = 64) -> Batch:
    rows = windows(count=count)
    return Batch(rows, rows[:, :4].clone(), torch.zeros(count, dtype=torch.int64))


def varied(how: Augmentation, seed: int = 0) -> Batch:
    return augment(batch(), CHANNELS, SPREAD, how, torch.Generator().manual_seed(seed))


def test_nothing_varies_nothing() -> None:
    torch.testing.assert_close(varied(NONE).windows, batch().windows)
    torch.testing.assert_close(varied(NONE).following, batch().following)


def test_the_same_seed_gives_the_same() -> None:
    a, b, c = (varied(Augmentation(), seed).windows for seed in (1, 1, 2))
    torch.testing.assert_close(a, b, equal_nan=True)
    assert not torch.equal(a.nan_to_num(), c.nan_to_num())


@pytest.mark.parametrize("how", [dict(turn=0.5), dict(mirror=0.5), dict(tilt_rad=0.5)])
def test_another_mounting_keeps_the_size_of_every_vector(how: dict) -> None:
    before, after = batch().windows, varied(replace(NONE, **how)).windows
    assert not torch.allclose(before, after)
    sizes = [x.view(*x.shape[:2], 4, 3).norm(dim=3) for x in (before, after)]
    torch.testing.assert_close(*sizes, rtol=1e-4, atol=1e-4)


def test_a_mirror_turns_axial_vectors_the_other_way() -> None:
    ratio = (varied(replace(NONE, mirror=1.0)).windows / batch().windows)[0, 0]
    polar, axial = [1.0, -1, 1], [-1.0, 1, -1]
    torch.testing.assert_close(ratio, torch.tensor([*polar, *axial, *polar, *axial]))


def test_a_gain_keeps_the_level() -> None:
    after = varied(replace(NONE, scale=0.5)).windows
    torch.testing.assert_close(after.mean(dim=1), batch().windows.mean(dim=1))
    gains = after.std(dim=1) / batch().windows.std(dim=1)
    torch.testing.assert_close(gains, gains[:, :1].expand_as(gains), rtol=1e-3, atol=1e-3)


def test_a_lost_quantity_is_lost_whole() -> None:
    after = varied(replace(NONE, dropout=1.0))
    lost = after.windows.isnan().view(64, 32, 4, 3)
    assert (lost.all(dim=3) == lost.any(dim=3)).all()
    assert (lost.all(dim=3).all(dim=1).sum(dim=1) == 1).all()
    assert torch.equal(after.following.isnan().all(dim=1), after.windows.isnan().all(dim=1))


def test_knocks_are_impacts_of_3_to_100_spreads() -> None:
    hits = impact(500, 200, CHANNELS, SPREAD, torch.Generator().manual_seed(0)) / SPREAD
    largest = hits.abs().amax(dim=(1, 2))
    assert (largest >= 2.99).all()
    assert (largest <= 100.01).all()
    assert largest.median() == pytest.approx(17, rel=0.3)  # log-uniform
    first = (hits.abs().amax(dim=2) > 0).int().argmax(dim=1)
    assert all((hit[:begin] == 0).all() for hit, begin in zip(hits, first, strict=True))
    assert first.float().std() > 40  # anywhere in the window


def test_efforts_turn_with_nothing_and_are_lost_together() -> None:
    """Two joints after the twelve channels of an IMU and a wrench."""
    channels = (*CHANNELS, "arm.effort_elbow", "arm.effort_wrist")
    spread = torch.cat((SPREAD, torch.ones(2)))
    before = batch(200)
    for rows in ("windows", "following"):
        x = getattr(before, rows)
        before = replace(before, **{rows: torch.cat((x, x[..., :2]), dim=2)})

    def after(**how: float) -> torch.Tensor:
        chance = torch.Generator().manual_seed(0)
        return augment(before, channels, spread, replace(NONE, **how), chance).windows

    turned = after(turn=0.5, mirror=0.5, tilt_rad=0.5)
    torch.testing.assert_close(turned[..., 12:], before.windows[..., 12:])
    assert not torch.allclose(turned[..., :12], before.windows[..., :12])
    lost = after(dropout=1.0).isnan().all(dim=1)
    counts = {size: int((lost.sum(dim=1) == size).sum()) for size in (2, 3)}
    assert counts[2] + counts[3] == 200
    assert counts[2] > 10
    assert (lost[:, 12] == lost[:, 13]).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_share_of_the_windows_is_hit_on_a_gpu_too() -> None:
    before = batch(4000).to(torch.device("cuda"))
    chance = torch.Generator("cuda").manual_seed(0)
    how = replace(NONE, impact=0.25)
    after = augment(before, CHANNELS, SPREAD.cuda(), how, chance)
    rows = [torch.cat((x.windows, x.following), dim=1) for x in (before, after)]
    hit = ((rows[1] - rows[0]).abs() > SPREAD.cuda()).any(dim=2).any(dim=1)
    assert hit.float().mean().item() == pytest.approx(0.25, abs=0.03)
