"""Where the tool tip is for given joint angles, and back."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from .scene import DRIVE_STIFFNESS

Vector = NDArray[np.float64]

JOINTS = len(DRIVE_STIFFNESS)
_DAMPING = 1e-3
_MAX_STEP = 0.3  # rad an iteration: keeps the solution near its start


class Kinematics:
    """Forward and inverse kinematics of the arm, on state of its own."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._data: Any = mujoco.MjData(model)
        self._tip = model.site("tip").id
        self._jacobian = np.zeros((6, model.nv))

    def tip(self, joints: Vector) -> tuple[Vector, Vector]:
        """Position [3] (m) of the tip's centre and tool axis [3] (unit), in the world."""
        self._data.qpos[:JOINTS] = joints
        mujoco.mj_kinematics(self._model, self._data)
        return (
            self._data.site_xpos[self._tip].copy(),
            self._data.site_xmat[self._tip].reshape(3, 3)[:, 2].copy(),
        )

    def lowest(self, joints: Vector) -> float:
        """Height (m) of the lowest joint beyond the shoulder, or of the tip, above the table."""
        height = self.tip(joints)[0][2]
        links = self._data.xpos[self._model.body("forearm").id : self._model.body("ball").id, 2]
        return float(min(height, links.min()))

    def jacobian(self, joints: Vector) -> Vector:
        """Tip velocity over joint velocity, [6, JOINTS]: three linear rows, three angular."""
        self.tip(joints)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_jacSite(
            self._model, self._data, self._jacobian[:3], self._jacobian[3:], self._tip
        )
        return self._jacobian[:, :JOINTS].copy()

    def solve(self, position: Vector, axis: Vector, start: Vector) -> Vector | None:
        """Joint angles that bring the tip to `position` and the tool along `axis`.

        Damped least squares (Nakamura and Hanafusa 1986); the turn about the tool's own axis is
        left free. None where 100 iterations do not come within 10 micrometres and 0.1 mrad.
        """
        joints = start.copy()
        for _ in range(100):
            tip, along = self.tip(joints)
            error = np.concatenate([position - tip, np.cross(along, axis)])
            if np.abs(error[:3]).max() < 1e-5 and np.abs(error[3:]).max() < 1e-4:
                return joints if along @ axis > 0 else None
            jac = self.jacobian(joints)
            # Turning about the tool's axis costs nothing: take that direction out of the task.
            jac[3:] -= np.outer(along, along @ jac[3:])
            step = jac.T @ np.linalg.solve(jac @ jac.T + _DAMPING**2 * np.eye(6), error)
            joints += step * min(1.0, _MAX_STEP / max(np.abs(step).max(), 1e-9))
        return None

    def press_compliance(self, joints: Vector) -> float:
        """Vertical give of the servo-held arm at the tip, in m/N: (J K^-1 J^T)_zz (Salisbury)."""
        vertical = self.jacobian(joints)[2]
        return float(vertical @ (vertical / np.array(DRIVE_STIFFNESS)))
