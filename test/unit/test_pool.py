"""Functions of many bags: in order, and whatever fails is named and left out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fleets.items import work

from tao_lora_ros.fleet.errors import FleetError
from tao_lora_ros.fleet.pool import Pool
from tao_lora_ros.fleet.workers import LocalWorkers


@pytest.mark.parametrize("workers", [None, partial(LocalWorkers, count=2)])
def test_results_come_in_order_without_the_bags_that_fail(workers: Any, capsys: Any) -> None:
    pool = Pool(workers)
    names = ["0", "cut", "1", "fault", "2", *["kills"] * (workers is not None), "3"]
    found = list(pool.map(work, [Path(name) for name in names]))
    assert found == [(Path(str(number)), number) for number in range(4)]
    said = capsys.readouterr().err
    assert "left out: cut: not a readable bag\n" in said
    assert "left out: fault: ZeroDivisionError: of ours\n" in said
    assert ("left out: kills: its worker died 3 times\n" in said) == (workers is not None)
    assert list(pool.map(work, [Path("cut"), Path("1")])) == [(Path("1"), 1)]
    assert capsys.readouterr().err == ""  # said once


def test_where_all_fail_the_first_reason_is_raised(capsys: Any) -> None:
    with pytest.raises(FleetError, match="cut: not a readable bag"):
        list(Pool().map(work, [Path("cut")]))
    assert capsys.readouterr().err == ""  # the error says it
    with pytest.raises(RuntimeError, match="fault: ZeroDivisionError") as caught:
        list(Pool().map(work, [Path("fault"), Path("cut")]))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_the_first_that_does_not_fail(capsys: Any) -> None:
    pool = Pool()
    assert pool.first(work, [Path("cut"), Path("1"), Path("2")]) == 1
    assert pool.good(["cut", "1"]) == ["1"]
    assert "left out: cut" in capsys.readouterr().err
