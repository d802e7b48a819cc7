"""The route follows the score with hysteresis, a hold and a longest freeze."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.router.router import Change, Path, Router, RouterConfig

CONFIG = RouterConfig(off_score=0.7, hold_rows=3, max_transient_rows=10)


def changes(router: Router, scores: list[float]) -> list[Change]:
    return [router.update(score) for score in scores]


def test_steady_below_one_and_transient_at_one() -> None:
    router = Router(CONFIG)
    assert router.update(0.999) is Change.NONE
    assert router.path is Path.STEADY
    assert router.update(1.0) is Change.ONSET
    assert router.path is Path.TRANSIENT


def test_ends_after_the_hold_below_the_off_score() -> None:
    router = Router(CONFIG)
    assert changes(router, [2.0, 0.5, 0.5]) == [Change.ONSET, Change.NONE, Change.NONE]
    assert router.path is Path.TRANSIENT
    assert router.update(0.5) is Change.END
    assert router.path is Path.STEADY


def test_a_score_between_off_and_on_holds_the_transient() -> None:
    router = Router(CONFIG)
    assert changes(router, [1.0, 0.7, 0.9, 0.7, 0.9])[1:] == [Change.NONE] * 4
    assert router.path is Path.TRANSIENT


def test_a_loud_row_starts_the_hold_anew() -> None:
    router = Router(CONFIG)
    ends = changes(router, [2.0, 0.1, 0.1, 0.7, 0.1, 0.1, 0.1])
    assert ends == [Change.ONSET, *[Change.NONE] * 5, Change.END]


def test_a_lasting_transient_is_accepted() -> None:
    router = Router(CONFIG)
    given_out = changes(router, [2.0] * 11)
    assert given_out == [Change.ONSET, *[Change.NONE] * 9, Change.ACCEPTED]
    assert router.path is Path.STEADY


def test_after_acceptance_it_counts_anew() -> None:
    router = Router(CONFIG)
    assert changes(router, [2.0] * 22).count(Change.ACCEPTED) == 2


def test_without_a_hold_the_first_quiet_row_ends_it_and_a_loud_one_does_not() -> None:
    router = Router(RouterConfig(off_score=0.7, hold_rows=0, max_transient_rows=10))
    assert changes(router, [2.0, 2.0, 2.0, 0.1]) == [
        Change.ONSET,
        Change.NONE,
        Change.NONE,
        Change.END,
    ]


def test_a_score_that_is_no_number_alarms_nobody() -> None:
    router = Router(CONFIG)
    assert router.update(float("nan")) is Change.NONE
    assert router.path is Path.STEADY


def test_clear_goes_back_to_steady() -> None:
    router = Router(CONFIG)
    changes(router, [2.0, 0.1, 0.1])
    router.clear()
    assert router.path is Path.STEADY
    assert changes(router, [2.0, 0.1, 0.1]) == [Change.ONSET, Change.NONE, Change.NONE]


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
        lasted = lasted + 1 if before is Path.TRANSIENT else 0
        assert lasted <= longest
        assert (change is Change.ONSET) == (before is Path.STEADY and score >= 1.0)
        assert (change in (Change.END, Change.ACCEPTED)) == (
            before is Path.TRANSIENT and router.path is Path.STEADY
        )
