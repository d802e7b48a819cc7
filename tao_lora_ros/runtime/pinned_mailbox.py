"""Windows to a GPU and results from it, through memory of the host that both see.

Each side knows by a number that the other's words are those of this call, so neither has to wait
for the end of anything else. A call is one piece of compiled code, without Python and its lock.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numpy.typing import NDArray

from tao_lora_ros.signal.compiled import compiled

intrinsic: Any = extending.intrinsic  # mypy takes its calls for those of what it decorates
_SPINS = 3_000_000_000  # a second or so
_INFINITY = 0x7F800000  # the bits of float32; those of NaN are larger
NOTHING_CAME, INCOMPLETE, ENDED = -1, -2, -3
LOST = {
    ENDED: "ended before it answered",
    NOTHING_CAME: "ended without a result",
    INCOMPLETE: "ended with an incomplete result",
}

# Address of `cudaGraphLaunch`, the graph, the stream.
Replay = tuple[int, int, int]


@intrinsic
def _copy(typing_context: Any, source: Any, first: Any, target: Any, to: Any, count: Any) -> Any:
    """Copy a stretch of an array; both places are counted in its values."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        source, target = (
            context.make_array(signature.args[i])(context, builder, values[i]).data for i in (0, 2)
        )
        target = builder.bitcast(target, source.type)
        size = context.get_abi_sizeof(source.type.pointee)
        cgutils.raw_memcpy(
            builder,
            builder.gep(target, [values[3]]),
            builder.gep(source, [values[1]]),
            values[4],
            size,
        )
        return context.get_dummy_value()

    whole = types.int64
    return types.void(source, whole, target, whole, whole), generate


@intrinsic
def _load(typing_context: Any, words: Any, at: Any) -> Any:
    """A word that another device may be writing."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        return builder.load_atomic(builder.gep(data, [values[1]]), "monotonic", 8)

    return types.int64(words, types.int64), generate


@intrinsic
def _publish(typing_context: Any, words: Any, at: Any, word: Any) -> Any:
    """Store a word after all that was stored before."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        builder.store_atomic(values[2], builder.gep(data, [values[1]]), "release", 8)
        return context.get_dummy_value()

    return types.void(words, types.int64, types.int64), generate


@intrinsic
def _replay(typing_context: Any, launch: Any, graph: Any, stream: Any) -> Any:
    """Call `cudaGraphLaunch`, given its address; its error code."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        word, code = context.get_value_type(types.int64), context.get_value_type(types.int32)
        function = builder.inttoptr(values[0], ir.FunctionType(code, [word, word]).as_pointer())
        return builder.call(function, values[1:])

    whole = types.int64
    return types.int32(whole, whole, whole), generate


@compiled(nogil=True)
def hand_over(
    windows: NDArray[np.float32],
    paths: NDArray[np.int32],
    number: int,
    records: NDArray[np.int64],
    lead: int,
) -> None:
    """Copy windows, B · T · C values, into records, and order each one as soon as it is there.

    Args:
        windows: float32, flat.
        paths: int32 [B].
        number: of the call, below 2³¹.
        records: int64, flat.
        lead: float32 values of a record that lie before the window.
    """
    size, record = len(windows) // len(paths), len(records) // len(paths)
    for b in range(len(paths)):
        _copy(windows, b * size, records, 2 * b * record + lead, size)
        _publish(records, b * record, (number << 32) | paths[b])


@compiled(nogil=True)
def collect(words: NDArray[np.int64], number: int, results: NDArray[np.float32]) -> int:
    """Wait for the words of the call with this number.

    Args:
        words: int64 [N], a value's bits in the lower half, the number in the upper.
        number: of the call.
        results: float32 [N].

    Returns:
        0; `NOTHING_CAME`; `INCOMPLETE` if one is NaN, as a model's never is: it stands for what a
        program of the GPU waited for in vain.
    """
    bits, complete = results.view(np.int32), True
    for i in range(len(words)):
        word, spins = _load(words, i), 0
        while word >> 32 != number:
            spins += 1
            if spins > _SPINS:
                return NOTHING_CAME
            word = _load(words, i)
        bits[i] = word & 0xFFFFFFFF
        complete &= (word & 0x7FFFFFFF) <= _INFINITY
    return 0 if complete else INCOMPLETE


@compiled(nogil=True)
def call(
    windows: NDArray[np.float32],
    paths: NDArray[np.int32],
    number: int,
    records: NDArray[np.int64],
    lead: int,
    replay: Replay,
    early: bool,
    words: NDArray[np.int64],
    results: NDArray[np.float32],
) -> int:
    """Hand windows over, replay a graph that infers on them, collect the results.

    Args:
        windows, paths, number, records, lead: see `hand_over`.
        replay: of the graph.
        early: replay it first; its kernel waits for the windows.
        words, results: see `collect`.

    Returns:
        0, or CUDA's error code, or one of `LOST`.
    """
    error = 0
    if early:
        error = _replay(replay[0], replay[1], replay[2])
    hand_over(windows, paths, number, records, lead)
    if not early:
        error = _replay(replay[0], replay[1], replay[2])
    if error != 0:
        return error
    return collect(words, number, results)


@compiled(nogil=True)
def ask(
    windows: NDArray[np.float32],
    paths: NDArray[np.int32],
    number: int,
    records: NDArray[np.int64],
    lead: int,
    words: NDArray[np.int64],
    results: NDArray[np.float32],
    ended: NDArray[np.int64],
    launch: int,
) -> int:
    """Hand windows over to a kernel that stays, and collect the results.

    Args:
        windows, paths, number, records, lead: see `hand_over`.
        words, results: see `collect`.
        ended: int64 [1], the launch of the kernel that has ended last.
        launch: of the kernel that is there, if it has not ended.

    Returns:
        0, or one of `LOST`.
    """
    hand_over(windows, paths, number, records, lead)
    spins = 0
    while _load(words, 0) >> 32 != number:
        if _load(ended, 0) == launch and _load(words, 0) >> 32 != number:
            return ENDED
        spins += 1
        if spins > _SPINS:
            return NOTHING_CAME
    return collect(words, number, results)
