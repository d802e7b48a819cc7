"""The kernels' arithmetic, function by function, against PyTorch."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from tao_lora_ros.kernels.dual_linear import dual_linear
from tao_lora_ros.kernels.int4_linear import int4_linear_steady, int4_linear_transient
from tao_lora_ros.kernels.numerics import (
    activations,
    asinh,
    bytes_to_half,
    gelu,
    layer_norm,
    log,
    nibbles_to_half,
)
from tao_lora_ros.kernels.packing import byte_words, nibble_words

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@triton.jit
def _elementwise(x, y, N: tl.constexpr, WHICH: tl.constexpr):
    i = tl.arange(0, N)
    value = tl.load(x + i)
    if WHICH == "gelu":
        value = gelu(value)
    elif WHICH == "asinh":
        value = asinh(value)
    elif WHICH == "log":
        value = log(value)
    elif WHICH == "steady":
        value = activations(value, 1.0, True)
    elif WHICH == "transient":
        value = activations(value, 1.0, False)
    tl.store(y + i, value)


@triton.jit
def _unpacked(words, y, M: tl.constexpr, WORDS: tl.constexpr, EACH: tl.constexpr):
    m, w, k = tl.arange(0, M), tl.arange(0, WORDS), tl.arange(0, WORDS * EACH)
    value = tl.load(words + m[:, None] * WORDS + w[None, :])
    value = bytes_to_half(value) if EACH == 4 else nibbles_to_half(value)
    tl.store(y + m[:, None] * (WORDS * EACH) + k[None, :], value)


@triton.jit
def _norm(x, gain, bias, y, M: tl.constexpr, N: tl.constexpr):
    m, n = tl.arange(0, M), tl.arange(0, N)
    at = m[:, None] * N + n[None, :]
    tl.store(y + at, layer_norm(tl.load(x + at), tl.load(gain + n), tl.load(bias + n), N))


@triton.jit
def _layer(
    x, packed, scale, down, up, y, inverse_scale, steady,
    M: tl.constexpr, N: tl.constexpr, K: tl.constexpr, R: tl.constexpr,
):  # fmt: skip
    m, n, k, r = tl.arange(0, M), tl.arange(0, N), tl.arange(0, K), tl.arange(0, R)
    words = tl.arange(0, K // 8)
    codes = nibbles_to_half(tl.load(packed + n[:, None] * (K // 8) + words[None, :]))
    fed = activations(tl.load(x + m[:, None] * K + k[None, :]), inverse_scale, steady != 0)
    a = tl.load(down + k[:, None] * R + r[None, :])
    b = tl.load(up + r[:, None] * N + n[None, :])
    result = dual_linear(fed, codes, tl.load(scale + n), a, b, steady != 0)
    tl.store(y + m[:, None] * N + n[None, :], result)


def elementwise(which: str, x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    y = torch.full((len(x),), torch.nan, device=DEVICE).to(dtype)
    _elementwise[(1,)](x.to(DEVICE), y, len(x), which)
    return y.cpu()


def test_gelu_asinh_and_log() -> None:
    x = torch.cat((torch.linspace(-12, 12, 254), torch.tensor([1e3, -1e3])))
    torch.testing.assert_close(
        elementwise("gelu", x), F.gelu(x, approximate="tanh"), rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(elementwise("asinh", x), torch.asinh(x), rtol=1e-5, atol=2e-6)
    x = torch.logspace(-4, 8, 128)
    torch.testing.assert_close(elementwise("log", x), x.log(), rtol=1e-5, atol=2e-6)


def unpacked(words: Tensor, codes: int) -> Tensor:
    """What the kernels make of words of so many codes."""
    shape = len(words), words.shape[1] * codes
    y = torch.full(shape, torch.nan, device=DEVICE)
    _unpacked[(1,)](words.to(DEVICE), y, len(words), words.shape[1], codes)
    return y.cpu()


def codes(rows: int, words: int, each: int, bits: int, fill: float) -> Tensor:
    """Codes [rows, words · each] of so many bits, a share of them at either end of the range."""
    g = torch.Generator().manual_seed(rows + words)
    low, high, shape = -(1 << (bits - 1)), (1 << (bits - 1)) - 1, (rows, words * each)
    ends = torch.where(torch.rand(shape, generator=g) < 0.5, low, high)
    drawn = torch.randint(low, high + 1, shape, generator=g)
    return torch.where(torch.rand(shape, generator=g) < fill, ends, drawn).to(torch.int8)


SIZES = {"rows": st.sampled_from([1, 2, 16]), "words": st.sampled_from([1, 2, 8])}


@given(**SIZES, fill=st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_every_byte_is_its_code(rows: int, words: int, fill: float) -> None:
    stored = codes(rows, words, 4, 8, fill)
    assert torch.equal(unpacked(byte_words(stored), 4), stored.float())


@given(**SIZES, fill=st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_every_nibble_is_its_code(rows: int, words: int, fill: float) -> None:
    stored = codes(rows, words, 8, 4, fill)
    assert torch.equal(unpacked(nibble_words(stored), 8), stored.float())


def test_codes_round_halves_to_even_and_saturate() -> None:
    x = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 2046.4, 2047.5, -3000.0])
    assert elementwise("steady", x).tolist() == [0, 2, 2, 0, -2, 2046, 2047, -2047]


def test_a_transient_keeps_its_values_in_half_precision() -> None:
    x = torch.tensor([0.5, 1.2345, -300.0, 1e-3, 7e4, -7e4, 0.0, 2.5])
    assert torch.equal(elementwise("transient", x), x.clamp(-65504, 65504).half().float())


def test_layer_norm() -> None:
    x = torch.randn(16, 32, generator=torch.Generator().manual_seed(0)) * 3 + 2
    gain, bias, y = torch.rand(32) + 0.5, torch.randn(32), torch.full((16, 32), torch.nan)
    y = y.to(DEVICE)
    _norm[(1,)](x.to(DEVICE), gain.to(DEVICE), bias.to(DEVICE), y, 16, 32)
    torch.testing.assert_close(y.cpu(), F.layer_norm(x, (32,), gain, bias), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [0, 8, 16, 32])
def test_the_layer_agrees_with_its_plain_reference(rank: int) -> None:
    g = torch.Generator().manual_seed(rank)
    m, n, k, padded, x_scale = 16, 32, 64, max(rank, 16), 0.02
    x = torch.randn(m, k, generator=g)
    codes = torch.randint(-8, 8, (n, k), generator=g, dtype=torch.int8)
    scales = torch.rand(n, 1, generator=g) * 0.1 + 0.01
    down, up = torch.randn(rank, k, generator=g).half(), torch.randn(n, rank, generator=g).half()
    a, b = torch.zeros(k, padded).half(), torch.zeros(padded, n).half()
    a[:, :rank], b[:rank] = down.T, up.T
    found = {}
    for steady in (True, False):
        y = torch.full((m, n), torch.nan, device=DEVICE)
        scale = scales[:, 0] * (x_scale if steady else 1.0)
        tensors = (
            tensor.to(DEVICE).contiguous() for tensor in (x, nibble_words(codes), scale, a, b)
        )
        _layer[(1,)](*tensors, y, 1 / x_scale, int(steady), m, n, k, padded)
        found[steady] = y.cpu()
    expected = int4_linear_steady(x, codes.float(), scales, x_scale)
    torch.testing.assert_close(found[True], expected, rtol=1e-5, atol=1e-5)
    expected = int4_linear_transient(x, codes * scales, down.float(), up.float())
    assert (found[False] - expected).norm() / expected.norm() < 1e-3
