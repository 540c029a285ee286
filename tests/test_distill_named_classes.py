"""K classes of any names: how a recipe states them, how folders and tables are read, what is refused before any work."""

from pathlib import Path

import numpy as np
import pytest
from cli import edgeproof, one_line_error
from PIL import Image

from distill.check import check_names
from distill.data.audit.audit import audit
from distill.data.audit.classes import NOT_ASKED
from distill.data.layouts import load_dataset
from distill.data.samples import Dataset, Sample
from distill.data.scan import scan
from distill.data.splits import with_splits
from distill.data.summary import summarise
from distill.errors import EdgeproofError
from distill.recipe import GateSettings, Recipe, load_recipe, parse_recipe, to_toml
from distill.roster import roster_of
from distill.task import Families, MultiClass, find_task

LABELS = ("cat", "dog", "bird")
TASK = {"kind": "multiclass", "labels": list(LABELS)}
FAMILIES = {"kind": "families", "labels": ["real", "vae8", "blend"]}
SIMULATED = {"simulate": {"families": ["vae8", "blend"]}}


def recipe(**sections) -> Recipe:
    values = {
        "name": "classes", "task": TASK, "data": {"path": "photos"}, "students": {"s": {"name": "small_cnn"}},
        "teacher": {"name": "efficientnet_fpn_cbam", "options": {"backbone": "test_efficientnet"}},
        "distillation": {"methods": [{"name": "kl"}]},
    }  # fmt: skip
    return parse_recipe({**values, **sections}, origin="r.toml")


def draw(path: Path, *, seed: int, size: int = 24) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST).save(path)


def folders(root: Path, *, each: int = 8) -> Path:
    for label, name in enumerate(LABELS):
        for number in range(each):
            draw(root / name / f"{number}.png", seed=100 * label + number)
    return root


# --- the recipe -------------------------------------------------------------------------------------------


def test_a_bare_word_and_a_section_name_a_task() -> None:
    assert (
        recipe(task="binary").task.kind == "binary" and find_task(recipe(task="binary").task).num_logits == 1
    )
    assert find_task(recipe().task) == MultiClass(LABELS)
    assert find_task(recipe(task=FAMILIES).task) == Families(families=("vae8", "blend"))


@pytest.mark.parametrize("task", ["binary", TASK, FAMILIES])
def test_the_resolved_recipe_reads_back(task, tmp_path: Path) -> None:
    found = recipe(task=task)
    (tmp_path / "r.toml").write_text(to_toml(found))
    assert load_recipe(str(tmp_path / "r.toml")) == found
    assert ('task = "binary"' in to_toml(found)) == (task == "binary")


@pytest.mark.parametrize("task", ["families", {"kind": "families"}])
def test_a_simulated_set_names_its_families(task) -> None:
    assert recipe(task=task, data=SIMULATED).task.labels == ("real", "vae8", "blend")
    usual = recipe(task=task, data={"simulate": {}})
    assert usual.task.labels == ("real", *usual.data.simulate.families)
    stated = {"kind": "families", "labels": ["real", "blend", "vae8", "nearest"]}
    assert recipe(task=stated, data=SIMULATED).task.labels == ("real", "blend", "vae8", "nearest")


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("binray", "r.toml: task.kind: given 'binray', expected 'binary', 'multiclass' or 'families'"),
        ({"kind": "multiclass"}, "expected at least 2 labels for the kind \"multiclass\""),
        ({"kind": "multiclass", "labels": ["a", "b", "a"]}, "labels that stand only once, not 'a' twice"),
        ({"kind": "multiclass", "labels": ["a", "b/c"]}, "task.labels.1: given 'b/c', expected a name that a folder"),
        ({"kind": "families"}, "expected labels that begin with \"real\""),
        ({"kind": "families", "labels": ["gan", "real"]}, "expected labels that begin with \"real\""),
        ({"kind": "binary", "labels": ["a", "b"]}, "expected no labels for the kind \"binary\""),
        ({"kind": "multiclass", "label": ["a"]}, "task.label: unknown key (given ['a']); did you mean 'labels'?"),
    ],
)  # fmt: skip
def test_a_mistaken_task_is_one_line(task, message: str) -> None:
    with pytest.raises(EdgeproofError) as caught:
        recipe(task=task)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def refused(found: Recipe) -> str:
    with pytest.raises(EdgeproofError) as caught:
        check_names(found, roster_of(found))
    return str(caught.value)


def test_what_several_logits_cannot_have_is_refused_before_any_work() -> None:
    check_names(recipe(), roster_of(recipe()))
    assert (
        "loss.kind = 'focal': given for task.kind = 'multiclass' with 3 logits, expected the defaults of [loss]"
        in (refused(recipe(loss={"kind": "focal"})))
    )
    assert "loss.pos_weight: given for task.kind = 'families'" in refused(
        recipe(task=FAMILIES, loss={"pos_weight": "auto"})
    )
    taught = {
        "name": "efficientnet_fpn_cbam",
        "options": {"backbone": "test_efficientnet"},
        "source": "online",
    }
    mixed = recipe(students={"s": {"name": "small_cnn", "mixup": 0.2}}, teacher=taught)
    assert refused(mixed) == (
        "students.s.mixup: given 0.2 for task.kind = 'multiclass' with 3 logits, expected 0: it mixes labels of one logit"
    )
    pool = recipe(
        task=FAMILIES, data={"simulate": {"families": ["vae8", "blend"], "scenes": {"unlabelled": 9}}},
        distillation={"methods": [{"name": "kl"}], "controls": ["pool"]},
    )  # fmt: skip
    assert refused(pool).startswith(
        "distillation.controls: pool trains the unlabelled images with their true labels"
    )


