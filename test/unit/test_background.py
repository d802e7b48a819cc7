"""Long work beside the messages: its result, its error, and the end of the node."""

from __future__ import annotations

import threading

import pytest

from tao_lora_ros.ros.background import GivenUpError, done_in_background


def test_messages_are_dealt_with_until_the_work_is_done():
    taken, enough = [], threading.Event()

    def take() -> None:
        taken.append(threading.current_thread())
        if len(taken) == 5:
            enough.set()

    def work() -> threading.Thread:
        assert enough.wait(30.0)
        return threading.current_thread()

    assert done_in_background(work, take, threading.Event()) not in taken
    assert set(taken) == {threading.main_thread()}


def test_an_error_of_the_work_is_the_callers():
    with pytest.raises(ZeroDivisionError):
        done_in_background(lambda: 1 // 0, lambda: None, threading.Event())


def test_the_end_of_the_node_does_not_wait_for_the_work():
    stopping, over = threading.Event(), threading.Event()
    with pytest.raises(GivenUpError, match="the node is to end"):
        done_in_background(over.wait, stopping.set, stopping)
    assert not over.is_set()
    over.set()
