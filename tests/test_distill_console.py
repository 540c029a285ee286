import io

import pytest
from rich.console import Console

from distill.pipeline import console as module
from distill.pipeline.console import ConsoleReporter
from distill.pipeline.stage import Stage


def stage(name, cost):
    return Stage(name, "verb", lambda *_: None, lambda _: None, cost=cost)


STAGES = [stage("data", 10), stage("student:small:seed0:control", 30), stage("report", 60)]


@pytest.fixture
def out():
    return io.StringIO()


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_a_stage(out, clock):
    with ConsoleReporter(Console(file=out, force_terminal=False, width=100)) as reporter:
        reporter.begin(STAGES)
        reporter.start(STAGES[0], kept=True)
        reporter.start(STAGES[1], kept=False)
        clock[0] = 30.0
        reporter.finish(STAGES[1], seconds=30.0)
        reporter.start(STAGES[2], kept=False)
        clock[0] = 100.0
        reporter.finish(STAGES[2], seconds=70.04)
    # what was kept costs nothing; a third of the rest took 30 s, so 60 s are left
    assert out.getvalue().splitlines() == [
        "  kept   data",
        "  done   student:small:seed0:control 30.0 s, about 1.0 min left",
        "  done   report 70.0 s, about 0.0 min left",
    ]


def test_a_long_stage_speaks_now_and_then(out, clock):
    with ConsoleReporter(Console(file=out, force_terminal=False, width=100)) as reporter:
        reporter.begin(STAGES[2:])
        reporter.start(STAGES[2], kept=False)
        for second in range(0, 61):
            clock[0] = float(second)
            reporter.progress("report", second, 100)
    lines = out.getvalue().splitlines()
    assert lines == [  # after 21 and 42 s of what will take 100
        "  ...    report, about 1.3 min left",
        "  ...    report, about 1.0 min left",
    ]


def test_stages_side_by_side_share_the_bar(out, clock):
    with ConsoleReporter(Console(file=out, force_terminal=True, width=100)) as reporter:
        reporter.begin(STAGES)
        for stage in STAGES[:2]:
            reporter.start(stage, kept=False)
        reporter.progress("data", 1, 2)
        reporter.progress("student:small:seed0:control", 1, 3)
        assert reporter.bar.tasks[0].completed == pytest.approx(5 + 10)
        reporter.finish(STAGES[0], seconds=1.0)
        assert reporter.bar.tasks[0].completed == pytest.approx(10 + 10)
        assert reporter.bar.tasks[0].description == "student:small:seed0:control"


def test_progress_before_anything_began_is_harmless(out):
    reporter = ConsoleReporter(Console(file=out, force_terminal=False))
    reporter.progress("data", 1, 2)
    reporter.begin(STAGES)
    reporter.progress("data", 1, 2)
    reporter.start(STAGES[0], kept=False)
    reporter.progress("data", 1, 0)
    assert out.getvalue() == ""


def test_a_terminal_gets_a_bar_that_goes_away(out):
    with ConsoleReporter(Console(file=out, force_terminal=True, width=100)) as reporter:
        reporter.begin(STAGES)
        reporter.start(STAGES[0], kept=False)
        reporter.progress("data", 1, 2)
        assert reporter.bar.tasks[0].completed == 5 and reporter.bar.tasks[0].total == 100
        reporter.finish(STAGES[0], seconds=1.0)
        assert reporter.bar.tasks[0].completed == 10
    assert "data" in out.getvalue()
