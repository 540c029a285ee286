"""The first hour of somebody with photographs of their own: none of these was made by the project."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli import edgeproof
from own_photos import PHOTOS, cut, resynthesise
from PIL import Image

from deploy.shipped import find_artifact


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut(tmp_path_factory.mktemp("own"), size=96, each=6)


def test_the_photos_are_others_and_come_in_pairs(photos: Path) -> None:
    real, fake = ({path.name for path in (photos / kind).iterdir()} for kind in ("real", "fake"))
    assert real == fake and len(PHOTOS) == 16
    assert {name.rsplit("-", 1)[0] for name in real} == {photo.stem for photo in PHOTOS}


def test_a_twin_is_the_same_scene_without_its_finest_detail() -> None:
    patch = np.asarray(Image.open(PHOTOS[0]).convert("RGB"))[:96, :96]
    twin = resynthesise(patch)
    assert twin.shape == patch.shape and twin.dtype == np.uint8
    assert np.abs(twin.astype(float) - patch).mean() < 20
    assert abs(float(twin.mean()) - float(patch.mean())) < 2


def test_an_artifact_alone_judges_them_and_says_what_it_does_not_know(photos: Path) -> None:
    told = edgeproof("predict", "simulated-64", photos / "real", "--json")
    assert told.returncode == 0, told.stderr
    answers = json.loads(told.stdout)
    assert len(answers) == len(list((photos / "real").iterdir()))
    assert all("simulated" in answer["caution"] for answer in answers)
    whole = edgeproof("predict", "simulated-64", PHOTOS[-1], "--policy", "tiles", "--json")
    [answer] = json.loads(whole.stdout)
    assert answer["spread"][0] <= answer["probability"] <= answer["spread"][1]


def test_the_audit_offers_to_keep_pairs_together_and_that_helps(photos: Path) -> None:
    """As a new user would: audit, do what it says, audit again."""
    before = edgeproof("data", "audit", photos)
    assert before.returncode == 1 and "Traceback" not in before.stderr
    assert "--set data.groups=stem" in before.stdout and "not checked" in before.stdout
    after = edgeproof("data", "audit", photos, "--set", "data.groups=stem", "--json")
    checks = {check["name"]: check for check in json.loads(after.stdout)["checks"]}
    assert checks["near_duplicates_across_splits"]["passed"] and checks["groups_across_splits"]["passed"]
    assert not checks["file_bytes"][
        "passed"
    ]  # a twin has lost detail, and its file is smaller: that is true of these images


def test_what_a_shipped_artifact_is_worth_on_them_is_said_plainly(photos: Path, tmp_path: Path) -> None:
    told = edgeproof("evaluate", find_artifact("photos-128"), photos, "--out", tmp_path, "--no-degradations")
    assert told.returncode == 0, told.stderr
    assert "simulated images only" in told.stdout + told.stderr
    record = json.loads((tmp_path / "evaluation.json").read_text())
    assert record["schema_version"] and (tmp_path / "evaluation.html").is_file()
