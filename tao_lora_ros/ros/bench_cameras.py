"""The cameras of `tao-lora bench node`: large messages beside the sensors, until it is ended.

    python -m tao_lora_ros.ros.bench_cameras COUNT

Each publishes an Image of 1 MB, 30 times a second, on `/camera_0` and so on. The pixels are noise,
which nothing compresses. Frames are stamped as they are sent, and the last of their pixels count
them, so that a missing one is seen. Publishers are
reliable, and their shared memory is large enough for some frames: with Fast DDS's own half a
megabyte messages of this size are lost on the way to whoever listens.
"""

from __future__ import annotations

import os
import sys
import time
from tempfile import NamedTemporaryFile

import rclpy
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from tao_lora_ros.benchmarks.cameras import FRAMES_HZ, NUMBER, STAMP, STAMP_AT, topics
from tao_lora_ros.messages.stamps import SECOND_NS, split

_BYTES = 1_000_000
_PROFILE = """<dds xmlns="http://www.eprosima.com"><profiles>
<transport_descriptors>
  <transport_descriptor><transport_id>memory</transport_id><type>SHM</type>
    <segment_size>67108864</segment_size><maxMessageSize>4194304</maxMessageSize>
  </transport_descriptor>
  <transport_descriptor><transport_id>net</transport_id><type>UDPv4</type></transport_descriptor>
</transport_descriptors>
<participant profile_name="cameras" is_default_profile="true"><rtps>
  <userTransports>
    <transport_id>memory</transport_id><transport_id>net</transport_id>
  </userTransports>
  <useBuiltinTransports>false</useBuiltinTransports>
</rtps></participant>
</profiles></dds>"""


def main() -> int:
    """Run as a process of its own; returns the exit status."""
    with NamedTemporaryFile("w", suffix=".xml") as profile:
        profile.write(_PROFILE)
        profile.flush()
        os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = profile.name
        rclpy.init(args=[])
        return _publish(int(sys.argv[1]))


def _publish(count: int) -> int:
    node = rclpy.create_node("tao_lora_bench_cameras")
    cameras = [node.create_publisher(Image, name, QoSProfile(depth=10)) for name in topics(count)]
    pixels = Image(height=1, width=_BYTES, step=_BYTES, encoding="mono8", data=os.urandom(_BYTES))
    frame = bytearray(serialize_message(pixels))
    number = time.time_ns() * FRAMES_HZ // SECOND_NS
    while rclpy.ok():
        number += 1
        time.sleep(max(0.0, (number * SECOND_NS // FRAMES_HZ - time.time_ns()) * 1e-9))
        STAMP.pack_into(frame, STAMP_AT, *split(time.time_ns()))
        NUMBER.pack_into(frame, len(frame) - NUMBER.size, number)
        for camera in cameras:
            camera.publish(bytes(frame))
    return 0


if __name__ == "__main__":
    sys.exit(main())
