"""Names of events by the labels of a recording, and their scores."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import pytest

from tao_lora_ros.bags.true_names import longest_in, name_of, touches_in
from tao_lora_ros.messages.label_span import LabelSpan
from tao_lora_ros.messages.results import Event, Phase
from tao_lora_ros.report.score_tables import score_text
from tao_lora_ros.training.event_names import NamedEvent
from tao_lora_ros.training.event_scores import calibration_error, event_scores
from tao_lora_ros.training.event_truth import Found

TABLE = [
    LabelSpan(1.0, 1.05, "impact", 40.0),
    LabelSpan(1.05, 2.0, "contact", 30.0),
    LabelSpan(2.0, 3.0, "slide", 20.0),
    LabelSpan(3.0, 3.2, "contact", 10.0),
]
BALL = [LabelSpan(5.0, 5.005, "impact", 7.0)]
PRESS = [LabelSpan(7.0, 9.0, "press", 15.0), LabelSpan(8.0, 8.004, "impact", 60.0)]
SCENE = sorted(TABLE + BALL + PRESS, key=lambda span: span.start_s)


@pytest.mark.parametrize(
    ("onset_s", "end_s", "name", "sigma"),
    [
        (1.002, 1.09, "contact", 40.0),  # a touchdown is the contact that it leads to
        (5.002, 5.03, "impact", 7.0),
        (1.98, 2.1, "slide", 20.0),  # a slide begins within the contact
        (2.5, 2.6, "slide", 20.0),
        (3.17, 3.3, "release", 20.0),
        (3.21, 3.3, "release", 20.0),
        (7.02, 7.1, "press", 15.0),
        (8.0, 8.03, "impact", 60.0),  # a strike within a press is a strike
        (8.97, 9.1, "release", 15.0),
        (4.0, 4.1, "", None),
    ],
)
def test_an_event_is_what_begins_or_ends_with_it(
    onset_s: float, end_s: float, name: str, sigma: float | None
) -> None:
    found, size = name_of(onset_s, onset_s + 0.01, end_s, touches_in(SCENE))
    assert found == name
    assert isnan(size) if sigma is None else size == sigma


def test_spans_on_end_or_within_each_other_are_one_touch() -> None:
    assert [len(touch) for touch in touches_in(SCENE)] == [4, 1, 2]


def test_a_lasting_contact_is_what_holds_longest() -> None:
    assert longest_in(1.0, 3.2, SCENE) == "contact"
    assert longest_in(1.0, 2.9, TABLE[1:3]) == "contact"
    assert longest_in(1.5, 3.2, SCENE) == "slide"
    assert longest_in(4.0, 4.5, SCENE) == ""


def found(true: str, said: str, probability: float, sigma: float = 10.0, first: str = "") -> Found:
    event = Event(Phase.END, 0, "", 0, 0, 1, 1.0, (), said, probability, ())
    onset = replace(event, phase=Phase.ONSET, label=first)
    return Found(NamedEvent((), 0, 1, true, "run", sigma=sigma), onset, event)


def test_scores_count_right_wrong_and_unknown_of_all_and_of_large_ones() -> None:
    scores = event_scores(
        [
            found("impact", "impact", 0.9, first="impact"),
            found("impact", "", 0.5, first="contact"),
            found("contact", "impact", 0.8, sigma=2.0),
            found("contact", "contact", 1.0, first="contact"),
            found("", "impact", 1.0),
        ]
    )
    assert (scores["events"], scores["without_name"], scores["large_events"]) == (4, 1, 3)
    assert (scores["right"], scores["wrong"], scores["unknown"]) == (0.5, 0.25, 0.25)
    assert (scores["large_right"], scores["large_wrong"]) == (pytest.approx(2 / 3), 0.0)
    assert (scores["right_at_onset"], scores["wrong_at_onset"]) == (0.5, 0.25)
    assert scores["confusion"] == {
        "contact": {"contact": 1, "impact": 1},
        "impact": {"impact": 1, "unknown": 1},
    }
    lines = [line.split() for line in score_text({"events": scores}).splitlines()]
    assert ["contact", "impact", "unknown"] in lines
    assert ["contact", "1", "1", "0"] in lines


def test_without_a_true_name_there_is_no_score() -> None:
    scores = event_scores([found("", "impact", 1.0)])
    assert score_text({"events": scores}) == "events: events 0  without_name 1"


def test_probabilities_that_come_true_have_no_calibration_error() -> None:
    assert calibration_error([(0.75, True)] * 3 + [(0.75, False)]) == pytest.approx(0.0)
    assert calibration_error([(0.95, False)] * 4) == pytest.approx(0.95)
