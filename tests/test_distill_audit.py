from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from distill.data.audit import audit, audit_folder, metadata_features, print_audit, require_passed, summary
from distill.data.samples import Dataset, Sample, Skipped
from distill.errors import EdgeproofError, GateFailedError

SCENES = 30


def picture(seed, *, side=16):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (side, side, 3), np.uint8))


def write(root, *, scenes=SCENES, kind=("bmp", "bmp"), **options):
    """Pairs of one real and one generated noise image; ``kind`` is the format of each class."""
    samples = []
    for scene in range(scenes):
        split = ("train", "train", "valid", "test")[scene % 4]
        for label in (0, 1):
            path = f"{label}_{scene}.{kind[label]}"
            chosen = {key: values[label] for key, values in options.items()}
            picture(2 * scene + label).save(root / path, **chosen)
            generator = "noise" if label else ""
            samples.append(
                Sample(path=path, label=label, split=split, generator=generator, group=f"scene{scene}")
            )
    return Dataset(root=root, layout="class_folders", samples=tuple(samples))


def report_of(dataset, **options):
    report = audit(dataset, **{"metadata_limit": 0.05, "accept": (), "seed": 0, **options})
    return report, {check["name"]: check for check in report["checks"]}


def failed(dataset, **options):
    return [name for name, check in report_of(dataset, **options)[1].items() if not check["passed"]]


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return write(tmp_path_factory.mktemp("clean"))


def test_a_clean_paired_set_passes(clean):
    report, checks = report_of(clean)
    assert report["passed"] is True
    assert report["metadata_auc"] == 0.5 and report["metadata_ci"] == [0.5, 0.5]
    assert list(checks) == [
        "metadata",
        "duplicates_across_splits",
        "duplicates_across_classes",
        "groups_across_splits",
    ]
    assert {check["value"] for check in checks.values()} == {0.0}
    require_passed(report, where=clean.root)


def test_unpaired_constant_metadata_is_no_leak(clean):
    """Folds of unequal class shares must not rank the images."""
    alone = [replace(sample, group="") for sample in clean.samples]
    for count in (12, 23, 37, 60):
        report, _ = report_of(replace(clean, samples=tuple(alone[:count])))
        assert report["metadata_auc"] == 0.5


def test_a_class_of_its_own_quality_leaks(tmp_path):
    dataset = write(tmp_path, kind=("jpg", "jpg"), quality=(96, 95))
    report, checks = report_of(dataset)
    assert report["metadata_auc"] > 0.99
    assert not report["passed"] and not checks["metadata"]["passed"]
    assert checks["metadata"]["value"] == pytest.approx(report["metadata_auc"] - 0.5)


def test_a_class_of_its_own_format_leaks(tmp_path):
    assert failed(write(tmp_path, kind=("bmp", "png"))) == ["metadata"]


def test_a_class_of_its_own_size_leaks(tmp_path):
    dataset = write(tmp_path)
    for number, sample in enumerate(dataset.samples):
        if sample.label:
            picture(1000 + number, side=15).save(tmp_path / sample.path)
    assert failed(dataset) == ["metadata"]


def copied(clean, tmp_path, source, target):
    for sample in clean.samples:
        (tmp_path / sample.path).write_bytes((clean.root / sample.path).read_bytes())
    (tmp_path / target).write_bytes((tmp_path / source).read_bytes())
    return replace(clean, root=tmp_path)


def test_a_file_in_two_splits(clean, tmp_path):
    dataset = copied(clean, tmp_path, "0_0.bmp", "0_3.bmp")  # train and test
    assert failed(dataset) == ["duplicates_across_splits"]
    assert report_of(dataset)[1]["duplicates_across_splits"]["value"] == 1


def test_a_file_in_both_classes(clean, tmp_path):
    assert failed(copied(clean, tmp_path, "0_0.bmp", "1_0.bmp")) == ["duplicates_across_classes"]


def test_a_file_twice_in_one_class_and_split_is_harmless(clean, tmp_path):
    assert failed(copied(clean, tmp_path, "0_0.bmp", "0_1.bmp")) == []


def test_the_control_may_repeat_its_camera(clean, tmp_path):
    dataset = copied(clean, tmp_path, "0_0.bmp", "1_0.bmp")
    samples = [
        replace(s, split="control", group="c") if s.path in ("0_0.bmp", "1_0.bmp") else s
        for s in dataset.samples
    ]
    assert failed(replace(dataset, samples=tuple(samples))) == []


