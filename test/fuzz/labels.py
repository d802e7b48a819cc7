"""Files of labels beside a bag."""

from __future__ import annotations

from fuzz.harness import as_file, in_corpus, refused

from tao_lora_ros.bags.labels import read_labels

PARTS = ("tao_lora_ros.bags.labels", "tao_lora_ros.bags.text_files")


def seeds() -> list[bytes]:
    """A good file, and hostile ones."""
    good = b"start_s,end_s,label,peak_sigma\n0.5,1.5,grass,3\n2,3,ice,\n"
    return [good, *in_corpus("labels")]


def one(data: bytes) -> None:
    """Its stretches have an order and a name, or it is refused."""
    with refused():
        for span in read_labels(as_file(data)):
            assert span.start_s <= span.end_s
            assert span.label
