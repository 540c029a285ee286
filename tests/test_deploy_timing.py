import gc

import pytest

from deploy.timing import MIN_ROUNDS, Timer, race
from distill.errors import EdgeproofError


class Clock:
    """Seconds that pass only where a contestant or a pause lets them."""

    def __init__(self) -> None:
        self.now = 0.0

    def spend(self, seconds: float) -> None:
        self.now += seconds

    @property
    def timer(self) -> Timer:
        return Timer(clock=lambda: self.now, sleep=self.spend, cpu_times=lambda: None)


def test_ratios_are_taken_within_a_round() -> None:
    clock, calls = Clock(), {"slow": 0, "fast": 0}

    def contestant(name: str, seconds: float):
        def run() -> None:
            calls[name] += 1
            spell = 10 if calls[name] > 2 * 4 else 1  # from the third round on, the machine is slow
            clock.spend(seconds * spell)

        return run

    found = race(
        {"slow": contestant("slow", 0.004), "fast": contestant("fast", 0.001)},
        reference="slow", rounds=6, iterations=3, budget_s=100, timer=clock.timer,
    )  # fmt: skip
    assert calls == {"slow": 6 * 4, "fast": 6 * 4}, "one call of each visit is not timed"
    assert (found["fast"].rounds, found["slow"].rounds) == (6, 6)
    assert found["fast"].min_ms == pytest.approx(1.0)
    assert found["fast"].p50_ms == pytest.approx(10.0)
    assert found["fast"].ratio == pytest.approx(0.25)
    assert found["fast"].ratio_range == pytest.approx((0.25, 0.25))
    assert found["slow"].ratio == 1.0


def test_spread_shows_what_differs_from_round_to_round() -> None:
    clock, count = Clock(), 0

    def uneven() -> None:
        nonlocal count
        clock.spend(0.001 if count // 2 % 2 else 0.003)
        count += 1

    found = race(
        {"even": lambda: clock.spend(0.002), "uneven": uneven},
        reference="even", rounds=10, iterations=1, budget_s=100, timer=clock.timer,
    )  # fmt: skip
    assert found["uneven"].ratio_range == pytest.approx((0.5, 1.5))


def test_the_budget_ends_it_but_never_before_three_rounds() -> None:
    for budget, rounds in ((0.0, MIN_ROUNDS), (10.0, 10)):
        clock = Clock()
        found = race(
            {"only": lambda clock=clock: clock.spend(0.4975)},
            reference="only", iterations=1, budget_s=budget, timer=clock.timer,
        )  # fmt: skip
        assert found["only"].rounds == rounds


def test_no_collection_is_charged_to_anyone() -> None:
    seen = []
    race(
        {"only": lambda: seen.append(gc.isenabled())},
        reference="only",
        rounds=1,
        iterations=1,
        timer=Clock().timer,
    )
    assert seen == [False, False]
    assert gc.isenabled()


def test_mistakes_are_named() -> None:
    with pytest.raises(EdgeproofError, match=r"race: reference 'b' is not among a"):
        race({"a": lambda: None}, reference="b")
    with pytest.raises(EdgeproofError, match=r"race: 0 rounds of 5 calls, expected at least 1"):
        race({"a": lambda: None}, reference="a", rounds=0)
