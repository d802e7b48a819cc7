"""An event's label is its head's, or its inferences'; its raw samples are cut to it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tao_lora_ros.contact.contacts import Contact, Contacts
from tao_lora_ros.detection.transients import Transient
from tao_lora_ros.engine.describer import EventDescriber
from tao_lora_ros.engine.intake import Intake
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.messages.results import Event, Kept, Kind, Phase
from tao_lora_ros.model.event_features import FEATURES
from tao_lora_ros.model.event_head import EventHead

MS = 1_000_000
SHARES = np.array([0.0] * 7 + [0.8, 0.195, 0.005, 0.0, 0.0])


def describer(
    labels: tuple[str, ...] = ("free", "contact", "impact"), head: EventHead | None = None
) -> EventDescriber:
    intake = Intake(Settings(wrenches=("ft",)), rate_hz=500.0)
    for source, frame in zip(intake.sources, ("imu_link", "ft_link"), strict=True):
        source.frame_id = frame
    contacts = Contacts((), 12, 500.0, 60.0)
    rolls = dict(pre_roll_s=0.02, store_pre_roll_s=0.03, longest_s=0.1, post_roll_s=0.04)
    return EventDescriber(intake, contacts, labels, head, **rolls)


def transient(lasts_ms: int = 20) -> Transient:
    return Transient(3, 100 * MS, 105 * MS, 2.5, SHARES, end_ns=(100 + lasts_ms) * MS)


def end(subject: EventDescriber) -> Event:
    subject.describe(Phase.ONSET, transient(), 110 * MS)
    return subject.describe(Phase.END, transient(), 150 * MS)


def test_without_a_head_the_label_is_the_likeliest_on_average_but_for_the_background() -> None:
    subject = describer()
    for probabilities in ((0.8, 0.1, 0.1), (0.5, 0.1, 0.4)):
        subject.add(probabilities, True)
    event = end(subject)
    assert event.label == "impact"
    assert event.probability == pytest.approx(0.25)


def test_a_head_names_by_the_samples_whatever_the_inferences_said() -> None:
    features = np.full((2, FEATURES), 0.0)
    zeros, ones = np.zeros((2, FEATURES, 2)), np.ones((2, FEATURES))
    zeros[:, 0, 0] = 1.0  # by the duration alone: the longer, the likelier a push
    bias = np.array([[0.0, 0.0], [-np.log(0.02), 0.0]])
    head = EventHead(
        ("push", "knock"), np.array([[2.0, 2.0], [0.0, 0.0]]), features, ones, zeros, bias
    )
    subject = describer(head=head)
    subject.add((1.0, 0.0, 0.0), True)
    fill(subject, 200)
    onset = subject.describe(Phase.ONSET, transient(), 110 * MS)
    assert (onset.label, onset.probability) == ("", 0.9804)  # not by a margin of 2
    for lasts_ms, label in ((30, "push"), (10, "knock")):
        subject.describe(Phase.ONSET, transient(), 110 * MS)
        over = subject.describe(Phase.END, transient(lasts_ms), 180 * MS)
        assert over.label == label
        assert 0.5 < over.probability < 0.7


def test_the_next_event_starts_afresh_but_an_onset_does_not_end_the_count() -> None:
    subject = describer()
    subject.add((0.0, 1.0, 0.0), False)
    subject.add((0.0, 0.0, 1.0), True)
    assert subject.describe(Phase.ONSET, transient(), 110 * MS).label == "impact"
    assert subject.describe(Phase.END, transient(), 150 * MS).label == "impact"
    subject.add((0.0, 1.0, 0.0), True)
    assert end(subject).label == "contact"


@pytest.mark.parametrize("labels", [("free", "impact"), ()])
def test_without_an_inference_there_is_no_label(labels: tuple[str, ...]) -> None:
    event = end(describer(labels))
    assert (event.label, event.probability) == ("", 0.0)


def test_channels_and_frame_are_those_of_the_largest_shares() -> None:
    event = end(describer())
    assert event.channels == (("ft.force_y", 0.8), ("ft.force_z", 0.195))
    assert event.frame_id == "ft_link"
    assert (event.sequence, event.peak_score) == (0, 2.5)


def test_raw_samples_reach_from_the_pre_roll_to_the_row_of_the_end() -> None:
    subject = describer()
    fill(subject, 200)
    empty, raw = end(subject).raw
    assert (raw.stamps_ns // MS).tolist() == list(range(80, 151, 10))
    assert not empty.stamps_ns.size
    assert (empty.frame_id, raw.frame_id) == ("imu_link", "ft_link")


def fill(subject: EventDescriber, until_ms: int) -> None:
    """A wrench every 10 ms."""
    for stamp in range(0, until_ms, 10):
        subject._intake.buffers[1].push(stamp * MS, bytes([stamp]), stamp * MS, np.zeros(6))


@pytest.mark.parametrize(("lasts_ms", "last_ms"), [(5, 150), (40, 180)])
def test_messages_are_kept_until_the_post_roll_is_over_or_the_end_is_known(
    lasts_ms: int, last_ms: int
) -> None:
    subject = describer()
    subject.describe(Phase.ONSET, transient(), 110 * MS)
    event = subject.describe(Phase.END, transient(lasts_ms), 150 * MS)
    fill(subject, 200)
    assert list(subject.kept(last_ms * MS - 1)) == []
    (kept,) = subject.kept(last_ms * MS)
    assert kept.event is event
    nothing, messages = kept.received
    assert b"".join(messages.data) == bytes(range(70, last_ms + 1, 10))
    assert nothing.data == ()
    assert list(subject.kept(math.inf)) == []


def test_at_the_end_all_are_given_out_in_their_order() -> None:
    subject = describer()
    first, second = end(subject), end(subject)
    assert [kept.event for kept in subject.kept(math.inf)] == [first, second]


def contact(end_ms: int = 0) -> Contact:
    return Contact(0, 100 * MS, 105 * MS, 2.5, SHARES, 8.0, end_ms * MS)


def test_blows_and_contacts_overlap_each_with_its_own_number_kind_and_label() -> None:
    subject = describer()
    onset = subject.describe(Phase.ONSET, contact(), 110 * MS)
    subject.add((0.0, 1.0, 0.0), False)
    blow = end(subject)
    over = subject.describe(Phase.END, contact(190), 200 * MS)
    assert (onset.sequence, blow.sequence, over.sequence) == (0, 1, 0)
    assert (onset.kind, blow.kind) == (Kind.LASTING_CONTACT, Kind.BLOW)
    assert (over.size.mean_load, over.label) == (8.0, "contact")
    assert math.isnan(blow.size.mean_load)
    assert blow.label == ""


def test_a_contact_of_a_torque_alone_has_no_force() -> None:
    subject = describer()
    for stamp in range(0, 200 * MS, MS):
        values = np.array([np.nan] * 3 + [0.0, 0.0, 7.0 * (stamp > 90 * MS)])
        subject._intake.buffers[1].push(stamp, b"", stamp, values)
    subject.describe(Phase.ONSET, contact(), 110 * MS)
    assert subject.describe(Phase.END, contact(190), 200 * MS).size.text == "7.0 Nm"


def test_a_long_contact_keeps_its_beginning_and_its_end() -> None:
    subject = describer()
    subject.describe(Phase.ONSET, contact(), 100 * MS)
    kept: list[Kept] = []
    for until_ms in range(0, 20_000, 10):  # far longer than the buffers reach
        stamp = until_ms * MS
        subject._intake.buffers[1].push(stamp, until_ms.to_bytes(2, "big"), stamp, np.zeros(6))
        if until_ms == 19_000:
            over = subject.describe(Phase.END, contact(18_900), stamp)
        kept += subject.kept(stamp)
    _, raw = over.raw
    stamps_ms = (raw.stamps_ns // MS).tolist()
    assert stamps_ms == [*range(80, 201, 10), *range(18_860, 19_001, 10)]
    _, messages = kept[0].received
    assert [int.from_bytes(data, "big") for data in messages.data] == [70, *stamps_ms]


def test_when_all_sources_fall_silent_what_goes_on_goes_on() -> None:
    subject = describer()
    fill(subject, 120)
    subject.describe(Phase.ONSET, transient(), 110 * MS)
    subject.describe(Phase.ONSET, contact(), 110 * MS)
    assert list(subject.kept(math.inf)) == []
    assert subject.describe(Phase.END, transient(), 150 * MS).sequence == 0
    over = subject.describe(Phase.END, contact(190), 200 * MS)
    assert (over.raw[1].stamps_ns // MS).tolist() == list(range(80, 111, 10))


def test_clear_forgets_inferences() -> None:
    subject = describer()
    subject.add((0.0, 0.0, 1.0), True)
    subject.clear()
    assert end(subject).label == ""
