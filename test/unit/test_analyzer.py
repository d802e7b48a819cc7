"""An impact is outstanding at once; slow motion, gaps and lasting changes are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tao_lora_ros.router.analyzer import Analysis, Calibration, VarianceAnalyzer

CALIBRATION = Calibration(
    scales=(4, 8, 16),
    thresholds=(3.0, 2.5, 2.0),
    baselines=(16, 64, 500),
    start_rows=100,
    leak_rows=500,
    top_k=3,
    floors=(1e-3,) * 6,
    alarms_per_hour=1.0,
)
STD = np.array([0.05, 0.05, 0.05, 0.2, 0.2, 0.2])


def noise(rows: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 1, (rows, 6)) * STD + [0, 0, 9.81, 0, 0, -20]


def analyses(
    subject: VarianceAnalyzer, rows: NDArray[np.float64], frozen: bool = False
) -> list[Analysis]:
    return [subject.update(row, frozen) for row in rows]


def scores(rows: NDArray[np.float64], frozen: bool = False) -> NDArray[np.float64]:
    subject = VarianceAnalyzer(CALIBRATION)
    return np.array([subject.update(row, frozen).score for row in rows])


def settled(seed: int = 0, rows: int = 1500) -> VarianceAnalyzer:
    subject = VarianceAnalyzer(CALIBRATION)
    analyses(subject, noise(rows, seed))
    return subject


@pytest.mark.parametrize("seed", range(5))
def test_an_impact_alarms_within_four_rows(seed: int) -> None:
    subject = settled(seed)
    rows = noise(4, seed + 100)
    rows += STD * 20 * np.array([1.0, -0.8, 0.5, -0.2])[:, None]
    given_out = [analysis.score for analysis in analyses(subject, rows)]
    assert max(given_out) >= 1.0
    assert given_out[0] < max(given_out)


def test_the_score_is_one_at_the_threshold() -> None:
    rows = np.concatenate((noise(1500), noise(20, 1) * 1.5))
    ordinary = VarianceAnalyzer(CALIBRATION)
    halved = VarianceAnalyzer(replace(CALIBRATION, thresholds=(1.5, 1.25, 1.0)))
    for row in rows:
        once, twice = ordinary.update(row, False), halved.update(row, False)
        assert twice.score == pytest.approx(2 * once.score)
        assert once.score == pytest.approx((ordinary.pooled / [3.0, 2.5, 2.0]).max())


def test_the_log_ratio_is_the_variances_over_the_baseline() -> None:
    # 16 rows of variance 4 x, against a baseline that has settled on noise alternating by ±std
    square = STD * np.where(np.arange(2000) % 2, 1.0, -1.0)[:, None]
    subject = VarianceAnalyzer(replace(CALIBRATION, floors=(1e-9,) * 6))
    analyses(subject, square)
    analysis = analyses(subject, 2 * square[:16], frozen=True)[-1]
    np.testing.assert_allclose(subject.pooled, np.log(4), rtol=0.05)
    np.testing.assert_allclose(analysis.rho, np.log(4), rtol=0.05)


def test_the_liveliest_channels_alone_are_pooled() -> None:
    subject = settled()
    rows = noise(16, 9)
    rows[:, 1] += 30 * STD[1] * np.where(np.arange(16) % 2, 1, -1)
    analysis = analyses(subject, rows, frozen=True)[-1]
    assert analysis.rho.argmax() == 1
    largest = np.sort(analysis.rho)[-3:]
    assert subject.pooled[CALIBRATION.scales.index(analysis.scale)] == pytest.approx(largest.mean())


def test_nothing_is_scored_before_the_baseline_has_begun() -> None:
    rows = noise(130)
    rows[40:44] += 50 * STD
    subject = VarianceAnalyzer(CALIBRATION)
    for row in rows[:100]:
        analysis = subject.update(row, False)
        assert analysis.score == 0.0
        assert not analysis.rho.any()
        assert not subject.ready
    analyses(subject, noise(40, 1))
    assert subject.ready


def test_slow_motion_and_turning_gravity_do_not_alarm() -> None:
    time_s = np.arange(10_000) / 500
    rows = noise(10_000)
    turn = 2 * np.pi * 0.3 * time_s
    rows[:, 0] += 9.81 * np.sin(turn)
    rows[:, 2] += 9.81 * (np.cos(turn) - 1)
    rows[:, 3] += 20 * np.sin(turn)
    assert scores(rows).max() < 1.0


def test_an_offset_of_any_size_does_not_alarm_once_it_is_there() -> None:
    rows = noise(3000)
    rows[:, :] += 1e5
    assert scores(rows).max() < 1.0


def test_missing_channels_are_zero_and_the_others_still_alarm() -> None:
    rows = noise(1520)
    rows[:, 3:] = np.nan
    rows[1510:] += 25 * STD * np.where(np.arange(10) % 2, 1, -1)[:, None]
    subject = VarianceAnalyzer(CALIBRATION)
    given_out = analyses(subject, rows)
    assert max(analysis.score for analysis in given_out[:1510]) < 1.0
    assert max(analysis.score for analysis in given_out[1510:]) > 1.0
    for analysis in given_out:
        assert not analysis.rho[3:].any()
        assert not analysis.deviation[3:].any()
    assert subject.ready


def test_no_value_anywhere_scores_zero() -> None:
    subject = settled()
    for analysis in analyses(subject, np.full((30, 6), np.nan)):
        assert analysis.score == 0.0
        assert not analysis.deviation.any()


@pytest.mark.parametrize("gap_rows", [1, 3, 17, 40])
def test_a_gap_neither_alarms_nor_leaves_a_nan(gap_rows: int) -> None:
    subject = settled()
    analyses(subject, np.full((gap_rows, 6), np.nan))
    for analysis in analyses(subject, noise(200, 1)):
        assert analysis.score < 1.0
        assert np.isfinite(analysis.rho).all()
        assert np.isfinite(analysis.deviation).all()


def test_deviation_is_in_baseline_standard_deviations() -> None:
    subject = settled()
    row = noise(1, 5)[0]
    row[3] += 100 * STD[3]
    assert subject.update(row, False).deviation[3] == pytest.approx(100, rel=0.3)


def test_a_frozen_baseline_learns_nothing_from_what_is_loud() -> None:
    subject = settled()
    loud = noise(20, 7)
    loud += 50 * STD * np.random.default_rng(8).normal(0, 1, loud.shape)
    before = analyses(subject, loud, frozen=True)[-1].score
    again = settled()
    analyses(again, loud, frozen=False)
    learned = analyses(again, loud)[-1].score
    assert before > 1.0
    assert learned < before


def test_after_the_freeze_the_score_is_as_before_it() -> None:
    frozen, untouched = settled(), settled()
    loud = noise(60, 7) + 50 * STD * np.random.default_rng(8).normal(0, 1, (60, 6))
    analyses(frozen, loud, frozen=True)
    quiet = noise(300, 9)
    analyses(frozen, quiet[:40])
    analyses(untouched, quiet[:40])
    impact = quiet[40:44] + STD * 20 * np.array([1.0, -0.8, 0.5, -0.2])[:, None]
    after, without = (analyses(s, impact)[-1].score for s in (frozen, untouched))
    assert after == pytest.approx(without, rel=0.25)


def test_the_frozen_baseline_rises_by_e_in_leak_rows_at_most() -> None:
    subject = settled()
    loud = 100 * STD * np.where(np.arange(1000) % 2, 1.0, -1.0)[:, None]
    given_out = analyses(subject, loud, frozen=True)
    # the loudness is constant from row 100 on: what the log-ratio loses is the baseline's rise
    assert given_out[100].rho - given_out[600].rho == pytest.approx(1.0, rel=1e-3)


def test_the_leak_does_not_pass_what_it_leaks_to() -> None:
    subject = settled()
    livelier = np.random.default_rng(3).normal(0, 1, (4000, 6)) * STD * 2
    analyses(subject, livelier, frozen=True)
    impact = livelier[:4] + STD * 40 * np.array([1.0, -0.8, 0.5, -0.2])[:, None]
    assert max(analysis.score for analysis in analyses(subject, impact, frozen=True)) > 1.0


def test_the_baseline_of_a_missing_channel_does_not_leak() -> None:
    gone, present = settled(), settled()
    rows = noise(500, 4)
    missing = rows.copy()
    missing[:, 0] = np.nan
    analyses(present, rows, frozen=True)
    analyses(gone, missing, frozen=True)
    again = noise(40, 5)
    left, right = (analyses(s, again, frozen=True)[-1].rho[0] for s in (gone, present))
    assert left >= right


def test_acceptance_makes_the_new_loudness_the_steady_one() -> None:
    subject = settled()
    loud = np.random.default_rng(3).normal(0, 1, (500, 6)) * STD * 10
    assert analyses(subject, loud[:300], frozen=True)[-1].score > 0.7
    subject.accept()
    later = [analysis.score for analysis in analyses(subject, loud[300:])]
    assert max(later) < 1.0


def test_clear_forgets_all() -> None:
    subject, fresh = settled(), VarianceAnalyzer(CALIBRATION)
    subject.clear()
    assert not subject.ready
    for row in noise(300, 2):
        a, b = subject.update(row, False), fresh.update(row, False)
        assert (a.score, a.scale) == (b.score, b.scale)
        np.testing.assert_array_equal(a.rho, b.rho)


def test_a_silent_channel_scores_nothing_and_wakes_with_a_finite_ratio() -> None:
    subject = VarianceAnalyzer(CALIBRATION)
    given_out = analyses(subject, np.zeros((300, 6)))
    assert max(analysis.score for analysis in given_out) == 0.0
    rows = np.zeros((4, 6))
    rows[2] = 1.0
    assert 1.0 < analyses(subject, rows)[-1].score < 100.0
