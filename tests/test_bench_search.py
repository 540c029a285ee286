"""The search for a student: what is drawn, what is kept, how it goes on, and the command on a tiny recipe."""

import json

import pytest
from conftest import TINY
from typer.testing import CliRunner

from bench.search import search as module
from bench.search.halving import front, plan, survivors
from bench.search.page import page_of, table
from bench.search.record import SEARCH, SearchRecord
from bench.search.search import Wish, search
from bench.search.space import SPACES
from bench.search.untrained import Size, Speed
from distill.cli.app import app
from distill.errors import EdgeproofError
from distill.page import html
from distill.recipe import load_recipe
from students import build_student

WISH = Wish(latency_ms=1.0, trials=9, students=tuple(SPACES))


def test_later_rungs_train_longer_and_hold_fewer():
    assert plan(candidates=20, epochs=18, eta=3, rungs=2) == ((2, 20), (6, 7))
    assert plan(candidates=5, epochs=2, eta=3, rungs=3) == ((1, 5),), (
        "a rung as long as the one before says nothing"
    )
    with pytest.raises(EdgeproofError, match="eta 1; expected at least"):
        plan(candidates=5, epochs=9, eta=1, rungs=2)


def test_who_is_fastest_stays_though_others_are_better():
    points = {
        "fast": (0.7, 0.1),
        "middle": (0.8, 0.2),
        "beaten": (0.79, 0.3),
        "best": (0.9, 0.4),
        "worst": (0.5, 0.5),
    }
    assert front(points) == ["fast", "middle", "best"]
    assert survivors(points, keep=3) == ["best", "middle", "fast"]
    assert survivors(points, keep=2) == ["best", "middle"]
    assert survivors(points, keep=4) == ["best", "middle", "fast", "beaten"]
    assert survivors(points, keep=9)[-1] == "worst"


class Machine:
    """Latencies and scores that are known; counts what is asked."""

    def __init__(self, monkeypatch):
        self.trained, self.made = [], []
        monkeypatch.setattr(module, "make_int8", self.make)
        monkeypatch.setattr(module, "speeds", self.speeds)

    def make(self, form, folder, *, preprocess, tool):
        self.made.append(form.name)
        if form.name == "mobilenet_v2-0.75":
            raise EdgeproofError("cannot be quantized")
        return Size(macs=len(form.name), params=1)

    def speeds(self, folders, *, threads, seconds):
        slow = {name for name in folders if name.startswith("mobilenet")}
        return {
            n: Speed(0.1, 9.0 if n in slow else 0.5 + i / 100, noisy=False) for i, n in enumerate(folders)
        }

    def train(self, forms, *, epochs):
        self.trained.append((epochs, [form.name for form in forms]))
        return {form.name: 0.6 + epochs / 1000 + index / 100 for index, form in enumerate(forms)}


def look(machine, out, *, wish=WISH, train=None):
    recipe = load_recipe(str(TINY))
    return search(recipe, wish, out=out, train=train or machine.train, say=lambda _: None, epochs=18)


def test_the_slow_are_never_trained_and_the_best_of_the_front_is_chosen(tmp_path, monkeypatch):
    machine = Machine(monkeypatch)
    record = look(machine, tmp_path)
    assert len({found.name for found in record.found}) == 9 and len(machine.made) == 9
    assert [epochs for epochs, _ in machine.trained] == [2, 6]
    first, second = (names for _, names in machine.trained)
    assert first and not any(name.startswith("mobilenet") for name in first)
    assert 0 < len(second) <= 3 and set(second) < set(first)
    assert record.chosen == max(second, key=lambda name: record.named(name).score)
    assert record.named(record.chosen).state == "chosen" and record.chosen in record.front
    assert SearchRecord.read(tmp_path / SEARCH) == record
    page = html.render(page_of(record))
    assert record.chosen in page and "too slow" in page and len(table(record).rows) == 9


def test_every_form_that_can_be_drawn_is_a_network(tmp_path, monkeypatch):
    record = look(
        Machine(monkeypatch), tmp_path, wish=Wish(latency_ms=1.0, trials=99, students=tuple(SPACES))
    )
    assert len(record.found) == 2 * 3 * 4 + 4 + 3, "all that there are, each once"
    for found in record.found:
        build_student(found.architecture, options=found.options)


def test_what_was_made_timed_and_trained_is_not_done_again(tmp_path, monkeypatch):
    machine = Machine(monkeypatch)

    def stopped(forms, *, epochs):
        if epochs == 6:
            raise KeyboardInterrupt
        return machine.train(forms, epochs=epochs)

    with pytest.raises(KeyboardInterrupt):
        look(machine, tmp_path, train=stopped)
    again = Machine(monkeypatch)
    record = look(again, tmp_path)
    assert not again.made and [epochs for epochs, _ in again.trained] == [6]
    assert look(Machine(monkeypatch), tmp_path) == record, "a finished one is only read"
    with pytest.raises(
        EdgeproofError, match=r"holds a search with budget_ms 1\.0, this one has 2\.0; expected another"
    ):
        look(machine, tmp_path, wish=Wish(latency_ms=2.0, trials=9, students=tuple(SPACES)))


def test_a_budget_that_nothing_meets_names_the_fastest(tmp_path, monkeypatch):
    with pytest.raises(
        EdgeproofError, match=r"no student of 28 takes 0\.1 ms or less at .* the fastest is .* with 0\.5"
    ):
        look(
            Machine(monkeypatch),
            tmp_path,
            wish=Wish(latency_ms=0.1, trials=31, students=("small_cnn", "rep_cnn"), seed=3),
        )


def test_the_command_finds_one_on_a_real_run_and_goes_on(tmp_path):
    command = ["search", "--latency-ms", "1000", "--recipe", str(TINY), "--trials", "2", "--students", "small_cnn",
               "--rungs", "1", "--no-full", "--json", "--out", str(tmp_path / "s"),
               "--set", "students.small_cnn.epochs=3"]  # fmt: skip
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    found = json.loads(first.stdout)
    assert found["chosen"].startswith("small_cnn-") and found["simulated"]
    assert all(0 <= form["rungs"][0]["score"] <= 1 and form["macs"] > 0 for form in found["found"])
    assert (tmp_path / "s" / "search.html").is_file() and (tmp_path / "s" / "study.log").is_file()
    assert not (tmp_path / "s" / "run" / "students" / found["chosen"] / "alone").exists(), (
        "no control in a short training"
    )
    assert json.loads(CliRunner().invoke(app, command).stdout) == found


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--students", "resnet19"], "unknown student to search 'resnet19'; choose one of: mobilenet_v2"),
        (["--data", "/nowhere"], "/nowhere: no such file or folder"),
        (["--quantizer", "inc"], "inc needs the network itself"),
        (["--recipe", "nothing"], "nothing"),
    ],
)
def test_wrong_values_are_one_line(wrong, said, tmp_path):
    result = CliRunner().invoke(
        app, ["search", "--latency-ms", "1", "--recipe", str(TINY), *wrong, "--out", str(tmp_path / "s")]
    )
    assert isinstance(result.exception, EdgeproofError) and said in str(result.exception)
    assert not (tmp_path / "s").exists()
