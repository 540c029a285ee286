import io

import pytest
from rich.console import Console

from distill.pipeline import console as module
from distill.pipeline.console import ConsoleReporter
from distill.pipeline.progress_record import ProgressRecord
from distill.pipeline.stage import Stage
from distill.training.history import Epoch, History


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


def test_a_stage_that_was_not_whole_after_all_has_its_cost_back(out, clock):
    with ConsoleReporter(Console(file=out, force_terminal=False, width=100)) as reporter:
        reporter.begin([STAGES[0], stage(STAGES[1].name, 0)])
        reporter.start(STAGES[0], kept=False)
        clock[0] = 30.0
        reporter.finish(STAGES[0], seconds=30.0)
        reporter.start(STAGES[1], kept=False)
        assert reporter._seconds_left() == pytest.approx(3.0 * STAGES[1].cost)


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


# what was reckoned beforehand


def reckoned(out, clock):
    """Ten, thirty and sixty parts of work, reckoned to take a thousand seconds in all."""
    reporter = ConsoleReporter(Console(file=out, force_terminal=False, width=100), expected_s=1000.0)
    reporter.begin(STAGES)
    return reporter


def left_after(out) -> float:
    return float(out.getvalue().splitlines()[-1].partition("about ")[2].split()[0])


def test_the_estimate_starts_from_what_was_reckoned(out, clock):
    reporter = reckoned(out, clock)
    reporter.start(STAGES[0], kept=False)
    clock[0] = 21.0
    reporter.progress("data", 1, 1000)  # a hundredth of a tenth: of itself this would say 350 hours
    assert 15 < left_after(out) < 25


def test_what_is_seen_soon_counts_for_more(out, clock):
    reporter = reckoned(out, clock)
    reporter.start(STAGES[0], kept=False)
    clock[0] = 10.0
    reporter.finish(STAGES[0], seconds=10.0)  # ten times as fast as reckoned
    assert left_after(out) == pytest.approx(260 * 90 / 35 / 60, abs=0.06)
    reporter.start(STAGES[1], kept=False)
    clock[0] = 40.0
    reporter.finish(STAGES[1], seconds=30.0)
    assert left_after(out) == pytest.approx(290 * 60 / 65 / 60, abs=0.06)


# what a training learns


def training(tmp_path):
    return Stage("student:s", "distill", lambda *_: None, outputs=("students/s/history.json",), cost=10)


def history(path, *scores):
    epochs = tuple(
        Epoch(epoch=n, train_loss=1 / n, train_parts={}, valid_loss=0.5, valid_score=score)
        for n, score in enumerate(scores, start=1)
    )
    best = max(epochs, key=lambda epoch: epoch.valid_score).epoch if epochs else 0
    History(metric="AUC", epochs=epochs, best_epoch=best, seconds=1.0).write(path)


def test_epochs_are_told_while_a_training_goes_on_and_the_best_at_its_end(out, clock, tmp_path):
    stage = training(tmp_path)
    reporter = ConsoleReporter(Console(file=out, force_terminal=False, width=40), folder=tmp_path)
    reporter.begin([stage])
    reporter.start(stage, kept=False)
    clock[0] = 30.0
    reporter.progress("student:s", 1, 4)  # no epoch yet
    history(tmp_path / "students/s/epochs.json", 0.71)
    clock[0] = 60.0
    reporter.progress("student:s", 2, 4)
    history(tmp_path / "students/s/history.json", 0.71, 0.86, 0.83)
    reporter.finish(stage, seconds=90.0)
    first, second, last = out.getvalue().splitlines()
    assert first == "  ...    student:s, about 1.5 min left"
    assert second.startswith("  ...    student:s, epoch 1: loss 1.000, validation AUC 0.710, about")
    assert "student:s 90.0 s, best epoch 2 of 3: loss 0.500, validation AUC 0.860" in last


def test_finished_weights_and_other_stages_tell_nothing(out, clock, tmp_path):
    stage = training(tmp_path)
    history(tmp_path / "students/s/history.json")
    reporter = ConsoleReporter(Console(file=out, force_terminal=False, width=200), folder=tmp_path)
    reporter.begin([stage, STAGES[0]])
    for each in (stage, STAGES[0]):
        reporter.start(each, kept=False)
        reporter.finish(each, seconds=1.0)
    assert "epoch" not in out.getvalue() and "AUC" not in out.getvalue()


def test_programs_read_how_far_it_is_from_a_file(out, clock, tmp_path):
    path = tmp_path / "progress.json"
    console = Console(file=out, force_terminal=False)
    with ConsoleReporter(console, progress_file=path) as reporter:
        reporter.begin(STAGES)
        reporter.start(STAGES[0], kept=False)
        first = ProgressRecord.read(path)
        clock[0] = 0.5
        reporter.progress("data", 5, 10)
        assert ProgressRecord.read(path) == first  # once a second is enough
        clock[0] = 10.0
        reporter.progress("data", 5, 10)
    assert (first.share, first.seconds_left) == (0.0, None)
    found = ProgressRecord.read(path)
    assert (found.share, found.seconds_left, found.at_work) == (0.05, 190.0, "data")
