"""A replay as one bag: what was read, and what the pipeline made of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import load_topics
from tao_lora_ros.messages.event_bytes import event_bytes, samples_bytes
from tao_lora_ros.messages.files import naming, refuse_existing
from tao_lora_ros.messages.inference_bytes import InferencePacker
from tao_lora_ros.messages.results import ContactLoad, Event, Inference, Result, State
from tao_lora_ros.messages.wrench_bytes import wrench_bytes
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.preservation.event_bag import add_topic, bag_writer
from tao_lora_ros.preservation.event_record import OWN_TOPICS, Topic
from tao_lora_ros.signal.cdr import WRENCH

_INFERENCE, _STATE = (
    Topic(f"/tao_lora/{name}", "tao_lora_ros/msg/Inference") for name in ("inference", "state")
)


class ResultBag:
    """Writes an mcap bag while a replay goes on; nothing is left of one that fails.

    Results have the log time of the message that brought them, and the topics of a node that is
    called `/tao_lora`.

    Args:
        path: folder of the bag.
        inputs: the sources' topics, in the order of the sources.
        settings: which contact loads there are.
        artifact: the model, for its name and labels.

    Raises:
        BagError: there is something of that name, or the folder cannot be made.
    """

    def __init__(
        self, path: Path, inputs: Sequence[Topic], settings: Settings, artifact: Artifact
    ) -> None:
        refuse_existing(path, BagError)
        self._path = path
        self._packer = InferencePacker(artifact.model_id, artifact.version, artifact.labels)
        self._writer = bag_writer(path)
        with naming(BagError, path):
            self._writer.open()
        added = partial(add_topic, self._writer)
        self._inputs = [added(topic) for topic in inputs]
        self._inference, self._state = map(added, (_INFERENCE, _STATE))
        self._event, self._samples = map(added, OWN_TOPICS)
        self._loads = {
            name: added(Topic(topic.replace("~", "/tao_lora"), WRENCH))
            for name, topic in load_topics(settings).items()
        }
        self._log_ns = 0

    def take(self, source: int, log_ns: int, data: bytes) -> None:
        """Write a message of a source, byte for byte."""
        self._log_ns = log_ns
        self._writer.write(self._inputs[source], log_ns, data)

    def tell(self, results: Iterable[Result]) -> None:
        """Write what the last message brought."""
        for result in results:
            if isinstance(result, Inference):
                self._write(self._inference, self._packer.pack(result, 0))
            elif isinstance(result, State):
                packer = self._packer.ordered(result.labels)
                self._write(self._state, packer.pack(result.inference, 0))
            elif isinstance(result, ContactLoad):
                self._write(self._loads[result.wrench], wrench_bytes(result))
            elif isinstance(result, Event):
                self._write(self._event, event_bytes(result))
                self._write(self._samples, samples_bytes(result))

    def _write(self, connection: Any, data: bytes) -> None:
        self._writer.write(connection, self._log_ns, data)

    def __enter__(self) -> ResultBag:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._writer.close()
        if kind is not None:
            shutil.rmtree(self._path, ignore_errors=True)
