"""Pages of the site that lie elsewhere: written from the code, or at the top of the repository."""

from __future__ import annotations

import argparse
import inspect
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

FIELD = re.compile(r"(?P<type>[\w/]+(?:\[\])?) +(?P<name>\w+(?:=\w+)?) *(?:# ?(?P<comment>.*))?")
MORE = re.compile(r" +# ?(?P<comment>.*)")
ARGUMENT = re.compile(r"^    (\w+): (.+(?:\n        .+)*)", re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:)(?P<file>[^)#\s]+)")
PROJECT = ("CONTRIBUTING.md", "QUALITY_DECLARATION.md", "SECURITY.md")


def write_pages(root: Path, docs: Path) -> None:
    """Write the pages of the package at `root` into the site's sources."""
    pages = {
        "reference/commands.md": commands(),
        "reference/messages.md": messages(root),
        "reference/artifact.md": artifact(root),
    }
    for name in PROJECT:
        text = relinked((root / name).read_text(), root, root / "docs", docs, "project")
        pages[f"project/{name}"] = iter([text])
    front = relinked((root / "README.md").read_text(), root, root / "docs", docs)
    pages["project/README.md"] = iter([front])  # index.md takes it in
    for name, lines in pages.items():
        page, text = docs / name, "\n".join(lines) + "\n"
        page.parent.mkdir(exist_ok=True)
        if not page.exists() or page.read_text() != text:  # else Sphinx reads it again
            page.write_text(text)


def relinked(text: str, base: Path, docs: Path, copied: Path, folder: str = ".") -> str:
    """The text of a page at `base` as a page of the site: what is no page is linked as a file.

    Args:
        text: of the page.
        base: the folder that its links start from.
        docs: of the repository.
        copied: where the site's sources are, `docs` itself or, by rosdoc2, a copy of it.
        folder: of the page, below both.
    """
    root = docs.parent

    def link(found: re.Match[str]) -> str:
        target = (base / found["file"]).resolve()
        if target.parent == root and target.name in PROJECT:
            target = docs / "project" / target.name
        elif target == root / "README.md":
            target = docs / "index.md"
        inside = docs in target.parents
        path = os.path.relpath(target, (docs if inside else copied) / folder)
        is_page = target.suffix not in (".md", ".rst") or inside
        return f"]({path}" if is_page else f"](path:{path}"

    return LINK.sub(link, text)


def commands() -> Iterator[str]:
    """Every command's own help."""
    from tao_lora_ros.cli.main import _parser

    os.environ |= {"COLUMNS": "100", "HOME": "/home/you"}
    yield "# Commands\n\nWhat `tao-lora COMMAND --help` prints, of each command."
    yield from _helps(_parser(None), 2)


def _helps(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield f"\n{'#' * level} {command.prog}\n"
                yield f"```text\n{command.format_help().rstrip()}\n```"
                yield from _helps(command, level + 1)


def messages(root: Path) -> Iterator[str]:
    """Every message: what its file's comments say."""
    yield "# Messages\n\nThe package's own, from `msg/`. Topics: [the node](../node.md#topics)."
    for file in sorted((root / "msg").glob("*.msg")):
        lines = file.read_text().splitlines()
        head = [line[2:] for line in lines if line.startswith("# ")]
        yield f"\n## {file.stem}\n\n{' '.join(head)}\n\n| field | type | |\n|---|---|---|"
        for name, kind, comment in _fields(lines):
            yield f"| `{name}` | `{kind}` | {comment} |"


def _fields(lines: list[str]) -> list[list[str]]:
    rows: list[list[str]] = []
    for line in lines:
        if field := FIELD.fullmatch(line):
            rows.append([field["name"], field["type"], _cell(field["comment"] or "")])
        elif (more := MORE.fullmatch(line)) and rows:
            rows[-1][2] += f" {_cell(more['comment'])}"
    return rows


def _cell(text: str) -> str:
    return re.sub(r"([|<*_])", r"\\\1", text)


def artifact(root: Path) -> Iterator[str]:
    """What a model card may hold, from its schema and the classes that it becomes."""
    schema = json.loads((root / "tao_lora_ros" / "model" / "artifact.schema.json").read_text())
    yield "# Artifact\n"
    yield "A folder: `model.json` (the card), and beside it, as safetensors, the network's tensors,"
    yield "the heads that name events and named adapters, each held against its SHA-256."
    yield "What does not follow this table is refused with the reason. Never pickle.\n"
    yield "| key of `model.json` | type | what it is | required |\n|---|---|---|---|"
    yield from _keys(schema, "", _meanings())


def _meanings() -> dict[str, str]:
    """What the arguments of the classes are, by their keys in the card."""
    from tao_lora_ros.contact.contact_model import ContactModel
    from tao_lora_ros.detection.analyzer_state import Calibration
    from tao_lora_ros.model.event_head import EventHead
    from tao_lora_ros.model.label_filter import LabelFilter
    from tao_lora_ros.model.likeness import Likeness
    from tao_lora_ros.model.mixer_config import MixerConfig

    found = {}
    for part, of in (
        ("config", MixerConfig),
        ("contacts", ContactModel),
        ("event_head", Likeness),
        ("event_head", EventHead),
        ("label_filter", LabelFilter),
        ("router", Calibration),
    ):
        text = inspect.getdoc(of) or ""
        found[part] = text.splitlines()[0]
        found |= {f"{part}.{name}": " ".join(is_.split()) for name, is_ in ARGUMENT.findall(text)}
    return found


def _keys(schema: dict, before: str, meanings: dict[str, str]) -> Iterator[str]:
    for key, value in schema.get("properties", {}).items():
        path = f"{before}{key}"
        required = "yes" if key in schema.get("required", ()) else ""
        meaning = value.get("description") or meanings.get(path.replace("[]", ""), "")
        yield f"| `{path}` | {value.get('type', '')} | {_cell(meaning)} | {required} |"
        yield from _keys(value, f"{path}.", meanings)
        yield from _keys(value.get("items", {}), f"{path}[].", meanings)
