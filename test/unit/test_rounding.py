"""INT4 rounding stays within half a step; GPTQ pays where inputs are correlated."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tao_lora_ros.quantization.rounding import channel_scales, dequantize, round_gptq, round_nearest


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def correlated(seed: int, k: int, samples: int = 2000) -> Tensor:
    """Inputs [samples, k] that lie near a subspace of k / 4."""
    inputs = random(seed, samples, k // 4) @ random(seed + 1, k // 4, k)
    return inputs + 0.1 * random(seed + 2, samples, k)


@given(seed=st.integers(0, 1000), size=st.floats(1e-4, 100.0))
def test_nearest_is_within_half_a_step(seed: int, size: float) -> None:
    weight = size * random(seed, 6, 32)
    scales = channel_scales(weight)
    codes = round_nearest(weight, scales)
    assert codes.dtype == torch.int8
    assert codes.min() >= -8
    assert codes.max() <= 7
    # FP16 may have rounded a scale down: what lies above 7 steps by that much saturates
    error = (weight - dequantize(codes, scales)).abs()
    assert (error <= scales * (0.5 + 7 * 2**-10) + 1e-12).all()


@given(seed=st.integers(0, 1000))
def test_nearest_is_the_nearest_of_all_sixteen(seed: int) -> None:
    weight = random(seed, 3, 8)
    scales = channel_scales(weight)
    codes = round_nearest(weight, scales)
    every = torch.arange(-8, 8)[:, None, None].expand(16, 3, 8)
    errors = torch.stack([(weight - dequantize(c, scales)).abs() for c in every])
    chosen = (weight - dequantize(codes, scales)).abs()
    torch.testing.assert_close(chosen, errors.min(dim=0).values)


def test_scales_are_the_largest_of_each_channel_over_the_largest_code_in_fp16() -> None:
    weight = torch.tensor([[7.0, -1.0, 0.5, -14.0], [0.0, 0.0, 3.5, 1.0]])
    scales = channel_scales(weight)
    assert scales.tolist() == [[2.0], [0.5]]
    assert channel_scales(weight, 14).tolist() == [[1.0], [0.25]]
    assert scales.dtype == torch.float32
    assert torch.equal(scales, scales.half().float())


def test_weights_of_zero_stay_zero() -> None:
    weight = torch.zeros(2, 8)
    scales = channel_scales(weight)
    assert (scales > 0).all()
    assert not dequantize(round_nearest(weight, scales), scales).any()


def test_gptq_on_uncorrelated_inputs_is_nearest_rounding() -> None:
    weight = random(1, 8, 32)
    scales = channel_scales(weight)
    assert torch.equal(round_gptq(weight, scales, torch.eye(32)), round_nearest(weight, scales))


@pytest.mark.parametrize("seed", range(5))
def test_gptq_beats_nearest_on_correlated_inputs(seed: int) -> None:
    weight, inputs = random(seed, 48, 64), correlated(seed + 10, 64)
    gram = inputs.T @ inputs / len(inputs)
    scales = channel_scales(weight)
    errors = [
        ((weight - dequantize(codes, scales)) @ inputs.T).square().mean().item()
        for codes in (round_nearest(weight, scales), round_gptq(weight, scales, gram))
    ]
    assert errors[1] < 0.7 * errors[0]


def test_gptq_codes_fit_four_bits_and_its_arguments_stay_as_they_were() -> None:
    weight, inputs = random(3, 16, 32), correlated(4, 32)
    gram = inputs.T @ inputs / len(inputs)
    scales = channel_scales(weight)
    before = weight.clone(), gram.clone()
    codes = round_gptq(weight, scales, gram)
    assert codes.dtype == torch.int8
    assert codes.min() >= -8
    assert codes.max() <= 7
    assert torch.equal(weight, before[0])
    assert torch.equal(gram, before[1])


def test_gptq_bears_inputs_that_are_always_zero() -> None:
    weight, inputs = random(3, 16, 32), correlated(4, 32)
    inputs[:, 5] = 0.0
    scales = channel_scales(weight)
    codes = round_gptq(weight, scales, inputs.T @ inputs / len(inputs))
    assert codes.min() >= -8
    assert round_gptq(weight, scales, torch.zeros(32, 32)).shape == (16, 32)
