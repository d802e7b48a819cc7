"""Declare the table of parameters on a node."""

from __future__ import annotations

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from tao_lora_ros.engine.parameter import Parameter, is_ours
from tao_lora_ros.engine.settings import TABLE, Settings, settings_from


def declare(node: Node) -> Settings:
    """Declare every parameter of the table, with its range and description.

    Returns:
        The settings that the node was given.

    Raises:
        SettingsError: the node was given a parameter that is not in the table, or a bad value.
    """
    # rclpy has no public way to see overrides of parameters that nobody declares.
    overrides = {name: item.value for name, item in node._parameter_overrides.items()}
    settings = settings_from({k: v for k, v in overrides.items() if is_ours(k)})
    for row in TABLE:
        value = getattr(settings, row.name)
        node.declare_parameter(
            row.name,
            list(value) if isinstance(value, tuple) else value,
            _descriptor(row),
            ignore_override=True,
        )
    return settings


def _descriptor(row: Parameter) -> ParameterDescriptor:
    unit = f" [{row.unit}]" if row.unit else ""
    descriptor = ParameterDescriptor(description=f"{row.description}{unit}", read_only=not row.live)
    if row.minimum is not None and row.maximum is not None:
        if isinstance(row.default, int):
            whole = IntegerRange(from_value=int(row.minimum), to_value=int(row.maximum), step=1)
            descriptor.integer_range = [whole]
        elif isinstance(row.default, float):
            real = FloatingPointRange(from_value=row.minimum, to_value=row.maximum)
            descriptor.floating_point_range = [real]
    return descriptor
