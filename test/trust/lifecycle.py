"""Every transition asked for in every state of one managed node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from faults.test_lifecycle import ASKED, IDS, LEGAL
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from trust.table import Row
from wire import Process, Wire, node_command

_WAY = ("configure", "activate", "shutdown")  # through all states
_LEGAL_IDS = {
    "unconfigured": {1, 5}, "inactive": {2, 3, 6}, "active": {4, 7}, "finalized": set()
}  # fmt: skip


def rows(wire: Wire, folder: Path, _: float) -> Iterator[Row]:
    """A row a state."""
    process = Process(
        folder / "lifecycle.log", node_command(["autostart:=false", "store_max_mb:=0"])
    )
    change = wire.node.create_client(ChangeState, "/tao_lora/change_state")
    get = wire.node.create_client(GetState, "/tao_lora/get_state")

    def ask(label: str = "", number: int = 0) -> bool:
        future = change.call_async(
            ChangeState.Request(transition=Transition(label=label, id=number))
        )
        wire.until(future.done, f"an answer to {label or number}")
        return bool(future.result().success)

    def state() -> str:
        future = get.call_async(GetState.Request())
        wire.until(future.done, "the state")
        return str(future.result().current_state.label)

    try:
        wire.until(lambda: change.service_is_ready() and get.service_is_ready(), "the node")
        wire.spin_for(1.0)  # an answer is lost where the node does not know of us yet
        for way in (*_WAY, ""):
            name = state()
            row = Row(f"all transitions in state {name}")
            labels = [label for label in (*ASKED, "shutdown") if label not in LEGAL[name]]
            labels = [label for label in labels if label != "shutdown" or name == "finalized"]
            numbers = [number for number in IDS if number not in _LEGAL_IDS[name]]
            answers = [ask(label) for label in labels] + [ask(number=number) for number in numbers]
            row.injected = len(answers)
            row.used = sum(answers)
            row.refused = {"transition": answers.count(False)}
            row.check(not row.used, f"{row.used} were not refused")
            row.check(state() == name, f"the state is {state()}")
            lines = [line for line in process.log.splitlines() if f"in state '{name}'" in line]
            row.said = lines[-1].rpartition("]: ")[2] if lines else ""
            row.check(len(lines) == len(answers), f"{len(lines)} lines for {len(answers)} refusals")
            row.check("Traceback" not in process.log, "a traceback")
            row.check(not way or ask(way), f"{way} was refused")
            yield row
        assert process.stop() == 0
    finally:
        process.kill()
