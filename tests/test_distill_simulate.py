"""The simulated set as a whole: determinism, pairs, splits, imbalance, resume, bad input."""

import hashlib
import json
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from distill.data.layouts.simulated import load_simulated, matches
from distill.data.samples import GENERATED, REAL
from distill.data.simulate.manifest import Manifest
from distill.data.simulate.plan import plan_scenes
from distill.data.simulate.settings import SimulationSettings
from distill.data.simulate.writer import simulate
from distill.errors import EdgeproofError

SETTINGS = SimulationSettings(
    size=32,
    scenes={"train": 28, "valid": 4, "test": 4, "heldout": 4, "control": 4},
    families=("transposed", "blend"),
    held_out=("diffusion",),
    instances=1,
    seed=7,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "set"
    simulate(SETTINGS, root=folder, workers=1)
    return folder


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(root, tmp_path / "copy"))


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def pairs(root: Path) -> dict[str, list]:
    found = defaultdict(list)
    for record in Manifest.model_validate_json((root / "manifest.json").read_bytes()).samples:
        found[record.group].append(record)
    return found


def test_two_workers_write_the_same_bytes_as_one_and_progress_ends_whole(root: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    simulate(
        SETTINGS, root=tmp_path / "set", workers=2, progress=lambda done, total: seen.append((done, total))
    )
    assert digests(tmp_path / "set") == digests(root)
    assert seen[0] == (0, 44) and seen[-1] == (44, 44) and seen == sorted(seen)


def test_another_seed_writes_other_bytes(root: Path, tmp_path: Path) -> None:
    few = {"scenes": {"train": 0, "valid": 0, "test": 0, "heldout": 0, "control": 4}}
    same, other = (SimulationSettings(**{**SETTINGS.model_dump(), **few, "seed": seed}) for seed in (7, 8))
    simulate(same, root=tmp_path / "same", workers=1)
    simulate(other, root=tmp_path / "other", workers=1)
    name = "control/real/control-000002.jpg"
    assert (tmp_path / "same" / name).read_bytes() == (root / name).read_bytes()
    assert (tmp_path / "other" / name).read_bytes() != (root / name).read_bytes()


def test_a_pair_shares_everything_but_the_picture(root: Path) -> None:
    shared = (
        "split",
        "camera",
        "quality",
        "subsampling",
        "shot_noise",
        "read_noise",
        "bytes",
        "box",
        "landmarks",
    )
    assert len(pairs(root)) == 44
    for real, fake in pairs(root).values():
        assert (real.label, fake.label) == (REAL, GENERATED)
        assert [getattr(real, name) for name in shared] == [getattr(fake, name) for name in shared]
        assert 65 <= real.quality <= 100
        with Image.open(root / real.path) as one, Image.open(root / fake.path) as two:
            assert one.size == two.size == (32, 32) and one.format == two.format == "JPEG"
            assert one.quantization == two.quantization and one.layer == two.layer
            assert set(one.info) == set(two.info) and not one.getexif() and not two.getexif()
            assert not np.array_equal(one, two)
        assert (root / real.path).stat().st_size == (root / fake.path).stat().st_size == real.bytes
        assert real.sha256 == hashlib.sha256((root / real.path).read_bytes()).hexdigest()


def test_a_pair_shows_one_scene(root: Path) -> None:
    pictures = {
        record.path: np.asarray(Image.open(root / record.path).convert("L").resize((4, 4)), float).ravel()
        for pair in pairs(root).values()
        for record in pair
    }
    for real, fake in pairs(root).values():
        distance = {path: np.abs(values - pictures[real.path]).mean() for path, values in pictures.items()}
        assert distance[fake.path] < np.median(list(distance.values())) / 2


def test_splits_hold_their_own_families_groups_and_cameras(root: Path) -> None:
    dataset = load_simulated(root)
    expected = {
        "train": {"transposed", "blend"}, "valid": {"transposed", "blend"}, "test": {"transposed", "blend"},
        "heldout": {"diffusion"}, "control": {"identity"},
    }  # fmt: skip
    for split, families in expected.items():
        samples = dataset.split(split)
        assert {sample.generator for sample in samples if sample.label == GENERATED} == families
        assert {sample.generator for sample in samples if sample.label == REAL} == {""}
    for key in ("group", "camera"):
        seen = defaultdict(set)
        for pair in pairs(root).values():
            for record in pair:
                seen[getattr(record, key)].add(record.split)
        assert all(len(splits) == 1 for splits in seen.values())


def test_boxes_and_landmarks_lie_inside(root: Path) -> None:
    faces = [record for pair in pairs(root).values() for record in pair if record.box]
    assert len(faces) >= 44
    for record in faces:
        x1, y1, x2, y2 = record.box
        assert 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1
        assert len(record.landmarks) == 5
        (left, eye_height), (right, _), _, (_, mouth_height), _ = record.landmarks
        assert x1 < left < right < x2 and y1 < eye_height < mouth_height < y2


def test_blends_alone_have_masks_and_every_one_shows_a_face(root: Path) -> None:
    for real, fake in pairs(root).values():
        assert real.mask is None
        assert (fake.mask is not None) == (fake.generator == "blend")
        if fake.mask:
            with Image.open(root / fake.mask) as mask:
                assert mask.mode == "L" and mask.size == (32, 32) and mask.getextrema()[1] > 250
            assert fake.box is not None


@pytest.mark.parametrize(("share", "real", "fake"), [(0.17, 100, 20), (0.5, 100, 100), (0.8, 25, 100)])
def test_imbalance_is_honoured_and_keeps_the_mix_of_families(share: float, real: int, fake: int) -> None:
    settings = SimulationSettings(scenes={"train": 100, "control": 10}, fake_share=share)
    plans = [plan for plan in plan_scenes(settings) if plan.split == "train"]
    assert sum(plan.write_real for plan in plans) == real
    assert sum(plan.write_fake for plan in plans) == fake
    families = [plan.family for plan in plans if plan.write_fake]
    assert max(map(families.count, settings.families)) - min(map(families.count, settings.families)) <= 1
    assert all(
        plan.write_real and plan.write_fake for plan in plan_scenes(settings) if plan.split == "control"
    )


def test_an_imbalanced_set_writes_only_what_is_planned(tmp_path: Path) -> None:
    scenes = {"train": 10, "valid": 0, "test": 0, "heldout": 0, "control": 0}
    settings = SimulationSettings(size=32, scenes=scenes, families=("blend",), fake_share=0.17)
    dataset = simulate(settings, root=tmp_path / "set", workers=1)
    assert [sample.label for sample in dataset.samples].count(GENERATED) == 2
    assert (
        len(list((tmp_path / "set").rglob("*.jpg"))) == 12
        and len(list((tmp_path / "set").rglob("*.png"))) == 2
    )


def test_a_finished_set_is_returned_without_rendering(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distill.data.simulate.writer._render_missing", None)
    assert simulate(SETTINGS, root=root, workers=2) == load_simulated(root)


def test_resume_restores_the_same_bytes_and_keeps_whole_files(root: Path, copy: Path) -> None:
    for number in (3, 4):  # one of each family, so that the missing generator is needed again
        (copy / f"train/fake/train-{number:06d}.jpg").unlink()
    (copy / "train/real/train-000005.jpg").write_bytes(b"cut short")
    (copy / "train/real/.train-000006-abc.jpg").write_bytes(b"of a killed run")
    (copy / "generators/transposed-0.safetensors").unlink()
    mask = next((copy / "masks").glob("train-*.png"))
    mask.unlink()
    kept = copy / "train/fake/train-000002.jpg"
    before = kept.stat().st_mtime_ns
    simulate(SETTINGS, root=copy, workers=1)
    assert digests(copy) == digests(root)
    assert kept.stat().st_mtime_ns == before


def test_resume_after_an_interruption_keeps_what_was_rendered(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distill.data.simulate.render import SceneRenderer

    whole, names = SceneRenderer.render, []

    def interrupted(self, plan):
        names.append(plan.name)
        if len(names) == 10:
            raise KeyboardInterrupt
        return whole(self, plan)

    folder = tmp_path / "set"
    with monkeypatch.context() as patch:
        patch.setattr(SceneRenderer, "render", interrupted)
        with pytest.raises(KeyboardInterrupt):
            simulate(SETTINGS, root=folder, workers=1)
    assert not (folder / "manifest.json").exists() and not matches(folder)
    first: list[int] = []
    simulate(SETTINGS, root=folder, workers=1, progress=lambda done, total: first.append(done))
    assert first[0] == 9
    assert digests(folder) == digests(root)


def test_other_settings_in_the_folder_are_an_error_that_names_the_difference(copy: Path) -> None:
    with pytest.raises(
        EdgeproofError, match=r"copy: holds a simulated set with other settings \(seed: 7 there, 8 asked\)"
    ):
        simulate(SETTINGS.model_copy(update={"seed": 8}), root=copy, workers=1)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(EdgeproofError, match="holds something that is no simulated set"):
        simulate(SETTINGS, root=tmp_path, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"families": ["gan"]}, r"known generator families, not 'gan'; choose among: bilinear"),
        ({"families": ["nearest"], "held_out": ["nearest"]}, "not 'nearest' twice"),
        ({"held_out": []}, "a generator family in held_out for its 300 scenes"),
        ({"fake_share": 1.0}, "less than 1"),
        ({"scenes": {"tests": 3}}, "Extra inputs are not permitted"),
        ({"size": 8}, "greater than or equal to 32"),
    ],
)
def test_bad_settings_say_what_is_wrong(values: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SimulationSettings(**values)


def test_no_scenes_and_no_workers_are_errors(tmp_path: Path) -> None:
    nothing = SimulationSettings(scenes=dict.fromkeys(("train", "valid", "test", "heldout", "control"), 0))
    with pytest.raises(EdgeproofError, match="expected at least one scene"):
        simulate(nothing, root=tmp_path / "set", workers=1)
    with pytest.raises(EdgeproofError, match="workers is 0"):
        simulate(SETTINGS, root=tmp_path / "set", workers=0)


def test_reader_names_what_is_wrong_with_a_set(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgeproofError, match="no such file"):
        load_simulated(tmp_path)
    (copy / "test/real/test-000001.jpg").unlink()
    with pytest.raises(EdgeproofError, match="1 of .* files are missing, first test/real/test-000001.jpg"):
        load_simulated(copy)
    path = copy / "manifest.json"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(EdgeproofError, match="no whole JSON document"):
        load_simulated(copy)
    path.write_text(json.dumps({**json.loads(whole), "schema_version": 99}))
    with pytest.raises(EdgeproofError, match="schema_version is 99, expected 1"):
        load_simulated(copy)
    path.write_text(json.dumps({**json.loads(whole), "samples": [{"path": "a.jpg"}]}))
    with pytest.raises(EdgeproofError, match=r"samples\.0\.label"):
        load_simulated(copy)