def test_data_that_cannot_tell_the_classes_is_refused() -> None:
    assert refused(recipe(data={"simulate": {}})).startswith(
        "data.path: missing for the classes cat, dog, bird (task.labels)"
    )
    assert (
        "data.layout: 'genimage' tells real from generated, expected auto, class_folders or manifest"
        in refused(recipe(data={"path": "photos", "layout": "genimage"}))
    )
    assert "data.columns.fake: given 'ai' for the classes" in refused(
        recipe(data={"path": "photos", "columns": {"fake": "ai"}})
    )
    own = {"options": {"backbone": "test_efficientnet"}, "data": {"simulate": {}}}
    assert refused(recipe(teacher=own)).startswith("teacher.data.path: missing for the classes")
    assert "gates.teacher_auc: given 0.9 for 3 classes" in refused(recipe(gates={"teacher_auc": 0.9}))


def headless(num_logits: int):
    from torch import nn

    return nn.Sequential(nn.Conv2d(3, num_logits, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_a_network_without_a_head_cannot_train_it_first() -> None:
    student = {"name": "test_distill_named_classes:headless", "frozen_epochs": 1}
    found = refused(
        recipe(students={"s": student}, task="binary", distillation={"methods": [{"name": "logit_mse"}]})
    )
    assert found.startswith(
        "students.s.frozen_epochs: Wrapped has no submodule called classifier, fc or head"
    )


# --- folders and tables -----------------------------------------------------------------------------------


def test_folders_named_after_the_labels(tmp_path: Path) -> None:
    root = folders(tmp_path)
    draw(root / "test/bird/deep/er/1.png", seed=1)
    draw(root / "train/dog/2.png", seed=2)
    (root / "note.txt").write_text("no image")
    draw(root / "stray.png", seed=3)
    found = load_dataset(root, labels=LABELS)
    by_path = {sample.path: sample for sample in found.samples}
    assert found.layout == "class_folders" and len(found.samples) == 26
    assert by_path["bird/0.png"] == Sample("bird/0.png", 2, group="bird/0.png")
    assert (by_path["test/bird/deep/er/1.png"].label, by_path["test/bird/deep/er/1.png"].split) == (2, "test")
    assert (by_path["train/dog/2.png"].label, by_path["train/dog/2.png"].split) == (1, "train")
    assert {item.path for item in found.skipped} == {"note.txt", "stray.png"}


def test_a_class_may_have_the_name_of_a_split(tmp_path: Path) -> None:
    draw(tmp_path / "test/1.png", seed=1)
    draw(tmp_path / "other/1.png", seed=2)
    draw(tmp_path / "test/other/2.png", seed=3)
    found = load_dataset(tmp_path, labels=("test", "other"))
    assert {(s.path, s.label, s.split) for s in found.samples} == {
        ("test/1.png", 0, ""), ("other/1.png", 1, ""), ("test/other/2.png", 1, "test"),
    }  # fmt: skip


@pytest.mark.parametrize("folder", ["fish", "train/fish"])
def test_another_label_is_named_with_its_file_and_the_choices(folder: str, tmp_path: Path) -> None:
    draw(folders(tmp_path) / folder / "1.png", seed=1)
    with pytest.raises(EdgeproofError) as caught:
        load_dataset(tmp_path, labels=LABELS)
    assert str(caught.value) == (
        f"{tmp_path / folder / '1.png'}: label 'fish', expected one of cat, dog, bird (task.labels)"
    )


def test_a_place_without_the_classes(tmp_path: Path) -> None:
    draw(tmp_path / "real/1.png", seed=1)
    with pytest.raises(
        EdgeproofError, match="no images by class, expected folders named cat, dog, bird .*'real'"
    ):
        load_dataset(tmp_path, labels=LABELS)
    with pytest.raises(EdgeproofError, match="unknown layout of named classes 'genimage'"):
        load_dataset(tmp_path, layout="genimage", labels=LABELS)


def test_a_manifest_with_names(tmp_path: Path) -> None:
    rows = [
        "path,label,split,generator,group",
        "a.png,dog,train,gan,g1",
        "b.png, bird ,test,,",
        "c.png,cat,,,",
    ]
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    found = load_dataset(tmp_path, labels=LABELS)
    assert [(s.path, s.label, s.split, s.generator, s.group) for s in found.samples] == [
        ("a.png", 1, "train", "", "g1"), ("b.png", 2, "test", "", "b.png"), ("c.png", 0, "", "", "c.png"),
    ]  # fmt: skip
    for row, message in {
        "d.png,fish,,,": r"manifest.csv: line 5: label 'fish' of 'd.png', expected one of cat, dog, bird \(task.labels\)",
        "a.png,bird,,,": "'a.png' is dog in the one and bird in the other, expected one label",
        "d.png,cat,heldout,,": "split 'heldout', expected train",
    }.items():
        (tmp_path / "manifest.csv").write_text("\n".join([*rows, row]))
        with pytest.raises(EdgeproofError, match=message):
            load_dataset(tmp_path, labels=LABELS)


def test_labels_may_be_numbers(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,label\na.png,7\nb.png,1.0\n")
    found = load_dataset(tmp_path, labels=("1", "7"))
    assert [sample.label for sample in found.samples] == [1, 0]


# --- splits, counts, audit --------------------------------------------------------------------------------


def listed(*rows: tuple[int, str]) -> Dataset:
    samples = tuple(Sample(f"{number}.png", label, split) for number, (label, split) in enumerate(rows))
    return Dataset(Path("photos"), "class_folders", samples)


def test_every_split_needs_every_class() -> None:
    rows = [(label, split) for label in range(3) for split in ("train", "valid", "test")]
    assert with_splits(listed(*rows), valid_share=0.1, test_share=0.1, seed=0, labels=LABELS)
    with pytest.raises(
        EdgeproofError, match="photos: split 'test' has no images of bird, expected every class; add"
    ):
        with_splits(listed(*rows[:-1]), valid_share=0.1, test_share=0.1, seed=0, labels=LABELS)
    with pytest.raises(EdgeproofError, match=r"photos/9.png: label 3, expected 0 to 2 \(cat, dog, bird\)"):
        with_splits(listed(*rows, (3, "train")), valid_share=0.1, test_share=0.1, seed=0, labels=LABELS)


def test_images_are_counted_by_class() -> None:
    found = summarise(
        listed((0, "train"), (2, "train"), (2, "train"), (-1, "unlabelled"), (1, "test")),
        held_out=(),
        labels=LABELS,
    )
    assert found.splits["train"].classes == {"cat": 1, "dog": 0, "bird": 2}
    assert (found.splits["train"].labelled, found.splits["unlabelled"].unlabelled) == (3, 1)
    assert found.generators == {} and found.splits["test"].fake == 0


def audited(root: Path, **gates):
    dataset, columns = scan(load_dataset(root, labels=LABELS), max_bad_share=0, workers=1)
    dataset = with_splits(dataset, valid_share=0.2, test_share=0.2, seed=0, wanted=(), labels=LABELS)
    report = audit(dataset, columns, gates=GateSettings(**gates), seed=0, labels=LABELS)
    return report, {check.name: check for check in report.checks}


def test_the_audit_asks_what_classes_can_be_asked(tmp_path: Path) -> None:
    report, checks = audited(folders(tmp_path, each=12))
    assert report.passed and report.metadata_auc is None
    assert not set(checks) & set(NOT_ASKED) and all(name in checks["not_asked"].note for name in NOT_ASKED)
    assert checks["metadata"].value == pytest.approx(0.0, abs=1e-9), "files that differ in nothing: chance"
    assert "cat has " in checks["class_balance"].note and checks["corrupt_files"].value == 0


def test_the_audit_finds_a_class_with_a_size_of_its_own(tmp_path: Path) -> None:
    root = folders(tmp_path, each=20)
    for number in range(20):
        draw(root / "bird" / f"{number}.png", seed=500 + number, size=30)
    report, checks = audited(root)
    assert not report.passed and not checks["metadata"].passed
    assert checks["metadata"].value == pytest.approx(
        1 / 3, abs=0.05
    )  # birds are known, the others are guessed
    accepted, _ = audited(root, accept=("metadata",))
    assert accepted.passed


def test_the_audit_finds_a_picture_in_two_splits_and_classes(tmp_path: Path) -> None:
    root = folders(tmp_path, each=12)
    for folder in ("train/cat", "test/cat", "test/bird"):
        draw(root / folder / "same.png", seed=7)
    _, checks = audited(root)
    assert not checks["duplicates_across_splits"].passed and not checks["duplicates_across_classes"].passed
    assert not checks["near_duplicates_across_splits"].passed


def test_a_class_of_one_group_cannot_be_audited(tmp_path: Path) -> None:
    root = folders(tmp_path)
    for path in [*(root / "dog").iterdir()][1:]:
        path.unlink()
    with pytest.raises(EdgeproofError, match="1 dog groups, expected at least 2 of each to audit"):
        audited(root)


def test_the_command_line_says_it_before_a_run_folder_is_made(tmp_path: Path) -> None:
    draw(tmp_path / "photos/fish/1.png", seed=1)
    (tmp_path / "r.toml").write_text(to_toml(recipe(data={"path": str(tmp_path / "photos")})))
    error = one_line_error(edgeproof("run", tmp_path / "r.toml", "--out", tmp_path / "run"))
    assert "no images by class, expected folders named cat, dog, bird (task.labels" in error
    assert not (tmp_path / "run").exists()
