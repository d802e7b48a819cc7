"""The dual-path linear layer on tensor cores: INT4 or INT8 codes, and a low-rank branch.

`int4_linear` is its plain reference.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def dual_linear(x, codes, scale, down, up, steady):
    """One layer without its bias, on either path.

    Args:
        x: activations as `numerics.activations` makes them, FP16 [M, K].
        codes: weights, whole numbers in FP16 [N, K].
        scale: of the weights, while steady times that of the activations, [N].
        down, up: A, FP16 [K, R], and B, FP16 [R, N].
        steady: without the branch; a number, so that nothing of the branch is computed.

    Returns:
        float32 [M, N].
    """
    y = tl.dot(x, tl.trans(codes)) * scale[None, :]
    if not steady:
        y += tl.dot(tl.dot(x, down).to(tl.float16), up)
    return y
