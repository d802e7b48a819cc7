"""The model that a pipeline works with: the artifact, what runs it and who asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tao_lora_ros.engine.inferrer import Inferrer, NoInferrer
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.model.network import Network
from tao_lora_ros.runtime.choice import NoRuntime
from tao_lora_ros.runtime.runtime import RuntimeOfPipeline


class Running(NamedTuple):
    """A model, and what runs it."""

    artifact: Artifact
    runtime: RuntimeOfPipeline | NoRuntime
    inferrer: Inferrer | NoInferrer

    @classmethod
    def started(cls, artifact: Artifact, run: Callable[[Network], RuntimeOfPipeline]) -> Running:
        """Have the artifact's model run, where it has one.

        Raises:
            RuntimeError: it cannot run.
        """
        if artifact.model is None:
            return cls(artifact, NoRuntime(), NoInferrer())
        runtime = run(artifact.model)
        return cls(artifact, runtime, Inferrer(runtime, artifact.model))
