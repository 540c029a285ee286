import gc
from dataclasses import replace
from itertools import pairwise

import pytest
from fake_machine import FakeMachine, interrupt

from bench.latency import Contestant, measure, one_line
from distill.errors import EdgeproofError


def visits(log):
    """The log without repeats: who was visited after whom."""
    return [name for name, after in pairwise([*log, None]) if name != after]


def test_rounds_interleave_in_changing_order():
    fake = FakeMachine()
    names = ["a", "b", "c", "d"]
    measure([fake.contestant(n, 1.0) for n in names], rounds=9, iterations=2, warmup=3, timer=fake.timer())
    warm, timed = fake.log[:24], fake.log[24:]
    assert visits(warm) == names and warm.count("a") == 6  # two windows of three that agree
    orders = [timed[start : start + 16 : 4] for start in range(0, len(timed), 16)]
    assert len(orders) == 9
    assert all(sorted(order) == names for order in orders)
    # each visit is two untimed calls and two timed ones, in one go
    assert all(len(set(timed[start : start + 4])) == 1 for start in range(0, len(timed), 4))
    assert len({tuple(order) for order in orders}) > 5


def test_warm_up_goes_on_until_the_median_settles_but_not_for_ever():
    fake = FakeMachine()
    falling = fake.contestant("a", lambda call: max(1.0, 9.0 - call))
    measure([falling], rounds=1, iterations=1, warmup=2, timer=fake.timer())
    assert len(fake.log) == 12 + 3  # windows of 7.5 5.5 3.5 1.5 1 and 1, then a visit
    fake = FakeMachine()
    restless = fake.contestant("a", lambda call: float(2**call))
    measure([restless], rounds=1, iterations=1, warmup=2, timer=fake.timer())
    assert len(fake.log) == 20 + 2  # so long that the second untimed call is spared


def test_percentiles_by_hand():
    fake = FakeMachine()
    # warm-up of ten calls that never settle; each visit's first call is untimed: 12 13 14 and 16 17 18
    ramp = fake.contestant("ramp", lambda call: float(call if call > 10 else 2**call))
    row = measure([ramp], rounds=2, iterations=3, warmup=1, timer=fake.timer()).rows[0]
    assert row.samples == 6
    assert (row.min_ms, row.p50_ms) == pytest.approx((12.0, 15.0))
    assert row.p90_ms == pytest.approx(17.5)
    assert row.p99_ms == pytest.approx(17.95)
    assert row.spread == pytest.approx((17.5 - 12.5) / 15)
    assert row.mad_ms == pytest.approx(2.0)
    assert row.noisy  # it drifts
    assert row.speedup_vs_reference == pytest.approx(458 / 15)
    assert row.speedup_vs_resnet18_eager is None


def test_only_one_image_of_224_pixels_compares_with_the_reports():
    fake = FakeMachine()
    contestants = [
        fake.contestant("a", 1.0),
        fake.contestant("b", 1.0, input_size=64),
        fake.contestant("c", 1.0, batch=8),
    ]
    rows = measure(contestants, rounds=3, timer=fake.timer()).rows
    assert [row.speedup_vs_reference for row in rows] == [pytest.approx(458.0), None, None]


def test_the_shown_ratio_is_that_of_the_shown_medians():
    fake = FakeMachine()
    reference = fake.contestant("r", lambda call: 40.0 + call % 7, reference=True)
    fast = fake.contestant("f", lambda call: 2.0 - call % 3 / 9)
    rows = measure([reference, fast], rounds=20, iterations=3, warmup=1, timer=fake.timer()).rows
    assert rows[1].speedup_vs_resnet18_eager == rows[0].p50_ms / rows[1].p50_ms
    low, high = rows[1].speedup_ci
    assert low <= rows[1].speedup_vs_resnet18_eager <= high
    assert rows[1].speedup_claimed and not rows[1].speedup_disagrees
    assert rows[0].speedup_vs_resnet18_eager == 1.0 and not rows[0].speedup_claimed


def test_a_ratio_that_its_rounds_do_not_bear_out_is_flagged():
    fake = FakeMachine()
    # the reference is mostly slow and we are mostly fast, yet in most rounds both are the same
    reference_slow, own_slow = range(8, 20), range(8, 15)

    def ms(slow):
        return lambda call: (
            10.0 if (call - 3) // 2 in slow else 1.0
        )  # after two calls of warm-up, one timed call of two

    contestants = [
        fake.contestant("r", ms(reference_slow), reference=True),
        fake.contestant("f", ms(own_slow)),
    ]
    row = measure(contestants, rounds=20, iterations=1, warmup=1, timer=fake.timer()).rows[1]
    assert row.speedup_vs_resnet18_eager == pytest.approx(10.0)
    assert row.speedup_ci[1] < 10 and row.speedup_disagrees
    assert not row.speedup_claimed


