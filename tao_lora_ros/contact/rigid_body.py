"""Least squares for the load of a rigid body of which neither mass nor mounting are known.

In the IMU's frame the load about the sensor's origin o is f = A (s + D c) and
t = T (s + D o) + P (J alpha + omega x J omega), with D = [alpha]x + [omega]x [omega]x, c the centre
of mass seen from the IMU and J the inertia about o. A (mass times mounting), T (first moment) and
P (mounting, the orthogonal factor of A) are free 3 x 3 blocks. So the terms of motion have 12
unknowns instead of 54, and what little of them a short recording shows goes further.
"""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

from tao_lora_ros.contact.contact_model import STATIC, Array

# A specific force that spreads less than this (m/s^2) does not count as motion: a ridge of its size
# shrinks to 0 what nothing is known of.
LEAST = 0.02
_RIDGE = 1e-4  # of the mean square of the terms of motion
_ROUNDS = 3  # of fitting these, and the static ones beside them

_PRODUCT = {pair: at for at, pair in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)))}
_SIGNS = {
    order: round(float(np.linalg.det(np.eye(3)[list(order)]))) for order in permutations(range(3))
}


def _of_product(i: int, j: int) -> int:
    return _PRODUCT[min(i, j), max(i, j)]


def _lever() -> Array:
    """D by the terms of motion, [9, 3, 3]."""
    lever = np.zeros((9, 3, 3))
    for (i, j, k), sign in _SIGNS.items():
        lever[6 + j, i, k] += sign
    for i, j in product(range(3), repeat=2):
        lever[_of_product(i, j), i, j] += 1.0
        lever[_of_product(j, j), i, i] -= 1.0
    return lever


def _inertia() -> Array:
    """J alpha + omega x J omega by the terms and J's six numbers (xx yy zz xy xz yz), [9, 3, 6]."""
    inertia = np.zeros((9, 3, 6))
    for i, j in product(range(3), repeat=2):
        inertia[6 + j, i, _of_product(i, j)] += 1.0
    for ((i, j, k), sign), axis in product(_SIGNS.items(), range(3)):
        inertia[_of_product(j, axis), i, _of_product(k, axis)] += sign
    return inertia


_LEVER, _INERTIA = _lever(), _inertia()


def fit(terms: Array, loads: Array, weights: Array) -> Array:
    """What each term adds to each axis of a wrench, [6, k].

    Args:
        terms: as of `terms_of`, [n, k], without their means.
        loads: force and torque, [n, 6], likewise.
        weights: of the rows, [n].
    """
    count = terms.shape[1]
    if not count:
        return np.zeros((6, 0))
    static, motion = terms[:, :STATIC], terms[:, STATIC:]
    blocks = [_block(static, loads[:, part], weights) for part in (slice(3), slice(3, 6))]
    if count == STATIC:
        return np.vstack(blocks)
    lever = np.tensordot(motion, _LEVER, 1)
    inertia = np.tensordot(motion, _INERTIA, 1)
    force, torque = loads[:, :3], loads[:, 3:]
    for _ in range(_ROUNDS):
        mass, moment = blocks
        left, _, right = np.linalg.svd(mass)
        mounting = left @ right
        centre = _unknowns(mass @ lever, force - static @ mass.T, weights)
        regressors = np.concatenate((moment @ lever, mounting @ inertia), axis=2)
        origin, body = np.split(_unknowns(regressors, torque - static @ moment.T, weights), [3])
        turning = inertia @ body @ mounting.T
        blocks = [
            _block(static + lever @ centre, force, weights),
            _block(static + lever @ origin, torque - turning, weights),
        ]
    mass, moment = blocks
    return np.vstack(
        (
            np.hstack((mass, mass @ (_LEVER @ centre).T)),
            np.hstack((moment, moment @ (_LEVER @ origin).T + mounting @ (_INERTIA @ body).T)),
        )
    )


def _block(regressors: Array, loads: Array, weights: Array) -> Array:
    """What each of three regressors [n, 3] adds to each of three loads [n, 3], [3, 3]."""
    weighted = regressors * weights[:, None]
    gram = weighted.T @ regressors + weights.sum() * LEAST**2 * np.eye(3)
    return np.asarray(np.linalg.solve(gram, weighted.T @ loads).T)


def _unknowns(regressors: Array, loads: Array, weights: Array) -> Array:
    """What minimises the squares of loads [n, 3] less regressors [n, 3, u] times them, [u]."""
    count = regressors.shape[2]
    rows = regressors.reshape(-1, count)
    weighted = rows * np.repeat(weights, 3)[:, None]
    gram = weighted.T @ rows
    ridge = np.diag(_RIDGE * np.diag(gram) + 1e-12)
    return np.asarray(np.linalg.solve(gram + ridge, weighted.T @ loads.reshape(-1)))
