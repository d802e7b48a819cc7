"""Arms of other makers that move, are struck and pressed: what their sensors show.

Models of robosuite (MIT), read from its wheel and not imported: `pip install --no-deps robosuite`.
A tool of 1.2 kg hangs on a force sensor, with an IMU; joints follow smooth paths by computed torque
(Craig 2005, Introduction to Robotics, 10.5), disturbed by a ripple.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ARMS = ("iiwa", "jaco", "panda", "ur5e", "xarm7")
STEP_S = 0.002
TOOL_KG = 1.2
TOOL_M, TIP_M = (0.01, 0.02, 0.06), (0.01, 0.02, 0.12)  # its middle; where it is touched
SWING_RAD = 0.35
RIPPLE = 0.3  # rad/s^2
STIFFNESS, DAMPING = 400.0, 40.0  # of the error, 1/s^2 and 1/s
BLOWS_N, BLOWS_S = (1.0, 100.0), (0.01, 0.02, 0.04)
PRESSES_N, PRESSES_S, RISE_S = (5.0, 30.0), (0.8, 3.0), 0.05
PAUSE_S = (2.0, 4.0)
# By sensor: Hz; columns; standard deviation of the noise.
SENSORS = {
    "imu": (250, ("ax", "ay", "az", "wx", "wy", "wz"), (0.03,) * 3 + (0.002,) * 3),
    "wrench": (500, ("fx", "fy", "fz", "tx", "ty", "tz"), (0.15,) * 3 + (0.006,) * 3),
    "joints": (250, (), (0.08,)),
}


@dataclass(frozen=True)
class Touch:
    """A force on the tool's end: when it begins, for how long, and its largest size."""

    begin_s: float
    duration_s: float
    size_n: float

    @property
    def end_s(self) -> float:
        return self.begin_s + self.duration_s


@dataclass(frozen=True)
class Moved:
    """What an arm's sensors showed: rows of each at its rate, [n, columns]; and what touched it."""

    rows: dict[str, Array]
    touches: list[Touch]


def models() -> Path | None:
    """The folder of robosuite's arms, where it is installed."""
    found = find_spec("robosuite")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / "models" / "assets" / "robots"


def move(arm: str, seed: int, seconds: float, kind: str) -> Moved:
    """Let an arm move.

    Args:
        arm: one of `ARMS`.
        seed: of its path, of what touches it and of the noise.
        seconds: how long.
        kind: "steady", "blows" or "presses".
    """
    rng = np.random.default_rng(seed)
    model, tool = _with_tool(arm)
    steps = round(seconds / STEP_S)
    path = _path(rng, steps, model.nv) + _middles(model)
    touches = _touches(rng, seconds, kind)
    sensed, torques = _run(model, tool, path, _forces(rng, steps, touches), rng)
    native = {"imu": sensed[:, :6], "wrench": sensed[:, 6:], "joints": torques}
    rows = {}
    for name, (rate_hz, _, noise) in SENSORS.items():
        taken = native[name][:: round(1 / STEP_S / rate_hz)]
        rows[name] = taken + rng.normal(size=taken.shape) * noise
    return Moved(rows, touches)


def _with_tool(arm: str) -> tuple[Any, int]:
    """The arm's model without actuators and collisions, with a tool; the tool's body."""
    import mujoco

    folder = models()
    assert folder is not None
    spec = mujoco.MjSpec.from_file(str(folder / arm / "robot.xml"))
    for shape in spec.geoms:
        shape.contype = shape.conaffinity = 0
    for actuator in list(spec.actuators):
        spec.delete(actuator)
    bare = spec.compile()
    last = max(body for body in range(bare.nbody) if bare.body_dofnum[body])
    tool = spec.body(bare.body(last).name).add_body(name="tool", pos=[0, 0, 0.08])
    tool.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[0.03, 0.06, 0],
        mass=TOOL_KG,
        pos=TOOL_M,
        contype=0,
        conaffinity=0,
    )
    tool.add_site(name="ft")
    tool.add_site(name="imu", pos=[0.02, 0, 0.05])
    kinds = mujoco.mjtSensor
    for site, sensor in (
        ("imu", kinds.mjSENS_ACCELEROMETER),
        ("imu", kinds.mjSENS_GYRO),
        ("ft", kinds.mjSENS_FORCE),
        ("ft", kinds.mjSENS_TORQUE),
    ):
        spec.add_sensor(type=sensor, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site)
    spec.option.timestep = STEP_S
    model = spec.compile()
    return model, model.body("tool").id


