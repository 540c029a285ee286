from dataclasses import replace

import numpy as np
import pytest
from audit_fixture import picture, report_of, scenes, write

from distill.data.audit.advice import together
from distill.data.audit.audit import CHECKS, NOTES, metadata_features, require_passed
from distill.data.audit.folder import audit_folder, print_audit
from distill.data.audit.report import AuditReport, Check
from distill.data.samples import UNLABELLED, Dataset, Sample, Skipped
from distill.data.scan import scan
from distill.data.summary import DataSummary, summarise
from distill.errors import EdgeproofError, GateFailedError
from distill.recipe import GateSettings


def failed(dataset, **options):
    return [name for name, check in report_of(dataset, **options)[1].items() if not check.passed]


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return write(tmp_path_factory.mktemp("clean"))


def test_a_clean_paired_set_passes(clean):
    report, checks = report_of(clean)
    assert report.passed is True
    assert report.metadata_auc == 0.5 and report.metadata_ci == (0.5, 0.5)
    assert list(checks) == [*CHECKS, *NOTES]
    assert [checks[name].value for name in CHECKS] == [0.0] * len(CHECKS)
    require_passed(report, where=clean.root)


def test_unpaired_constant_metadata_is_no_leak(clean):
    """Folds of unequal class shares must not rank the images."""
    alone = [replace(sample, group="") for sample in clean.samples]
    for count in (12, 23, 37, 60):
        report, _ = report_of(replace(clean, samples=tuple(alone[:count])))
        assert report.metadata_auc == 0.5


def test_a_class_of_its_own_quality_leaks(tmp_path):
    dataset = write(tmp_path, kind=("jpg", "jpg"), quality=(96, 95))
    report, checks = report_of(dataset)
    assert report.metadata_auc > 0.99
    assert not report.passed and not checks["metadata"].passed
    assert checks["metadata"].value == pytest.approx(report.metadata_auc - 0.5)


def test_a_class_of_its_own_format_leaks(tmp_path):
    assert failed(write(tmp_path, kind=("bmp", "png"))) == [
        "metadata",
        "file_bytes",
        "flip_jpeg96",
        "flip_png",
    ]


def test_a_class_of_its_own_size_leaks(tmp_path):
    dataset = write(tmp_path)
    for number, sample in enumerate(dataset.samples):
        if sample.label:
            picture(1000 + number, side=15).save(tmp_path / sample.path)
    assert failed(dataset) == ["metadata", "file_bytes"]


def copied(clean, tmp_path, source, target):
    for sample in clean.samples:
        (tmp_path / sample.path).write_bytes((clean.root / sample.path).read_bytes())
    (tmp_path / target).write_bytes((tmp_path / source).read_bytes())
    return replace(clean, root=tmp_path)


def test_a_file_in_two_splits(clean, tmp_path):
    dataset = copied(clean, tmp_path, "0_0.bmp", "0_3.bmp")  # train and test
    assert failed(dataset) == ["duplicates_across_splits", "near_duplicates_across_splits"]
    assert report_of(dataset)[1]["duplicates_across_splits"].value == 1


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
    report, checks = report_of(dataset, accept=("metadata", "file_bytes", "flip_jpeg96", "flip_png"))
    assert report.passed and checks["metadata"].passed
    assert checks["metadata"].note.startswith("ACCEPTED by the recipe: AUC of a classifier")
    assert checks["metadata"].value > checks["metadata"].limit
    assert failed(dataset, accept=("flip_jpeg96", "file_bytes", "duplicates_across_splits")) == [
        "metadata",
        "flip_png",
    ]


