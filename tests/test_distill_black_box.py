"""A teacher that is a table of answers: found by path, complete, the right way round, and cached as a network's would be."""

import json
import os

import numpy as np
import pytest
from conftest import TINY
from PIL import Image

from distill.check import check_names
from distill.data.predictions import answers_of, read_predictions
from distill.data.samples import Dataset, Sample
from distill.errors import EdgeproofError
from distill.pipeline.runfolder import load_arrays, save_samples
from distill.pipeline.stage import Run
from distill.recipe import load_recipe
from distill.roster import roster_of
from distill.stages.listening import open_sources
from distill.stages.sources import shown_views, sources_of
from distill.stages.teacher import cache_outputs, train_teacher
from distill.training.checkpoint import read_sidecar

COUNT = 40


def probability(index: int) -> float:
    """Of image ``index``: generated where it is odd, mostly."""
    return 0.1 + 0.02 * (index % 7) + (0.6 if index % 2 else 0.0)


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / "photos"
    for index in range(COUNT):
        path = root / ("fake" if index % 2 else "real") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 40, 3), 6 * index, np.uint8)).save(path)
    return root


def name_of(index: int) -> str:
    return f"{'fake' if index % 2 else 'real'}/{index}.png"


def write_table(path, names, *, column="path", turned=False):
    rows = [f"{name},{1 - probability(i) if turned else probability(i)}" for i, name in names.items()]
    path.write_text("\n".join([f"{column},probability", *rows]) + "\n")
    return path


