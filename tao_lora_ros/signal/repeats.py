"""Signs that a driver repeats what it has: values that never change, or that come several times."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.channels import SourceConfig, quantities

Array = NDArray[np.float64]

_LOOKS = 2  # in a row without a change; a coarse sensor may stand still for one
_FEWEST_RUNS = 8
_REGULAR = 0.9  # of the runs of equal samples: a coarse sensor's are of any length
_LEAST_RUN = 1.5  # samples, in the mean


class RepeatCheck:
    """Looks at a source's samples once in a while; a source has one.

    Args:
        config: the source.
    """

    def __init__(self, config: SourceConfig) -> None:
        found = quantities(config.channels)
        of_interest = {name: at for name, at in found.items() if name.endswith(("accel", "force"))}
        self._parts = {config.name: slice(0, len(config.channels)), **of_interest}
        self._still = dict.fromkeys(self._parts, 0)  # looks without a change
        self._repeated = False  # which was said

    def look(self, values: Array, period_s: float) -> Iterator[str]:
        """What samples, [n, channels], `period_s` apart, say of it, in words."""
        steps = np.nan_to_num(np.diff(values, axis=0))  # an absent channel never changes
        changes = steps.astype(np.bool_)
        there: NDArray[np.bool_] = np.logical_or.reduce(np.isfinite(values), axis=0)
        for name, part in self._parts.items():
            still = there[part].any() and not changes[:, part].any()
            self._still[name] = self._still[name] + 1 if still else 0
        stuck = [name for name, looks in self._still.items() if looks >= _LOOKS]
        if stuck:
            yield (
                f"does not change, whatever happens: {stuck[0]}: not connected, not powered, "
                "or made up by its driver?"
            )
        fresh: NDArray[np.bool_] = np.logical_or.reduce(changes, axis=1)
        if not self._repeated and period_s > 0 and (times := _repeated(fresh)):
            self._repeated = True
            yield (
                f"each value comes {times:.2g} times: measured at {1 / (times * period_s):.3g} Hz, "
                f"sent at {1 / period_s:.3g} Hz"
            )


def _repeated(changed: NDArray[np.bool_]) -> float:
    """How often samples come before a new one does, by which of them are new; 0: as they like."""
    runs = np.diff(np.flatnonzero(changed))
    if len(runs) < _FEWEST_RUNS or (times := float(runs.mean())) < _LEAST_RUN:
        return 0.0
    regular = (runs == np.floor(times)) | (runs == np.ceil(times))
    return times if regular.mean() >= _REGULAR else 0.0