def test_ratios_compare_the_same_size_threads_batch_and_scope():
    fake = FakeMachine()
    contestants = [
        fake.contestant("r64", 4.0, reference=True, input_size=64),
        fake.contestant("r224", 40.0, reference=True),
        fake.contestant("re64", 6.0, reference=True, input_size=64, scope="end_to_end"),
        fake.contestant("a64", 2.0, input_size=64),
        fake.contestant("a224", 2.0),
        fake.contestant("e64", 2.0, input_size=64, scope="end_to_end"),
        fake.contestant("two threads", 2.0, threads=2),
        fake.contestant("batch", 2.0, batch=8),
    ]
    rows = measure(contestants, rounds=12, timer=fake.timer()).rows
    ratios = {row.model: row.speedup_vs_resnet18_eager for row in rows}
    assert {name: ratios[name] and round(ratios[name], 6) for name in ratios} == {
        "r64": 1.0, "r224": 1.0, "re64": 1.0, "a64": 2.0, "a224": 20.0, "e64": 3.0, "two threads": None, "batch": None,
    }  # fmt: skip


def test_no_speedup_is_claimed_inside_the_spread():
    fake = FakeMachine()
    reference = fake.contestant("r", 10.0, reference=True)
    # faster in most rounds, slower in every third
    wobbly = fake.contestant("w", lambda call: 12.0 if call % 6 == 4 else 9.0)
    row = measure([reference, wobbly], rounds=30, iterations=1, warmup=1, timer=fake.timer()).rows[1]
    assert row.speedup_vs_resnet18_eager > 1.0
    assert not row.speedup_claimed


def test_no_speedup_is_claimed_of_a_few_rounds():
    fake = FakeMachine()
    contestants = [fake.contestant("r", 10.0, reference=True), fake.contestant("a", 1.0)]
    assert not measure(contestants, rounds=5, timer=fake.timer()).rows[1].speedup_claimed
    assert measure(contestants, rounds=10, timer=fake.timer()).rows[1].speedup_claimed


def test_two_hundred_calls_are_enough_and_so_is_a_median_that_is_known():
    fake = FakeMachine()
    steady = fake.contestant("steady", 1.0)
    wild = fake.contestant("wild", lambda call: 1.0 + call % 9)
    rows = measure([steady, wild], rounds=1000, iterations=4, timer=fake.timer()).rows
    assert [row.samples for row in rows] == [40, 200]


def test_the_reference_goes_on_as_long_as_one_is_compared_with_it():
    fake = FakeMachine()
    reference = fake.contestant("r", 1.0, reference=True)
    wild = fake.contestant("wild", lambda call: 1.0 + call % 9)
    rows = measure([reference, wild], rounds=1000, iterations=4, timer=fake.timer()).rows
    assert [row.samples for row in rows] == [200, 200]


@pytest.mark.parametrize("call", [1, 10], ids=["warming-up", "mid-way"])
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


@pytest.mark.parametrize("budget", [0.5, 2.0, 10.0])
def test_the_time_limit_is_kept_with_set_up_and_slow_contestants_counted(budget):
    fake = FakeMachine()

    def make():
        fake.now += 0.1
        return fake.contestant("slow", 95.0).make()

    slow = replace(fake.contestant("slow", 95.0), make=make)
    contestants = [slow, *(fake.contestant(name, 1.0) for name in "abc")]
    result = measure(contestants, rounds=1000, budget_s=budget, timer=fake.timer())
    assert fake.now <= budget + 0.1
    assert result.seconds == pytest.approx(fake.now)
    assert {row.status for row in result.rows[1:]} == {"ok"}


def test_a_slow_contestants_visits_shrink_so_that_there_are_ten_rounds():
    fake = FakeMachine()
    contestants = [fake.contestant("slow", 95.0), fake.contestant("fast", 1.0)]
    slow, fast = measure(contestants, rounds=1000, iterations=5, budget_s=6.0, timer=fake.timer()).rows
    assert 10 <= slow.samples <= 40
    assert fast.samples >= 50


def test_what_the_time_limit_left_no_time_for_is_a_skipped_row():
    fake = FakeMachine()

    def make():
        fake.now += 3.0
        return lambda: None

    contestants = [replace(fake.contestant(name, 1.0), make=make) for name in "ab"]
    rows = measure(contestants, budget_s=4.0, timer=fake.timer()).rows
    assert [row.status for row in rows] == ["ok", "skipped"]
    assert rows[1].reason == "the time limit left no time to set it up"


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
    assert steps[0] == (0, 200) and steps[-1] == (200, 200)


def test_mlperf_wants_1024_queries_and_sixty_seconds_and_drops_none():
    fake = FakeMachine()
    quick = fake.contestant("quick", 10.0, spoil=interrupt(fake, every=10, ms=30.0))
    slow = fake.contestant("slow", 100.0)
    result = measure([quick, slow], rules="mlperf", rounds=3, timer=fake.timer())
    assert result.rules == "mlperf" and result.record().rules == "mlperf"
    quick_row, slow_row = result.rows
    assert quick_row.samples * 13.0 / 1e3 >= 59 and quick_row.p90_ms == pytest.approx(10.0, rel=1)
    assert quick_row.p99_ms == pytest.approx(40.0) and quick_row.spoiled > 0
    assert slow_row.samples >= 1024


def test_the_collector_is_off_in_timed_calls_and_back_on_after():
    fake, seen = FakeMachine(), set()
    measure(
        [fake.contestant("a", lambda call: seen.add(gc.isenabled()) or 1.0)], rounds=1, timer=fake.timer()
    )
    assert seen == {False}
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
    with pytest.raises(EdgeproofError, match="unknown rules 'iso'"):
        measure([], rules="iso")
    with pytest.raises(EdgeproofError, match="more than one reference contestant at 224 pixels, 1 threads"):
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
