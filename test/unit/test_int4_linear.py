"""The plain reference of the INT4 layer: packing, the integer path, the transient path."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tao_lora_ros.kernels.int4_linear import (
    STEADY_MAX,
    int4_linear_steady,
    int4_linear_transient,
    pack_int4,
    steady_codes,
    unpack_int4,
)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def layer(seed: int, m: int, n: int, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Activations [M, K], codes [N, K] and scales [N, 1]."""
    g = generator(seed)
    x = torch.randn(m, k, generator=g) * 3
    codes = torch.randint(-8, 8, (n, k), generator=g, dtype=torch.int8)
    return x, codes, torch.rand(n, 1, generator=g).half().float() + 0.01


@given(n=st.integers(1, 9), half=st.integers(1, 20), seed=st.integers(0, 10_000))
def test_unpacking_undoes_packing(n: int, half: int, seed: int) -> None:
    codes = torch.randint(-8, 8, (n, 2 * half), generator=generator(seed), dtype=torch.int8)
    packed = pack_int4(codes)
    assert packed.dtype == torch.uint8
    assert packed.shape == (n, half)
    assert unpack_int4(packed).dtype == torch.int8
    assert torch.equal(unpack_int4(packed), codes)


@given(data=st.binary(min_size=1, max_size=64))
def test_packing_undoes_unpacking(data: bytes) -> None:
    packed = torch.tensor(list(data), dtype=torch.uint8)[None]
    assert torch.equal(pack_int4(unpack_int4(packed)), packed)


def test_the_first_code_lies_in_the_low_half() -> None:
    assert pack_int4(torch.tensor([[1, -8, -1, 7]])).tolist() == [[0x81, 0x7F]]


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 2, 2)])
def test_codes_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError,
        match=rf"{shape}.*expected \[N, K\] with K even".replace("(", r"\(").replace(")", r"\)"),
    ):
        pack_int4(torch.zeros(shape, dtype=torch.int8))


@pytest.mark.parametrize("value", [-9, 8])
def test_codes_out_of_range_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match=rf"codes in .*{value}.*expected \[-8, 7\]"):
        pack_int4(torch.tensor([[0, value]], dtype=torch.int8))


def test_steady_codes_are_rounded_to_even_and_clipped() -> None:
    x = torch.tensor([0.5, 1.5, -0.5, 1e9, -1e9, 2046.6])
    assert steady_codes(x, 1.0).tolist() == [0, 2, 0, STEADY_MAX, -STEADY_MAX, 2047]
    assert steady_codes(x[:2], 0.5).tolist() == [1, 3]


def test_tensor_cores_can_hold_every_steady_code() -> None:
    codes = torch.arange(-STEADY_MAX, STEADY_MAX + 1)
    assert torch.equal(codes.half().long(), codes)


@pytest.mark.parametrize("m", [1, 3, 7, 16])
def test_the_steady_path_is_the_integer_computation(m: int) -> None:
    x, codes, scales = layer(m, m, 24, 64)
    x_scale = torch.tensor(0.03)
    y = int4_linear_steady(x, codes.float(), scales, x_scale)
    quantized = torch.clamp(torch.round(x / x_scale), -2047, 2047).to(torch.int64).numpy()
    sums = quantized @ codes.numpy().astype(np.int64).T
    exact = sums * scales[:, 0].numpy().astype(np.float64) * float(x_scale)
    np.testing.assert_allclose(y.numpy(), exact, rtol=1e-5, atol=1e-4)
    assert y.shape == (m, 24)


@pytest.mark.parametrize("k", [64, 256, 1024])
def test_integer_sums_are_exact_before_scaling(k: int) -> None:
    g = generator(k)
    x = torch.randint(-2047, 2048, (5, k), generator=g).float()
    x[0], codes = 2047.0, torch.randint(-8, 8, (6, k), generator=g, dtype=torch.int8)
    codes[0] = -8  # the largest sum there is
    y = int4_linear_steady(x, codes.float(), torch.ones(6, 1), 1.0)
    assert torch.equal(y.to(torch.int64), x.to(torch.int64) @ codes.to(torch.int64).T)


def test_rows_of_a_batch_do_not_touch_each_other() -> None:
    x, codes, scales = layer(1, 7, 24, 64)
    together = int4_linear_steady(x, codes.float(), scales, 0.05)
    for i in range(7):
        alone = int4_linear_steady(x[i : i + 1], codes.float(), scales, 0.05)
        torch.testing.assert_close(together[i], alone[0], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("m", [1, 5, 16])
@pytest.mark.parametrize("rank", [0, 1, 8])
def test_the_transient_path_is_the_float64_computation(m: int, rank: int) -> None:
    g = generator(rank)
    x = torch.randn(m, 64, generator=g) * 10
    weight = torch.randn(24, 64, generator=g)
    down, up = torch.randn(rank, 64, generator=g), torch.randn(24, rank, generator=g)
    y = int4_linear_transient(x, weight, down, up)
    half = x.half().double()
    exact = half @ weight.double().T + (half @ down.double().T) @ up.double().T
    torch.testing.assert_close(y.double(), exact, rtol=1e-4, atol=2e-3)
    assert y.dtype == torch.float32


def test_rank_zero_is_the_weights_alone() -> None:
    x, weight = torch.randn(3, 16, generator=generator(1)), torch.eye(16)
    y = int4_linear_transient(x, weight, torch.zeros(0, 16), torch.zeros(16, 0))
    assert torch.equal(y, x.half().float())


def test_the_transient_path_does_not_clip_what_the_steady_path_does() -> None:
    x = torch.full((1, 2), 3000.0)
    codes = torch.ones(1, 2)
    steady = int4_linear_steady(x, codes, torch.ones(1, 1), 1.0)
    transient = int4_linear_transient(x, codes, torch.zeros(0, 2), torch.zeros(1, 0))
    assert steady.item() == 4094.0
    assert transient.item() == 6000.0


def test_shapes_that_do_not_fit_raise() -> None:
    x, codes, scales = layer(1, 2, 24, 64)
    with pytest.raises(RuntimeError):
        int4_linear_steady(x[:, :32], codes.float(), scales, 1.0)
    with pytest.raises(RuntimeError):
        int4_linear_steady(x, codes.float(), scales[:5], 1.0)
    with pytest.raises(RuntimeError):
        int4_linear_transient(x, codes.float(), torch.zeros(2, 32), torch.zeros(24, 2))
