"""What goes before the command of a launched process."""

from __future__ import annotations

import pytest

from tao_lora_ros.ros import launch_prefix as module
from tao_lora_ros.ros.launch_prefix import launch_prefix

USERS = {"launch-prefix": "gdb --args"}


@pytest.mark.parametrize(
    ("configurations", "words"),
    [
        ({}, "setpriv --pdeathsig TERM"),
        (USERS, "setpriv --pdeathsig TERM gdb --args"),
        (USERS | {"launch-prefix-filter": "pipe"}, "setpriv --pdeathsig TERM gdb --args"),
        (USERS | {"launch-prefix-filter": "rviz"}, "setpriv --pdeathsig TERM"),
    ],
)
def test_ours_then_the_users(monkeypatch, configurations, words):
    monkeypatch.setattr(module.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert launch_prefix("pipeline_node", configurations) == words


def test_the_users_alone_where_there_is_no_setpriv(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert launch_prefix("pipeline_node", {}) == ""
    assert launch_prefix("pipeline_node", USERS) == "gdb --args"
