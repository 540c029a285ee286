from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from artifact_fixture import timer, write_photos
from deploy_fixture import THRESHOLD, Deployed, build_deployed, images
from PIL import Image

from deploy import smaller_forms
from deploy.artifact import read_manifest, verify
from deploy.auto import AUTO, quantize_best
from deploy.auto_record import AutoRecord
from deploy.auto_table import lines
from deploy.limits import limits_of, parse_limits
from deploy.photos import list_photos, read_photos
from deploy.runtime import Detector
from distill.errors import EdgeproofError
from distill.machine import processor
from distill.preprocess import PreprocessSpec
from distill.task import BINARY, MultiClass

LOOSE = {"auc": 1.0, "tpr_at_5fpr": 1.0, "drift": 1.0}


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def photos(deployed: Deployed, tmp_path_factory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), deployed)


def best(deployed: Deployed, photos: Path, out: Path, **changes) -> AutoRecord:
    arguments = {"runtime": "openvino", "samples": 8, "limits": LOOSE, "timer": timer(nncf=0.3), **changes}
    return quantize_best(deployed.folder / "fp32", calibration=photos, out=out, **arguments)


def outcomes(record: AutoRecord) -> dict[str, str]:
    return {tried.name: tried.outcome for tried in record.tries}


def with_bf16(monkeypatch, *, has: bool) -> None:
    flags = ("avx512_bf16",) if has else ()
    monkeypatch.setattr(smaller_forms, "processor", lambda: replace(processor(), isa_flags=flags))


def test_the_fastest_that_passes_is_kept(deployed: Deployed, photos: Path, tmp_path, monkeypatch) -> None:
    with_bf16(monkeypatch, has=False)
    record = best(deployed, photos, tmp_path / "out")
    expected = {"fp32": "passed", "nncf": "kept", "fp16": "passed", "bf16": "not possible"}
    assert outcomes(record) | expected == outcomes(record)
    assert record.form("bf16").reason == "this CPU has no bf16 instructions"
    manifest = verify(tmp_path / "out")
    assert (manifest.precision, manifest.runtimes) == ("int8", ("openvino",))
    assert manifest.quantizer is not None and manifest.quantizer.tool == "nncf"
    assert manifest.threshold == record.form("nncf").threshold
    assert AutoRecord.read(tmp_path / "out" / AUTO) == record
    assert record.form("nncf").ratio == 0.3
    assert record.form("fp16").bytes < record.form("fp32").bytes


def test_a_slow_int8_is_not_kept(deployed: Deployed, photos: Path, tmp_path) -> None:
    record = best(deployed, photos, tmp_path / "out", timer=timer(nncf=2.0, bf16=1.5, fp16=1.02))
    assert record.kept == "fp16", "as fast as FP32 within what rounds can tell, and smaller"
    (warning,) = record.warnings
    assert warning.startswith("nncf takes 2.00 times as long as fp32 here: ")
    assert f"warning: {warning}" in lines(record)
    manifest = verify(tmp_path / "out")
    assert manifest.precision == "fp16"
    said = Detector.load(tmp_path / "out", threads=1).run(deployed.pixels)
    assert np.abs(said - deployed.logits).max() < 0.05


def test_bf16_is_used_where_it_is_kept(deployed: Deployed, photos: Path, tmp_path) -> None:
    if not processor().has_bf16:
        pytest.skip("this CPU has no bf16 instructions")
    record = best(deployed, photos, tmp_path / "out", timer=timer(bf16=0.1))
    assert record.kept == "bf16"
    assert Detector.load(tmp_path / "out").precision == "bf16"
    assert Detector.load(tmp_path / "out", precision="fp32").precision == "fp32"


def test_what_loses_too_much_is_refused(deployed: Deployed, photos: Path, tmp_path) -> None:
    record = best(deployed, photos, tmp_path / "out", limits={**LOOSE, "drift": 0.0})
    assert {name: outcomes(record)[name] for name in ("fp32", "nncf")} == {"fp32": "kept", "nncf": "refused"}
    assert (record.kept, record.passed) == ("fp32", False)
    tried = record.form("nncf")
    assert f"({tried.drift_image}) drifts by {tried.drift:.3f}, at most 0" in tried.reason
    assert (photos / tried.drift_image).is_file()
    assert read_manifest(tmp_path / "out").precision == "fp32"
    assert "no form is within the limits; the artifact holds fp32" in lines(record)


