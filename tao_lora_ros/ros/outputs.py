"""What the node gives out: inferences, events, the event store, and a line of log an event."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence, Set
from dataclasses import replace
from pathlib import Path

from geometry_msgs.msg import WrenchStamped
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile
from visualization_msgs.msg import MarkerArray

from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import load_topics
from tao_lora_ros.messages.event_bytes import event_bytes, samples_bytes
from tao_lora_ros.messages.inference_bytes import InferencePacker
from tao_lora_ros.messages.results import (
    ContactLoad,
    Event,
    Inference,
    Kept,
    Kind,
    Phase,
    Result,
    State,
    name_text,
)
from tao_lora_ros.messages.route import Route
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.messages.wrench_bytes import wrench_bytes
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.msg import EventSamples, TransientEvent
from tao_lora_ros.msg import Inference as InferenceMessage
from tao_lora_ros.preservation.event_catalogue import default_store
from tao_lora_ros.preservation.event_process import MODULE
from tao_lora_ros.preservation.event_record import OWN_TYPES, EventRecord, Topic
from tao_lora_ros.preservation.event_writer import EventWriter
from tao_lora_ros.preservation.scene_buffer import Way
from tao_lora_ros.ros.event_cloud import open_event_cloud
from tao_lora_ros.ros.inputs import Input
from tao_lora_ros.ros.markers import event_markers, no_markers
from tao_lora_ros.ros.scene_config import PROCESS, scene_of
from tao_lora_ros.ros.topics import EVENTS_QOS, LATCHED, offered

# Of the newest five events, both phases: a second of two sensors at 1 kHz takes 0.1 MB, so that for
# late joiners a few MB wait, where a hundred messages could be a hundred.
_SAMPLES_QOS = QoSProfile(depth=10, **LATCHED)
_STATE_QOS = QoSProfile(depth=1, **LATCHED)
# Stamps this near to the system clock are taken to be of it: the rest is the way, and waiting.
_SAME_CLOCK_NS = 500_000_000
_LATEST_S = 5.0  # that messages come late under load; what is later is a clock that was set
_ACKNOWLEDGE_S = 1.0  # Fast DDS acknowledges every 3 s at the least, but sends at once


class Outputs:
    """Publishers of one configured node, and its event store while it is active.

    Attributes:
        latencies_ns: from arrival to publishing, of the inferences since this was last cleared.
        late: inferences that were published more than their hop after the arrival.
    """

    def __init__(self, node: LifecycleNode, artifact: Artifact, settings: Settings) -> None:
        self._node = node
        self.use(artifact, settings)
        self.late = 0
        self.latencies_ns: list[int] = []
        self.writer: EventWriter | None = None
        self._way = Way(_LATEST_S)
        self._open: dict[int, Event] = {}  # whose end was not published, as they began
        self._inputs: Sequence[Input] = ()
        self._inferences = node.create_lifecycle_publisher(InferenceMessage, "~/inference", 100)
        self._states = node.create_lifecycle_publisher(InferenceMessage, "~/state", _STATE_QOS)
        self._events = node.create_lifecycle_publisher(TransientEvent, "~/events", EVENTS_QOS)
        self._samples = node.create_lifecycle_publisher(
            EventSamples, "~/event_samples", _SAMPLES_QOS
        )
        self._markers = node.create_lifecycle_publisher(MarkerArray, "~/markers", 100)
        self._loads = {
            name: node.create_lifecycle_publisher(WrenchStamped, topic, 100)
            for name, topic in load_topics(settings).items()
        }
        self._publishers: list[LifecyclePublisher] = [
            *(self._inferences, self._states, self._events, self._samples, self._markers),
            *self._loads.values(),
        ]
        most = settings.event_cloud
        self._cloud = open_event_cloud(node, most) if most else None
        if self._cloud is not None:
            self._publishers.append(self._cloud.publisher)

    def use(self, artifact: Artifact, settings: Settings) -> None:
        """Publish in the name of this artifact, and by these hops, from now on."""
        self._packer = InferencePacker(artifact.model_id, artifact.version, artifact.labels)
        hops = {Route.STEADY: settings.hop_steady, Route.TRANSIENT: settings.hop_transient}
        self._hops_ns = {route: hop * 1e9 / artifact.rate_hz for route, hop in hops.items()}

    @property
    def active(self) -> bool:
        """Whether what is published goes out."""
        return bool(self._events.is_activated)

    @property
    def longest_hop_s(self) -> float:
        """From an inference to the next, at most."""
        return max(self._hops_ns.values()) * 1e-9

    def open_store(self, settings: Settings, inputs: Sequence[Input]) -> None:
        """Start keeping events of these inputs on disk, where the settings want it."""
        self._inputs = inputs
        if not settings.store_max_mb:
            return
        own_folder = default_store(self._node.get_namespace())
        folder = Path(settings.store).expanduser() if settings.store else own_folder
        sizes = settings.store_max_mb << 20, settings.store_min_free_mb << 20
        own = {publisher.topic_name for publisher in (self._events, self._samples)}
        own |= {input.topic for input in inputs}
        scene = scene_of(self._node, settings, own, self._warn)
        process = (PROCESS, scene.to_json()) if scene else (MODULE,)
        self.writer = EventWriter(folder, *sizes, report=self._warn, process=process)

    def _warn(self, text: str) -> None:
        self._node.get_logger().warning(shown(text, MOST_LINE))

    def close_store(self) -> None:
        """Wait for the disk, within reason, and stop."""
        writer, self.writer = self.writer, None
        if writer is not None and not writer.close():
            self._node.get_logger().warning("event store: gave up waiting for the disk")

    def publish(self, results: Iterable[Result], arrived_ns: int) -> None:
        """Publish what the message that arrived at this time (steady clock) brought."""
        for result in results:
            if isinstance(result, Inference):
                latency_ns = time.monotonic_ns() - arrived_ns
                self._inferences.publish(self._packer.pack(result, latency_ns))
                self.latencies_ns.append(latency_ns)
                self.late += latency_ns > self._hops_ns[result.path]
                self._way.time_ns(result.stamp_ns, arrived_ns)
            elif isinstance(result, State):
                self._publish_state(result, arrived_ns)
            elif isinstance(result, ContactLoad):
                self._loads[result.wrench].publish(wrench_bytes(result))
            elif isinstance(result, Kept):
                self._keep(result, arrived_ns)
            else:
                if result.phase is Phase.ONSET:
                    self._open[result.sequence] = result
                else:
                    self._open.pop(result.sequence, None)
                self._events.publish(event_bytes(result))
                self._samples.publish(samples_bytes(result))
                self._markers.publish(event_markers(result))
                if self._cloud is not None and result.phase is Phase.END:
                    self._cloud.add(result)
                self._log(result)

    def unended(self, going_on: Set[int]) -> list[Event]:
        """Ends, as far as is known, of events that go on for who listens and no longer do."""
        return [
            replace(event, phase=Phase.END, end_ns=max(event.onset_ns, event.peak_ns))
            for number, event in self._open.items()
            if number not in going_on
        ]

    def _publish_state(self, state: State, arrived_ns: int) -> None:
        latency_ns = time.monotonic_ns() - arrived_ns
        packer = self._packer.ordered(state.labels)
        self._states.publish(packer.pack(state.inference, latency_ns))
        self._node.get_logger().info(f"state: {shown(state.label)} {state.probability:.0%}")

    def _keep(self, kept: Kept, arrived_ns: int) -> None:
        """Have an event written whose last message came at `arrived_ns`, steady clock."""
        if self.writer is None:
            return
        end_ns = kept.spans_ns[-1][1]
        came_ns = self._way.time_ns(end_ns, arrived_ns)
        ahead_ns = came_ns + time.time_ns() - time.monotonic_ns() - end_ns
        ahead_ns = ahead_ns if abs(ahead_ns) > _SAME_CLOCK_NS else 0
        sources = [input.described() for input in self._inputs]
        names = self._events.topic_name, self._samples.topic_name
        qos = (offered(EVENTS_QOS),), (offered(_SAMPLES_QOS),)
        own = list(map(Topic, names, OWN_TYPES, qos))
        self.writer.submit(EventRecord.of(kept, sources, own, ahead_ns))

    def _log(self, event: Event) -> None:
        channels = ", ".join(f"{shown(name)} {share:.0%}" for name, share in event.channels[:3])
        name = name_text(shown(event.label), event.probability)
        lasted = f", {(event.end_ns - event.onset_ns) * 1e-9:.3f} s" * (event.phase is Phase.END)
        found = f"score {event.peak_score:.2f} {name}{' ' * bool(name)}({channels}){lasted}"
        if event.kind is Kind.MANUAL:
            found = shown(event.reason, MOST_LINE) or "no reason given"
        self._node.get_logger().info(
            f"event {event.sequence} {event.phase.name.lower()}: {event.kind.text}, "
            f"{found}{', ' * bool(event.size.text)}{event.size.text}"
        )

    def clear_displays(self) -> None:
        """Take all markers and clouds from the displays."""
        self._markers.publish(no_markers())
        if self._cloud is not None:
            self._cloud.clear()

    def drain(self) -> None:
        """Wait until the events have arrived, for a second at most."""
        self._events.wait_for_all_acked(Duration(seconds=_ACKNOWLEDGE_S))

    def close(self) -> None:
        """Give up the topics."""
        self.close_store()
        while self._publishers:
            self._node.destroy_lifecycle_publisher(self._publishers.pop())
