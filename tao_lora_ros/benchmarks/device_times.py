"""How long the kernel of a call takes on the GPU itself, by torch's profiler.

Host to host, the slowest calls show what else the host does; this is the kernel's own jitter.
"""

from __future__ import annotations

from collections.abc import Callable

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, supported_activities

_KERNEL = "fused_mixer"


def device_times(call: Callable[[int], object], calls: int) -> list[float]:
    """Nanoseconds of our kernel in each of so many calls.

    Args:
        call: makes a call, given which one, that launches the kernel once.

    Raises:
        RuntimeError: the profiler sees no GPU, or did not see every launch.
    """
    if ProfilerActivity.CUDA not in supported_activities():
        raise RuntimeError("torch's profiler sees no GPU here")
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        for i in range(calls):
            call(i)
    times = [
        1e3 * event.time_range.elapsed_us()
        for event in seen.events() or ()
        if event.device_type == DeviceType.CUDA and event.name == _KERNEL
    ]
    if len(times) != calls:
        raise RuntimeError(f"torch's profiler saw {len(times)} of {calls} launches of {_KERNEL}")
    return times