def test_one_quantizer_is_kept_though_it_fails(deployed: Deployed, photos: Path, tmp_path) -> None:
    record = best(
        deployed, photos, tmp_path / "out", runtime="onnxruntime", quantizer="ort", limits={"drift": 0.0}
    )
    assert outcomes(record) == {"fp32": "passed", "ort": "refused"}
    assert (record.kept, record.passed) == ("ort", False)
    assert read_manifest(tmp_path / "out").precision == "int8"


def test_without_labels_drift_alone_is_judged(deployed: Deployed, tmp_path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, image in enumerate(images(10, seed=3)):
        Image.fromarray(image[0]).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no image")
    out = tmp_path / "out"
    record = best(deployed, folder, out, quantizer="nncf", limits={"drift": 0.9}, samples=6)
    assert (record.labelled, record.limits) == (False, {"drift": 0.9})
    tried = record.form("nncf")
    assert (tried.metrics, tried.threshold) == ({}, THRESHOLD)
    assert tried.drift > 0 and tried.outcome == "kept"
    with pytest.raises(EdgeproofError, match=r"--max-drop auc: the validation images have no labels"):
        best(deployed, folder, out, limits={"auc": 0.1})


def test_no_image_is_judged_on_that_a_quantizer_saw(deployed: Deployed, photos: Path) -> None:
    spec = read_manifest(deployed.folder / "fp32").preprocess
    dataset = list_photos(photos, task=BINARY)
    seen = read_photos(dataset, spec=spec, wanted=8, split="train")
    rest = read_photos(dataset, spec=spec, wanted=100, split="valid", without=set(seen.paths))
    assert (len(seen), len(rest)) == (8, 8)
    assert set(seen.paths).isdisjoint(rest.paths)
    assert sorted(seen.labels) == [0] * 4 + [1] * 4, "classes in turn"


def test_the_calibration_images_judge_where_there_are_no_others(
    deployed: Deployed, photos: Path, tmp_path
) -> None:
    record = best(deployed, photos, tmp_path / "out", quantizer="nncf", samples=100)
    assert record.validation.startswith("the calibration images themselves")


def test_splits_are_kept_apart(deployed: Deployed, tmp_path) -> None:
    root = tmp_path / "set"
    for split, seed in (("train", 1), ("valid", 2), ("test", 3)):
        write_photos(root / split, deployed, count=4, seed=seed)
    record = best(deployed, root, tmp_path / "out", quantizer="nncf", samples=100)
    assert record.calibration == "4 images of set, split train"
    assert record.validation == "4 images of set, split valid"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"quantizer": "ort"}, r"--quantizer ort: makes models for onnxruntime, --runtime is openvino"),
        ({"quantizer": "magic"}, r"unknown quantizer 'magic'"),
        ({"limits": {"acc": 0.1}}, r"unknown metric 'acc'; choose one of: .*auc"),
        ({"validation": Path("nowhere")}, r"nowhere: no such file or folder"),
    ],
)
def test_mistakes_are_named(deployed: Deployed, photos: Path, tmp_path, changes, match: str) -> None:
    with pytest.raises(EdgeproofError, match=match):
        best(deployed, photos, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_an_int8_artifact_is_not_quantized_again(deployed: Deployed, photos: Path, tmp_path) -> None:
    with pytest.raises(EdgeproofError, match=r"precision is int8, expected an fp32 artifact"):
        quantize_best(deployed.folder / "int8", calibration=photos, out=tmp_path / "out", runtime="openvino")


@pytest.mark.parametrize("text", ["auc", "auc=", "auc=x", "auc=-0.1", "auc=nan", "drift=2"])
def test_a_limit_has_a_form(text: str) -> None:
    with pytest.raises(EdgeproofError, match=f"--max-drop {text}: expected METRIC=VALUE"):
        parse_limits([text])


def test_limits_follow_the_task() -> None:
    assert set(limits_of(BINARY, {}, labelled=True)) == {"auc", "tpr_at_5fpr", "drift"}
    classes = MultiClass(("a", "b", "c"))
    assert set(limits_of(classes, {"drift": 0.1}, labelled=True)) == {"accuracy", "drift"}
    with pytest.raises(EdgeproofError, match="unknown metric 'auc'"):
        limits_of(classes, {"auc": 0.1}, labelled=True)


def test_tiles_are_judged_by_the_middle_one(photos: Path) -> None:
    spec = PreprocessSpec(size=16, policy="tiles")
    found = read_photos(list_photos(photos, task=BINARY), spec=spec, wanted=3, split="valid")
    assert found.pixels.shape == (3, 16, 16, 3)
