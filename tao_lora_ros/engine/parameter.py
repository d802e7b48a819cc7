"""One parameter: its type, default, unit and range, and what is wrong with a value of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.texts import shown

NODE_NAME = "tao_lora"
# Names that belong to ROS itself.
_ROS_OWN = ("use_sim_time", "start_type_description_service")


class SettingsError(TaoLoraError):
    """A parameter is unknown, of the wrong type or out of range; the text names it."""


def is_ours(name: str) -> bool:
    """Whether a parameter is this package's, not one that ROS itself gives every node."""
    return name not in _ROS_OWN and not name.startswith("qos_overrides.")


@dataclass(frozen=True)
class Parameter:
    """What is known of one parameter. `live`: it may change while the node runs."""

    name: str
    default: Any
    unit: str
    description: str
    minimum: float | None
    maximum: float | None
    live: bool

    @property
    def type_name(self) -> str:
        """The type in words, such as `float` or `list of str`."""
        if isinstance(self.default, tuple):
            return f"list of {type(self.default[0]).__name__}"
        return type(self.default).__name__

    def problem(self, value: Any) -> str | None:
        """Why the value will not do, or None."""
        if not self._right_type(value):
            return f"parameter '{self.name}' is {shown(repr(value))}, expected {self.type_name}"
        for number in value if isinstance(value, list | tuple) else (value,):
            if isinstance(number, str):
                continue
            low, high = self.minimum, self.maximum
            # written so that a NaN fails too
            if not ((low is None or number >= low) and (high is None or number <= high)):
                return f"parameter '{self.name}' is {number!r}, expected {self.range}"
        return None

    @property
    def range(self) -> str:
        """The range in words; empty where there is none."""
        if self.maximum is not None:
            return f"{self.minimum:g} to {self.maximum:.15g}"
        return "" if self.minimum is None else f"at least {self.minimum:g}"

    def _right_type(self, value: Any) -> bool:
        if isinstance(self.default, tuple):
            kind = type(self.default[0])
            return isinstance(value, list | tuple) and all(_is(item, kind) for item in value)
        return _is(value, type(self.default))

    def coerce(self, value: Any) -> Any:
        """The value in the table's own type (whole numbers for a float, lists for a tuple)."""
        if isinstance(self.default, tuple):
            return tuple(type(self.default[0])(item) for item in value)
        return type(self.default)(value)


def _is(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def parameter(
    default: Any,
    unit: str,
    description: str,
    minimum: float | None = None,
    maximum: float | None = None,
    live: bool = False,
) -> Any:
    """Field of a dataclass that carries its row of the table."""
    meta = dict(unit=unit, description=description, minimum=minimum, maximum=maximum, live=live)
    return field(default=default, metadata=meta)
