"""The low-rank branch: the rank-r matrix that best undoes a layer's rounding error."""

from __future__ import annotations

import torch
from torch import Tensor


def fit_low_rank(error: Tensor, gram: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Closed form of QERA (arXiv 2410.06040): least output error for inputs with E[x xᵀ] = gram.

    With R = gram and (W - Q(W)) R^½ = U Σ Vᵀ, the branch is B = U_r Σ_r, A = V_rᵀ R^-½.

    Args:
        error: W - Q(W), float32 [N, K].
        gram: E[x xᵀ], [K, K].
        rank: r, from 0 to min(N, K).

    Returns:
        A (down), float32 [r, K], and B (up), float32 [N, r].

    Raises:
        ValueError: the rank does not fit the layer.
    """
    n, k = error.shape
    if not 0 <= rank <= min(n, k):
        raise ValueError(f"rank {rank} does not fit a layer of {n} x {k}")
    values, vectors = torch.linalg.eigh(gram.double())
    values = values.clamp_min(values.max() * 1e-8).sqrt()
    root = (vectors * values) @ vectors.T
    inverse_root = (vectors / values) @ vectors.T
    u, s, vh = torch.linalg.svd(error.double() @ root, full_matrices=False)
    up = u[:, :rank] * s[:rank]
    down = vh[:rank] @ inverse_root
    return down.float(), up.float()
