"""Every kind of layer computes its own path, from what was loaded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tao_lora_ros.kernels.int4_linear import pack_int4
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.layers import DualPathLinear, FullLinear, Int8Linear, QuantizedLinear

G = torch.Generator().manual_seed(1)
X = torch.randn(2, 3, 32, generator=G)


def dual(rank: int = 4) -> tuple[DualPathLinear, Tensor]:
    """A dual-path layer with random contents, and its weights."""
    layer = DualPathLinear(32, 6, rank=rank)
    codes = torch.randint(-8, 8, (6, 32), generator=G, dtype=torch.int8)
    layer.packed.copy_(pack_int4(codes))
    layer.scales.copy_(torch.rand(6, 1, generator=G) * 0.1 + 0.01)
    layer.down.copy_(torch.randn(rank, 32, generator=G))
    layer.up.copy_(torch.randn(6, rank, generator=G))
    layer.bias.copy_(torch.randn(6, generator=G))
    layer.x_scale.fill_(0.05)
    layer.prepare()
    return layer, codes.float() * layer.scales.float()


def test_full_precision_is_the_same_on_both_paths() -> None:
    layer = FullLinear(32, 6)
    assert torch.equal(layer(X, Route.STEADY), layer(X, Route.TRANSIENT))
    torch.testing.assert_close(layer(X, Route.STEADY), X @ layer.weight.T + layer.bias)


def test_the_steady_path_rounds_the_input_and_leaves_the_branch_out() -> None:
    layer, weight = dual()
    rounded = torch.round(X / 0.05).clamp(-2047, 2047) * 0.05
    torch.testing.assert_close(layer(X, Route.STEADY), rounded @ weight.T + layer.bias)


def test_the_transient_path_adds_the_branch() -> None:
    layer, weight = dual()
    whole = weight + layer.up.float() @ layer.down.float()
    torch.testing.assert_close(
        layer(X, Route.TRANSIENT), X @ whole.T + layer.bias, rtol=1e-3, atol=2e-2
    )


def test_at_rank_zero_the_paths_differ_by_the_inputs_rounding_alone() -> None:
    layer, _ = dual(rank=0)
    on_grid = torch.round(X / 0.0625) * 0.0625  # values that both paths hold alike
    layer.x_scale.fill_(0.0625)
    torch.testing.assert_close(
        layer(on_grid, Route.STEADY), layer(on_grid, Route.TRANSIENT), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("path", [Route.STEADY, Route.TRANSIENT])
def test_int8_is_close_to_its_weights(path: Route) -> None:
    layer = Int8Linear(32, 6)
    layer.codes.copy_(torch.randint(-127, 128, (6, 32), generator=G, dtype=torch.int8))
    layer.scales.copy_(torch.rand(6, 1, generator=G) * 0.01)
    layer.x_scale.fill_(4.0 / 2047)
    layer.prepare()
    weight = layer.codes.float() * layer.scales.float()
    torch.testing.assert_close(layer(X, path), X @ weight.T, rtol=0.05, atol=0.1)


def test_a_transient_outlier_saturates_on_the_steady_path_only() -> None:
    layer, weight = dual(rank=0)
    loud = X * 100
    off = [(layer(loud, path) - loud @ weight.T - layer.bias).norm() for path in Route]
    assert off[Route.STEADY] > 50 * off[Route.TRANSIENT]


@pytest.mark.parametrize("shape", [(32,), (1, 32), (2, 3, 4, 32)])
def test_leading_dimensions_are_kept(shape: tuple[int, ...]) -> None:
    layer, _ = dual()
    for path in Route:
        assert layer(torch.zeros(shape), path).shape == (*shape[:-1], 6)


def test_the_base_class_computes_nothing() -> None:
    layer = QuantizedLinear(4)
    for call in (lambda: layer.steady(X), lambda: layer.transient(X), layer.prepare):
        with pytest.raises(NotImplementedError):
            call()