def test_a_group_that_straddles(clean):
    samples = [replace(s, group="scene0") if s.path == "1_3.bmp" else s for s in clean.samples]
    assert failed(replace(clean, samples=tuple(samples))) == ["groups_across_splits"]


def test_accepting_by_name(tmp_path):
    dataset = write(tmp_path, kind=("bmp", "png"))
    report, checks = report_of(dataset, accept=("metadata",))
    assert report["passed"] and checks["metadata"]["passed"]
    assert checks["metadata"]["note"].startswith("ACCEPTED by the recipe: AUC of a classifier")
    assert checks["metadata"]["value"] > checks["metadata"]["limit"]
    assert failed(dataset, accept=("duplicates_across_splits",)) == ["metadata"]


def test_a_failed_audit_names_every_check(clean, tmp_path):
    dataset = copied(clean, tmp_path, "0_0.bmp", "1_3.bmp")
    report, _ = report_of(dataset)
    with pytest.raises(GateFailedError) as caught:
        require_passed(report, where=tmp_path / "audit.json")
    assert str(caught.value) == (
        "data audit failed: duplicates_across_splits = 1 (limit 0); duplicates_across_classes = 1 (limit 0); "
        f"see {tmp_path}/audit.json, or accept by name in gates.accept"
    )


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_to_judge(clean, count):
    with pytest.raises(EdgeproofError, match="1 real and . generated groups, expected at least 2 of each"):
        report_of(replace(clean, samples=clean.samples[:count]))


def test_metadata_features_of_known_files(tmp_path):
    picture(0).save(tmp_path / "a.bmp")
    picture(0, side=20).save(tmp_path / "a.jpg", quality=50)
    bmp, jpg = metadata_features(tmp_path / "a.bmp"), metadata_features(tmp_path / "a.jpg")
    assert bmp.tolist() == [0, 0, 0, 1, 0, 0, 0, 16, 16, 16 * 16 * 3 + 54]
    assert jpg[:6].tolist() == [1, 0, 0, 0, 0, 0]
    assert jpg[6] == pytest.approx(57.625, abs=0.01)  # mean of the luminance table of ITU-T T.81, K.1
    assert jpg[7:].tolist() == [20, 20, (tmp_path / "a.jpg").stat().st_size]


def test_summary_by_hand(clean):
    dataset = replace(clean, skipped=(Skipped(path="x.jpg", reason="broken"),))
    assert summary(dataset, held_out=["blend"]) == {
        "layout": "class_folders",
        "simulated": False,
        "splits": {
            "train": {"real": 16, "fake": 16},
            "valid": {"real": 7, "fake": 7},
            "test": {"real": 7, "fake": 7},
        },
        "generators": {"noise": {"split": ["test", "train", "valid"], "count": 30}},
        "held_out": ["blend"],
        "skipped": [{"path": "x.jpg", "reason": "broken"}],
    }


def test_auditing_a_folder_lists_what_it_left_out(tmp_path, capsys):
    for label, name in enumerate(("real", "fake")):
        (tmp_path / name).mkdir()
        for index in range(6):
            picture(10 * label + index).save(tmp_path / name / f"{index}.bmp")
    (tmp_path / "real" / "broken.jpg").touch()
    report = audit_folder(tmp_path, layout="auto")
    assert report["passed"]
    print_audit(report, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok   metadata: 0 (limit 0.05)")
    assert lines[-1] == "left out real/broken.jpg: the file is empty (0 bytes), expected an image"


def test_a_folder_with_one_readable_class(tmp_path):
    for name in ("real", "fake"):
        (tmp_path / name).mkdir()
    picture(0).save(tmp_path / "real" / "a.bmp")
    (tmp_path / "fake" / "a.bmp").touch()
    with pytest.raises(EdgeproofError, match="only one class has readable images"):
        audit_folder(tmp_path, layout="auto")


def test_chance_in_a_small_set_is_not_called_a_leak_but_a_shown_one_is():
    from distill.data.audit import _metadata_check

    chance = _metadata_check(0.62, [0.44, 0.78], limit=0.05)
    assert chance["passed"] and "0.44 to 0.78" in chance["note"]
    assert not _metadata_check(0.62, [0.57, 0.66], limit=0.05)["passed"]
    assert not _metadata_check(0.38, [0.30, 0.46], limit=0.05)["passed"]
