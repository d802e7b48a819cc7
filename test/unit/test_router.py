"""The route follows the score with hysteresis, a hold and a longest freeze."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.detection.router import Change, RouterConfig, configure, follow, new_route
from tao_lora_ros.messages.route import Route

CONFIG = RouterConfig(off_score=0.7, hold_rows=3, max_transient_rows=10)


class Router:
    """A route and what it says of scores."""

    def __init__(self, config: RouterConfig = CONFIG) -> None:
        self.route = new_route(config)

    def update(self, score: float) -> Change:
        return Change(follow(self.route, score))

    def changes(self, *scores: float) -> list[Change]:
        return [self.update(score) for score in scores]

    @property
    def path(self) -> Route:
        return Route(self.route[0]["transient"])


def test_steady_below_one_and_transient_at_one() -> None:
    router = Router()
    assert router.update(0.999) is Change.NONE
    assert router.path is Route.STEADY
    assert router.update(1.0) is Change.ONSET
    assert router.path is Route.TRANSIENT


def test_ends_after_the_hold_below_the_off_score() -> None:
    router = Router()
    assert router.changes(2.0, 0.5, 0.5) == [Change.ONSET, Change.NONE, Change.NONE]
    assert router.path is Route.TRANSIENT
    assert router.update(0.5) is Change.END
    assert router.path is Route.STEADY


def test_a_score_between_off_and_on_holds_the_transient() -> None:
    router = Router()
    assert router.changes(1.0, 0.7, 0.9, 0.7, 0.9)[1:] == [Change.NONE] * 4
    assert router.path is Route.TRANSIENT


def test_a_loud_row_starts_the_hold_anew() -> None:
    ends = Router().changes(2.0, 0.1, 0.1, 0.7, 0.1, 0.1, 0.1)
    assert ends == [Change.ONSET, *[Change.NONE] * 5, Change.END]


def test_a_lasting_transient_is_accepted() -> None:
    router = Router()
    assert router.changes(*[2.0] * 11) == [Change.ONSET, *[Change.NONE] * 9, Change.ACCEPTED]
    assert router.path is Route.STEADY


def test_after_acceptance_it_counts_anew() -> None:
    assert Router().changes(*[2.0] * 22).count(Change.ACCEPTED) == 2


def test_without_a_hold_the_first_quiet_row_ends_it_and_a_loud_one_does_not() -> None:
    router = Router(RouterConfig(off_score=0.7, hold_rows=0, max_transient_rows=10))
    ends = [Change.ONSET, Change.NONE, Change.NONE, Change.END]
    assert router.changes(2.0, 2.0, 2.0, 0.1) == ends


def test_a_score_that_is_no_number_alarms_nobody() -> None:
    router = Router()
    assert router.update(float("nan")) is Change.NONE
    assert router.path is Route.STEADY


def test_another_configuration_holds_from_the_next_row_on() -> None:
    router = Router()
    router.changes(2.0, 0.5)
    configure(router.route, RouterConfig(off_score=0.4, hold_rows=2, max_transient_rows=10))
    assert router.changes(0.5, 0.3, 0.3) == [Change.NONE, Change.NONE, Change.END]


@given(
    scores=st.lists(st.floats(0, 3), max_size=200),
    hold=st.integers(0, 6),
    longest=st.integers(1, 20),
)
def test_onsets_and_ends_alternate_and_no_transient_lasts_too_long(scores, hold, longest) -> None:
    router = Router(RouterConfig(0.7, hold, longest))
    lasted = 0
    for score in scores:
        before = router.path
        change = router.update(score)
        lasted = lasted + 1 if before is Route.TRANSIENT else 0
        assert lasted <= longest
        assert (change is Change.ONSET) == (before is Route.STEADY and score >= 1.0)
        assert (change in (Change.END, Change.ACCEPTED)) == (
            before is Route.TRANSIENT and router.path is Route.STEADY
        )
