"""What to train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tao_lora_ros.bags.rows import Run
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.training.fit_config import FitConfig
from tao_lora_ros.training.window_sizes import fitting, with_window

SIZES = {
    "base": MixerConfig(1, 0, segment=32),
    "large": MixerConfig(1, 0, width=256, blocks=6, expansion=4, segment=32),
}


@dataclass(frozen=True)
class TrainingConfig:
    """What to train.

    Args:
        model_id: name of the model.
        size: of `SIZES`.
        window: rows of a window, a multiple of 4 from 8 to 1024; None: what suits the recordings.
        horizon: rows that are forecast; where the window is chosen, at most.
        fit: how to fit the full-precision model.
        settle_steps: steps of tuning codes, scales and biases of the quantised model.
        adapt_steps: steps of tuning the low-rank branches.
        alarms_per_hour: false alarms that the router's thresholds aim at.
        folds: in which every run is held out once for the scores; below 2 nothing is scored.
        fold_steps: of a fold's fit, which are fewer than those of the model that is kept.
        group: expression whose first group in a bag's path says what belongs together.
        hold_out: train on all but one fold, which gives the scores, instead of on everything.
    """

    model_id: str
    size: str = "base"
    window: int | None = MixerConfig.window
    horizon: int = MixerConfig.horizon
    fit: FitConfig = field(default_factory=FitConfig)
    settle_steps: int = 600
    adapt_steps: int = 400
    alarms_per_hour: float = 1.0
    folds: int = 5
    fold_steps: int = 600
    group: str = ""
    hold_out: bool = False

    def sizes(self, runs: Sequence[Run], channels: int, classes: int) -> MixerConfig:
        """Sizes of the model for these runs."""
        window, horizon = self.window, self.horizon
        if window is None:
            window, horizon = fitting(runs, horizon)
        return replace(
            with_window(SIZES[self.size], window, horizon), channels=channels, classes=classes
        )
