"""Interrupted calls, neighbours, stolen time: which calls count, and which rows are called noisy."""

import random
from dataclasses import replace

import pytest
from fake_machine import FakeMachine, interrupt

from bench.latency import measure


def test_interrupted_calls_are_repeated_and_counted():
    fake = FakeMachine()
    row = measure(
        [fake.contestant("a", 1.0, spoil=interrupt(fake, every=5))],
        rounds=9,
        iterations=4,
        timer=fake.timer(),
    ).rows[0]
    assert row.samples == 36
    assert row.spoiled == 2
    assert row.p99_ms == pytest.approx(1.0) and not row.noisy


def test_a_long_call_that_nobody_interrupted_counts_however_long_it_is():
    fake = FakeMachine()
    row = measure(
        [fake.contestant("a", lambda call: 50.0 if call % 5 == 0 else 1.0)],
        rounds=9,
        iterations=4,
        timer=fake.timer(),
    ).rows[0]
    assert row.spoiled == 0 and row.p99_ms == pytest.approx(50.0)


@pytest.mark.parametrize(("slow_rounds", "p50", "spoiled"), [(15, 1.0, 60), (25, 1.5, 0)])
def test_calls_on_a_slow_core_are_left_out_where_there_are_enough_others(
    slow_rounds, p50, spoiled, monkeypatch
):
    fake, calls = FakeMachine(), [0]
    slow = range(
        13, 13 + 6 * slow_rounds
    )  # after two calls of warm-up and one visit, of two untimed and four timed calls

    def ms(call):
        calls[0] = call
        wobble = call % 3 / 10  # so that it is not known soon
        return (1.5 if call in slow else 1.0) + wobble

    def work():
        fake.now += 4e-5 if calls[0] + 1 in slow else 2e-5

    monkeypatch.setattr("bench.pace.work", work)
    row = measure([fake.contestant("a", ms)], rounds=30, iterations=4, warmup=2, timer=fake.timer()).rows[0]
    assert row.p50_ms == pytest.approx(p50 + 0.1, abs=0.11)
    assert spoiled - 4 <= row.spoiled <= spoiled + 4


def test_where_most_short_calls_are_interrupted_all_of_them_count():
    fake = FakeMachine()
    bad = fake.contestant("a", 0.5, spoil=interrupt(fake, every=1, ms=1.0))
    contestants = [fake.contestant("r", 100.0, reference=True), bad]
    row = measure(contestants, rounds=12, iterations=4, timer=fake.timer()).rows[1]
    assert (row.samples, row.spoiled) == (96, 96)
    assert row.p50_ms == pytest.approx(1.5)
    assert row.noisy and not row.speedup_claimed


def test_where_a_neighbour_comes_in_spells_the_calm_visits_count_alone():
    fake = FakeMachine()
    interrupted = interrupt(fake, every=1, ms=1.0)

    def in_spells(call):
        if call % 700 < 600:  # longer than a visit, and most of the time
            interrupted(call)

    row = measure(
        [fake.contestant("a", 0.5, spoil=in_spells)], rounds=400, iterations=4, timer=fake.timer()
    ).rows[0]
    assert row.p50_ms == pytest.approx(0.5) and row.p99_ms == pytest.approx(0.5)
    assert row.samples >= 30 and row.spoiled > 3 * row.samples


def test_a_model_that_disturbs_itself_is_not_flattered_by_its_lucky_calls():
    fake = FakeMachine()
    interrupted, lucky = interrupt(fake, every=1, ms=1.0), random.Random(0)

    def itself(call):
        if lucky.random() < 0.85:
            interrupted(call)

    row = measure(
        [fake.contestant("a", 0.5, spoil=itself)], rounds=400, iterations=4, timer=fake.timer()
    ).rows[0]
    assert row.noisy and row.p50_ms == pytest.approx(1.5)


def test_where_most_long_calls_waited_for_a_cpu_all_of_them_count_as_long_as_they_took():
    fake = FakeMachine()
    slow = fake.contestant("a", 20.0, spoil=interrupt(fake, every=1, ms=30.0))
    row = measure([slow], rounds=12, iterations=2, timer=fake.timer()).rows[0]
    assert row.noisy and row.spoiled == row.samples
    assert row.p50_ms == row.min_ms == pytest.approx(50.0)


def test_a_long_call_that_hardly_waited_is_clean():
    fake = FakeMachine()
    row = measure(
        [fake.contestant("a", 20.0, spoil=interrupt(fake, every=1, ms=0.1))], rounds=4, timer=fake.timer()
    ).rows[0]
    assert row.spoiled == 0 and row.p50_ms == pytest.approx(20.1)


@pytest.mark.parametrize(("steal", "noisy"), [(0.0, False), (0.019, False), (0.05, True)])
def test_steal_makes_every_row_noisy(steal, noisy):
    fake = FakeMachine(steal_share=steal)
    result = measure([fake.contestant("a", 5.0)], rounds=5, timer=fake.timer())
    assert result.steal_share == pytest.approx(steal)
    assert result.rows[0].noisy is noisy
    record = result.record()
    assert record.noisy is noisy
    assert record.machine.steal_share == pytest.approx(steal)


def test_a_visit_from_which_the_hypervisor_took_time_is_spoiled_as_a_whole():
    fake = FakeMachine(steal_share=0.01)
    row = measure([fake.contestant("a", 1.0)], rounds=5, iterations=4, timer=fake.timer()).rows[0]
    assert row.spoiled == 20 and row.samples == 20 and row.noisy


def test_drift_between_the_halves_is_noisy():
    fake = FakeMachine()
    drifting = fake.contestant("a", lambda call: 10.0 if call <= 40 else 12.0)
    steady = fake.contestant("b", 10.0)
    rows = measure([drifting, steady], rounds=10, iterations=5, warmup=1, timer=fake.timer()).rows
    assert rows[0].spread < 0.5 and rows[0].noisy
    assert not rows[1].noisy


def test_unknown_steal_is_not_noise():
    fake = FakeMachine()
    timer = replace(fake.timer(), cpu_times=lambda: None)
    result = measure([fake.contestant("a", 1.0)], rounds=3, timer=timer)
    assert result.steal_share is None
    assert not result.rows[0].noisy
