"""The branch is the best of its rank for the inputs that come."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tao_lora_ros.quantization.low_rank import fit_low_rank


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def gram_of(seed: int, k: int) -> Tensor:
    """E[x xᵀ] of inputs whose directions differ in strength by 100."""
    turn = torch.linalg.qr(random(seed, k, k)).Q
    return (turn * torch.logspace(-2, 2, k)) @ turn.T


def loss(error: Tensor, gram: Tensor) -> float:
    """E |error x|²."""
    return torch.trace(error.double() @ gram.double() @ error.double().T).item()


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_recovers_an_error_of_that_rank_exactly(rank: int) -> None:
    error = random(1, 24, rank) @ random(2, rank, 32)
    down, up = fit_low_rank(error, gram_of(3, 32), rank)
    torch.testing.assert_close(up @ down, error, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rank", [1, 4, 8])
def test_beats_the_plain_svd_under_the_gram(seed: int, rank: int) -> None:
    error, gram = random(seed, 24, 32), gram_of(seed + 10, 32)
    down, up = fit_low_rank(error, gram, rank)
    u, s, vh = torch.linalg.svd(error, full_matrices=False)
    plain = (u[:, :rank] * s[:rank]) @ vh[:rank]
    assert loss(error - up @ down, gram) < 0.9 * loss(error - plain, gram)


def test_no_other_branch_of_the_rank_near_it_is_better() -> None:
    error, gram = random(1, 12, 16), gram_of(2, 16)
    down, up = fit_low_rank(error, gram, 4)
    best = loss(error - up @ down, gram)
    for seed in range(20):
        other = (up + 1e-2 * random(seed, 12, 4)) @ (down + 1e-2 * random(seed + 50, 4, 16))
        assert loss(error - other, gram) > best


def test_the_loss_is_the_singular_values_left_over() -> None:
    error, gram = random(1, 12, 16), gram_of(2, 16)
    values, vectors = torch.linalg.eigh(gram.double())
    root = (vectors * values.sqrt()) @ vectors.T
    left_over = torch.linalg.svdvals(error.double() @ root)[5:].square().sum().item()
    down, up = fit_low_rank(error, gram, 5)
    assert loss(error - up @ down, gram) == pytest.approx(left_over, rel=1e-4)


def test_with_white_inputs_it_is_the_plain_svd() -> None:
    error = random(1, 12, 16)
    down, up = fit_low_rank(error, torch.eye(16), 3)
    u, s, vh = torch.linalg.svd(error)
    torch.testing.assert_close(up @ down, (u[:, :3] * s[:3]) @ vh[:3], rtol=1e-4, atol=1e-5)


def test_rank_zero_is_an_empty_branch() -> None:
    down, up = fit_low_rank(random(1, 12, 16), gram_of(2, 16), 0)
    assert (tuple(down.shape), tuple(up.shape)) == ((0, 16), (12, 0))
    assert not (up @ down).any()


def test_full_rank_takes_the_whole_error() -> None:
    error = random(1, 12, 16)
    down, up = fit_low_rank(error, gram_of(2, 16), 12)
    torch.testing.assert_close(up @ down, error, rtol=1e-3, atol=1e-4)


def test_a_direction_that_never_comes_does_not_blow_up() -> None:
    inputs = random(5, 500, 4) @ random(6, 4, 16)  # 12 directions have no input at all
    down, up = fit_low_rank(random(1, 12, 16), inputs.T @ inputs / 500, 8)
    assert torch.isfinite(down).all()
    assert torch.isfinite(up).all()
    assert torch.isfinite(down.half()).all()
    assert torch.isfinite(up.half()).all()


@pytest.mark.parametrize("rank", [-1, 13])
def test_a_rank_that_does_not_fit_is_refused(rank: int) -> None:
    with pytest.raises(ValueError, match=f"rank {rank} does not fit a layer of 12 x 16"):
        fit_low_rank(torch.zeros(12, 16), torch.eye(16), rank)
