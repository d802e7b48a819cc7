"""What every drawing of a signal needs, whatever draws it: colours and titles."""

from __future__ import annotations

from tao_lora_ros.signal.channels import split_name
from tao_lora_ros.signal.source import unit_of

# x, y and z, or the joints
AXES = ("#d1495b", "#2e8b57", "#2f6fb5", "#f08c00", "#7048e8", "#0ca678", "#868e96")
QUANTITIES = {
    "accel": "Acceleration",
    "gyro": "Angular velocity",
    "force": "Force",
    "torque": "Torque",
    "effort": "Effort",
}


def title_of(channel: str) -> str:
    """The title of what is drawn of a channel's quantity, such as `Force · wrench [N]`."""
    source, quantity, _ = split_name(channel)
    return f"{QUANTITIES[quantity]} · {source} [{unit_of(channel).replace('^2', '²')}]"
