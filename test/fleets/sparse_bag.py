"""A long bag on a short disk: images of zeros, which the file system does not keep."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from mcap.writer import CompressionType, Writer
from recordings import PERIOD_NS, START_NS, imu, wrench

_PAGE = 1 << 16
_IMAGE_BYTES = 1 << 20
_IMAGE_EACH_NS = 33_000_000


class _Sparse(io.BufferedWriter):
    """Leaves out pages of zeros."""

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        zeros = bytes(_PAGE)
        for start in range(0, len(view), _PAGE):
            page = view[start : start + _PAGE]
            if page == zeros:
                self.seek(_PAGE, io.SEEK_CUR)
            else:
                super().write(page)
        return len(view)


def write_sparse_bag(file: Path, size: int) -> float:
    """Write a bag of an Imu and a wrench at rest (500 Hz each) with a camera, of so many bytes.

    Returns:
        Its seconds.
    """
    out = _Sparse(file.open("wb", buffering=0))
    writer = Writer(out, _IMAGE_BYTES, CompressionType.NONE, enable_crcs=False)
    writer.start("ros2", "test")
    channels = []
    for topic, kind in (("/imu", "Imu"), ("/wrench", "WrenchStamped"), ("/camera", "Image")):
        package = "geometry_msgs" if kind == "WrenchStamped" else "sensor_msgs"
        schema = writer.register_schema(f"{package}/msg/{kind}", "ros2msg", b"")
        channels.append(writer.register_channel(topic, "cdr", schema))
    image, stamp_ns, image_ns = bytes(_IMAGE_BYTES), START_NS, 0
    while out.tell() < size:
        messages = [imu(stamp_ns), wrench(stamp_ns)]
        if stamp_ns >= image_ns:
            messages.append(image)
            image_ns = stamp_ns + _IMAGE_EACH_NS
        for channel, data in zip(channels, messages, strict=False):
            writer.add_message(channel, stamp_ns, data, stamp_ns)
        stamp_ns += PERIOD_NS
    writer.finish()
    out.close()
    return (stamp_ns - START_NS) * 1e-9