def _middles(model: Any) -> Array:
    """Of the joints' ranges, 0 where there is none."""
    return np.where(model.jnt_limited, model.jnt_range.mean(axis=1), 0.0)


def _path(rng: np.random.Generator, steps: int, joints: int) -> Array:
    """Five slow sines a joint, rad [steps, joints]."""
    times = np.arange(steps)[:, None] * STEP_S
    frequency = rng.uniform(0.05, 0.6, (5, 1, joints))
    size = SWING_RAD * rng.normal(size=(5, 1, joints)) / (5 * np.sqrt(frequency))
    phase = rng.uniform(0, 2 * np.pi, (5, 1, joints))
    return np.asarray((size * np.sin(2 * np.pi * frequency * times + phase)).sum(axis=0))


def _touches(rng: np.random.Generator, seconds: float, kind: str) -> list[Touch]:
    touches: list[Touch] = []
    at = 3.0
    while kind != "steady" and at < seconds - 4.0:
        if kind == "blows":
            size = float(np.exp(rng.uniform(*np.log(BLOWS_N))))
            touches.append(Touch(at, float(rng.choice(BLOWS_S)), size))
        else:
            touches.append(
                Touch(at, float(rng.uniform(*PRESSES_S)), float(rng.uniform(*PRESSES_N)))
            )
        at = touches[-1].end_s + float(rng.uniform(*PAUSE_S))
    return touches


def _forces(rng: np.random.Generator, steps: int, touches: list[Touch]) -> Array:
    """Of each step on the tool, in the world's frame, N [steps, 3]: half sines, or trapezoids."""
    forces = np.zeros((steps, 3))
    for touch in touches:
        count, first = round(touch.duration_s / STEP_S), round(touch.begin_s / STEP_S)
        since = np.arange(count)
        if touch.duration_s in BLOWS_S:
            shape = np.sin(np.pi * since / count)
        else:
            shape = np.minimum(1.0, np.minimum(since, count - since) * STEP_S / RISE_S)
        direction = rng.normal(size=3)
        size = touch.size_n / np.linalg.norm(direction)
        forces[first : first + count] += size * shape[:, None] * direction
    return forces


def _run(
    model: Any, tool: int, path: Array, forces: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """What the sensors and the joints' torques are, each step."""
    import mujoco

    data = mujoco.MjData(model)
    speed = np.gradient(path, STEP_S, axis=0)
    acceleration = np.gradient(speed, STEP_S, axis=0)
    data.qpos[:], data.qvel[:] = path[0], speed[0]
    inertia = np.zeros((model.nv, model.nv))
    waves = rng.uniform(20.0, 60.0, model.nv)  # 1/rad
    sensed, torques = np.zeros((len(path), model.nsensordata)), np.zeros_like(path)
    for i, force in enumerate(forces):
        mujoco.mj_fullM(model, data, inertia)
        error = STIFFNESS * (path[i] - data.qpos) + DAMPING * (speed[i] - data.qvel)
        torque = inertia @ (acceleration[i] + error) + data.qfrc_bias
        ripple = RIPPLE * np.diag(inertia) * np.sin(waves * data.qpos)
        data.qfrc_applied[:] = torque + ripple
        lever = data.xmat[tool].reshape(3, 3) @ (np.array(TIP_M) - model.body_ipos[tool])
        data.xfrc_applied[tool] = (*force, *np.cross(lever, force))
        mujoco.mj_step(model, data)
        sensed[i], torques[i] = data.sensordata, torque
    return sensed, torques
