"""`tao-lora compare OLD NEW`: what changed between two tables, or between two models on bags."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Iterator
from contextlib import nullcontext
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tao_lora_ros.bags.reader import bag_topics
from tao_lora_ros.cli.arguments import (
    DIFFERENT,
    UsageError,
    add_params_file,
    add_part_arguments,
    add_topic_argument,
    expression,
)
from tao_lora_ros.cli.fleet import add_workers_arguments, replay_into
from tao_lora_ros.cli.outputs import add_json_and_force, add_output, tell
from tao_lora_ros.fleet.compare import Comparison, Difference, compare
from tao_lora_ros.messages.results import Size
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.model.card import CARD
from tao_lora_ros.preservation.parquet import Row


def add_compare_parser(subparsers: Any) -> None:
    """Add `compare` to the subparsers of `tao-lora`."""
    parser = subparsers.add_parser(
        "compare", help="events gained, lost and changed; status 3 where there are any"
    )
    parser.set_defaults(run=compare_command, windows=None, device=None)
    parser.add_argument("old", type=Path, help="table of `replay --table`, or folder of a model")
    parser.add_argument("new", type=Path, help="the same")
    parser.add_argument("bags", nargs="*", metavar="BAG", help="of artifacts: bags to compare on")
    what = "of artifacts: keep both tables here"
    add_output(parser, "--table", grows=True, metavar="FOLDER", help=what)
    add_json_and_force(parser)
    add_params_file(parser)
    parser.add_argument(
        "--robot", type=expression, default="", metavar="REGEX", help="as of replay"
    )
    add_topic_argument(parser)
    add_part_arguments(parser)
    add_workers_arguments(parser)


def compare_command(options: Namespace) -> int:
    """`tao-lora compare`; 3 where events or failing bags differ."""
    models = [(path / CARD).exists() for path in (options.old, options.new)]
    if any(models) != all(models):
        raise UsageError(f"{options.old} and {options.new}: two tables or two artifacts, not both")
    if any(models) != bool(options.bags):
        raise UsageError("two artifacts are compared on bags, two tables without")
    if all(models):
        bag_topics(options.topic)
        with TemporaryDirectory() if not options.table else nullcontext(options.table) as folder:
            tables = [Path(folder) / name for name in ("old", "new")]
            for model, table in zip((options.old, options.new), tables, strict=True):
                replay_into(table, Namespace(**vars(options) | {"model": model}))
            found = compare(*tables)
        kept = options.table or Path("FOLDER")
        reports = _reports(kept / "old", kept / "new", options.new)
        if not options.table:
            reports = f"by --table FOLDER, then {reports}"
    else:
        _refuse_of_models(options)
        found = compare(options.old, options.new)
        reports = _reports(options.old, options.new)
    if not (found.bags or found.failing):
        alone = [f"; {line}" for line in _alone(found)]
        raise UsageError(f"nothing was compared: no bag was replayed in both{''.join(alone)}")
    lines = [*_lines(found), *([f"reports: {reports}"] if found.differences else [])]
    tell(options, _as_json(found), (shown(line, MOST_LINE) for line in lines))
    return DIFFERENT if found.differences or found.failing else 0


def _refuse_of_models(options: Namespace) -> None:
    """Refuse what says how bags are replayed: two tables are compared as they are."""
    replayed = {
        name: getattr(options, name)
        for name in ("table", "params_file", "robot", "topic", "workers", "ray")
    }
    part = {"from": options.from_s > 0.0, "to": options.to_s < inf}
    for name, given in (replayed | part).items():
        if given:
            option = name.replace("_", "-")
            raise UsageError(f"--{option} is of two artifacts; two tables are compared as they are")


def _reports(old: Path, new: Path, model: Path | None = None) -> str:
    """The command whose page opens each difference as a report."""
    words = ["tao-lora", "fleet", str(new), "--old", str(old)]
    return shlex.join([*words, *(["--model", str(model)] if model else [])])


def _as_json(found: Comparison) -> dict[str, Any]:
    return {
        "bags": found.bags,
        "same": found.same,
        "copies": found.copies,
        "differences": [difference.row for difference in found.differences],
        "failing": [{name: row[name] for name in ("bag", "error")} for row in found.failing],
        "only_old": found.only_old,
        "only_new": found.only_new,
    }


def _lines(found: Comparison) -> Iterator[str]:
    for difference in found.differences:
        yield _line(difference)
    for row in found.failing:
        yield f"fails    {row['bag']}: {row['error']}"
    yield from _alone(found)
    if found.copies:
        yield f"{found.copies} bags are copies of others in their table, and were left out"
    counts = ", ".join(f"{found.count(what)} {what}" for what in ("gained", "lost", "changed"))
    yield f"{found.bags} bags in both: {found.same} events the same, {counts}"


def _alone(found: Comparison) -> Iterator[str]:
    for where, names in (("OLD", found.only_old), ("NEW", found.only_new)):
        if names:
            yield f"{len(names)} bags are in {where} alone, such as {names[0]}"


def _line(difference: Difference) -> str:
    bag, event = difference.bag, difference.new or difference.old
    assert event is not None, "a difference is of an event"
    onset_s = (event["onset_ns"] - (bag["first_ns"] or 0)) * 1e-9
    said = ", ".join(f"{c} {_change(difference, c)}" for c in difference.columns) or _event(event)
    return f"{difference.what:8} {bag['robot']}  {bag['bag']}  {onset_s:.3f} s  {said}"


def _change(difference: Difference, column: str) -> str:
    old, new = ((row or {})[column] for row in (difference.old, difference.new))
    return " -> ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in (old, new))


def _event(row: Row) -> str:
    return ", ".join(filter(None, (row["kind"], row["label"], Size.of_row(row).text)))
