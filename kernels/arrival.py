"""A window comes with its order from memory that the host writes, and results go there.

Both lie in one record: the order, an int64 word with the path in its lower half and the number of
the call in the upper, and `LEAD` values further the window. A record has cache lines to itself.
The host numbers its calls. A kernel that is launched ahead of its windows knows by the number that
one has come; the host knows by it that a result is this call's. So neither waits for more than
the words that it needs.

Reads of one line of the host's memory by many multiprocessors queue. So programs that share a
window fetch a part of its rows each, and pass it on as numbered words in the device's memory.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .numerics import INTERPRETED

LEAD = tl.constexpr(16)  # float32 values


def record_size(values: int) -> int:
    """float32 values of a record for a window of so many."""
    return LEAD.value + -(-values // LEAD.value) * LEAD.value


# One thread asks, as every question crosses the bus: until the upper half of the order's word is
# another number than that of the word it wrote down last time, or something has gone wrong.
_WAIT = tl.constexpr(
    """{ .reg .pred other, again; .reg .b64 w; .reg .b32 t, n, path, number, last;
    mov.u32 t, %tid.x; setp.ne.u32 other, t, 0; mov.b32 n, 0; mov.b32 $0, 0;
    @other bra DONE;
    ld.global.b64 w, [$2]; mov.b64 {path, last}, w;
    AGAIN: ld.relaxed.sys.global.b64 w, [$1]; mov.b64 {path, number}, w;
    add.u32 n, n, 1; setp.eq.b32 again, number, last; setp.lt.and.u32 again, n, 1000000, again;
    @again bra AGAIN;
    fence.acq_rel.sys;
    st.global.b64 [$2], w;
    DONE: }"""
)


@triton.jit
def read_order(record, seen, WAITS: tl.constexpr):
    """The path of a window and the number of the call; with WAITS not before there is a new one.

    Args:
        record: of the window.
        seen: where this program keeps the last one.
    """
    order = record.to(tl.pointer_type(tl.int64))
    if WAITS and not INTERPRETED:
        tl.inline_asm_elementwise(
            _WAIT,
            "=r,l,l",
            [order.to(tl.int64), seen.to(tl.int64)],
            dtype=tl.int32,
            is_pure=False,
            pack=1,
        )
        tl.debug_barrier()
        word = tl.load(seen, volatile=True)
    else:
        word = tl.load(order)
    return (word & 0xFFFFFFFF).to(tl.int32), (word >> 32).to(tl.int32)


@triton.jit
def read_window(record, C: tl.constexpr, CP: tl.constexpr, WINDOW: tl.constexpr):
    """A window's channels, float32 [WINDOW, CP].

    Transposed and not vectorised: a thread has one channel, and most of a sum to itself.
    """
    rows, channels = tl.arange(0, WINDOW), tl.arange(0, CP)
    at = tl.max_contiguous(channels, 1)[:, None] + rows[None, :] * C
    return tl.trans(tl.load(record + LEAD + at, mask=channels[:, None] < C, other=float("nan")))


@triton.jit
def share_window(
    record, words, number, split,
    C: tl.constexpr, CP: tl.constexpr, WINDOW: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """Fetch this program's rows of a window and pass them on: int64 words [WINDOW, CP]."""
    ROWS: tl.constexpr = WINDOW // SPLITS
    rows, channels = split * ROWS + tl.arange(0, ROWS), tl.arange(0, CP)
    at = rows[:, None] * C + channels[None, :]
    part = tl.load(record + LEAD + at, mask=channels[None, :] < C, other=float("nan"))
    there = words + rows[:, None] * CP + channels[None, :]
    tl.inline_asm_elementwise(
        "{ st.relaxed.gpu.global.b64 [$1], $2; mov.u32 $0, 0; }",
        "=r,l,l",
        [there.to(tl.int64), numbered(part, number)],
        dtype=tl.int32,
        is_pure=False,
        pack=1,
    )


@triton.jit
def collect_window(
    words, number, CP: tl.constexpr, WINDOW: tl.constexpr,
    ASM: tl.constexpr, CONSTRAINTS: tl.constexpr, PACK: tl.constexpr,
):  # fmt: skip
    """Wait for all of a window, float32 [WINDOW, CP]."""
    at = tl.arange(0, WINDOW)[:, None] * CP + tl.arange(0, CP)[None, :]
    window, _ = tl.inline_asm_elementwise(
        ASM,
        CONSTRAINTS,
        [(words + at).to(tl.int64), number],
        dtype=(tl.float32, tl.float32),
        is_pure=False,
        pack=PACK,
    )
    return window


@triton.jit
def numbered(x, number):
    """float32 values as int64 words with a number in their upper halves."""
    bits = x.to(tl.int32, bitcast=True).to(tl.int64) & 0xFFFFFFFF
    return bits | (number.to(tl.int64) << 32)
