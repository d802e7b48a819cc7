"""The scene: an arm, a tool on a force/torque sensor, a table, and a ball that serves as hammer.

Everything is built here from primitive shapes. Lengths follow the published Denavit-Hartenberg
parameters of the UR5e class (reach 0.85 m), masses and reflected rotor inertias are of that size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco

TIME_STEP_S = 0.00025
GRAVITY = 9.81

TOOL_RADIUS_M = 0.02
TOOL_LENGTH_M = 0.12  # from the sensor's face to the centre of the round tip
BALL_RADIUS_M = 0.01

# Tip on table: time constant (s) and damping ratio, across and along the surface. MuJoCo's convex
# friction turns slip into separation; gentle along the surface, or a sliding tip hops.
_TABLE_SOLREF = "0.008 0.5"
_TABLE_SOLREF_FRICTION = "0.15 1"
PARKED_M = (0.0, 0.0, 5.0)

# Stiffness of each drive, as a position servo around an elastic gear [Nm/rad]. With the inertias
# below it puts the first modes of the arm at 5 to 30 Hz, where real arms of this size have them.
DRIVE_STIFFNESS = (20000.0, 20000.0, 12000.0, 4000.0, 4000.0, 4000.0)
_DRIVE_LAG_S = (
    0.009  # damping over stiffness; one for all, so that the lagging tip stays on its path
)
_DRIVE_TORQUE = (330.0, 330.0, 150.0, 56.0, 56.0, 56.0)
_ROTOR_INERTIA = (1.0, 1.0, 0.6, 0.15, 0.15, 0.15)

# Wrist and mount give elastically, about a point behind the sensors: the ringing after a tap.
_MOUNT_LEVER_M = 0.08  # from that point to the flange
_MOUNT_DAMPING_RATIO = 0.08


@dataclass(frozen=True)
class Tool:
    """What differs from one mounting to the next.

    mass_kg: everything below the force/torque sensor; mount_hz: first mode of tool and mount;
    friction: of the tip on the table (Coulomb, dimensionless).
    """

    mass_kg: float = 1.0
    mount_hz: float = 80.0
    friction: float = 0.35


def load_model(tool: Tool) -> mujoco.MjModel:
    """Compile the scene; sensor order: accelerometer, gyro, force, torque, tip velocity."""
    return mujoco.MjModel.from_xml_string(_mjcf(tool))


def _mjcf(tool: Tool) -> str:
    to_centre = _MOUNT_LEVER_M + 0.02 + 0.5 * TOOL_LENGTH_M
    inertia = tool.mass_kg * (to_centre**2 + TOOL_LENGTH_M**2 / 12) + 0.1 * _MOUNT_LEVER_M**2
    stiffness = inertia * (2 * math.pi * tool.mount_hz) ** 2
    damping = 2 * _MOUNT_DAMPING_RATIO * (stiffness * inertia) ** 0.5
    # Only the tool collides: with the ball by contype and conaffinity, with the table by a pair.
    # gravcomp: the controller's gravity feed-forward; the wrench still weighs the tool.
    return f"""
<mujoco model="struck_arm">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="{TIME_STEP_S}" integrator="implicitfast" cone="elliptic" impratio="0.3"
          gravity="0 0 -{GRAVITY}" iterations="30"/>
  <default>
    <geom contype="0" conaffinity="0"/>
    <joint type="hinge"/>
    <default class="mount">
      <joint stiffness="{stiffness}" damping="{damping}" pos="0 0 -{_MOUNT_LEVER_M}"/>
    </default>
  </default>
  <worldbody>
    <geom name="table" type="plane" size="2 2 0.1"/>
    <geom type="cylinder" size="0.075 0.05" pos="0 0 0.05"/>
    <body name="shoulder" pos="0 0 0.1625" gravcomp="1">
      <joint name="pan" axis="0 0 1"{_rotor(0)}/>
      <geom type="capsule" size="0.06" fromto="0 0 -0.05 0 0 0.03" mass="3.7"/>
      <body name="upper_arm" pos="0 -0.1333 0" gravcomp="1">
        <joint name="lift" axis="0 1 0"{_rotor(1)}/>
        <geom type="capsule" size="0.055" fromto="0 0 0 0.425 0 0" mass="8.4"/>
        <body name="forearm" pos="0.425 0 0" gravcomp="1">
          <joint name="elbow" axis="0 1 0"{_rotor(2)}/>
          <geom type="capsule" size="0.045" fromto="0 0 0 0.3922 0 0" mass="2.3"/>
          <body name="wrist_1" pos="0.3922 0 0" gravcomp="1">
            <joint name="wrist_1" axis="0 1 0"{_rotor(3)}/>
            <geom type="capsule" size="0.04" fromto="0 0 0 0 0 -0.06" mass="1.2"/>
            <body name="wrist_2" pos="0 0 -0.0997" gravcomp="1">
              <joint name="wrist_2" axis="0 0 -1"{_rotor(4)}/>
              <geom type="capsule" size="0.04" fromto="0 0 0 0 -0.05 0" mass="1.2"/>
              <body name="wrist_3" pos="0 -0.0996 0" quat="0.7071068 0.7071068 0 0" gravcomp="1">
                <joint name="wrist_3" axis="0 0 1"{_rotor(5)}/>
                <geom type="cylinder" size="0.035 0.02" mass="0.2"/>
                <body name="flange" pos="0 0 0.02" gravcomp="1">
                  <joint name="mount_x" class="mount" axis="1 0 0"/>
                  <joint name="mount_y" class="mount" axis="0 1 0"/>
                  <geom type="cylinder" size="0.035 0.008" mass="0.1"/>
                  <site name="imu" pos="0.03 0 0.01"/>
                  <body name="tool" pos="0 0 0.02" gravcomp="1">
                    <geom name="tool" type="capsule" size="{TOOL_RADIUS_M}" mass="{tool.mass_kg}"
                          fromto="0 0 0.02 0 0 {TOOL_LENGTH_M}" contype="1"/>
                    <site name="ft"/>
                    <site name="tip" pos="0 0 {TOOL_LENGTH_M}"/>
                  </body>
                </body>
              </body>
            </body>
          </body>
        </body>
      </body>
    </body>
    <body name="ball" pos="{PARKED_M[0]} {PARKED_M[1]} {PARKED_M[2]}" gravcomp="1">
      <freejoint/>
      <geom name="ball" type="sphere" size="{BALL_RADIUS_M}" mass="0.1" conaffinity="1"
            priority="1" friction="0.2"/>
    </body>
  </worldbody>
  <contact>
    <pair geom1="table" geom2="tool" friction="{tool.friction} {tool.friction} 0.005 0.0001 0.0001"
          solref="{_TABLE_SOLREF}" solreffriction="{_TABLE_SOLREF_FRICTION}"/>
  </contact>
  <actuator>
    {_servos()}
  </actuator>
  <sensor>
    <accelerometer site="imu"/>
    <gyro site="imu"/>
    <force site="ft"/>
    <torque site="ft"/>
    <framelinvel objtype="site" objname="tip"/>
  </sensor>
</mujoco>"""


def _rotor(joint: int) -> str:
    return f' armature="{_ROTOR_INERTIA[joint]}"'


def _servos() -> str:
    names = ("pan", "lift", "elbow", "wrist_1", "wrist_2", "wrist_3")
    return "\n    ".join(
        f'<position joint="{name}" kp="{kp}" kv="{kp * _DRIVE_LAG_S}"'
        f' forcerange="-{limit} {limit}"/>'
        for name, kp, limit in zip(names, DRIVE_STIFFNESS, _DRIVE_TORQUE, strict=True)
    )
