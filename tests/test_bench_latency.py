import gc
from itertools import pairwise

import pytest

from bench.latency import Contestant, Timer, measure, one_line
from distill.errors import EdgeproofError
from distill.machine import CpuTimes


class FakeMachine:
    """A clock that only contestants and pauses move, and a log of who ran."""

    def __init__(self, *, steal_share=0.0):
        self.now = 0.0
        self.log = []
        self.steal_share = steal_share

    def timer(self):
        return Timer(clock=lambda: self.now, sleep=self.sleep, cpu_times=self.cpu_times)

    def sleep(self, seconds):
        self.now += seconds

    def cpu_times(self):
        return CpuTimes(busy=self.now + 1, steal=self.now * self.steal_share)

    def contestant(self, name, ms, *, fails_at=None, **options):
        """Takes ``ms`` a call: a number, or a function of the number of calls made."""

        def make():
            calls = 0

            def run():
                nonlocal calls
                calls += 1
                if calls == fails_at:
                    raise RuntimeError("out of memory\nsecond line")
                self.log.append(name)
                self.now += (ms(calls) if callable(ms) else ms) / 1e3

            return run

        identity = {"runtime": "torch", "precision": "fp32", "input_size": 224, "threads": 1}
        return Contestant(model=name, make=make, **identity | options)


def visits(log):
    """The log without repeats: who was visited after whom."""
    return [name for name, after in pairwise([*log, None]) if name != after]


def test_rounds_interleave_in_changing_order():
    fake = FakeMachine()
    names = ["a", "b", "c", "d"]
    measure([fake.contestant(n, 1.0) for n in names], rounds=12, iterations=2, warmup=3, timer=fake.timer())
    warm, timed = fake.log[:12], fake.log[12:]
    assert warm == ["a"] * 3 + ["b"] * 3 + ["c"] * 3 + ["d"] * 3
    orders = [timed[start : start + 12 : 3] for start in range(0, len(timed), 12)]
    assert len(orders) == 12
    assert all(sorted(order) == names for order in orders)
    # each visit is one untimed call and two timed ones, in one go
    assert all(len(set(timed[start : start + 3])) == 1 for start in range(0, len(timed), 3))
    assert len({tuple(order) for order in orders}) > 6
    assert {order[0] for order in orders} == set(names)


def test_percentiles_by_hand():
    fake = FakeMachine()
    # warm-up call 1; each visit's first call is untimed: rounds 1 and 2 time 3 4 5 and 7 8 9
    ramp = fake.contestant("ramp", lambda call: float(call))
    row = measure([ramp], rounds=2, iterations=3, warmup=1, timer=fake.timer()).rows[0]
    assert row.samples == 6
    assert (row.min_ms, row.p50_ms) == pytest.approx((3.0, 6.0))
    assert row.p90_ms == pytest.approx(8.5)
    assert row.p99_ms == pytest.approx(8.95)
    assert row.spread == pytest.approx((8.5 - 3.5) / 6)
    assert row.noisy
    assert row.speedup_vs_reference == pytest.approx(458 / 6)
    assert row.speedup_vs_resnet18_eager is None


def test_speedup_is_the_median_of_ratios_within_a_round():
    fake = FakeMachine()
    # one settling and one timed call a round; both slow down tenfold in the last round
    slow = {11: 10.0, 12: 10.0}
    reference = fake.contestant("r", lambda call: 40.0 * slow.get(call - 1, 1.0), reference=True)
    fast = fake.contestant("f", lambda call: 2.0 * slow.get(call - 1, 1.0))
    rows = measure([reference, fast], rounds=6, iterations=1, warmup=1, timer=fake.timer()).rows
    assert rows[0].speedup_vs_resnet18_eager == 1.0
    assert not rows[0].speedup_claimed
    assert rows[1].speedup_vs_resnet18_eager == pytest.approx(20.0)
    assert rows[1].speedup_ci == pytest.approx((20.0, 20.0))
    assert rows[1].speedup_claimed


def test_no_speedup_is_claimed_inside_the_spread():
    fake = FakeMachine()
    reference = fake.contestant("r", 10.0, reference=True)
    # faster in most rounds, slower in every third
    wobbly = fake.contestant("w", lambda call: 12.0 if call % 6 == 3 else 9.0)
    row = measure([reference, wobbly], rounds=9, iterations=1, warmup=1, timer=fake.timer()).rows[1]
    assert row.speedup_vs_resnet18_eager > 1.0
    assert row.speedup_ci[0] < 1.0
    assert not row.speedup_claimed


@pytest.mark.parametrize(("steal", "noisy"), [(0.0, False), (0.019, False), (0.05, True)])
def test_steal_makes_every_row_noisy(steal, noisy):
    fake = FakeMachine(steal_share=steal)
    result = measure([fake.contestant("a", 5.0)], rounds=5, timer=fake.timer())
    assert result.steal_share == pytest.approx(steal)
    assert result.rows[0].noisy is noisy
    record = result.record()
    assert record.noisy is noisy
    assert record.machine.steal_share == pytest.approx(steal)


