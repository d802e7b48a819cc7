"""Find events in a bag: `python examples/find_events.py BAG [SOURCE=TOPIC ...]`.

It needs no ROS. SOURCE=TOPIC, such as imu=/imu/data_raw, says which topic to read where the bag has
several of a type. Another robot wants thresholds of its own: `tao-lora calibrate`.
"""

import sys
from pathlib import Path

from tao_lora_ros.bags.reader import BagReader, bag_topics
from tao_lora_ros.bags.replay import replay
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.results import Phase
from tao_lora_ros.model.artifact import default_artifact, load_artifact


def main(bag: str, *topics: str) -> None:
    """Print a line for each event of a bag."""
    settings = Settings()
    pipeline = Pipeline(settings, load_artifact(default_artifact()))
    with BagReader(Path(bag), source_configs(settings), bag_topics(topics)) as reader:
        result = replay(reader, pipeline)
    for event in result.events:
        if event.phase is Phase.END:
            onset_s = (event.onset_ns - result.first_stamp_ns) * 1e-9
            lasted_s = (event.end_ns - event.onset_ns) * 1e-9
            channel, share = event.channels[0]
            print(
                f"{onset_s:.3f} s: {event.label or 'unknown'}, {event.size.text}, "
                f"{lasted_s:.3f} s long, score {event.peak_score:.1f}, {share:.0%} by {channel}"
            )


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except TaoLoraError as error:
        sys.exit(str(error))
