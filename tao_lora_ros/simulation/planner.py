"""Draws what the arm is to do: a random script of rests, moves, strikes, presses and slides."""

from __future__ import annotations

import numpy as np

from .kinematics import JOINTS, Kinematics
from .scene import TOOL_RADIUS_M
from .script import Press, Script, Segment, Strike, Vector

HOME = np.array([0.0, -1.5, 1.9, -1.97, np.pi / 2, 0.0])
_SPREAD = np.array([1.0, 0.5, 0.6, 1.2, 1.2, 2.5])  # of free poses around home, rad
_CLEARANCE_M = 0.12  # free poses keep this far above the table
_BALL_AWAY_S = 0.5  # the slowest strike has hit or missed by then
_LINE_DEGREE = 5  # a straight line of the tip as a polynomial in the joints, micrometres off


class Planner:
    """Draws scripts from a random generator."""

    def __init__(self, kinematics: Kinematics, rng: np.random.Generator) -> None:
        self._kinematics = kinematics
        self._rng = rng
        self._script = Script()
        self._free: list[tuple[float, float]] = []  # times (s) when the tool is in the air

    def plan(self, duration_s: float, contacts: bool) -> Script:
        """A script at least `duration_s` long; without `contacts` only rests and free moves."""
        self._script, self._free = Script(), []
        self._script.add(Segment(0.5, HOME[None, :]))
        steps = [self._free_rest, self._free_move]
        weights = [0.3, 0.7]
        if contacts:
            steps += [self._press, self._slide]
            weights = [0.15, 0.3, 0.25, 0.3]
        while self._script.duration_s < duration_s:
            steps[self._rng.choice(len(steps), p=weights)]()
        if contacts:
            for start_s, end_s in self._free:
                self._strike(start_s, end_s)
        return self._script

    def plan_presses(self, duration_s: float) -> Script:
        """Rests and free moves, a hand that presses now and then, and taps, also meanwhile."""
        script = self.plan(duration_s, contacts=False)
        rng, time_s = self._rng, 1.0
        while (time_s := time_s + rng.exponential(1.5) + 0.8) < duration_s:
            azimuth, height = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(-1.0, 1.0)
            level = np.sqrt(1.0 - height**2)
            press = Press(
                time_s=time_s,
                rise_s=rng.uniform(0.03, 0.15),
                hold_s=rng.uniform(0.4, 4.0),
                fall_s=rng.uniform(0.03, 0.15),
                force_n=_log_uniform(rng, 5.5, 30.0),
                sway=rng.uniform(0.0, 0.08),
                sway_hz=rng.uniform(0.5, 3.0),
                along=rng.uniform(0.3, 1.0),
                direction=np.array([level * np.cos(azimuth), level * np.sin(azimuth), height]),
            )
            if press.end_s < duration_s - 0.5:
                script.presses.append(press)
            if rng.random() < 0.5:  # taps within this press
                self._strike(time_s + press.rise_s, press.end_s - press.fall_s)
            elif rng.random() < 0.3:  # or after it
                self._strike(press.end_s + 0.2, press.end_s + 1.0)
            time_s = press.end_s
        script.strikes = [strike for strike in script.strikes if strike.time_s < duration_s - 0.2]
        return script

    def _free_rest(self) -> None:
        self._in_air(Segment(self._rng.uniform(0.6, 2.0), self._script.pose[None, :]))

    def _free_move(self) -> None:
        """To a random pose whose way there clears the table."""
        while True:
            there = HOME + self._rng.uniform(-1.0, 1.0, JOINTS) * _SPREAD
            if self._kinematics.lowest(there) > _CLEARANCE_M and self._clears(HOME, there):
                break
        self._go(there)

    def _press(self) -> None:
        """Down onto the table, hold, up again."""
        above, down = self._approach()
        self._script.add(Segment(self._rng.uniform(0.5, 1.5), down))
        self._script.add(Segment(self._rng.uniform(0.3, 2.0), down.sum(axis=0)[None, :]))
        self._script.add(self._move(above))

    def _slide(self) -> None:
        """Down onto the table, along it under load, up again."""
        above, down = self._approach()
        touching = down.sum(axis=0)
        tip, axis = self._kinematics.tip(touching)
        # Dragged, not pushed: a tip that leans against its way digs in and hops.
        heading = np.arctan2(axis[1], axis[0]) + np.pi + self._rng.uniform(-1.0, 1.0)
        length = self._rng.uniform(0.05, 0.15)
        end = tip + length * np.array([np.cos(heading), np.sin(heading), 0.0])
        along = self._line(tip, end, axis, touching)
        self._script.add(Segment(self._rng.uniform(0.5, 1.5), down))
        self._script.add(Segment(self._rng.uniform(0.1, 0.5), touching[None, :]))
        if along is not None:
            speed = _log_uniform(self._rng, 0.03, 0.2)
            self._script.add(Segment(1.875 * length / speed, along))
        self._script.add(self._move(self._script.pose + above - touching))

    def _approach(self) -> tuple[Vector, Vector]:
        """Move over a random spot of the table; return that pose and the path down into it.

        The target lies under the surface by load times compliance, so that the servos press.
        """
        while True:
            spot = self._rng.uniform([0.38, -0.3, 0.0], [0.6, 0.15, 0.0])
            tilt, turn = self._rng.uniform(0.0, 0.25), self._rng.uniform(0.0, 2.0 * np.pi)
            axis = np.array(
                [np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), -np.cos(tilt)]
            )
            start = HOME.copy()
            start[5] += self._rng.uniform(-2.0, 2.0)
            height = self._rng.uniform(0.02, 0.06)
            above = self._kinematics.solve(spot + [0, 0, TOOL_RADIUS_M + height], axis, start)
            if above is None or not self._clears(HOME, above):
                continue
            load_n = _log_uniform(self._rng, 6.0, 45.0)
            depth = load_n * self._kinematics.press_compliance(above)
            down = self._line(
                self._kinematics.tip(above)[0], spot + [0, 0, TOOL_RADIUS_M - depth], axis, above
            )
            if down is not None:
                break
        self._go(above)
        return above, down

    def _go(self, there: Vector) -> None:
        """Through the air to a pose within reach of home, by way of home where straight is low."""
        if not self._clears(self._script.pose, there):
            self._in_air(self._move(HOME))
        self._in_air(self._move(there))

    def _clears(self, here: Vector, there: Vector) -> bool:
        """Whether the straight way goes no lower than its lower end (within a millimetre)."""
        heights = [self._kinematics.lowest(pose) for pose in np.linspace(here, there, 9)]
        return min(heights) > min(heights[0], heights[-1]) - 0.001

    def _line(self, start: Vector, end: Vector, axis: Vector, joints: Vector) -> Vector | None:
        """Joint polynomial [degree + 1, JOINTS] for a straight way of the tip, None out of reach.

        Interpolates inverse kinematics at Chebyshev points of [0, 1], with both ends.
        """
        s = 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, _LINE_DEGREE + 1))
        poses = [joints]
        for fraction in s[1:]:
            pose = self._kinematics.solve(start + fraction * (end - start), axis, poses[-1])
            if pose is None:
                return None
            poses.append(pose)
        return np.asarray(
            np.linalg.solve(np.vander(s, increasing=True), np.array(poses)), np.float64
        )

    def _move(self, there: Vector) -> Segment:
        """Straight in joint space; the fastest joint peaks at a random speed."""
        here = self._script.pose
        peak = self._rng.uniform(0.5, 1.8)
        duration_s = max(0.4, 1.875 * float(np.abs(there - here).max()) / peak)  # min-jerk's peak
        return Segment(duration_s, np.stack([here, there - here]))

    def _in_air(self, segment: Segment) -> None:
        start_s = self._script.duration_s
        self._script.add(segment)
        self._free.append((start_s, self._script.duration_s))

    def _strike(self, start_s: float, end_s: float) -> None:
        """Throws at random times of an interval, far enough apart for one ball."""
        rng = self._rng
        if self._script.strikes:
            start_s = max(start_s, self._script.strikes[-1].time_s + _BALL_AWAY_S)
        time_s = start_s + rng.exponential(0.6)
        while time_s < end_s - 0.1:
            over_tip = rng.random() < 0.3
            self._script.strikes.append(
                Strike(
                    time_s=time_s,
                    mass_kg=_log_uniform(rng, 0.01, 0.1),
                    speed_m_s=_log_uniform(rng, 0.1, 0.9),
                    gap_m=rng.uniform(0.01, 0.03),
                    contact_s=_log_uniform(rng, 0.003, 0.01),
                    along=1.0 if over_tip else rng.uniform(0.3, 1.0),
                    azimuth_rad=rng.uniform(0.0, 2.0 * np.pi),
                    elevation_rad=rng.uniform(0.0, np.pi / 2) if over_tip else 0.0,
                    aim_rad=rng.uniform(0.0, 0.35),
                )
            )
            time_s += _BALL_AWAY_S + rng.exponential(0.8)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
