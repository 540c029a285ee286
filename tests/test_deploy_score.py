"""``edgeproof score``: every image once, bad ones told, and going on after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from cli import edgeproof, one_line_error
from PIL import Image

from deploy import Detector
from deploy.score import score
from deploy.score.partition import BAD
from distill.errors import EdgeproofError

ARTIFACT = "simulated-64"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty photos in class folders, one of them none."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for label in ("real", "fake"):
        (folder / label).mkdir()
        for number in range(15):
            small = random.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(small).resize((96, 96)).save(folder / label / f"{number:02}.png")
    (folder / "fake/03.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def artifact() -> Path:
    from deploy.shipped import find_artifact

    return find_artifact(ARTIFACT, runtime="onnxruntime")


def rows_of(out: Path) -> list[dict]:
    return parquet.read_table(out).to_pylist()  # as anybody would: the folder is one table


@pytest.mark.parametrize("workers", [1, 2])
def test_every_image_has_the_detectors_answer(
    photos: Path, artifact: Path, tmp_path: Path, workers: int
) -> None:
    found = score(artifact, photos, out=tmp_path / "scores.parquet", workers=workers, partition=7)
    assert (found.images, found.answered, found.bad, found.earlier) == (30, 29, 1, 0)
    rows = rows_of(tmp_path / "scores.parquet")
    detector = Detector.load(artifact, threads=1)
    assert len({row["path"] for row in rows}) == len(rows) == 29
    for row in rows:
        said = detector.predict(photos / row["path"])
        assert row["probability"] == pytest.approx(said.probability, abs=1e-6)
        assert (row["answer"], row["label"]) == (said.answer, said.label)
        assert row["truth"] == (1 if row["path"].startswith("fake") else 0)
    [bad] = rows_of(tmp_path / "scores.parquet" / BAD)
    assert bad["path"] == "fake/03.png" and "03.png" in bad["reason"]


def test_it_goes_on_without_losing_or_doubling(photos: Path, artifact: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    score(artifact, photos, out=out, partition=4)
    whole = rows_of(out)
    kept = out / "part-000000.parquet"
    stamp = kept.stat().st_mtime_ns
    for number in (2, 5):
        (out / f"part-{number:06d}.parquet").unlink()
    again = score(artifact, photos, out=out, partition=4)
    assert again.earlier == 22 and again.answered + again.bad == 8
    assert rows_of(out) == whole and kept.stat().st_mtime_ns == stamp


def test_what_was_damaged_since_is_scored_again(photos: Path, artifact: Path, tmp_path: Path) -> None:
    """Readers of the folder would fail, or miss images that nobody looks for again."""
    out = tmp_path / "out"
    score(artifact, photos, out=out, partition=10)
    whole = rows_of(out)
    first, second, third = sorted(out.glob("part-*.parquet"))
    first.write_bytes(b"")
    second.write_bytes(second.read_bytes()[:-100])
    (out / BAD / third.name).unlink()
    again = score(artifact, photos, out=out, partition=10)
    assert again.earlier == 0 and rows_of(out) == whole


def test_another_plan_or_another_folder_is_refused(photos: Path, artifact: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    score(artifact, photos, out=out, partition=16)
    with pytest.raises(EdgeproofError, match="was begun with partition 16, found 8"):
        score(artifact, photos, out=out, partition=8)
    with pytest.raises(EdgeproofError, match="holds something else, expected a new or empty folder"):
        score(artifact, photos, out=photos)


def test_a_folder_without_classes_and_a_name_that_is_no_text(artifact: Path, tmp_path: Path) -> None:
    folder = tmp_path / "any"
    folder.mkdir()
    name = os.fsencode(folder) + b"/\xff.png"
    Image.new("RGB", (80, 80), "red").save(folder / "a.png")
    Path(os.fsdecode(name)).write_bytes((folder / "a.png").read_bytes())
    score(artifact, folder, out=tmp_path / "out")
    [row], [bad] = rows_of(tmp_path / "out"), rows_of(tmp_path / "out" / BAD)
    assert row["path"] == "a.png" and row["truth"] is None and row["probability"] > 0
    assert "ff.png" in bad["path"] and bad["reason"]
    (tmp_path / "none").mkdir()
    with pytest.raises(EdgeproofError, match="none: no images, expected at least one"):
        score(artifact, tmp_path / "none", out=tmp_path / "other")


def test_the_command_goes_on_after_a_kill(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    arguments = ["score", ARTIFACT, photos, "--out", out, "--partition", "1", "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "distill", *map(str, arguments)],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(list(out.glob("part-*.parquet"))) < 2:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    result = edgeproof(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["earlier"] >= 2 and told["earlier"] + told["answered"] + told["bad"] == told["images"] == 30
    assert len({row["path"] for row in rows_of(out)}) == len(rows_of(out)) == 29
    assert not list(out.rglob("*.tmp*"))


def test_mistakes_are_one_line(photos: Path, tmp_path: Path) -> None:
    assert "none" in one_line_error(edgeproof("score", "none", photos, "--out", tmp_path / "a"))
    assert "no such file or folder" in one_line_error(
        edgeproof("score", ARTIFACT, tmp_path / "missing", "--out", tmp_path / "b")
    )
