"""Lasting contacts: onset, end, loads, hysteresis; the bias follows drift and freezes meanwhile."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from swung import CHANNELS, RATE_HZ, swung

from tao_lora_ros.contact.calibration import calibrated
from tao_lora_ros.contact.contact_model import ContactModel
from tao_lora_ros.contact.contacts import Contact, Contacts
from tao_lora_ros.detection.router import Change
from tao_lora_ros.detection.tail import NEVER

ALONE = ContactModel(tuple(range(6)), (), (), ((),) * 6, (2.0, 0.1), (0.1, 0.005))
S = round(RATE_HZ)  # rows
Found = list[tuple[int, Change, Contact]]


def contacts(model: ContactModel = ALONE, channels: int = 6, most_s: float = 600.0) -> Contacts:
    return Contacts([model], channels, RATE_HZ, most_s)


def run(subject: Contacts, rows: np.ndarray, first: int = 0) -> Found:
    """Row, change and contact of all that rows [n, C] change; a row is 5 ms."""
    return [
        (first + i, change, contact)
        for i, row in enumerate(rows)
        for change, contact in subject.push((first + i) * 5_000_000, row)
    ]


def pressed(seconds: float, *presses: tuple[float, float, float], seed: int = 0) -> np.ndarray:
    """A wrench that nothing moves, pressed along x from and to a second with some newtons."""
    rows = np.random.default_rng(seed).normal(0.0, 0.02, (round(seconds * S), 6)) + 5.0
    rows[:, 3:] *= 0.01
    for start, end, force in presses:
        rows[round(start * S) : round(end * S), 0] += force
    return rows


def test_a_press_is_found_with_its_onset_end_and_loads() -> None:
    (at, change, onset), (over_at, over, end) = run(contacts(), pressed(8.0, (3.0, 5.0, 8.0)))
    assert (change, over) == (Change.ONSET, Change.END)
    assert 3.0 * S <= onset.onset_ns / 5_000_000 <= 3.05 * S
    assert at <= 3.15 * S
    assert onset.end_ns == 0
    assert end.onset_ns == onset.onset_ns
    assert 5.0 * S <= end.end_ns / 5_000_000 <= 5.05 * S
    assert over_at <= 5.3 * S
    assert end.mean_load == pytest.approx(8.0, abs=0.2)
    assert end.peak_score == pytest.approx(4.0, abs=0.1)
    assert end.onset_ns <= end.peak_ns <= end.end_ns
    assert end.shares[0] > 0.9
    assert end.shares.sum() == pytest.approx(1.0)


def test_a_torque_alone_is_a_contact() -> None:
    rows = pressed(6.0)
    rows[3 * S : 4 * S, 5] += 0.5
    _, (_, _, end) = run(contacts(), rows)
    assert int(end.shares.argmax()) == 5
    assert end.mean_load < 0.1


def test_a_swung_wrench_without_an_imu_finds_presses_by_their_lever() -> None:
    (model,), _ = calibrated(CHANNELS[6:], [swung(60.0, 1, speed=0.1)[:, 6:]], RATE_HZ, 1.0)
    assert run(contacts(model), swung(120.0, 2, speed=0.1)[:, 6:]) == []
    for seed in range(3, 9):
        rng = np.random.default_rng(seed)
        force, point = rng.normal(size=3), (0.0, 0.05, 0.15)
        press = 8.0 * force / np.linalg.norm(force)
        contact = np.zeros((12 * S, 6))
        contact[6 * S : 8 * S] = (*press, *np.cross(point, press))
        found = run(contacts(model), swung(12.0, seed, speed=0.1, contact=contact)[:, 6:])
        assert [change for _, change, _ in found] == [Change.ONSET, Change.END]
        assert 6.0 * S <= found[0][2].onset_ns / 5_000_000 <= 6.1 * S
        assert found[1][2].end_ns / 5_000_000 == pytest.approx(8.0 * S, abs=0.1 * S)
        assert found[1][2].mean_load == pytest.approx(8.0, rel=0.5)  # the weight turns meanwhile


def test_its_load_is_about_the_sensor() -> None:
    (model,), _ = calibrated(CHANNELS[6:], [swung(60.0, 1, speed=0.1)[:, 6:]], RATE_HZ, 1.0)
    subject, force, point = contacts(model), np.array((0.0, 8.0, 0.0)), (0.0, 0.0, 0.15)
    rows = np.repeat(swung(1.0, 2, speed=0.0, noise=0.0)[:1, 6:], 4 * S, axis=0)
    rows[3 * S :] += (*force, *np.cross(point, force))
    run(subject, rows)
    np.testing.assert_allclose(
        subject.load(0), (*force, *np.cross(point, force)), rtol=0.01, atol=1e-6
    )


@pytest.mark.parametrize("force", [20.0, 1000.0])
def test_a_blow_is_no_contact_however_strong(force: float) -> None:
    assert run(contacts(), pressed(8.0, (3.0, 3.025, force), (5.0, 5.01, -force))) == []


def test_below_the_threshold_there_is_none_and_half_of_it_goes_on() -> None:
    assert run(contacts(), pressed(8.0, (3.0, 6.0, 1.8))) == []
    found = run(contacts(), pressed(9.0, (3.0, 4.0, 3.0), (4.0, 6.0, 1.3)))
    assert [change for _, change, _ in found] == [Change.ONSET, Change.END]
    assert found[1][2].end_ns / 5_000_000 == pytest.approx(6.0 * S, abs=0.05 * S)


def test_a_short_release_does_not_end_it_and_a_longer_one_does() -> None:
    for pause_s, count in ((0.1, 1), (0.4, 2)):
        rows = pressed(9.0, (3.0, 5.0, 8.0), (5.0 + pause_s, 7.0, 8.0))
        assert sum(change is Change.ONSET for _, change, _ in run(contacts(), rows)) == count


def test_the_bias_follows_drift_and_freezes_in_contact() -> None:
    drift = np.linspace(0.0, 3.0, 120 * S)  # 1.5 N a minute
    rows = pressed(120.0, (60.0, 80.0, 8.0))
    rows[:, 0] += drift
    subject = contacts()
    assert run(subject, rows[: 60 * S]) == []
    before = subject._state.now["bias"].copy()
    _, (_, _, end) = run(subject, rows[60 * S : 85 * S], 60 * S)
    assert end.mean_load == pytest.approx(8.5, abs=0.1)  # with what the bias lags behind
    frozen = contacts()
    run(frozen, rows[: 79 * S])
    np.testing.assert_allclose(frozen._state.now["bias"], before, atol=0.05)


def spans(found: Found) -> list[tuple[float, float]]:
    """Onsets and ends in seconds."""
    ends = [contact for _, change, contact in found if change is not Change.ONSET]
    return [(c.onset_ns / S / 5e6, c.end_ns / S / 5e6) for c in ends]


AT_5 = replace(ALONE, usual=(5.0,) * 3 + (0.05,) * 3)  # the bias of `pressed`
PRESSED_FIRST = (0.0, 4.0, 15.0), (9.0, 11.0, 8.0)


@pytest.mark.parametrize("release_s", [0.0, 0.3, 0.6])
def test_a_run_that_begins_in_contact_is_released_and_later_presses_are_found(
    release_s: float,
) -> None:
    rows = pressed(13.0, *PRESSED_FIRST)
    count = round(release_s * S)
    rows[4 * S : 4 * S + count, 0] += np.linspace(15.0, 0.0, count)
    assert spans(run(contacts(AT_5), rows)) == [pytest.approx((9.0, 11.0), abs=0.05)]


def test_of_the_run_that_was_calibrated_on_the_first_contact_is_found_too() -> None:
    subject = contacts(replace(AT_5, same_run=True))
    subject.begin()
    found = spans(run(subject, pressed(13.0, *PRESSED_FIRST)))
    assert found == [pytest.approx((0.0, 4.0), abs=0.05), pytest.approx((9.0, 11.0), abs=0.05)]


@pytest.mark.parametrize("tared", [3.0, -3.0, 30.0, -30.0])
def test_after_another_tare_presses_are_found_in_every_direction(tared: float) -> None:
    model = replace(AT_5, usual=(5.0 + tared, 5.0, 5.0, 0.05, 0.05, 0.05))
    for force in (8.0, -8.0):
        found = spans(run(contacts(model), pressed(9.0, (3.0, 5.0, force))))
        assert found == [pytest.approx((3.0, 5.0), abs=0.05)]


@pytest.mark.parametrize("drift", [0.8, -0.8])  # N a minute, in a contact of three
def test_a_contact_ends_with_its_release_though_the_sensor_has_drifted(drift: float) -> None:
    rows = pressed(200.0, (10.0, 190.0, 12.0))
    rows[:, 0] += drift / 60.0 * np.arange(len(rows)) / S
    assert spans(run(contacts(), rows)) == [pytest.approx((10.0, 190.0), abs=0.3)]


@pytest.mark.parametrize("thresholds_a_minute", [2.0, 8.0, 15.0])
def test_drift_is_no_contact(thresholds_a_minute: float) -> None:
    rows = pressed(60.0)
    rows[:, 0] += 2.0 * thresholds_a_minute * np.arange(len(rows)) / S / 60.0
    assert run(contacts(), rows) == []


def test_a_press_below_the_threshold_is_not_taken_for_drift() -> None:
    rows = pressed(30.0, (20.0, 24.0, -2.2))
    rows[:, 0] += 4.0 / 60.0 * np.arange(len(rows)) / S  # which the bias lags behind by 0.6 N
    assert run(contacts(), rows) == []


def test_a_load_that_stays_is_taken_as_usual_in_the_end() -> None:
    found = run(contacts(most_s=5.0), pressed(12.0, (3.0, 12.0, 8.0)))
    assert [change for _, change, _ in found] == [Change.ONSET, Change.ACCEPTED]
    assert found[1][0] == pytest.approx(8.0 * S, abs=0.1 * S)


def test_a_gap_ends_a_contact_and_the_bias_survives_it() -> None:
    rows = pressed(9.0, (3.0, 9.0, 8.0))
    rows[4 * S : 5 * S] = np.nan
    changes = [(change, at / S) for at, change, _ in run(contacts(), rows)]
    assert [change for change, _ in changes] == [Change.ONSET, Change.END, Change.ONSET]
    assert changes[1][1] == pytest.approx(4.15, abs=0.02)
    assert changes[2][1] == pytest.approx(5.08, abs=0.02)


def test_axes_that_are_absent_are_left_out() -> None:
    rows = pressed(8.0, (3.0, 5.0, 8.0))
    rows[:, 1:] = np.nan
    subject = contacts()
    assert len(run(subject, rows)) == 2
    assert np.isnan(subject.load(0)).tolist() == [False] + [True] * 5


def test_stop_ends_what_goes_on_and_clear_forgets_it() -> None:
    rows = pressed(5.0, (3.0, 5.0, 8.0))
    subject = contacts()
    assert len(run(subject, rows)) == 1
    (ended,) = subject.stop()
    assert ended.end_ns == (len(rows) - 1) * 5_000_000
    assert subject.stop() == []
    subject.clear()
    assert np.isnan(subject.load(0)).all()


@pytest.mark.parametrize("models", [[], [ALONE]])
def test_an_end_that_is_not_given_out_yet_is_given_out_by_stop_or_forgotten_by_clear(
    models: list[ContactModel],
) -> None:
    for given_out in (True, False):
        subject = contacts()
        ((_, _, onset),) = run(subject, pressed(4.0, (3.0, 4.0, 8.0)))
        subject.recalibrate(models)
        subject.recalibrate(models)  # a second one before any row changes nothing
        if given_out:
            assert [contact.onset_ns for contact in subject.stop()] == [onset.onset_ns]
        else:
            subject.clear()
        assert subject.stop() == []
        assert subject.push(0, np.zeros(6)) == ()


def test_what_is_borne_after_a_contact_was_dropped_is_usual() -> None:
    rows = pressed(14.0, (3.0, 12.0, 8.0))
    subject = contacts()
    assert len(run(subject, rows[: 4 * S])) == 1
    subject.drop(0)
    ((_, change, released),) = run(subject, rows[4 * S :], 4 * S)
    assert change is Change.ONSET
    assert released.onset_ns / 5_000_000 == pytest.approx(12.0 * S, abs=0.05 * S)


def test_another_calibration_ends_what_goes_on_with_the_next_row() -> None:
    subject = contacts()
    run(subject, pressed(4.0, (3.0, 4.0, 8.0)))
    subject.recalibrate([])
    ((change, contact),) = subject.push(0, np.zeros(6))
    assert (change, contact.wrench) == (Change.END, 0)
    assert subject.push(1, np.zeros(6)) == ()


def test_what_moves_is_pressed_and_the_load_is_that_of_the_hand() -> None:
    (model,), _ = calibrated(CHANNELS, [swung(40.0, seed=1)], RATE_HZ, 1.0)
    hand = np.zeros((20 * S, 6))
    hand[8 * S : 11 * S, :3] = (3.0, -4.0, 0.0)  # 5 N
    rows = swung(20.0, seed=2, contact=hand)
    subject = contacts(model, 12)
    loads, found = [], []
    for i, row in enumerate(rows):
        found += [(i / S, *pair) for pair in subject.push(i * 5_000_000, row)]
        loads.append(subject.load(0))
    (on_s, _, _), (off_s, _, contact) = found
    assert 8.0 < on_s < 8.15
    assert 11.0 < off_s < 11.3
    assert contact.mean_load == pytest.approx(5.0, abs=0.3)
    off = np.array(loads)[2 * S :, :3] - hand[2 * S :, :3]
    assert np.sqrt((off**2).sum(axis=1).mean()) < 0.5


def test_steady_motion_that_was_not_calibrated_on_is_no_contact() -> None:
    (model,), _ = calibrated(CHANNELS, [swung(40.0, seed=1)], RATE_HZ, 1.0)
    assert run(contacts(model, 12), swung(60.0, seed=3)) == []


def test_rows_at_once_give_the_contacts_of_rows_one_by_one() -> None:
    rows = pressed(9.0, (3.0, 4.0, 8.0), (5.0, 6.0, 4.0), (8.0, 9.0, 6.0))
    one_by_one, at_once = contacts(), contacts()
    ends = [
        contact
        for i, row in enumerate(rows)
        for change, contact in one_by_one.push(i, row)
        if change is Change.END
    ]
    assert len(ends) == 2
    found = [*at_once.run(rows), *at_once.stop()]
    for contact, expected in zip(found, [*ends, *one_by_one.stop()], strict=True):
        np.testing.assert_equal(vars(contact), vars(expected))


def test_an_hour_of_contact_takes_no_more_memory() -> None:
    subject = contacts(most_s=86_400.0)
    run(subject, pressed(5.0, (3.0, 5.0, 8.0)))
    held = pressed(1.0, (0.0, 1.0, 8.0))
    run(subject, held)
    gc.collect()
    tracemalloc.start()
    for _ in range(60):
        assert run(subject, held) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_no_model_finds_nothing_and_a_silent_axis_never_alarms() -> None:
    assert run(Contacts([], 6, RATE_HZ, 600.0), pressed(5.0, (3.0, 5.0, 8.0))) == []
    silent = ContactModel(tuple(range(6)), (), (), ((),) * 6, (NEVER, NEVER), (0.0, 0.0))
    assert run(contacts(silent), pressed(5.0, (3.0, 5.0, 8.0))) == []
