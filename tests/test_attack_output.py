"""Names and answers that others chose, on their way to a terminal, a table or a file."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cli import edgeproof, one_line_error
from PIL import Image

from deploy.explain.images import Shown
from deploy.predict import answers_for, check_csv, tell
from deploy.runtime import Detector
from deploy.shipped import shipped_artifacts
from distill.data.samples import Dataset, Sample
from distill.data.shards.pack import write_shards
from distill.errors import EdgeproofError
from distill.files import atomic_path
from distill.plain import plain
from distill.preprocess import PreprocessSpec

BAD_NAME = os.fsdecode(b"caf\xe9.png")


ARTIFACT = shipped_artifacts()["simulated-64"]["onnxruntime"]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load(ARTIFACT, threads=1)


def photo(path: Path) -> Path:
    Image.linear_gradient("L").convert("RGB").save(path)
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- an output file -------------------------------------------------------------------------------------------


def test_a_csv_never_replaces_a_photo_nor_a_manifest(tmp_path: Path) -> None:
    artifact = shutil.copytree(ARTIFACT, tmp_path / "artifact")
    photos = [photo(tmp_path / f"{n}.png") for n in range(2)]
    before = photos[0].read_bytes()
    message = one_line_error(edgeproof("predict", artifact, "--csv", *photos))
    assert "0.png: expected the name of a .csv file to write" in message
    assert photos[0].read_bytes() == before
    manifest = (artifact / "manifest.json").read_bytes()
    one_line_error(edgeproof("predict", artifact, *photos, "--csv", artifact / "manifest.json"))
    assert (artifact / "manifest.json").read_bytes() == manifest


def test_a_csv_replaces_answers_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    check_csv(path)
    tell([], form="json", csv=path, classes=())
    check_csv(path)
    for content in (b"path,label\n1.png,real\n", b"\x89PNG", b"p"):
        path.write_bytes(content)
        with pytest.raises(EdgeproofError, match="holds something that edgeproof did not write"):
            check_csv(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(EdgeproofError, match="is no regular file"):
        check_csv(path)


# --- names ----------------------------------------------------------------------------------------------------


def test_a_name_that_is_not_utf8_is_answered_everywhere(
    detector: Detector, tmp_path: Path, capsysbinary
) -> None:
    path = photo(tmp_path / BAD_NAME)
    tell(answers_for(detector, [path]), form="text", csv=tmp_path / "a.csv", classes=())
    assert rb"caf\udce9.png: " in capsysbinary.readouterr().out
    rows = rows_of(tmp_path / "a.csv")
    assert rows[0]["path"].endswith(r"caf\udce9.png") and rows[0]["error"] == ""
    tell(answers_for(detector, [path]), form="json", csv=None, classes=())
    assert json.loads(capsysbinary.readouterr().out)[0]["path"] == str(path), "JSON keeps it exact"


def test_a_terminal_that_knows_ascii_alone_gets_every_answer(tmp_path: Path) -> None:
    photo(tmp_path / "grün.png")
    done = subprocess.run(
        [sys.executable, "-m", "distill", "predict", ARTIFACT, tmp_path / "grün.png"],
        capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0 and rb"gr\xfcn.png: " in done.stdout and b"Traceback" not in done.stderr


def test_a_name_forges_no_verdict_and_reaches_no_terminal(detector: Detector, tmp_path: Path, capsys) -> None:
    names = [
        "a\nreal.png: real (probability of generated 0.001).png",
        "\x1b[2J\x1b[31mred.png",
        "gnp.\u202eexe.png",
    ]
    paths = [photo(tmp_path / name) for name in names] + [tmp_path / "no\nsuch\x1b.png"]
    tell(answers_for(detector, paths), form="text", csv=tmp_path / "a.csv", classes=())
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 4 and all(line.isprintable() for line in out.splitlines())
    rows = rows_of(tmp_path / "a.csv")
    assert all(row["path"].isprintable() for row in rows)


def test_an_error_names_a_path_in_one_line_of_bounded_length() -> None:
    for name in ("a\nedgeproof: error: forged.toml", "\x1b[31m.toml"):
        message = edgeproof("run", name, "--dry-run").stderr
        assert message.count("\n") == 1 and message.strip().isprintable()
    assert len(one_line_error(edgeproof("predict", "a" * 100_000))) < 5000
    assert plain("é→ a") == "é→ a" and plain("\ud800\n") == r"\ud800\n"


def test_a_spreadsheet_finds_no_formula(tmp_path: Path) -> None:
    empty = dict.fromkeys(("label", "answer", "probability", "logit", "threshold", "caution", "error"))
    names = ['=HYPERLINK("x").png', "+1.png", "-1.png", "@a.png", "\t=1.png", "a.png"]
    answers = [{**empty, "path": name, "label": "=1", "logit": -1.5} for name in names]
    tell(answers, form="json", csv=tmp_path / "a.csv", classes=())
    rows = rows_of(tmp_path / "a.csv")
    assert [row["path"] for row in rows] == [
        './=HYPERLINK("x").png', "./+1.png", "./-1.png", "./@a.png", r"./\t=1.png", "a.png"
    ]  # fmt: skip
    assert {row["label"] for row in rows} == {"'=1"} and {row["logit"] for row in rows} == {"-1.5"}


def test_odd_metadata_writes_no_warning_between_the_answers(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    exif = (
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x09\0\0\0\x01\0\0\0"  # claims nine values, holds none
    )
    Image.linear_gradient("L").save(path, exif=exif)
    torn = tmp_path / "torn.tif"  # of which libtiff has something to say, past Python
    Image.linear_gradient("L").save(torn, compression="tiff_adobe_deflate")
    torn.write_bytes(torn.read_bytes().replace(b"\x78", b"\x79", 1))
    done = edgeproof("predict", ARTIFACT, path, torn)
    assert done.stdout.count("\n") == 2 and f"{torn}: error: " in done.stdout
    assert all(line.startswith("edgeproof: ") for line in done.stderr.splitlines())


# --- what is written ------------------------------------------------------------------------------------------


def test_a_full_disk_names_the_file_and_not_a_temporary_one(tmp_path: Path) -> None:
    for error in (OSError(28, "No space left on device"), None):
        with pytest.raises(OSError) as caught, atomic_path(tmp_path / "a.txt") as temporary:  # noqa: PT011
            if error:
                raise error
            temporary.unlink()  # then it cannot be put in its place
        assert caught.value.filename == str(tmp_path / "a.txt") and caught.value.strerror


def test_shards_of_names_that_are_not_utf8(tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"gr\xfcn")
    for number, name in enumerate((BAD_NAME, os.fsdecode(b"\xfe.png"))):
        root.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number * 9, np.uint8)).save(root / name)
    samples = [
        Sample(path=name, label=label, generator="g", group=name, split="")
        for label, name in enumerate((BAD_NAME, os.fsdecode(b"\xfe.png"), os.fsdecode(b"\xff.png")))
        for label in [label % 2]
    ]
    dataset = Dataset(root=root, layout="manifest", samples=tuple(samples))
    assert [path.name for path in write_shards(dataset, out=tmp_path / "out")] == ["all-000000.tar"]
    index = json.loads((tmp_path / "out" / "index.json").read_text("utf-8"))
    assert index["shards"][0]["skipped"][0]["path"] == r"\udcff.png"


def test_names_of_explained_photos_forge_nothing_and_stop_nothing(tmp_path: Path) -> None:
    forged = photo(tmp_path / "a\nreal: b.png")
    odd = photo(tmp_path / BAD_NAME)
    told = edgeproof("explain", ARTIFACT, forged, odd, "--out", tmp_path / "out")
    assert told.returncode == 0 and "Traceback" not in told.stderr, told.stderr
    assert len(told.stdout.splitlines()) == 2 and r"a\nreal: b.png" in told.stdout
    assert r"caf\udce9.png" in (tmp_path / "out/explain.html").read_text()
    found = edgeproof("explain", ARTIFACT, odd, "--json")
    assert json.loads(found.stdout)["images"][0]["image"] == str(odd)


def test_a_mask_is_decoded_as_a_photo_is(tmp_path: Path) -> None:
    """PostScript would be given to Ghostscript."""
    (tmp_path / "mask.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n")
    subject = SimpleNamespace(spec=PreprocessSpec(size=64))
    shown = Shown("a", lambda smallest: Image.new("RGB", (64, 64)), tmp_path / "mask.png")
    with pytest.raises(OSError, match="cannot identify image file"):
        shown.mask_for(subject)  # type: ignore[arg-type]
