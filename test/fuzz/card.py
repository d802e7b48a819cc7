"""`model.json` of an artifact."""

from __future__ import annotations

from fuzz.harness import as_file, folder, in_corpus, refused

from tao_lora_ros.model.artifact import default_artifact
from tao_lora_ros.model.card import read_card

PARTS = ("tao_lora_ros.model.card", "jsonschema._keywords", "json.decoder", "json.scanner")


def seeds() -> list[bytes]:
    """The card that ships, a small one, and hostile ones."""
    from models import small_artifact

    from tao_lora_ros.model.artifact import save_artifact

    save_artifact(small_artifact(), folder() / "small")
    cards = [path / "model.json" for path in (default_artifact(), folder() / "small")]
    return [*(card.read_bytes() for card in cards), *in_corpus("card")]


def one(data: bytes) -> None:
    """It is a card, or refused."""
    with refused():
        read_card(as_file(data))
