import hashlib
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill.data import scan as module
from distill.data.samples import Dataset, Sample, Skipped
from distill.data.scan import FORMATS, load_scan, save_scan, scan
from distill.errors import EdgeproofError

COUNT = 7


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for index in range(COUNT):
        noise = np.random.default_rng(index).integers(0, 255, (30 + index, 40, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{index}.png")
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("no image")
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:200])
    (folder / "folder.jpg").mkdir()
    return folder


def samples(*names):
    return tuple(Sample(path=name, label=0) for name in (*[f"{i}.png" for i in range(COUNT)], *names))


def scanned(root, *names, skipped=(), **options):
    dataset = Dataset(root=root, layout="x", samples=samples(*names), skipped=skipped)
    return scan(dataset, **{"max_bad_share": 1.0, "workers": 1, **options})


def alike(first, second):
    columns = first.columns().items()
    return all(np.array_equal(column, second.columns()[name], equal_nan=True) for name, column in columns)


def in_processes(monkeypatch):
    monkeypatch.setattr(module, "_PROCESSES_FROM", 0)
    monkeypatch.setattr(module, "_CHUNK", 3)


def test_bad_files_are_listed_with_their_reasons(root):
    before = Skipped(path="z", reason="earlier")
    names = ("empty.jpg", "text.jpg", "gone.jpg", "cut.png", "folder.jpg", "nul\0.jpg")
    found, columns = scanned(root, *names, skipped=(before,))
    assert found.samples == samples() and len(columns) == COUNT
    assert found.skipped[0] == before
    assert {item.path: item.reason.split(" (")[0] for item in found.skipped[1:]} == {
        "empty.jpg": "the file is empty",
        "text.jpg": "cannot be decoded as an image",
        "gone.jpg": "no such image file",
        "cut.png": "cannot be decoded as an image",
        "folder.jpg": "no such image file",
        "nul\0.jpg": "no such image file",
    }


def test_rows_stay_with_their_samples_when_files_are_left_out(root):
    mixed = tuple(Sample(path=name, label=0) for name in ("empty.jpg", "3.png", "gone.jpg", "1.png"))
    found, columns = scan(Dataset(root=root, layout="x", samples=mixed), max_bad_share=1.0, workers=1)
    assert [sample.path for sample in found.samples] == ["3.png", "1.png"]
    assert columns.height.tolist() == [33, 31]


def test_a_row_of_known_files(tmp_path):
    ramp = np.linspace(0, 255, 40 * 24 * 3).reshape(24, 40, 3).astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / "a.jpg", quality=75)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    Image.fromarray(ramp).save(tmp_path / "a.avif", quality=100, subsampling="4:4:4")
    given = tuple(Sample(path=f"a.{suffix}", label=0) for suffix in ("jpg", "png", "avif"))
    _, found = scan(Dataset(root=tmp_path, layout="x", samples=given), max_bad_share=0.0, workers=1)
    assert found.format.tolist() == [FORMATS.index("JPEG"), FORMATS.index("PNG"), -1]
    assert found.quality[0] == pytest.approx(75, abs=0.5) and np.isnan(found.quality[1:]).all()
    assert found.width.tolist() == [40] * 3 and found.height.tolist() == [24] * 3
    data = (tmp_path / "a.png").read_bytes()
    assert found.bytes[1] == len(data)
    assert (
        b"".join(int(part).to_bytes(8, "big") for part in found.content[1])
        == hashlib.sha256(data).digest()[:16]
    )
    assert found.phash[1] == found.phash[2] and found.dhash[1] == found.dhash[2]
    assert found.thumbnail[1].tolist()[:3] == ramp[:6, :10].mean(axis=(0, 1)).round().astype(int).tolist()


def test_perceptual_hashes_are_those_of_the_library(root):
    import imagehash

    _, found = scanned(root)
    with Image.open(root / "2.png") as image:
        assert f"{found.phash[2]:016x}" == str(imagehash.phash(image))
        assert f"{found.dhash[2]:016x}" == str(imagehash.dhash(image))


def test_sizes_are_as_stored_and_hashes_as_shown(tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 40, 3), np.uint8))
    picture.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    given = (Sample(path="upright.png", label=0), Sample(path="turned.png", label=0))
    _, found = scan(Dataset(root=tmp_path, layout="x", samples=given), max_bad_share=0.0, workers=1)
    assert found.width.tolist() == [40, 24]
    assert found.phash[0] == found.phash[1] and found.dhash[0] == found.dhash[1]


def test_images_in_a_tar_read_as_from_a_folder(root, tmp_path):
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for index in range(3):
            tar.add(root / f"{index}.png", arcname=f"{index}.png")
    with tarfile.open(tmp_path / "s.tar") as tar:
        spans = [(member.offset_data, member.size) for member in tar.getmembers()]
    inside = [Sample(path=f"s.tar/{i}.png", label=0, span=span) for i, span in enumerate(spans)]
    cut = Sample(path="s.tar/cut.png", label=0, span=(10**6, 100))
    empty = Sample(path="s.tar/empty.png", label=0, span=(0, 0))
    gone = Sample(path="t.tar/0.png", label=0, span=(0, 100))
    dataset = Dataset(root=tmp_path, layout="x", samples=(*inside, cut, empty, gone))
    found, columns = scan(dataset, max_bad_share=1.0, workers=1)
    assert alike(columns, scanned(root)[1].take(range(3)))
    assert [(item.path, item.reason) for item in found.skipped] == [
        ("s.tar/cut.png", "the tar is cut short inside this image"),
        ("s.tar/empty.png", "the file is empty (0 bytes), expected an image"),
        ("t.tar/0.png", "no such image file"),
    ]


