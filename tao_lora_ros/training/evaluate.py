"""Score a model on held-out runs: accuracy, macro-F1, forecast error, deviation from FP32."""

from __future__ import annotations

import numpy as np
import torch

from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.router.router import Path
from tao_lora_ros.training.dataset import Batch
from tao_lora_ros.training.fit import forecast_target


@torch.inference_mode()
def evaluate(model: Mixer, teacher: Mixer, batch: Batch, path: Path) -> dict[str, float]:
    """Scores of one path on labelled windows.

    Returns:
        `forecast_mse` (squashed standard units), `deviation` (‖y - y_teacher‖ / ‖y_teacher‖ over
        logits and forecast) and, with labels, `accuracy` and `macro_f1`.
    """
    logits, forecast = model(batch.windows, path)
    reference_logits, reference = teacher(batch.windows, path)
    present = ~batch.following.isnan()
    scores = {
        "forecast_mse": float((forecast - forecast_target(model, batch))[present].square().mean()),
        "deviation": float((forecast - reference).norm() / reference.norm()),
    }
    if logits is not None and reference_logits is not None:
        both, both_reference = (
            torch.cat((a, b.flatten(1)), dim=1)
            for a, b in ((logits, forecast), (reference_logits, reference))
        )
        scores["deviation"] = float((both - both_reference).norm() / both_reference.norm())
        scores |= _classification(logits.argmax(dim=1).numpy(), batch.labels.numpy())
    return scores


def _classification(predicted: np.ndarray, actual: np.ndarray) -> dict[str, float]:
    predicted, actual = predicted[actual >= 0], actual[actual >= 0]
    f1 = []
    for label in np.unique(actual):
        hit = np.sum((predicted == label) & (actual == label))
        f1.append(2 * hit / (np.sum(predicted == label) + np.sum(actual == label)))
    return {"accuracy": float(np.mean(predicted == actual)), "macro_f1": float(np.mean(f1))}
