"""LITETime as a peer: members that do not see each other, and a fit that tells rhythms apart."""

from __future__ import annotations

import numpy as np
import torch

from benchmark.lite import MEMBERS, LiteTime, grow, hand_crafted


def test_hand_crafted_filters_see_change_alone() -> None:
    assert [len(taps) for taps in hand_crafted()][-5:] == [6, 12, 24, 48, 96]
    assert all(abs(float(taps.sum())) < 1e-5 for taps in hand_crafted())


def test_members_are_apart() -> None:
    """What one member says does not depend on the weights of another."""
    torch.manual_seed(0)
    model = LiteTime(channels=3, classes=2).eval()
    windows = torch.randn(4, 3, 32)
    with torch.no_grad():
        before = model(windows)
        for weights in model.parameters():
            weights[: len(weights) // MEMBERS] += 1.0  # the first group's
        after = model(windows)
    assert before.shape == (4, MEMBERS, 2)
    changed = (before != after).flatten(2).any(dim=2).any(dim=0)
    assert changed.tolist() == [True] + [False] * (MEMBERS - 1)


def test_tells_rhythms_apart() -> None:
    rng = np.random.default_rng(0)
    rows, labels = np.arange(32), np.arange(60) % 2
    phase = rng.uniform(0, 6, (60, 1, 1))
    waves = np.sin(phase + rows[:, None] * np.where(labels, 1.5, 0.4)[:, None, None])
    windows = (waves + 0.1 * rng.standard_normal((60, 32, 2))).astype(np.float32)
    predict = grow(windows[:40], labels[:40], seed=0, epochs=12)
    assert (predict(windows[40:]).argmax(axis=1) == labels[40:]).all()