def test_many_processes_find_what_one_finds(root, monkeypatch):
    in_processes(monkeypatch)
    alone, one = scanned(root, "empty.jpg", "text.jpg")
    together, many = scanned(root, "empty.jpg", "text.jpg", workers=2)
    assert together == alone and alike(one, many)


def test_few_files_start_no_process(root, monkeypatch):
    monkeypatch.setattr("distill.engine.local.process_pool", None)
    assert len(scanned(root, workers=8)[1]) == COUNT


def test_progress_reaches_the_end_from_one_thread(root, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 3)
    told = []
    here = threading.current_thread
    scanned(root, progress=lambda *step: told.append((*step, here() is threading.main_thread())))
    assert told == [(3, 7, True), (6, 7, True), (7, 7, True)]


def die(root, samples):
    os._exit(9)


def test_a_killed_process_is_one_clear_error(root, monkeypatch):
    in_processes(monkeypatch)
    monkeypatch.setattr(module, "_read_chunk", die)
    with pytest.raises(EdgeproofError, match="a worker process was killed") as caught:
        scanned(root, workers=2)
    assert "\n" not in str(caught.value)


SLOW = """
import sys
from pathlib import Path
from distill.data import scan as module
from distill.data.samples import Dataset, Sample
if __name__ == "__main__":
    module._PROCESSES_FROM = 0
    samples = (Sample(path="0.png", label=0),) * 2_000_000
    tell = lambda done, total: print(done, flush=True)
    module.scan(Dataset(Path(sys.argv[1]), "x", samples), max_bad_share=0, workers=2, progress=tell)
"""


def test_ctrl_c_ends_it_and_its_processes(root, tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    with subprocess.Popen(
        [sys.executable, script, root],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        process.stdout.readline()  # at work
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the children too
        _, errors = process.communicate(timeout=30)
    assert errors.count("Traceback") == 1 and errors.rstrip().endswith("KeyboardInterrupt")
    deadline = time.monotonic() + 10  # the last of them may still be ending
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, 0)
            time.sleep(0.05)


def test_more_bad_files_than_allowed(root):
    with pytest.raises(EdgeproofError) as caught:
        scanned(root, "empty.jpg", "text.jpg", max_bad_share=0.2)
    assert str(caught.value).startswith(
        f"{root}: 2 of 9 files are bad, more than data.max_bad_share = 0.2 allows; the first: empty.jpg: the file is empty"
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("share", "passes"), [(2 / 9, True), (0.22, False), (0.0, False)])
def test_the_limit_is_a_share_of_the_files_opened(root, share, passes):
    if passes:
        assert len(scanned(root, "empty.jpg", "text.jpg", max_bad_share=share)[0].skipped) == 2
    else:
        with pytest.raises(EdgeproofError, match="2 of 9"):
            scanned(root, "empty.jpg", "text.jpg", max_bad_share=share)


def test_what_the_layout_left_out_is_not_bad(root):
    """A folder full of text files beside the images says nothing of the images."""
    other = tuple(Skipped(path=f"{i}.txt", reason="no image file (.txt)") for i in range(100))
    found, _ = scanned(root, skipped=other, max_bad_share=0.0)
    assert found.skipped == other
    with pytest.raises(EdgeproofError, match="1 of 8"):
        scanned(root, "empty.jpg", skipped=other, max_bad_share=0.1)


def test_nothing_to_scan():
    found, columns = scan(Dataset(root=Path(), layout="x", samples=()), max_bad_share=0.0, workers=1)
    assert found.samples == () and len(columns) == 0


def test_what_is_written_reads_back(root, tmp_path):
    _, found = scanned(root)
    save_scan(found, tmp_path / "data/scan.npz")
    assert alike(load_scan(tmp_path / "data/scan.npz"), found)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["scan.npz"]
    assert {name: column.dtype for name, column in found.columns().items()} == {
        name: column.dtype for name, column in load_scan(tmp_path / "data/scan.npz").columns().items()
    }


@pytest.mark.parametrize("damage", ["cut", "no archive", "other columns", "empty"])
def test_a_damaged_scan_is_an_error_in_one_line(root, tmp_path, damage):
    path = tmp_path / "scan.npz"
    save_scan(scanned(root)[1], path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:400])
    elif damage == "no archive":
        path.write_text("something else")
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        with path.open("wb") as file:
            np.savez(file, format=np.zeros(3))
    with pytest.raises(EdgeproofError, match="cannot be read") as caught:
        load_scan(path)
    assert "\n" not in str(caught.value)


def test_a_missing_scan_is_named(tmp_path):
    with pytest.raises(EdgeproofError, match="no such file"):
        load_scan(tmp_path / "scan.npz")


def test_taking_rows(root):
    _, found = scanned(root)
    assert found.take([4, 1]).height.tolist() == [34, 31]
    assert found.take(found.height > 34).height.tolist() == [35, 36]
    assert len(found.take([])) == 0
