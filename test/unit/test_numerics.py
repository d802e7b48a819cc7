"""The kernels' arithmetic, function by function, against PyTorch."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F

from tao_lora_ros.kernels.dual_linear import dual_linear
from tao_lora_ros.kernels.int4_linear import int4_linear_steady, int4_linear_transient, pack_int4
from tao_lora_ros.kernels.numerics import (
    activations,
    asinh,
    bytes_to_half,
    gelu,
    layer_norm,
    nibbles_to_half,
)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@triton.jit
def _elementwise(x, y, N: tl.constexpr, WHICH: tl.constexpr):
    i = tl.arange(0, N)
    value = tl.load(x + i)
    if WHICH == "gelu":
        value = gelu(value)
    elif WHICH == "asinh":
        value = asinh(value)
    elif WHICH == "bytes":
        value = bytes_to_half(value)
    elif WHICH == "steady":
        value = activations(value, 1.0, True)
    elif WHICH == "transient":
        value = activations(value, 1.0, False)
    tl.store(y + i, value)


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
    half = tl.arange(0, K // 2)
    codes = nibbles_to_half(tl.load(packed + n[:, None] * (K // 2) + half[None, :]))
    fed = activations(tl.load(x + m[:, None] * K + k[None, :]), inverse_scale, steady != 0)
    a = tl.load(down + k[:, None] * R + r[None, :])
    b = tl.load(up + r[:, None] * N + n[None, :])
    result = dual_linear(fed, codes, tl.load(scale + n), a, b, steady != 0)
    tl.store(y + m[:, None] * N + n[None, :], result)


def elementwise(which: str, x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    y = torch.full((len(x),), torch.nan, device=DEVICE).to(dtype)
    _elementwise[(1,)](x.to(DEVICE), y, len(x), which)
    return y.cpu()


def test_gelu_and_asinh() -> None:
    x = torch.cat((torch.linspace(-12, 12, 254), torch.tensor([1e3, -1e3])))
    torch.testing.assert_close(
        elementwise("gelu", x), F.gelu(x, approximate="tanh"), rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(elementwise("asinh", x), torch.asinh(x), rtol=1e-5, atol=2e-6)


def test_every_byte_is_its_code() -> None:
    stored = torch.arange(256).to(torch.uint8)
    assert torch.equal(elementwise("bytes", stored), torch.arange(-128.0, 128.0))


def test_codes_round_halves_to_even_and_saturate() -> None:
    x = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 126.4, 127.5, -300.0])
    assert elementwise("steady", x).tolist() == [0, 2, 2, 0, -2, 126, 127, -127]


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
    packed = pack_int4(codes) ^ 0x88  # two's complement to an offset of 8
    found = {}
    for steady in (True, False):
        y = torch.full((m, n), torch.nan, device=DEVICE)
        scale = scales[:, 0] * (x_scale if steady else 1.0)
        tensors = (tensor.to(DEVICE).contiguous() for tensor in (x, packed, scale, a, b))
        _layer[(1,)](*tensors, y, 1 / x_scale, int(steady), m, n, k, padded)
        found[steady] = y.cpu()
    expected = int4_linear_steady(x, codes.float(), scales, x_scale)
    torch.testing.assert_close(found[True], expected, rtol=1e-5, atol=1e-5)
    expected = int4_linear_transient(x, codes * scales, down.float(), up.float())
    assert (found[False] - expected).norm() / expected.norm() < 1e-3