def test_a_failed_audit_names_every_check(clean, tmp_path):
    dataset = copied(clean, tmp_path, "0_0.bmp", "1_3.bmp")
    report, _ = report_of(dataset)
    with pytest.raises(GateFailedError) as caught:
        require_passed(report, where=tmp_path / "audit.json")
    assert str(caught.value) == (
        "data audit failed: duplicates_across_splits = 1 (limit 0); duplicates_across_classes = 1 (limit 0); "
        "near_duplicates_across_splits = 0.0357 (limit 0.001); near_duplicates_across_classes = 0.0333 (limit 0.001); "
        f"see {tmp_path}/audit.json. Remove the copies, or put both into one group, which no split divides. "
        "Remove the copies, or mend the label of one: the same picture cannot be both. "
        "Put what shows the same scene into one group, which no split divides. "
        "Mend the labels, or, where a generated image was made of the real one, put both into one group. To accept all: "
        """--set 'gates.accept=["duplicates_across_splits", "duplicates_across_classes", """
        """"near_duplicates_across_splits", "near_duplicates_across_classes"]'"""
    )


def test_what_would_mend_most_of_what_failed_is_said_first_and_once():
    assert together(
        ["Remove copies. 3 names: use stem.", "Mend labels. 3 names: use stem.", "", "Mend labels."]
    ) == ("3 names: use stem. Mend labels. Remove copies.")


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_to_judge(clean, count):
    with pytest.raises(EdgeproofError, match="1 real and . generated groups, expected at least 2 of each"):
        report_of(replace(clean, samples=clean.samples[:count]))


def test_metadata_features_of_known_files(tmp_path):
    picture(0).save(tmp_path / "a.bmp")
    picture(0, side=20).save(tmp_path / "a.jpg", quality=50)
    samples = (Sample(path="a.bmp", label=0), Sample(path="a.jpg", label=1))
    _, columns = scan(Dataset(root=tmp_path, layout="x", samples=samples), max_bad_share=0.0, workers=1)
    bmp, jpg = metadata_features(columns)
    assert bmp[[0, 2, 3, 4]].tolist() == [3, 16, 16, 16 * 16 * 3 + 54] and np.isnan(bmp[1])
    assert jpg.tolist() == [0, pytest.approx(50, abs=0.5), 20, 20, (tmp_path / "a.jpg").stat().st_size]


def test_summary_by_hand(clean):
    dataset = replace(clean, skipped=(Skipped(path="x.jpg", reason="broken"),))
    found = summarise(dataset, held_out=["blend"])
    assert found.model_dump(mode="json", exclude={"schema_version"}) == {
        "layout": "class_folders",
        "simulated": False,
        "splits": {
            "train": {"real": 16, "fake": 16, "unlabelled": 0, "classes": None, "groups": 16},
            "valid": {"real": 7, "fake": 7, "unlabelled": 0, "classes": None, "groups": 7},
            "test": {"real": 7, "fake": 7, "unlabelled": 0, "classes": None, "groups": 7},
        },
        "problems": [],
        "generators": {"noise": {"splits": ["test", "train", "valid"], "count": 30}},
        "held_out": ["blend"],
        "skipped": [{"path": "x.jpg", "reason": "broken"}],
    }


