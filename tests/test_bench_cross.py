"""Trained on some generators, tested on all: what is learned from, the cells, and the command on a tiny set."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from typer.testing import CliRunner

from bench.cross.matrix import rows_of, unseen_of
from bench.cross.page import page_of, table
from bench.cross.record import CROSS, Cell, CrossRecord, RowOf
from distill.cli.app import app
from distill.cli.cross import choices
from distill.data.generators import learned_from
from distill.data.samples import GENERATED, REAL, Dataset, Sample
from distill.errors import EdgeproofError, GateFailedError
from distill.page import html
from distill.pipeline.runfolder import load_samples, save_arrays, save_samples
from distill.recipe import load_recipe
from distill.roster import roster_of

command_module = importlib.import_module(
    "distill.cli.cross"
)  # the package's attribute of that name is the function
NAMES = ("a", "b", "c")


def images(*splits: str) -> Dataset:
    """In each split six scenes, each real and by one of three generators in turn."""
    found = [
        Sample(
            f"{split}-{kind}-{i}.png",
            label,
            split,
            generator=NAMES[i % 3] if label else "",
            group=f"{split}{i}",
        )
        for split in splits
        for i in range(6)
        for kind, label in (("real", REAL), ("fake", GENERATED))
    ]
    return Dataset(root=Path("photos"), layout="manifest", samples=tuple(found))


def test_other_generators_leave_what_is_learned_from_and_stay_in_the_test():
    given = images("train", "valid", "unlabelled", "test")
    found, rows = learned_from(given, ["b"])
    assert [given.samples[row] for row in rows] == list(found.samples)
    for split, left in (
        ("train", {"", "b"}),
        ("valid", {"", "b"}),
        ("unlabelled", {"", "b"}),
        ("test", {"", *NAMES}),
    ):
        assert {sample.generator for sample in found.split(split)} == left, split
    assert sum(sample.label == REAL for sample in found.samples) == 24, "every real image stays"
    whole = images("train", "test")
    assert learned_from(whole, ()) == (whole, list(range(24)))
    with pytest.raises(
        EdgeproofError, match=r"data\.generators: 'd' has no image to train on; choose among: a, b, c"
    ):
        learned_from(whole, ["a", "d"])


def test_each_alone_each_left_out_and_all():
    found = list(choices(NAMES, mode="both"))
    assert [kind for kind, _ in found] == ["only"] * 3 + ["all but"] * 3 + ["all"]
    assert found[3] == ("all but", ("b", "c")) and found[-1] == ("all", NAMES)
    assert len(list(choices(NAMES[:2], mode="all-but"))) == 1, "of two, all but one is only the other"


def test_a_cell_is_one_generator_against_every_real_image(tmp_path):
    recipe = load_recipe(str(TINY))
    student = roster_of(recipe).distilled[0]
    dataset = images("test")
    save_samples(dataset, tmp_path)
    score = {"": 0.5, "a": 0.9, "b": 0.5, "c": 0.1}
    probabilities = np.array([score[sample.generator] for sample in dataset.split("test")])
    save_arrays(tmp_path / student.predictions, {"test": probabilities})
    [row] = rows_of(tmp_path, [("net", student)], kind="only", learned=["a"], generators=NAMES)
    found = [(cell.generator, cell.seen, cell.auc, cell.n) for cell in row.cells]
    assert found == [("a", True, 1.0, 2), ("b", False, 0.5, 2), ("c", False, 0.0, 2)]
    assert row.title == "only a"
    [unseen] = unseen_of([row])
    assert (unseen.mean, unseen.spread, unseen.worst, unseen.worst_tested) == (0.25, 0.5, 0.0, "c")
    everything = replace_cells(row)
    assert not list(unseen_of([everything])), "nothing is known of unseen ones where all were seen"


def replace_cells(row):
    return row.model_copy(
        update={"kind": "all", "cells": tuple(c.model_copy(update={"seen": True}) for c in row.cells)}
    )


def test_the_command_never_learns_from_a_generator_that_was_left_out(tmp_path):
    command = ["cross", str(TINY), "--mode", "only", "--out", str(tmp_path / "x"), "--json",
               "--set", "data.simulate.families=['transposed']", "--set", "data.simulate.held_out=['vae8']",
               "--set", "teacher.epochs=1", "--set", "students.small_cnn.epochs=1", "--set", "training.processes=1",
               "--set", "gates.accept=['file_bytes', 'compression']"]  # fmt: skip
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    record = CrossRecord.read(tmp_path / "x" / CROSS)
    assert json.loads(result.stdout)["generators"] == ["transposed", "vae8"] == list(record.generators)
    places = {
        "only-vae8": {"vae8"},
        "only-transposed": {"transposed"},
        "all-transposed-vae8": set(record.generators),
    }
    for place, kept in places.items():
        listed = load_samples(tmp_path / "x" / place)
        for split in ("train", "valid"):
            assert {s.generator for s in listed.split(split)} - {""} == kept, (place, split)
        assert {s.generator for s in listed.split("test")} - {""} == set(record.generators)
    assert len(record.rows) == 3 * 3, "three trainings of teacher, student alone and distilled"
    assert {row.model for row in record.rows} == {"teacher", "small_cnn alone", "small_cnn distilled"}
    assert (tmp_path / "x" / "cross.html").is_file() and (tmp_path / "x" / "cross_teacher.png").is_file()
    page = html.render(page_of(record))
    assert (
        "never saw" in page
        and "*" in table(record, "teacher").rows[0][1] + table(record, "teacher").rows[0][2]
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--mode", "some"], "--mode: given 'some'"),
        (["--set", "data.simulate.families=['vae8']", "--set", "data.simulate.held_out=[]",
          "--set", "data.simulate.scenes.heldout=0"], "found 1 generator(s): vae8; expected at least 2"),
    ],
)  # fmt: skip
def test_wrong_values_are_one_line(wrong, said, tmp_path):
    result = CliRunner().invoke(app, ["cross", str(TINY), *wrong, "--out", str(tmp_path / "x")])
    assert isinstance(result.exception, EdgeproofError) and said in str(result.exception)


def test_a_row_that_the_audit_stops_costs_no_other_and_the_exit_code_says_so(tmp_path, monkeypatch):
    trained = []

    def train(base, place, *, kind, learned, generators):
        trained.append(learned)
        if learned == ("transposed",):
            raise GateFailedError("data audit failed: bytes")
        cells = [
            Cell(generator=name, seen=name in learned, n=9, auc=0.8, auc_ci=(0.7, 0.9)) for name in generators
        ]
        return [RowOf(model="teacher", kind=kind, learned=learned, groups=30, cells=tuple(cells))]

    monkeypatch.setattr(command_module, "_trained", train)
    monkeypatch.setattr(command_module, "_generators", lambda base, folder: ("transposed", "vae8"))
    result = CliRunner().invoke(app, ["cross", str(TINY), "--out", str(tmp_path / "x")])
    assert isinstance(result.exception, GateFailedError) and result.exception.exit_code == 1
    assert "1 of the rows could not be trained; trained on transposed: data audit failed: bytes" in str(
        result.exception
    )
    assert len(trained) == 3 and len(CrossRecord.read(tmp_path / "x" / CROSS).rows) == 2