def test_drift_between_the_halves_is_noisy():
    fake = FakeMachine()
    drifting = fake.contestant("a", lambda call: 10.0 if call <= 30 else 12.0)
    steady = fake.contestant("b", 10.0)
    rows = measure([drifting, steady], rounds=10, iterations=5, warmup=1, timer=fake.timer()).rows
    assert rows[0].spread < 0.5 and rows[0].noisy
    assert not rows[1].noisy


def test_unknown_steal_is_not_noise():
    fake = FakeMachine()
    timer = Timer(clock=lambda: fake.now, sleep=fake.sleep, cpu_times=lambda: None)
    result = measure([fake.contestant("a", 1.0)], rounds=3, timer=timer)
    assert result.steal_share is None
    assert not result.rows[0].noisy


@pytest.mark.parametrize("call", [1, 7], ids=["warming-up", "mid-way"])
def test_a_failing_contestant_gets_a_row_and_the_others_go_on(call):
    fake = FakeMachine()
    contestants = [
        fake.contestant("r", 4.0, reference=True),
        fake.contestant("bad", 1.0, fails_at=call),
        fake.contestant("good", 2.0),
    ]
    rows = measure(contestants, rounds=4, iterations=2, warmup=3, timer=fake.timer()).rows
    assert [row.status for row in rows] == ["ok", "failed", "ok"]
    assert rows[1].reason == "RuntimeError: out of memory"
    assert rows[1].p50_ms is None and rows[1].samples == 0
    assert rows[2].samples == 8
    assert rows[2].speedup_vs_resnet18_eager == pytest.approx(2.0)
    assert fake.log.count("bad") == call - 1


def test_without_its_reference_a_row_has_no_ratio():
    fake = FakeMachine()
    contestants = [fake.contestant("r", 4.0, reference=True, fails_at=5), fake.contestant("a", 2.0)]
    rows = measure(contestants, rounds=4, timer=fake.timer()).rows
    assert rows[0].status == "failed"
    assert rows[1].status == "ok"
    assert rows[1].speedup_vs_resnet18_eager is None and not rows[1].speedup_claimed


def test_skipped_contestants_are_never_made():
    fake = FakeMachine()
    skipped = fake.contestant("a", 1.0, skip_reason="this CPU has no bf16 instructions", bytes=7)
    row = measure([skipped], rounds=3, timer=fake.timer()).rows[0]
    assert (row.status, row.reason, row.bytes) == ("skipped", "this CPU has no bf16 instructions", 7)
    assert fake.log == []


def test_a_budget_ends_the_run_but_never_before_three_rounds():
    def rounds(budget):
        fake = FakeMachine()
        contestant = fake.contestant(
            "a", 95.0
        )  # 0.1 s a visit with its pause: 0.195 s with the settling call
        return measure(
            [contestant], rounds=50, iterations=1, warmup=1, budget_s=budget, timer=fake.timer()
        ).rounds

    assert rounds(None) == 50
    assert rounds(1.0) == 5  # 0.095 s of warm-up and five visits
    assert rounds(0.01) == 3


def test_progress_rises_to_its_total():
    fake, steps = FakeMachine(), []
    contestants = [fake.contestant(name, 1.0) for name in "ab"]
    measure(
        contestants,
        rounds=2,
        timer=fake.timer(),
        progress=lambda what, done, total: steps.append((done, total)),
    )
    assert steps == sorted(steps)
    assert steps[0] == (0, 6) and steps[-1] == (6, 6)


def test_the_collector_is_off_in_timed_calls_and_back_on_after():
    fake, seen = FakeMachine(), set()
    measure(
        [fake.contestant("a", lambda call: seen.add((call > 1, gc.isenabled())) or 1.0)],
        rounds=1,
        warmup=1,
        timer=fake.timer(),
    )
    assert seen == {(False, True), (True, False)}
    assert gc.isenabled()


def test_ctrl_c_is_not_a_failed_row():
    def make():
        raise KeyboardInterrupt

    fake = FakeMachine()
    contestant = Contestant(
        model="a", runtime="torch", precision="fp32", input_size=224, threads=1, make=make
    )
    with pytest.raises(KeyboardInterrupt):
        measure([contestant], timer=fake.timer())
    assert gc.isenabled()


def test_bad_arguments_are_named():
    fake = FakeMachine()
    with pytest.raises(EdgeproofError, match="bench rounds is 0, expected at least 1"):
        measure([], rounds=0)
    with pytest.raises(EdgeproofError, match="more than one reference"):
        measure([fake.contestant(name, 1.0, reference=True) for name in "ab"])


def test_reasons_are_one_short_line():
    assert one_line(EdgeproofError("model.onnx: missing")) == "model.onnx: missing"
    assert one_line(ValueError("")) == "ValueError"
    assert len(one_line(RuntimeError("x" * 1000))) == 300


def test_runners_are_let_go_after_the_run():
    import weakref

    class Model:
        def __call__(self):
            return None

    made = []

    def make():
        model = Model()
        made.append(weakref.ref(model))
        return model

    contestant = Contestant(
        model="a", runtime="torch", precision="fp32", input_size=224, threads=1, make=make, reference=True
    )
    result = measure([contestant], rounds=1, timer=FakeMachine().timer())
    assert result.rows[0].status == "ok"
    assert made[0]() is None
