"""Programs of one launch add up what each of them has: without a barrier, in a fixed order.

Every pair of values that a program publishes, one 64-bit word, carries a tag of the launch in the
low bits of its second value's mantissa. A reader polls the words themselves until all of them have
the tag, so there is neither a fence nor a flag to wait for (the idea of NCCL's low-latency
protocol), and one trip through the L2 cache is enough. All programs add in the same order: their
sums are the same, launch by launch. What the tag takes is 2⁻¹⁹ of that value.

All programs have to be resident at once, so there may not be more than multiprocessors. Where one
is not, the others give up after a while, and infinity takes the place of what they waited for: it
makes the launch's results NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl

TAG_BITS = 4
TAG = tl.constexpr((1 << TAG_BITS) - 1)
_MOST_POLLS = 1 << 22  # a second or two; longer than `arrival` waits for an order
_INFINITY = "0x7F800000"

_PUBLISH = tl.constexpr(
    """{ .reg .b32 b; .reg .b64 w;
    mov.b32 b, $3; lop3.b32 b, b, 0xfffffff0, $4, 0xEA;
    mov.b64 w, {$2, b};
    st.relaxed.gpu.global.b64 [$1], w;
    mov.u32 $0, 0; }"""
)


class Poll(NamedTuple):
    """PTX that polls and adds `pack` pairs of values at a time, and its constraints."""

    text: str
    constraints: str
    pack: int


def collect_asm(slots: int, stride: int, pack: int, tag_bits: int = TAG_BITS) -> Poll:
    """What `collect` does in PTX.

    Args:
        slots: pairs that are added up.
        stride: bytes from one slot to the next.
        pack: pairs whose loads are in flight together.
        tag_bits: of a pair's second value that are the tag.
    """
    words = [(e, s) for e in range(pack) for s in range(slots)]
    tag = f"${3 * pack}"
    mask = (1 << tag_bits) - 1
    clean = ~mask & 0xFFFFFFFF
    lines = [".reg .pred again;", ".reg .b32 t, n;", ".reg .f32 x;", "mov.b32 n, 0;"]
    lines += [f".reg .b32 a{e}_{s}, b{e}_{s};" for e, s in words]
    lines += [f".reg .b64 w{e}_{s};" for e, s in words]
    lines += ["AGAIN:"]
    lines += [
        f"ld.relaxed.gpu.global.b64 w{e}_{s}, [${2 * pack + e} + {s * stride}];" for e, s in words
    ]
    lines += [f"mov.b64 {{a{e}_{s}, b{e}_{s}}}, w{e}_{s};" for e, s in words]
    lines += ["mov.b32 t, 0;"]
    lines += [f"lop3.b32 t, t, b{e}_{s}, {tag}, 0xf6;" for e, s in words]  # t | (b ^ tag)
    lines += [f"and.b32 t, t, {mask};", "add.u32 n, n, 1;", "setp.ne.b32 again, t, 0;"]
    lines += [f"setp.lt.and.u32 again, n, {_MOST_POLLS}, again;", "@again bra AGAIN;"]
    lines += ["setp.ne.b32 again, t, 0;"]
    lines += [f"@again mov.b32 a{e}_0, {_INFINITY};" for e in range(pack)]
    lines += [f"and.b32 b{e}_{s}, b{e}_{s}, {clean};" for e, s in words]
    for place, half in ((0, "a"), (pack, "b")):
        for e in range(pack):
            lines += [f"mov.b32 ${place + e}, {half}{e}_0;"]
            for s in range(1, slots):
                lines += [f"mov.b32 x, {half}{e}_{s};", f"add.f32 ${place + e}, ${place + e}, x;"]
    constraints = ["=f"] * (2 * pack) + ["l"] * pack + ["r"] * pack
    return Poll("{ " + "\n".join(lines) + " }", ",".join(constraints), pack)


@triton.jit
def publish(pointers, values, tag, M: tl.constexpr, N: tl.constexpr):
    """Store values [M, N] as tagged words; `pointers` [M, N / 2] are those of the even columns.

    Zeros [M, N / 2]: among the operands of what polls they fix its layout, for Triton makes a copy
    of an operation for every layout that its result passes through, side effects or not.
    """
    even, odd = tl.split(tl.reshape(values, (M, N // 2, 2)))
    return tl.inline_asm_elementwise(
        _PUBLISH,
        "=r,l,f,f,r",
        [pointers.to(tl.int64), even, odd, tag],
        dtype=tl.int32,
        is_pure=False,
        pack=1,
    )


@triton.jit
def collect(
    pointers,
    tag,
    M: tl.constexpr,
    N: tl.constexpr,
    ASM: tl.constexpr,
    CONSTRAINTS: tl.constexpr,
    PACK: tl.constexpr,
):
    """Wait for the words at `pointers` [M, N / 2] and in the slots behind; their sums [M, N]."""
    even, odd = tl.inline_asm_elementwise(
        ASM,
        CONSTRAINTS,
        [pointers.to(tl.int64), tag],
        dtype=(tl.float32, tl.float32),
        is_pure=False,
        pack=PACK,
    )
    return tl.reshape(tl.join(even, odd), (M, N))
