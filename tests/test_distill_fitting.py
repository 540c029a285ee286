"""Fitting a head: folds of whole groups, hyper-parameters, soft labels, and what is refused in a line."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from distill.data.pixels import PixelSource
from distill.data.samples import Sample
from distill.errors import EdgeproofError
from distill.interface import distil
from distill.preprocess import PreprocessSpec
from distill.task import BINARY, MultiClass
from distill.training.checkpoint import load_weights, save_weights
from distill.training.embeddings import EmbeddingKey, backbone_hash, embed_once
from distill.training.fitting import Lesson, fit_head, folds_of, grid_of
from students import build_student
from students.embed import Embed

WIDTH = 12  # of a spectrum of 4 bands


def student(*, num_logits: int = 1, **options: object) -> Embed:
    found = build_student("spectrum", num_logits=num_logits, options={"bands": 4, **options})
    assert isinstance(found, Embed)
    return found


def lesson(count: int = 90, *, classes: int = 2, groups: int = 30) -> Lesson:
    random = np.random.default_rng(0)
    labels = np.arange(count) % classes
    embeddings = random.normal(size=(count, WIDTH)).astype(np.float32)
    embeddings[:, 0] += 1.5 * labels
    names = ("real", "generated") if classes == 2 else tuple("abc")
    return Lesson(
        embeddings, np.eye(classes)[labels], [str(n // classes % groups) for n in range(count)], names
    )


def test_no_group_is_in_two_folds_and_no_image_in_none() -> None:
    given = lesson()
    groups, held = np.array(given.groups), []
    for rest, part in folds_of(given, count=5, seed=0):
        assert not {*groups[rest]} & {*groups[part]}
        held += part.tolist()
    assert sorted(held) == list(range(90))


def test_the_search_takes_the_value_that_holds_on_other_groups() -> None:
    # groups of 3 near copies: one neighbour alone finds a copy only if groups were torn apart
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 60)
    centres = random.normal(size=(60, WIDTH)) + 0.8 * labels[:, None]
    embeddings = (centres.repeat(3, axis=0) + random.normal(0, 0.01, (180, WIDTH))).astype(np.float32)
    given = Lesson(
        embeddings, np.eye(2)[labels.repeat(3)], [str(n // 3) for n in range(180)], ("real", "generated")
    )
    network = student(head="knn", search={"n_neighbors": [1, 30]})
    found = fit_head(network, given, task=BINARY, seed=0, threads=1)
    assert found.chosen == {"n_neighbors": 30} and found.score is not None and 0.8 < found.score <= 1
    assert network.head.ranks.shape == (30,) and network.head.points.shape == (180, WIDTH)


def test_one_value_needs_no_search() -> None:
    few = replace(lesson(6, groups=3), groups=["a"] * 6)  # one group cannot be cut into folds
    found = fit_head(student(search={"C": [0.5]}), few, task=BINARY, seed=0, threads=1)
    assert found.chosen == {"C": 0.5} and found.score is None


def test_a_fitted_head_tells_classes_apart() -> None:
    for classes, task in ((2, BINARY), (3, MultiClass(("a", "b", "c")))):
        network, given = student(num_logits=task.num_logits), lesson(classes=classes)
        fit_head(network, given, task=task, seed=0, threads=1)
        said = network.classify(torch.from_numpy(given.embeddings)).numpy()
        assert task.score(given.likeliest, said) > 0.75


def test_progress_counts_every_fit_of_the_search() -> None:
    told: list[tuple[int, int]] = []
    network = student(search={"C": [0.1, 1.0]}, folds=3)
    fit_head(network, lesson(), task=BINARY, seed=0, threads=1, progress=lambda *at: told.append(at))
    assert told == [(n, 6) for n in range(1, 7)]


@pytest.mark.parametrize(
    "head", ["logistic", "linear_svm", "rbf_svm", "knn", "random_forest", "gradient_boosting"]
)
def test_every_head_learns_soft_labels(head: str) -> None:
    # labels say nothing; the teacher's shares do
    random, given = np.random.default_rng(3), lesson(120)
    embeddings = random.normal(size=(120, WIDTH)).astype(np.float32)
    sure = 1 / (1 + np.exp(-3 * embeddings[:, 1]))
    shares = np.stack([1 - sure, sure], axis=1)
    network = student(head=head, folds=2)
    fit_head(network, replace(given, embeddings=embeddings, shares=shares), task=BINARY, seed=0, threads=1)
    said = network.classify(torch.from_numpy(embeddings)).numpy()
    assert np.corrcoef(said, embeddings[:, 1])[0, 1] > 0.7


def test_a_fitted_student_is_saved_and_loaded_whole(tmp_path: Path) -> None:
    network, images = (
        student(head="random_forest", search={"n_estimators": [3]}, folds=2),
        torch.randn(4, 3, 32, 32),
    )
    fit_head(network, lesson(), task=BINARY, seed=0, threads=1)
    save_weights(network, tmp_path / "w.safetensors", sidecar={})
    other = student(head="random_forest")
    load_weights(other, tmp_path / "w.safetensors")
    torch.testing.assert_close(other(images).logits, network(images).logits)


# --- embeddings ---------------------------------------------------------------------------------------------


def _pixels(count: int) -> PixelSource:
    images = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    samples = tuple(Sample(path=f"{n}.png", label=n % 2) for n in range(count))
    return PixelSource(root=Path(), samples=samples, spec=PreprocessSpec(size=32), cache=images)


def test_embeddings_are_computed_once_and_not_for_another_backbone(tmp_path: Path) -> None:
    options = {"backbone": "timm:test_efficientnet"}
    one, other = (build_student("embed", options=options) for _ in range(2))
    assert isinstance(one, Embed) and isinstance(other, Embed)
    pixels, shown = _pixels(5), []
    one.backbone.register_forward_hook(lambda *_: shown.append(1))
    key = EmbeddingKey(backbone_hash(one), pixels.spec, "samples", ("train",))
    first = embed_once(one, pixels, key=key, folder=tmp_path)
    calls = len(shown)
    np.testing.assert_array_equal(embed_once(one, pixels, key=key, folder=tmp_path), first)
    assert len(shown) == calls
    assert backbone_hash(other) != backbone_hash(one) == backbone_hash(one)
    theirs = replace(key, backbone=backbone_hash(other))
    key.path(tmp_path).rename(theirs.path(tmp_path))
    with pytest.raises(EdgeproofError, match="embeddings of another backbone.*delete the file") as caught:
        embed_once(other, pixels, key=theirs, folder=tmp_path)
    assert "\n" not in str(caught.value)


def test_two_spectra_of_other_bands_are_other_backbones() -> None:
    assert backbone_hash(student()) != backbone_hash(student(bands=5))


# --- bad input ----------------------------------------------------------------------------------------------


def refused(network: Embed, given: Lesson) -> str:
    with pytest.raises(EdgeproofError) as caught:
        fit_head(network, given, task=BINARY, seed=0, threads=1)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_too_few_groups_of_a_class_are_refused() -> None:
    given = lesson(groups=4)
    assert refused(student(), given).startswith(
        "options.folds: class 'real' has images of 4 groups to train on, expected at least one for each of 5 folds"
    )


def test_a_class_without_an_image_is_refused() -> None:
    given = lesson()
    only = replace(given, shares=np.eye(2)[np.zeros(90, int)])
    assert "class 'generated': found no image to train on" in refused(student(), only)


def test_a_fold_without_a_class_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unlucky:
        def __init__(self, **_: object) -> None: ...

        def split(
            self, embeddings: np.ndarray, labels: np.ndarray, groups: np.ndarray
        ) -> list[tuple[np.ndarray, ...]]:
            return [(np.flatnonzero(labels == 0), np.flatnonzero(labels == 1))]

    monkeypatch.setattr("distill.training.fitting.StratifiedGroupKFold", Unlucky)
    assert refused(student(folds=3), lesson()).startswith(
        "options.folds: fold 1 of 3 has no image of class 'generated', expected every class in every fold"
    )


def test_more_neighbours_than_images_are_refused() -> None:
    network = student(head="knn", search={"n_neighbors": [100]})
    assert "options.search.n_neighbors: found 100, expected at most the 90 images" in refused(
        network, lesson()
    )


def test_hyper_parameters_are_checked_by_name_and_value() -> None:
    with pytest.raises(EdgeproofError, match=re.escape("choose one of: C, gamma")):
        grid_of(student(head="rbf_svm", search={"kernel": ["linear"]}))
    with pytest.raises(EdgeproofError, match=re.escape("options.search.max_depth: found 0")):
        grid_of(student(head="random_forest", search={"max_depth": [0]}))


def test_a_head_whose_package_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(
        EdgeproofError, match=re.escape("options.head: lightgbm needs what is not there")
    ) as caught:
        grid_of(student(head="lightgbm"))
    assert "pip install 'edgeproof[boosting]'" in str(caught.value) and "\n" not in str(caught.value)


def test_hyper_parameters_of_lightgbm_are_numbers() -> None:
    with pytest.raises(
        EdgeproofError, match=re.escape("options.search.num_leaves: found -3, expected a number")
    ):
        grid_of(student(head="lightgbm", search={"num_leaves": [-3]}))


def test_it_is_not_trained_from_python() -> None:
    with pytest.raises(EdgeproofError, match="student: Embed is fitted, not trained"):
        distil(student=student(), data=[])
