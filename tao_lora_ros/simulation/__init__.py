"""Physics-simulated recordings of a struck and touching robot arm, with exact contact truth."""

from .recording import (
    ContactInterval,
    Recording,
    SimulationConfig,
    SourceRecording,
    record,
    simulate,
)

__all__ = [
    "ContactInterval",
    "Recording",
    "SimulationConfig",
    "SourceRecording",
    "record",
    "simulate",
]
