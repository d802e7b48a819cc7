"""ROS parameter files, read as ROS itself reads them (rcl_yaml_param_parser).

Which sections are a node's, and what a value is: a date is a text and `yes` is true; there are no
aliases; `[]` is a value that is not set. So a file means to a command what it means to the node.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tao_lora_ros.engine.parameter import SettingsError
from tao_lora_ros.messages.files import naming, read_regular
from tao_lora_ros.messages.texts import shown

_KEY = "ros__parameters"
_MOST_BYTES = 1 << 20
_INT = re.compile(r"[-+]?(0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*)", re.IGNORECASE)
_INT_DIGITS = 20  # of 64 bits, with a sign
_OCTAL = re.compile(r"[-+]?0[0-7]+")
_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE | re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.?(nan|inf|infinity)", re.IGNORECASE)
_BOOLS = {
    spelt: value
    for words, value in (("y yes true on", True), ("n no false off", False))
    for word in words.split()
    for spelt in (word, word.title(), word.upper())
}
_PLAIN = "plain"
_DEEPEST = 16  # the scanner's time grows by the square of it; ROS takes no list in a list


class Given(NamedTuple):
    """A parameter's value and the line of its file."""

    value: Any
    line: int


def parameters_for(file: Path, node: str) -> dict[str, Given]:
    """What a parameter file gives a node, by the parameters' names.

    The namespace is not known: a section counts where it names the node in any one of them, or by
    the wildcards `*` and `**`. A later section prevails.

    Raises:
        SettingsError: the file cannot be read, is no such file, or has no section for the node.
    """
    with naming(SettingsError, file):
        content = read_regular(file, _MOST_BYTES)
    try:
        sections = dict(_sections(yaml.compose(content.decode(), Loader=_Loader), ""))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: not YAML: {shown(' '.join(str(error).split()))}") from None
    except RecursionError:
        raise SettingsError(f"{file}: nested too deeply") from None
    except _Unfit as error:
        raise SettingsError(f"{file}: {error}") from None
    if not sections:
        raise SettingsError(f"{file}: expected one node with '{_KEY}'")
    meant = [name for name in sections if name.rpartition("/")[2] in (node, "*", "**")]
    if not meant:
        there = ", ".join(map(shown, sections))
        raise SettingsError(f"{file}: no section for node '{node}'; there are: {there}")
    spaces = {name.rpartition("/")[0] for name in meant if name != "/**"}
    if len([space for space in spaces if "*" not in space]) > 1:
        raise SettingsError(f"{file}: several nodes '{node}': {', '.join(map(shown, meant))}")
    return {name: given for section in meant for name, given in sections[section].items()}


class _Unfit(ValueError):
    """What YAML allows and ROS does not."""

    def __init__(self, node: yaml.Node, reason: str) -> None:
        super().__init__(f"line {node.start_mark.line + 1}: {reason}")


class _Loader(yaml.BaseLoader):
    """Composes nodes; no tag makes an object, and what stands without quotes is known as plain."""

    def resolve(self, kind: type, value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return str(super().resolve(kind, value, implicit))

    def fetch_flow_collection_start(self, kind: type) -> None:
        if self.flow_level >= _DEEPEST:
            raise RecursionError
        super().fetch_flow_collection_start(kind)

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.MarkedYAMLError(None, None, "ROS has no aliases", event.start_mark)
        return super().compose_node(parent, index)


def _pairs(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _Unfit(key, "expected a name")
        yield key.value, value


def _sections(node: yaml.Node | None, name: str) -> Iterator[tuple[str, dict[str, Given]]]:
    """The sections by their full names; namespaces may be nested."""
    for key, value in _pairs(node) if node else ():
        if key == _KEY:
            if not isinstance(value, yaml.MappingNode):
                raise _Unfit(value, f"expected parameters in '{_KEY}'")
            yield name, dict(_values(value, ""))
        else:
            yield from _sections(value, f"{name}/{key.strip('/')}")


def _values(node: yaml.Node, prefix: str) -> Iterator[tuple[str, Given]]:
    for key, value in _pairs(node):
        if isinstance(value, yaml.MappingNode):
            yield from _values(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", Given(_value(value), value.start_mark.line + 1)


def _value(node: yaml.Node) -> Any:
    if not isinstance(node, yaml.SequenceNode):
        return _scalar(node)
    if any(not isinstance(item, yaml.ScalarNode) for item in node.value):
        raise _Unfit(node, "a list in a list")
    items = [_scalar(item) for item in node.value]
    if len(set(map(type, items))) > 1:
        raise _Unfit(node, "a list of several types")
    return items or None


def _scalar(node: yaml.Node) -> Any:
    text = node.value
    if node.tag != _PLAIN:
        return text
    if not text:
        raise _Unfit(node, "a name without a value")
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text) and len(text) <= _INT_DIGITS:
        number = int(text, 8 if _OCTAL.fullmatch(text) else 0)
        if -(2**63) <= number < 2**63:
            return number
    if _FLOAT.fullmatch(text) and isfinite(float(text)):
        return float(text)
    return float(text.replace(".", "")) if _NOT_FINITE.fullmatch(text) else text
