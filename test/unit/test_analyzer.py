"""An impact is outstanding at once; slow motion, gaps and lasting changes are not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tao_lora_ros.detection import analyzer
from tao_lora_ros.detection.analyzer import ENERGY_FLOOR, accept, analyze, log_ratios
from tao_lora_ros.detection.analyzer_state import Calibration, new_analyzer, recalibrate
from tao_lora_ros.detection.innovation import LAGS, PRIOR_SHARE, prior

CHANNELS = 6
CALIBRATION = Calibration(
    scales=(1, 2, 4, 8),
    thresholds=(3.0, 2.5, 2.0, 1.6),
    memories=(16, 64, 500),
    covariance_rows=1000,
    start_rows=100,
    leak_rows=500,
    floors=(1e-3,) * CHANNELS,
    autocovariance=(((0.0,) * CHANNELS,) * CHANNELS,) * (LAGS + 1),
    alarms_per_hour=1.0,
)
STD = np.array([0.05, 0.05, 0.05, 0.2, 0.2, 0.2])
REST = np.array([0, 0, 9.81, 0, 0, -20])


def noise(rows: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 1, (rows, 6)) * STD + REST


@dataclass(frozen=True)
class Analysis:
    """What the analyzer says of one row."""

    score: float
    scale: int
    energy_ratio: float
    deviations: NDArray[np.float64]


class VarianceAnalyzer:
    """An analyzer, row by row."""

    def __init__(self, calibration: Calibration) -> None:
        self.state = new_analyzer(calibration)

    def update(self, values: NDArray[np.float64], frozen: bool) -> Analysis:
        analyze(self.state, values, frozen)
        now = self.state.now[0]
        return Analysis(
            now["score"], now["scale"], now["energy_ratio"], self.state.deviations.copy()
        )

    @property
    def log_ratios(self) -> NDArray[np.float64]:
        return self.state.scales["log_ratio"].copy()

    @property
    def ready(self) -> bool:
        return bool(analyzer.ready(self.state))

    def accept(self) -> None:
        accept(self.state)


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


def alternating(rows: int, size: float = 1.0) -> NDArray[np.float64]:
    """Rows that go to and fro by `size` standard deviations: all energies alike."""
    return size * STD * np.where(np.arange(rows) % 2, 1.0, -1.0)[:, None]


@pytest.mark.parametrize("seed", range(5))
def test_an_impact_alarms_within_four_rows(seed: int) -> None:
    subject = settled(seed)
    rows = noise(4, seed + 100)
    rows += STD * 20 * np.array([1.0, -0.8, 0.5, -0.2])[:, None]
    given_out = [analysis.score for analysis in analyses(subject, rows)]
    assert max(given_out) >= 1.0


def test_an_impact_alarms_soon_after_the_start_too() -> None:
    subject = settled(rows=300)
    rows = noise(4, 1) + STD * 20 * np.array([1.0, -0.8, 0.5, -0.2])[:, None]
    assert max(analysis.score for analysis in analyses(subject, rows)) >= 1.0


def test_the_score_is_the_largest_log_ratio_over_its_threshold() -> None:
    subject = settled()
    thresholds = np.array(CALIBRATION.thresholds)
    for row in noise(100, 1):
        analysis = subject.update(row, False)
        scores = subject.log_ratios / thresholds
        assert analysis.score == scores.max()
        assert analysis.scale == CALIBRATION.scales[scores.argmax()]


def innovation_energies(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Energies under the covariance of all rows so far, by whole matrices."""
    d = np.diff(rows, axis=0)
    stacked = np.hstack([d[LAGS - lag : len(d) - lag] for lag in range(LAGS, -1, -1)])
    energies = []
    for t in range(len(stacked)):
        known = stacked[: t // 16 * 16]  # the factor is renewed every 16 rows
        cov = known.T @ known / max(len(known), 1) + 1e-6 * np.eye(stacked.shape[1])
        past, new = stacked[t, :-CHANNELS], stacked[t, -CHANNELS:]
        gain = cov[-CHANNELS:, :-CHANNELS] @ np.linalg.inv(cov[:-CHANNELS, :-CHANNELS])
        left = cov[-CHANNELS:, -CHANNELS:] - gain @ cov[:-CHANNELS, -CHANNELS:]
        innovation = new - gain @ past
        energies.append(innovation @ np.linalg.inv(left) @ innovation / CHANNELS)
    return np.array(energies)


def newest_energy(subject: VarianceAnalyzer) -> float:
    state = subject.state
    return float(state.energies[(state.now[0]["rows"] - 1) % len(state.energies), 0])


def test_the_energy_is_that_of_the_innovation_under_the_covariance_so_far() -> None:
    rows = noise(700)
    subject = VarianceAnalyzer(replace(CALIBRATION, covariance_rows=10**9, start_rows=10**9))
    analyses(subject, rows[: LAGS + 1], frozen=True)  # their changes are not all there
    energies = []
    for row in rows[LAGS + 1 :]:
        subject.update(row, False)
        energies.append(newest_energy(subject))
    begun = 100  # fewer rows make an ill-conditioned matrix
    np.testing.assert_allclose(energies[begun:], innovation_energies(rows)[begun:], rtol=1e-6)


def test_the_log_ratio_is_the_energy_over_its_recent_mean() -> None:
    subject = VarianceAnalyzer(CALIBRATION)
    rng = np.random.default_rng(4)
    rows = np.cumsum(rng.normal(0, 1, (3000, CHANNELS)), axis=0)
    analyses(subject, rows)
    means = subject.state.means.max(axis=0)  # alike, so none is out of reach
    energies = []
    for row in rows[-1] + np.cumsum(rng.normal(0, 3, (8, CHANNELS)), axis=0):
        subject.update(row, True)
        energies.append(newest_energy(subject))
    fast = np.array([np.mean(energies[-scale:]) for scale in CALIBRATION.scales])
    leaked = means * np.exp(8 / CALIBRATION.leak_rows)
    expected = np.log((fast + ENERGY_FLOOR) / (leaked + ENERGY_FLOOR))
    np.testing.assert_allclose(subject.log_ratios, expected, atol=0.02)


def test_what_follows_from_the_rows_before_is_no_surprise() -> None:
    """A tone that every channel rings with cancels; a blow as large as it does not."""
    ringing = noise(3000) * 0.01 + 3 * STD * np.sin(0.9 * np.arange(3000))[:, None]
    subject = VarianceAnalyzer(CALIBRATION)
    analyses(subject, ringing[:2990])
    assert max(analysis.score for analysis in analyses(subject, ringing[2990:2996])) < 1.0
    blow = ringing[2996:] + 3 * STD * np.array([1.0, 0.0, -1.0, 0.0])[:, None]
    assert max(analysis.score for analysis in analyses(subject, blow)) > 1.0


def test_motion_that_the_calibration_knows_is_no_surprise_after_a_rest() -> None:
    common = np.random.default_rng(1).normal(0, 1, (600, 1)) * np.ones(CHANNELS)
    moving = noise(600, 1) * 0.1 + 0.5 * common * STD
    d = np.diff(moving, axis=0)
    lags = [d[lag:].T @ d[: len(d) - lag] / len(d) for lag in range(LAGS + 1)]
    known = tuple(tuple(map(tuple, lag.tolist())) for lag in lags)
    energy_ratio = []
    for calibration in (CALIBRATION, replace(CALIBRATION, autocovariance=known)):
        subject = VarianceAnalyzer(calibration)
        analyses(subject, noise(1000) * 0.1)
        energy_ratio.append(max(a.energy_ratio for a in analyses(subject, moving[1:20])))
    assert energy_ratio[1] < 0.3 * energy_ratio[0]


def test_the_prior_is_the_covariance_of_three_changes_in_turn() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(0, 1, (50_000, CHANNELS)) @ rng.normal(0, 1, (CHANNELS, CHANNELS))
    d = np.diff(rows, axis=0)
    lags = [d[lag:].T @ d[: len(d) - lag] / len(d) for lag in range(LAGS + 1)]
    calibration = replace(CALIBRATION, autocovariance=tuple(tuple(map(tuple, m)) for m in lags))
    stacked = np.hstack([d[:-2], d[1:-1], d[2:]])
    expected = PRIOR_SHARE * stacked.T @ stacked / len(stacked) + 1e-6 * np.eye(3 * CHANNELS)
    np.testing.assert_allclose(
        prior(calibration.autocovariance, calibration.floors), expected, atol=0.01
    )


def test_another_calibration_holds_at_once_and_the_past_stays() -> None:
    subject, as_before = settled(), settled()
    doubled = tuple(2 * threshold for threshold in CALIBRATION.thresholds)
    recalibrate(subject.state, replace(CALIBRATION, thresholds=doubled))
    row = noise(1, 5)[0] + 20 * STD
    other = as_before.update(row, False).score
    assert subject.update(row, False).score == pytest.approx(other / 2, rel=0.1)


def test_many_rows_at_once_give_the_statistics_of_each() -> None:
    rows = noise(600)
    rows[50] = rows[400] = np.nan
    out = np.empty((600, LEVELS.statistics))
    means = np.empty_like(out)
    log_ratios(new_analyzer(LEVELS), rows, out, means)
    subject = VarianceAnalyzer(LEVELS)
    for i, row in enumerate(rows):
        subject.update(row, False)
        # The row after one without values has no change yet.
        known = subject.ready and i not in (400, 401)
        expected = subject.log_ratios if known else np.full(LEVELS.statistics, -np.inf)
        np.testing.assert_array_equal(out[i], expected)
        expected = subject.state.scales["mean"] if known else np.zeros(LEVELS.statistics)
        np.testing.assert_array_equal(means[i], expected)


# With the calibration's own level of noise(): the changes' covariance, twice the noise's.
LEVELS = replace(
    CALIBRATION,
    autocovariance=(
        tuple(map(tuple, np.diag(2 * STD**2))),
        tuple(map(tuple, np.diag(-(STD**2)))),
        ((0.0,) * CHANNELS,) * CHANNELS,
    ),
    level_channels=((0, 1, 2), (3, 4, 5)),
    level_thresholds=(3.0, 3.0),
    level_rows=2000,
)


def levels_after(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    subject = VarianceAnalyzer(LEVELS)
    analyses(subject, rows)
    return subject.log_ratios[-2:]


def test_a_level_is_the_energy_over_the_geometric_mean_of_recent_and_calibrated() -> None:
    """So where all is a tenth as lively, it falls by half as much as against the calibration."""
    known = noise(3000) - REST
    lengths = [2000 + 7 * i for i in range(100)]
    usual, quiet = (
        np.mean([levels_after(known[:length] * factor) for length in lengths], axis=0)
        for factor in (1.0, 0.1)
    )
    energies = np.array([1.0, 0.01]) + ENERGY_FLOOR
    np.testing.assert_allclose(quiet - usual, np.log(energies[1] / energies[0]) / 2, atol=0.05)


def test_a_level_that_is_exceeded_all_the_time_rises_and_never_falls() -> None:
    loud, quiet = ((noise(6000) - REST) * factor for factor in (10.0, 0.1))
    subject = VarianceAnalyzer(
        replace(LEVELS, thresholds=(99.0,) * 4, level_thresholds=(99.0,) * 2)
    )
    analyses(subject, loud)
    slow = subject.state.scales["slow"][-2:].copy()
    np.testing.assert_allclose(slow, 100.0, rtol=0.2)
    analyses(subject, loud, frozen=True)
    np.testing.assert_array_equal(subject.state.scales["slow"][-2:], slow)
    analyses(subject, quiet)
    against_calibrated = subject.log_ratios[-2:]
    np.testing.assert_allclose(against_calibrated, np.log(0.01) / 2, atol=2.0)


def test_a_blow_after_wilder_motion_than_any_before_counts_as_after_usual() -> None:
    """Recent means count as far as steady motion's, and a level hardly follows what is short."""
    wild = noise(3000) - REST
    wild[2950:] *= 10.0
    wild[-1] += 300 * STD
    scores = []
    for most in ((), (1.5, 1.5)):
        subject = VarianceAnalyzer(replace(LEVELS, level_means=most))
        scores.append(analyses(subject, wild)[-1].score)
        assert (subject.state.scales["slow"][-2:] < 4.0).all()
    assert scores[1] - scores[0] == pytest.approx(np.log(100.0 / 1.5) / 2 / 3.0, abs=0.25)


def test_a_blow_on_one_source_alarms_by_its_level() -> None:
    only_levels = replace(LEVELS, thresholds=(99.0,) * 4)
    for channel, level in ((1, 4), (4, 5)):
        subject = VarianceAnalyzer(only_levels)
        analyses(subject, noise(1500))
        row = noise(1, 5)[0]
        row[channel] += 40 * STD[channel]
        analysis = subject.update(row, False)
        assert analysis.score >= 1.0
        assert subject.log_ratios[level] > 3.0


def test_a_source_that_pauses_leaves_its_level_as_it_is() -> None:
    subject = VarianceAnalyzer(LEVELS)
    analyses(subject, noise(1500))
    before = subject.state.means[:, -1].copy()
    pause = noise(300, 3)
    pause[:, 3:] = np.nan
    assert max(analysis.score for analysis in analyses(subject, pause)) < 1.0
    np.testing.assert_allclose(subject.state.means[:, -1], before, rtol=0.3)
    assert max(analysis.score for analysis in analyses(subject, noise(300, 4))) < 1.0


def test_without_thresholds_the_levels_are_off() -> None:
    rows = noise(2000)
    rows[1500:1504] += 30 * STD
    off = VarianceAnalyzer(replace(LEVELS, level_thresholds=()))
    none = VarianceAnalyzer(replace(LEVELS, level_channels=(), level_thresholds=()))
    for row in rows:
        given, expected = off.update(row, False), none.update(row, False)
        assert given.score == max(expected.score, 0.0) or not none.ready
    np.testing.assert_array_equal(off.log_ratios[:4], none.log_ratios)


def test_deviations_are_in_usual_standard_deviations_of_the_change() -> None:
    subject = settled()
    row = noise(1, 5)[0]
    row[4] += 100 * STD[4]
    analysis = subject.update(row, False)
    assert analysis.deviations.argmax() == 4
    assert analysis.deviations[4] == pytest.approx(100 / np.sqrt(2), rel=0.1)
    assert (np.delete(analysis.deviations, 4) < 5).all()
    assert analysis.energy_ratio > 100


def test_what_channels_do_against_their_habit_stands_out() -> None:
    rng = np.random.default_rng(1)
    common = rng.normal(0, 1, (3000, 1)) * np.ones(6)
    rows = (common + 0.1 * rng.normal(0, 1, (3000, 6))) * STD
    habit, against = VarianceAnalyzer(CALIBRATION), VarianceAnalyzer(CALIBRATION)
    analyses(habit, rows)
    analyses(against, rows)
    push = rows[-1] + 2 * STD
    usual = habit.update(push, False).energy_ratio
    push = rows[-1] + 2 * STD * [1, -1, 1, -1, 1, -1]
    assert against.update(push, False).energy_ratio > 20 * usual


def test_nothing_is_scored_before_the_baseline_has_begun() -> None:
    rows = noise(200)  # the covariance learns for 100 rows, then the baseline
    rows[40:44] += 50 * STD
    subject = VarianceAnalyzer(CALIBRATION)
    for analysis in analyses(subject, rows):
        assert analysis.score == 0.0
        assert analysis.energy_ratio == 0.0
        assert not subject.ready
    analyses(subject, noise(40, 1))
    assert subject.ready


def test_steady_noise_does_not_alarm() -> None:
    assert scores(noise(10_000)).max() < 1.0


def test_slow_motion_and_turning_gravity_do_not_alarm() -> None:
    time_s = np.arange(10_000) / 500
    rows = noise(10_000)
    turn = 2 * np.pi * 0.3 * time_s
    rows[:, 0] += 9.81 * np.sin(turn)
    rows[:, 2] += 9.81 * (np.cos(turn) - 1)
    rows[:, 3] += 20 * np.sin(turn)
    assert scores(rows).max() < 1.0


def test_an_offset_of_any_size_changes_nothing() -> None:
    np.testing.assert_allclose(scores(noise(1000) + 1e5), scores(noise(1000)), atol=1e-6)


def test_missing_channels_deviate_nowhere_and_the_others_still_alarm() -> None:
    rows = noise(1510)
    rows[:, 3:] = np.nan
    rows[1500:] += 25 * STD * np.where(np.arange(10) % 2, 1, -1)[:, None]
    given_out = analyses(VarianceAnalyzer(CALIBRATION), rows)
    assert max(analysis.score for analysis in given_out[:1500]) < 1.0
    assert max(analysis.score for analysis in given_out[1500:]) > 1.0
    for analysis in given_out:
        assert not analysis.deviations[3:].any()


def test_no_value_anywhere_scores_zero() -> None:
    subject = settled()
    for analysis in analyses(subject, np.full((30, 6), np.nan)):
        assert (analysis.score, analysis.energy_ratio) == (0.0, 0.0)
        assert not analysis.deviations.any()


@pytest.mark.parametrize("channels", [slice(0, 1), slice(0, 3), slice(0, 6)])
@pytest.mark.parametrize("gap_rows", [1, 3, 17, 40, 3000])
def test_a_gap_neither_alarms_nor_leaves_a_nan(gap_rows: int, channels: slice) -> None:
    subject = settled()
    gap = noise(gap_rows, 2)
    gap[:, channels] = np.nan
    for analysis in [*analyses(subject, gap), *analyses(subject, noise(200, 1))]:
        assert analysis.score < 1.0
        assert np.isfinite(analysis.energy_ratio)
        assert np.isfinite(analysis.deviations).all()


def test_a_frozen_baseline_learns_nothing_from_what_is_loud() -> None:
    loud = noise(100, 7) * 10
    frozen, learning = settled(), settled()
    before = analyses(frozen, loud, frozen=True)[-1].score
    assert before > 1.0
    assert analyses(learning, loud)[-1].score < 0.5 * before


def test_after_the_freeze_the_score_is_as_before_it() -> None:
    frozen, untouched = settled(), settled()
    analyses(frozen, noise(60, 7) * 10, frozen=True)
    quiet = noise(44, 9)
    quiet[40:] += STD * 20 * np.array([1.0, -0.8, 0.5, -0.2])[:, None]
    after, without = (analyses(s, quiet)[-1].score for s in (frozen, untouched))
    assert after == pytest.approx(without, rel=0.2)


def test_the_frozen_baseline_rises_by_e_in_leak_rows() -> None:
    subject = settled()
    analyses(subject, alternating(100, 100.0), frozen=True)
    before = subject.log_ratios
    analyses(subject, alternating(500, 100.0), frozen=True)
    # the energy is constant: what the log-ratio loses is the baseline's rise
    np.testing.assert_allclose(before - subject.log_ratios, 1.0, atol=0.1)


def test_the_leak_does_not_pass_what_it_leaks_to() -> None:
    subject = settled()
    livelier = noise(4000, 3) * 2
    analyses(subject, livelier, frozen=True)
    impact = livelier[:4] + STD * 60 * np.array([1.0, -0.8, 0.5, -0.2])[:, None]
    assert max(analysis.score for analysis in analyses(subject, impact, frozen=True)) > 1.0


def test_after_a_motion_the_long_memories_do_not_deafen() -> None:
    subject = settled()
    analyses(subject, REST + 30 * (noise(1000, 3) - REST))
    analyses(subject, noise(100, 4))
    means = subject.state.means[:, 0].copy()
    impact = noise(4, 5) + STD * 60 * np.array([1.0, -0.8, 0.5, -0.2])[:, None]
    analysis = analyses(subject, impact)
    assert means[2] > 3 * means[1]  # the longest still remembers
    assert max(step.score for step in analysis) >= 1.0


def test_acceptance_makes_the_new_loudness_the_steady_one() -> None:
    subject = settled()
    loud = noise(500, 3) * 10
    assert analyses(subject, loud[:300], frozen=True)[-1].score > 1.0
    subject.accept()
    assert max(analysis.score for analysis in analyses(subject, loud[300:])) < 1.0


def test_one_outlier_hardly_moves_the_covariance() -> None:
    clean, spoilt = settled(), settled()
    row = noise(1, 8)
    analyses(clean, row)
    analyses(spoilt, row + 1e4 * STD)
    for subject in (clean, spoilt):  # which the router then freezes for a while
        analyses(subject, noise(32, 11), frozen=True)
    for _ in range(2):
        analyses(clean, noise(50, 9))
        analyses(spoilt, noise(50, 9))
    impact = noise(4, 10) + STD * 20 * np.array([1.0, -0.8, 0.5, -0.2])[:, None]
    after, without = (analyses(s, impact)[-1].deviations for s in (spoilt, clean))
    np.testing.assert_allclose(after, without, rtol=0.1)


def test_a_silent_robot_scores_nothing_and_wakes_with_a_finite_ratio() -> None:
    subject = VarianceAnalyzer(CALIBRATION)
    assert max(analysis.score for analysis in analyses(subject, np.zeros((300, 6)))) == 0.0
    assert 1.0 < subject.update(np.ones(6), False).score < 100.0
