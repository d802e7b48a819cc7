"""The examples in the docstrings that a newcomer opens first say what really comes out."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    "name",
    ["messages.texts", "signal.window", "detection.detector", "detection.router", "bags.replay"],
)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    module = import_module(f"tao_lora_ros.{name}")
    result = doctest.testmod(module, report=True)
    assert result.attempted, f"{name} has no examples"
    assert result.failed == 0