def test_auditing_a_folder_lists_what_it_left_out(tmp_path, capsys):
    for label, name in enumerate(("real", "fake")):
        (tmp_path / name).mkdir()
        for index in range(6):
            picture(10 * label + index).save(tmp_path / name / f"{index}.bmp")
    (tmp_path / "real" / "broken.jpg").touch()
    report, seen = audit_folder(tmp_path)
    assert report.passed
    print_audit(report, seen, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok   metadata: 0 (limit 0.05)")
    assert lines[-1] == "left out real/broken.jpg: the file is empty (0 bytes), expected an image"


def test_a_folder_with_one_readable_class(tmp_path):
    for name in ("real", "fake"):
        (tmp_path / name).mkdir()
    picture(0).save(tmp_path / "real" / "a.bmp")
    (tmp_path / "fake" / "a.bmp").touch()
    with pytest.raises(EdgeproofError, match="only one class has readable images"):
        audit_folder(tmp_path)


def test_chance_in_a_small_set_is_not_called_a_leak_but_a_shown_one_is():
    from distill.data.audit.audit import _judge
    from distill.data.audit.findings import Finding

    chance = _judge("metadata", Finding(0.12, "AUC", shown=False), limit=0.05, accepted=False)
    assert chance.passed and "not shown to be a leak" in chance.note
    shown = _judge("metadata", Finding(0.12, "AUC", shown=True), limit=0.05, accepted=False)
    assert not shown.passed and not shown.accepted
    accepted = _judge("metadata", Finding(0.12, "AUC", shown=True), limit=0.05, accepted=True)
    assert accepted.passed and accepted.accepted
    harmless = _judge("metadata", Finding(0.01, "AUC", shown=True), limit=0.05, accepted=True)
    assert harmless.passed and not harmless.accepted, "nothing failed, so nothing was accepted"


def test_an_unknown_name_in_accept(clean):
    with pytest.raises(EdgeproofError, match="no check is called 'metadat'; choose among: metadata, "):
        report_of(clean, accept=("metadat",))
    assert report_of(clean, accept=("small_cnn-openvino-int8 AUC drop",))[0].passed


def test_notes_warn_and_never_fail(clean):
    keep = [s for s in clean.samples if not (s.split == "train" and s.label == 1) or s.path == "1_0.bmp"]
    dataset = replace(clean, samples=tuple(keep), skipped=(Skipped(path="x.jpg", reason="broken"),))
    checks = report_of(dataset)[1]
    assert "WARNING: valid, test unlike train" in checks["class_balance"].note
    assert "1 files left out, the first x.jpg: broken" in checks["corrupt_files"].note
    assert all(checks[name].passed and checks[name].limit is None for name in NOTES)


def test_unlabelled_images_are_searched_for_test_images_and_judged_by_nothing_else(clean, tmp_path):
    dataset = copied(clean, tmp_path, "0_3.bmp", "extra.bmp")
    extra = Sample(path="extra.bmp", label=UNLABELLED, split="unlabelled", group="extra.bmp")
    found = failed(replace(dataset, samples=(*dataset.samples, extra)))
    assert found == ["duplicates_across_splits", "near_duplicates_across_splits"]


def test_a_leak_that_only_pixels_show(tmp_path):
    """Everything is PNG, of one size, but the reals have been JPEGs."""
    from distill.data.audit.traces import jpeg_again

    scenes(tmp_path, lambda image, label: image if label else jpeg_again(image, 90))
    report, _ = audit_folder(tmp_path)
    found = [check.name for check in report.checks if not check.passed]
    assert {"compression", "flip_jpeg96", "flip_jpeg95_fakes"} <= set(found) <= {*CHECKS[:5]}


def test_a_metadata_leak_says_where(tmp_path):
    note = report_of(write(tmp_path, kind=("bmp", "png")))[1]["metadata"].note
    assert "alone: format 1.00" in note
    assert note.endswith("format: real BMP (100%), generated PNG (100%)")
    (tmp_path / "jpg").mkdir()
    quality = write(tmp_path / "jpg", kind=("jpg", "jpg"), quality=(90, 60))
    note = report_of(quality)[1]["metadata"].note
    assert "format 0.50" in note and "JPEG quality: real median 90, generated median 60" in note


def test_the_report_is_strict_json_and_marks_what_was_accepted(tmp_path):
    import json

    dataset = write(tmp_path, kind=("bmp", "png"))
    report, checks = report_of(dataset, accept=("metadata", "file_bytes", "flip_jpeg96", "flip_png"))
    report.write(tmp_path / "audit.json")
    assert AuditReport.read(tmp_path / "audit.json") == report
    written = json.loads((tmp_path / "audit.json").read_text(), parse_constant=pytest.fail)
    assert written == report.model_dump(mode="json")
    accepted = [name for name, check in checks.items() if check.accepted]
    assert accepted == ["metadata", "file_bytes", "flip_jpeg96", "flip_png"]
    assert (
        set(written["checks"][0])
        == set(Check.model_fields)
        == {"name", "value", "limit", "passed", "accepted", "note", "examples", "checked", "advice"}
    )


def test_every_check_can_be_accepted_by_its_name(clean):
    assert report_of(clean, accept=CHECKS)[1]["metadata"].accepted is False


def test_limits_come_from_the_recipe(clean, tmp_path):
    dataset = copied(clean, tmp_path, "0_0.bmp", "0_3.bmp")
    assert "near_duplicates_across_splits" not in failed(dataset, near_duplicates=0.1)
    leak = write(tmp_path, kind=("bmp", "png"))
    assert failed(leak, metadata_auc=0.5, flip_drop=0.5) == []


def test_examples_are_listed_and_printed(clean, tmp_path, capsys):
    report, checks = report_of(copied(clean, tmp_path, "0_0.bmp", "0_3.bmp"))
    assert checks["duplicates_across_splits"].examples == (("0_0.bmp", "0_3.bmp"),)
    print_audit(report, {"problems": [], "skipped": []}, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("FAIL duplicates_across_splits: 1"))
    assert lines[place + 1].split() == ["0_0.bmp", "=", "0_3.bmp"]
    assert any(line.startswith("note class_balance: 0; share of fakes: train 50%") for line in lines)


def test_the_data_stages_leave_a_scan_that_fits_the_samples(tmp_path):
    from distill.data.scan import load_scan
    from distill.pipeline.runfolder import AUDIT, SCAN, SUMMARY, load_samples
    from distill.pipeline.stage import Run
    from distill.pipeline.state import stage_keys
    from distill.recipe import parse_recipe
    from distill.roster import roster_of
    from distill.stages import distill_stages
    from distill.stages.data import audit_data, make_data

    scenes(tmp_path, lambda image, label: image)
    (tmp_path / "real" / "bad.png").touch()
    (tmp_path / "more").mkdir()
    picture(7, side=24).save(tmp_path / "more" / "u.png")
    values = {
        "name": "x",
        "data": {"path": str(tmp_path), "unlabelled": str(tmp_path / "more"), "max_bad_share": 0.1},
        "students": {"s": {"name": "small_cnn"}},
    }
    recipe = parse_recipe({**values, "gates": {"accept": ["metadata"]}}, origin="x")
    run = Run(tmp_path / "run", recipe)
    make_data(run, lambda done, total: None)
    dataset, columns = load_samples(run.folder), load_scan(run.folder / SCAN)
    assert len(dataset.samples) == len(columns) == 61
    assert "real/bad.png" in [item.path for item in dataset.skipped]
    for sample, size in zip(dataset.samples, columns.bytes, strict=True):
        assert (dataset.root / sample.path).stat().st_size == size
    assert {sample.split for sample in dataset.samples} == {"train", "valid", "test", "unlabelled"}
    audit_data(run, lambda done, total: None)
    stages = distill_stages(recipe, roster_of(recipe))
    keys = stage_keys(stages, recipe)
    stages = {stage.name: stage for stage in stages}
    for name in (*stages["data"].outputs, *stages["audit"].outputs):
        assert (run.folder / name).is_file(), name
    assert {SUMMARY, SCAN} <= set(stages["data"].outputs) and stages["audit"].outputs == (AUDIT,)
    assert DataSummary.read(run.folder / SUMMARY).splits["unlabelled"].unlabelled == 1
    other = recipe.model_copy(update={"gates": GateSettings(flip_drop=0.2)})
    changed = stage_keys([*stages.values()], other)
    assert changed["audit"] != keys["audit"] and changed["data"] == keys["data"]
    (tmp_path / "real" / "one more.png").touch()
    assert stage_keys([*stages.values()], recipe)["data"] != keys["data"]
