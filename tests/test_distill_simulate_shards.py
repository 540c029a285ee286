"""The simulated set as WebDataset shards: the same images, whole shards or none."""

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from distill.data.layouts import load_dataset
from distill.data.simulate.settings import SimulationSettings
from distill.data.simulate.writer import simulate
from distill.data.storage import open_image, read_bytes

FILES = SimulationSettings(
    size=32,
    scenes={"train": 10, "valid": 2, "test": 2, "heldout": 0, "control": 2},
    families=("nearest", "blend"),
    instances=1,
    seed=3,
)
SHARDS = FILES.model_copy(update={"storage": "shards", "shard_scenes": 4})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("files") / "set"
    simulate(FILES, root=root, workers=1)
    return root


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shards") / "set"
    simulate(SHARDS, root=root, workers=1)
    return root


def tars(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(root.glob("*.tar"))}


def test_shards_hold_the_same_images_labels_and_masks_as_files(files: Path, shards: Path) -> None:
    def content(root: Path) -> list[tuple[object, ...]]:
        return [
            (s.label, s.split, s.generator, s.group, s.box, s.mask, read_bytes(root, s))
            for s in load_dataset(root).samples
        ]

    assert content(shards) == content(files)
    assert load_dataset(shards).layout == "simulated"


def test_a_shard_is_what_webdataset_readers_expect(shards: Path) -> None:
    assert list(tars(shards)) == [
        "control-000000.tar", "test-000000.tar", "train-000000.tar", "train-000001.tar", "train-000002.tar",
        "valid-000000.tar",
    ]  # fmt: skip
    with tarfile.open(shards / "train-000001.tar") as tar:
        names = tar.getnames()
        assert names[:4] == [
            f"train-000004-{end}" for end in ("real.jpg", "real.json", "fake.jpg", "fake.json")
        ]
        label = json.loads(tar.extractfile("train-000004-fake.json").read())
    assert (label["label"], label["split"], label["group"]) == (1, "train", "train-000004")


def test_images_open_in_place(shards: Path) -> None:
    assert {open_image(shards, sample).size for sample in load_dataset(shards).samples} == {(32, 32)}


def test_two_workers_write_the_same_bytes(shards: Path, tmp_path: Path) -> None:
    simulate(SHARDS, root=tmp_path / "set", workers=2)
    assert tars(tmp_path / "set") == tars(shards)
    assert (tmp_path / "set" / "manifest.json").read_bytes() == (shards / "manifest.json").read_bytes()


def test_resume_restores_lost_and_cut_shards_alone(shards: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(shards, tmp_path / "copy"))
    (copy / "valid-000000.tar").unlink()
    cut = copy / "train-000001.tar"
    cut.write_bytes(cut.read_bytes()[:2000])
    kept = (copy / "train-000000.tar").stat().st_mtime_ns
    simulate(SHARDS, root=copy, workers=1)
    assert tars(copy) == tars(shards)
    assert (copy / "train-000000.tar").stat().st_mtime_ns == kept
