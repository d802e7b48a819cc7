"""Foreign texts fill no log and forge no line of it."""

from __future__ import annotations

import time

import pytest
from commands import complaint
from hypothesis import given
from hypothesis import strategies as st
from recordings import START_NS, Message, imu, motion

from tao_lora_ros.messages.texts import MOST_SHOWN, file_name, shown
from tao_lora_ros.signal.cdr import IMU
from tao_lora_ros.signal.source import Source, SourceConfig

FORGED = "[ERROR] [1.0] [tao_lora]: all is lost"
HOSTILE = f"link\r\n{FORGED}\x1b[2J\x1b[31m\u202e"
MS = 1_000_000


@given(st.text())
def test_what_is_shown_is_one_printable_line_of_bounded_length(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text * 1000)) <= 10 * MOST_SHOWN + 40
    if text.isprintable() and len(text) <= MOST_SHOWN:
        assert shown(text) == text


@given(st.text())
def test_a_file_name_is_one(text: str) -> None:
    name = file_name(text)
    assert name == file_name(name)
    assert "/" not in name
    assert name.isprintable()
    assert not name.startswith(".")
    assert 0 < len(name.encode()) < 128


def test_a_huge_frame_gives_a_short_reason() -> None:
    source = Source(SourceConfig("imu", IMU), 5.0)
    assert source.accept(imu(START_NS))
    ((_, taken),) = source.accept(imu(START_NS + MS, frame=HOSTILE + "a" * 10_000_000))
    assert taken is None
    assert len(source.reason) < 500
    assert source.reason.isprintable()
    assert f"... ({len(HOSTILE) + 10_000_000} characters)" in source.reason


def test_a_trace_cannot_pass_for_a_line_of_the_log() -> None:
    failures = pytest.importorskip("tao_lora_ros.ros.failures", reason="rclpy is not installed")

    class Logger:
        said: list[str] = []  # noqa: RUF012

        def error(self, text: str, **_: object) -> None:
            self.said.append(text)

    said = failures.Failures(Logger()).report("see", RuntimeError(HOSTILE + "a" * 10_000_000))
    lines = [line for text in Logger.said for line in text.splitlines()]
    assert max(map(len, lines)) < 1500
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith(FORGED) for line in lines)
    assert said.startswith("cannot see: RuntimeError: link [ERROR]")


def test_commands_say_what_is_wrong_in_one_line(tmp_path, capsys) -> None:
    folder = tmp_path / f"a{chr(10)}{FORGED}{chr(27)}[2J"
    folder.mkdir()
    assert complaint(capsys, "import", folder, out=tmp_path / "bags").isprintable()


def test_the_log_and_the_diagnostics_of_the_node(wire, start_node) -> None:
    process = start_node()
    wire.play(motion(0.5))
    time.sleep(1.1)  # a source's refusals are logged once a second
    frame = HOSTILE + "a" * 100_000
    watch = wire.watch()
    following = motion(1.0, start_ns=START_NS + 600 * MS)
    bad = Message(0, following[500].stamp_ns, imu(following[500].stamp_ns, frame=frame))
    wire.play([*following[:500], bad, *following[501:]])
    watch.until("imu", lambda status: "refused: wrong_frame" in status)
    shown = [str(value) for status in watch.of("imu") for value in status.values()]
    assert max(map(len, shown)) < 1000
    assert all(text.isprintable() for text in shown)
    assert process.stop() == 0
    lines = process.log.split("\n")
    assert any("wrong frame" in line for line in lines)
    assert max(map(len, lines)) < 2000
    assert "\x1b[2J" not in process.log
    assert not any(line.startswith("[ERROR] [1.0]") for line in lines)