def dataset_of(root):
    samples = tuple(
        Sample(path=name_of(i), label=i % 2, split=("train", "train", "valid", "test")[i // 2 % 4])
        for i in range(COUNT)
    )
    return Dataset(root=root, layout="class_folders", samples=samples)


# the table


@pytest.mark.parametrize(
    "form", ["below the data", "with the folder's name", "absolute", "below the table", "parquet"]
)
def test_images_are_found_however_they_are_named(form, photos, tmp_path):
    dataset, table = dataset_of(photos), tmp_path / "elsewhere" / "said.csv"
    table.parent.mkdir()
    prefix = {
        "below the data": "", "with the folder's name": "photos/", "absolute": f"{photos}/",
        "below the table": os.path.relpath(photos, table.parent) + "/", "parquet": "./",
    }[form]  # fmt: skip
    names = {i: prefix + name_of(i) for i in reversed(range(COUNT))}
    if form == "parquet":
        import pyarrow
        from pyarrow import parquet

        table = table.with_suffix(".parquet")
        columns = {"image": [*names.values()], "probability": [probability(i) for i in names]}
        parquet.write_table(pyarrow.table(columns), table)
    else:
        write_table(table, names, column="image")
    found = answers_of(read_predictions(table), dataset, dataset.samples, key="teacher.predictions")
    expected = np.array([probability(i) for i in range(COUNT)])
    np.testing.assert_allclose(1 / (1 + np.exp(-found)), expected)


def refused(photos, table) -> str:
    dataset = dataset_of(photos)
    with pytest.raises(EdgeproofError) as caught:
        answers_of(read_predictions(table), dataset, dataset.samples, key="teacher.predictions")
    assert "\n" not in str(caught.value) and table.name in str(caught.value)
    return str(caught.value)


def test_tables_that_cannot_teach_are_refused_in_a_line(photos, tmp_path):
    table = tmp_path / "t.csv"
    names = {i: name_of(i) for i in range(COUNT)}
    write_table(table, {i: name for i, name in names.items() if i not in (5, 9)})
    assert "2 of 40 images have no probability, the first fake/5.png" in refused(photos, table)
    write_table(table, names, turned=True)
    assert "worse than guessing" in refused(photos, table) and "that of real" in refused(photos, table)
    table.write_text("path,probability\nreal/0.png,1.2\n")
    assert "line 2: probability is '1.2', expected a number from 0 to 1" in refused(photos, table)
    table.write_text("path,probability\na,0.2\na,0.3\n")
    assert "a has the probability 0.3, and 0.2 above" in refused(photos, table)
    table.write_text("path,score\na,0.2\n")
    assert "no column 'probability', found 'path', 'score'" in refused(photos, table)
    table.write_text("file,probability\na,0.2\n")
    assert "names no image, expected one in the column path or image" in refused(photos, table)


def test_what_predict_writes_is_such_a_table(photos, tmp_path):
    table = tmp_path / "predicted.csv"
    table.write_text("path,label,answer,probability\nreal/0.png,real,real,0.25\n")
    assert read_predictions(table).probabilities == {"real/0.png": 0.25}


# in a recipe


def recipe(table, *more):
    methods = "distillation.methods=[{name='soft_bce'}]"
    return load_recipe(str(TINY), overrides=[f"teacher.predictions={table}", methods, *more])


def test_a_black_box_is_no_network(tmp_path):
    given = recipe(tmp_path / "t.csv")
    roster = roster_of(given, runtimes={"ort": "onnxruntime"})
    [teacher] = roster.teachers
    assert teacher.black_box and given.teacher.options == {} and given.teacher.sees == "clean"
    assert roster.deployed == roster.distilled and teacher not in roster.networks
    assert {artifact.model.name for artifact in roster.artifacts} == {"small_cnn"}
    for more, said in (
        ("teacher.weights=sim-64", "weights beside predictions"),
        ("teacher.source=online", 'source = "cached" beside predictions'),
        ("teacher.sees=view", 'sees = "clean" beside predictions'),
    ):
        with pytest.raises(EdgeproofError, match=said):
            recipe(tmp_path / "t.csv", more)


def test_a_dry_run_checks_the_table(photos, tmp_path):
    names = {i: name_of(i) for i in range(COUNT)}
    good = recipe(write_table(tmp_path / "t.csv", names), f"data.path={photos}")
    check_names(good, roster_of(good))
    for table, said in (
        (write_table(tmp_path / "turned.csv", names, turned=True), "that of real"),
        (write_table(tmp_path / "part.csv", {0: name_of(0), 1: name_of(1)}), "38 of 40 images"),
        (tmp_path / "none.csv", "no such file"),
    ):
        bad = recipe(table, f"data.path={photos}")
        with pytest.raises(EdgeproofError, match=rf"^teacher\.predictions: .*{said}"):
            check_names(bad, roster_of(bad))


def test_its_answers_stand_where_a_networks_would(photos, tmp_path):
    table = write_table(tmp_path / "t.csv", {i: name_of(i) for i in range(COUNT)})
    given = recipe(table, "augmentation.jpeg.probability=0.9")
    run, roster = Run(tmp_path / "run", given), roster_of(given)
    save_samples(dataset_of(photos), run.folder)
    (run.folder / "data" / "summary.json").write_text(
        json.dumps({
            "schema_version": 1, "layout": "class_folders", "simulated": False, "splits": {}, "generators": {},
            "held_out": [], "skipped": [],
        })
    )  # fmt: skip
    [teacher] = roster.teachers
    train_teacher(run, lambda *_: None, model=teacher)
    about = read_sidecar(run.folder / "teacher" / "weights.safetensors")
    assert about["adopted_from"] == "t.csv" and about["metric"]["valid"] == 1.0
    rows = [i for i in range(COUNT) if i // 2 % 4 == 2]
    said = load_arrays(run.folder / teacher.logits)["valid"]
    np.testing.assert_allclose(1 / (1 + np.exp(-said)), [probability(i) for i in rows], rtol=1e-6)

    [source] = sources_of(given, roster)
    assert source.clean and source.views.count == 1
    cache_outputs(run, lambda *_: None, source=source)
    found = open_sources(run, (source,), student=roster.trainings[0]).cached["teacher"]
    taught = [i for i in range(COUNT) if i // 2 % 4 < 2]
    indices = np.arange(len(taught))
    for view in (0, 1, 5):  # mirrored or not, whatever the augmentation
        logits = found.outputs(indices, indices * 0 + view).logits.numpy()
        np.testing.assert_allclose(1 / (1 + np.exp(-logits)), [probability(i) for i in taught], rtol=1e-5)
    assert not shown_views(given, roster).fixed, "no cache binds the student's views"
