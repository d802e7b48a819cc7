"""Run a script through MuJoCo and note, at every step, what the sensors and the contacts say."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from .scene import BALL_RADIUS_M, PARKED_M, TIME_STEP_S, TOOL_LENGTH_M, TOOL_RADIUS_M
from .script import Press, Script, Strike

Vector = NDArray[np.float64]

_PROGRESS_STEPS = 4000
_STRIKE_DAMPING = 0.3  # damping ratio of a strike: it bounces at about 0.4 of its speed


@dataclass(frozen=True)
class Trace:
    """The true course, one row a physics step, n steps.

    imu [n, 6]: specific force (m/s^2), angular rate (rad/s), at the IMU; wrench [n, 6]: force (N)
    and torque (Nm) of the tool on the sensor; tip_speed [n]: of the tip along the table (m/s);
    table_force, ball_force [n]: size of the contact force on the tool (N), 0 out of contact;
    press_force [n]: size of a hand's; contact [n, 6]: force (N) and torque (Nm) of all that touches
    the tool, about the sensor and in its frame.
    """

    imu: Vector
    wrench: Vector
    tip_speed: Vector
    table_force: Vector
    ball_force: Vector
    press_force: Vector
    contact: Vector


class World:
    """The scene in motion: `data` is its state. Throws the ball and takes it away again."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self.data: Any = mujoco.MjData(model)
        self._scratch = mujoco.MjData(model)
        self._ball_geom = model.geom("ball").id
        self._ball_body = model.body("ball").id
        self._ball_joint = model.nq - 7
        self._tip = model.site("tip").id
        self._sensor = model.site("ft").id
        self._tool = model.body("tool").id
        self._tool_geom = model.geom("tool").id
        self._contact = np.zeros(6)

    def run(
        self, script: Script, steps: range, progress: Callable[[int], None] | None = None
    ) -> Trace:
        """Follow the script for these steps, which begin where the last call's ended.

        `progress` hears now and then which step it is.
        """
        data, model = self.data, self._model
        targets = script.targets(steps, TIME_STEP_S)
        count = len(steps)
        readings = np.empty((count, model.nsensordata))
        forces, pressed = np.zeros((count, 2)), np.zeros(count)
        contact = np.zeros((count, 6))
        actions = self._actions(script.strikes)
        before_s = (steps.start - 1) * TIME_STEP_S
        presses = deque(press for press in script.presses if press.end_s > before_s)
        if steps.start == 0:
            data.qpos[: targets.shape[1]] = targets[0]
        for row, step in enumerate(steps):
            data.ctrl[:] = targets[row]
            action = actions.get(step)
            if action:
                action()
            if presses and step * TIME_STEP_S >= presses[0].time_s:
                press = presses[0]
                pressed[row] = self._press(press, step * TIME_STEP_S, contact[row])
                if step * TIME_STEP_S >= press.end_s:
                    presses.popleft()
            mujoco.mj_step(model, data)
            readings[row] = data.sensordata
            if data.ncon:
                self._add_contacts(forces[row], contact[row])
            if progress and step % _PROGRESS_STEPS == 0:
                progress(step)
        return Trace(
            imu=readings[:, :6],
            wrench=-readings[:, 6:12],  # MuJoCo reports the reaction: what holds the tool
            tip_speed=np.hypot(readings[:, 12], readings[:, 13]),
            table_force=forces[:, 0],
            ball_force=forces[:, 1],
            press_force=pressed,
            contact=contact,
        )

    def _actions(self, strikes: list[Strike]) -> dict[int, Callable[[], None]]:
        """What to do before which step: throw, and park once the ball must have hit or missed."""
        actions: dict[int, Callable[[], None]] = {}
        for strike in strikes:
            flight_s = 1.5 * strike.gap_m / strike.speed_m_s + 0.05
            actions[round(strike.time_s / TIME_STEP_S)] = partial(self.throw, strike)
            actions[round((strike.time_s + flight_s) / TIME_STEP_S)] = self.park
        return actions

    def _press(self, press: Press, time_s: float, contact: Vector) -> float:
        """Let a hand press in the next step; adds it to `contact` and gives the force's size."""
        force = press.force(time_s)
        lever = np.array([0.0, 0.0, press.along * TOOL_LENGTH_M])
        contact += np.concatenate((force, np.cross(lever, force)))
        data = self.data
        frame = data.site_xmat[self._sensor].reshape(3, 3)
        applied = data.site_xpos[self._sensor] + frame @ lever - data.xipos[self._tool]
        world = frame @ force
        data.xfrc_applied[self._tool] = np.concatenate((world, np.cross(applied, world)))
        return float(np.linalg.norm(force))

    def throw(self, strike: Strike) -> None:
        """Put the ball off the tool's surface, on its way to the struck point."""
        self._set_ball(strike.mass_kg, strike.contact_s)
        data = self.data
        frame = data.site_xmat[self._tip].reshape(3, 3)
        across = np.array([np.cos(strike.azimuth_rad), np.sin(strike.azimuth_rad), 0.0])
        end, side = np.array([0.0, 0.0, 1.0]), np.cross([0.0, 0.0, 1.0], across)
        normal = np.cos(strike.elevation_rad) * across + np.sin(strike.elevation_rad) * end
        heading = -np.cos(strike.aim_rad) * normal + np.sin(strike.aim_rad) * side
        offset = frame @ (end * (strike.along - 1.0) * TOOL_LENGTH_M)
        distance = TOOL_RADIUS_M + BALL_RADIUS_M + strike.gap_m
        velocity = np.zeros(6)
        mujoco.mj_objectVelocity(
            self._model, data, mujoco.mjtObj.mjOBJ_SITE, self._tip, velocity, 0
        )
        moving = velocity[3:] + np.cross(velocity[:3], offset)
        # Start upstream along the heading, so that the aim passes through the struck point.
        start = data.site_xpos[self._tip] + offset - frame @ heading * distance
        self._place_ball(start, moving + frame @ heading * strike.speed_m_s)

    def park(self) -> None:
        """Take the ball out of the way, at rest."""
        self._place_ball(np.array(PARKED_M), np.zeros(3))

    def _place_ball(self, position: Vector, velocity: Vector) -> None:
        at = self._ball_joint
        self.data.qpos[at : at + 7] = [*position, 1.0, 0.0, 0.0, 0.0]
        self.data.qvel[-6:] = [*velocity, 0.0, 0.0, 0.0]

    def _set_ball(self, mass_kg: float, contact_s: float) -> None:
        """Mass and hardness. A damped bounce lasts half a period: w = pi / contact_s."""
        model = self._model
        model.body_mass[self._ball_body] = mass_kg
        model.body_inertia[self._ball_body] = 0.4 * mass_kg * BALL_RADIUS_M**2
        frequency = np.pi / contact_s
        model.geom_solref[self._ball_geom] = (
            1.0 / (_STRIKE_DAMPING * frequency),
            _STRIKE_DAMPING,
        )
        mujoco.mj_setConst(model, self._scratch)

    def _add_contacts(self, forces: Vector, total: Vector) -> None:
        """Add the size of each contact force to `forces`, [table, ball], all of them to `total`."""
        data = self.data
        for index, (first, second) in enumerate(data.contact.geom):
            mujoco.mj_contactForce(self._model, data, index, self._contact)
            size = float(np.linalg.norm(self._contact[:3]))
            forces[int(self._ball_geom in (first, second))] += size
            if self._tool_geom not in (first, second):
                continue
            # MuJoCo gives the force of the first geom on the second, in the contact's frame.
            sign = 1.0 if second == self._tool_geom else -1.0
            world = sign * data.contact.frame[index].reshape(3, 3).T @ self._contact[:3]
            frame = data.site_xmat[self._sensor].reshape(3, 3)
            force = frame.T @ world
            lever = frame.T @ (data.contact.pos[index] - data.site_xpos[self._sensor])
            total += np.concatenate((force, np.cross(lever, force)))
