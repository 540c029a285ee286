import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.samples import Dataset, Sample, Skipped
from distill.errors import EdgeproofError
from distill.pipeline import runfolder
from distill.pipeline.runfolder import SAMPLES, load_samples, save_samples

SHARES = st.floats(0, 1, allow_nan=False, width=32)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ANY_SAMPLE = st.builds(
    Sample,
    path=NAMES,
    label=st.sampled_from([-1, 0, 1]),
    split=st.sampled_from(["", "train", "valid", "test", "unlabelled"]),
    generator=NAMES,
    group=NAMES,
    box=st.none() | st.tuples(SHARES, SHARES, SHARES, SHARES),
    mask=st.none() | NAMES,
    span=st.none() | st.tuples(st.integers(0, 2**40), st.integers(0, 2**31)),
)


def dataset(root, samples, **fields):
    return Dataset(root=root, layout="class_folders", samples=tuple(samples), **fields)


def plain(count=3):
    return [Sample(path=f"{i}.jpg", label=i % 2, split="train", group=f"{i}.jpg") for i in range(count)]


@given(samples=st.lists(ANY_SAMPLE, max_size=6))
@settings(max_examples=60, deadline=None)
def test_what_is_saved_is_loaded(tmp_path_factory, samples):
    folder = tmp_path_factory.mktemp("run")
    saved = dataset(
        folder,
        samples,
        skipped=(Skipped(path='a "b"\n.jpg', reason="broken"),),
        problems=("line 3: no label",),
    )
    save_samples(saved, folder)
    assert load_samples(folder) == saved


def test_the_file_is_one_json_object_of_columns(tmp_path):
    save_samples(dataset(tmp_path, plain()), tmp_path)
    content = json.loads((tmp_path / SAMPLES).read_text())
    assert list(content) == ["root", "layout", "problems", "skipped", "columns"]
    assert content["columns"] == {
        "path": ["0.jpg", "1.jpg", "2.jpg"],
        "label": [0, 1, 0],
        "split": ["train"] * 3,
        "generator": [""] * 3,
    }  # groups that are paths, and boxes, masks and spans that are not there, take no room


def test_nan_is_refused(tmp_path):
    with pytest.raises(ValueError):
        save_samples(dataset(tmp_path, [Sample(path="a", label=0, box=(0, 0, float("nan"), 1))]), tmp_path)
    assert not list((tmp_path / "data").iterdir())


def test_the_list_is_read_once_until_it_changes(tmp_path, monkeypatch):
    save_samples(dataset(tmp_path, plain()), tmp_path)
    first = load_samples(tmp_path)
    monkeypatch.setattr(runfolder, "read_json", None)
    assert load_samples(tmp_path).samples is first.samples
    monkeypatch.undo()
    save_samples(dataset(tmp_path, plain(4)), tmp_path)
    os.utime(tmp_path / SAMPLES, ns=(1, 1))
    assert len(load_samples(tmp_path).samples) == 4


def test_another_run_folder_has_its_own_list(tmp_path):
    for count in (2, 3):
        folder = tmp_path / str(count)
        save_samples(dataset(tmp_path, plain(count)), folder)
        os.utime(folder / SAMPLES, ns=(1, 1))
    assert [len(load_samples(tmp_path / str(count)).samples) for count in (2, 3, 2)] == [2, 3, 2]


def test_a_moved_run_finds_its_simulated_images(tmp_path):
    simulated = tmp_path / "old" / "data" / "simulated"
    simulated.mkdir(parents=True)
    save_samples(dataset(simulated, plain()), tmp_path / "old")
    assert load_samples(tmp_path / "old").root == simulated
    (tmp_path / "old").rename(tmp_path / "new")
    assert load_samples(tmp_path / "new").root == tmp_path / "new/data/simulated"


def test_many_rows_share_their_few_names(tmp_path):
    save_samples(dataset(tmp_path, [replace(s, generator="g") for s in plain()]), tmp_path)
    first, second, _ = load_samples(tmp_path).samples
    assert first.split is second.split and first.generator is second.generator and first.group is first.path


def test_no_list(tmp_path):
    with pytest.raises(EdgeproofError, match="no such file, expected the list of samples"):
        load_samples(tmp_path)


@pytest.mark.parametrize(
    "text",
    ['{"root": "/"', "[]", '{"root": "/", "layout": "x", "samples": []}', "\xff"],
    ids=["cut short", "other JSON", "an earlier version's", "no UTF-8"],
)
def test_a_list_that_cannot_be_read_is_one_line(tmp_path, text):
    path = Path(tmp_path / SAMPLES)
    path.parent.mkdir()
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(EdgeproofError, match="cannot be read") as caught:
        load_samples(tmp_path)
    assert "\n" not in str(caught.value)
