"""What a network itself shows: class activation maps of planted traces, attention and boxes, and models beside each other."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional
from typer.testing import CliRunner

from deploy.explain.cam import ATTENTION, CAMS, checkpoint_subject
from deploy.explain.images import explain_images, photo
from deploy.explain.page import changes_table
from deploy.explain.record import ExplainRecord
from deploy.explain.scores import Marks, mark_maps
from deploy.explain.subject import Subject, View, views_of
from distill.cli.app import app
from distill.data.samples import Dataset, Sample
from distill.errors import EdgeproofError
from distill.preprocess import PreprocessSpec
from distill.task import BINARY
from distill.training.checkpoint import load_weights, save_weights
from students import build_student
from teachers import build_teacher

SIDE, PATCH = 32, 12
SPEC = PreprocessSpec(size=SIDE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
OPTIONS = {"blocks": 2, "convs_per_block": 1}
TEACHER = {"backbone": "test_efficientnet", "fpn_channels": 16, "levels": 2}


def planted(count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth noise, every other image with a checkered square somewhere; and the masks of the squares."""
    rng = np.random.default_rng(seed)
    small = rng.normal(128, 40, (count, 8, 8, 3)).repeat(SIDE // 8, axis=1).repeat(SIDE // 8, axis=2)
    masks = np.zeros((count, SIDE, SIDE), np.uint8)
    checks = np.where(np.indices((PATCH, PATCH)).sum(axis=0) % 2, 60, -60)[..., None]
    for number in range(1, count, 2):
        top, left = rng.integers(0, SIDE - PATCH, 2)
        small[number, top : top + PATCH, left : left + PATCH] += checks
        masks[number, top : top + PATCH, left : left + PATCH] = 255
    return small.clip(0, 255).astype(np.uint8), masks


def save(network: torch.nn.Module, folder: Path, *, architecture: str, options: dict) -> Path:
    about = {
        "architecture": architecture, "options": options, "task": "binary", "data": "simulated",
        "preprocess": SPEC.model_dump(mode="json"),
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    save_weights(network, folder / "weights.safetensors", sidecar=about)
    return folder / "weights.safetensors"


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> Path:
    """A student that tells checkered squares, trained in a second or two."""
    torch.manual_seed(0)
    pixels, masks = planted(256, seed=0)
    images = torch.from_numpy(SPEC.normalize(pixels)).permute(0, 3, 1, 2)
    labels = torch.from_numpy((masks.max(axis=(1, 2)) > 0).astype(np.float32))
    network = build_student("small_cnn", options=OPTIONS)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for step in range(60):
        rows = torch.arange(64) + step * 64 % 256
        loss = functional.binary_cross_entropy_with_logits(network(images[rows]).logits, labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("planted")
    return save(network.eval(), folder / "student", architecture="small_cnn", options=OPTIONS)


@pytest.fixture(scope="module")
def altered(tmp_path_factory) -> Dataset:
    """Images with a planted square, and its masks."""
    root = tmp_path_factory.mktemp("altered")
    pixels, masks = planted(48, seed=1)
    for number in range(1, 48, 2):
        Image.fromarray(pixels[number]).save(root / f"{number}.png")
        Image.fromarray(masks[number]).save(root / f"{number}-mask.png")
    samples = tuple(
        Sample(f"{n}.png", 1, split="test", group=str(n), mask=f"{n}-mask.png") for n in range(1, 48, 2)
    )
    return Dataset(root, "test", samples)


def nothing(done: int, total: int) -> None:
    """No progress is shown."""


def test_class_activation_maps_point_at_planted_traces(learned: Path, altered: Dataset):
    subject = checkpoint_subject(learned)
    assert (
        subject.name == "student" and subject.form == "torch fp32" and "simulated" in (subject.caution or "")
    )
    views = views_of([subject], [*CAMS])
    marks = mark_maps(views, altered, samples=24, reference=subject.name, progress=nothing)
    found = {scores.method: scores for scores in marks.scores()}
    chance = PATCH**2 / SIDE**2
    for method in ("gradcam", "hirescam", "layercam"):
        scores = found[method]
        assert scores.chance == pytest.approx(chance)
        assert scores.beats_chance and scores.pointing > 0.5 and scores.energy > 1.5 * chance, scores
    image = np.asarray(Image.open(altered.root / "1.png"))
    for method in CAMS:
        heat = subject.map_of(image, method=method)
        assert heat.shape == (SIDE, SIDE) and heat.dtype == np.float32
        assert heat.min() >= 0 and heat.max() <= 1 and heat.max() > heat.min()
        assert np.array_equal(heat, subject.map_of(image, method=method)), "the same again"


def test_gradcam_is_the_gradient_times_the_map(learned: Path, altered: Dataset):
    subject = checkpoint_subject(learned, layers=("block1",))
    image = np.asarray(Image.open(altered.root / "3.png"))
    network = build_student("small_cnn", options=OPTIONS).eval()
    load_weights(network, learned)
    output = network(torch.from_numpy(SPEC.normalize(image[None])).permute(0, 3, 1, 2))
    block = output.features["block1"]
    [gradient] = torch.autograd.grad(output.logits.sum(), block)
    heat = (gradient.mean((2, 3), keepdim=True) * block).sum(1)[0].clamp(min=0).detach().numpy()
    heat = (heat - heat.min()) / (heat.max() - heat.min())
    found = subject.map_of(image, method="gradcam")
    assert np.corrcoef(found[::2, ::2].ravel(), heat.ravel())[0, 1] > 0.98  # enlarged in between


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    torch.manual_seed(1)
    network = build_teacher("efficientnet_fpn_cbam", options=TEACHER).eval()
    return save(
        network,
        tmp_path_factory.mktemp("t") / "teacher",
        architecture="efficientnet_fpn_cbam",
        options=TEACHER,
    )


def test_a_teacher_shows_attention_and_a_box_inside_the_picture(teacher: Path, altered: Dataset, tmp_path):
    subject = checkpoint_subject(teacher)
    [image] = explain_images(
        views_of([subject]), [photo(altered.root / "1.png")], out=tmp_path, progress=nothing
    )
    assert [look.method for look in image.maps] == ["hirescam", ATTENTION]
    x1, y1, x2, y2 = image.maps[0].box
    assert 0 <= x1 < x2 <= SIDE and 0 <= y1 < y2 <= SIDE and 0 < image.maps[0].box_confidence < 1
    heat = subject.map_of(np.asarray(Image.open(altered.root / "1.png")), method=ATTENTION)
    assert heat.shape == (SIDE, SIDE) and 0 <= heat.min() < heat.max() <= 1
    green = (np.asarray(Image.open(tmp_path / image.picture)) == (0, 150, 60)).all(axis=2)
    assert green.any(), "the box is drawn"


def test_models_stand_beside_each_other_in_one_table(learned: Path, teacher: Path, altered: Dataset):
    first, second = checkpoint_subject(learned), checkpoint_subject(teacher)
    views = views_of([first, second])
    assert [(v.method, v.subject.name) for v in views] == [
        ("occlusion", "student"), ("occlusion", "teacher"), ("hirescam", "student"), ("hirescam", "teacher"),
        ("attention", "teacher"),
    ]  # fmt: skip
    quick = [view for view in views if view.method != "occlusion"]
    marks = mark_maps(quick, altered, samples=6, reference="student", progress=nothing)
    by = {(scores.model, scores.method): scores for scores in marks.scores()}
    own, other = by["student", "hirescam"], by["teacher", "hirescam"]
    assert own.agreement is None and -1 <= other.agreement <= 1
    low, high = other.agreement_ci
    assert low <= other.agreement <= high
    [change] = marks.changes([("student", "teacher")])  # by attention there is nothing to compare with
    assert (change.before, change.after, change.method) == ("student", "teacher", "hirescam")
    assert change.pointing == pytest.approx(other.pointing - own.pointing)
    assert change.energy == pytest.approx(other.energy - own.energy)
    [back] = marks.changes([("teacher", "student")])
    assert back.pointing_ci == pytest.approx([-end for end in reversed(change.pointing_ci)])


def test_a_change_is_paired_by_image_and_drawn_over_scenes():
    """Of 40 images in 10 scenes each gains a fixed bit: the pairing removes how much they differ."""
    subject = checkpoint_like("before"), checkpoint_like("after")
    views = tuple(View(each, "occlusion") for each in subject)
    energy = np.random.default_rng(0).random(40)
    values = np.full((40, 2, 4), np.nan)
    values[:, 0, :3] = np.stack([np.zeros(40), energy, np.full(40, 0.25)], axis=1)
    values[:, 1, :3] = np.stack([np.arange(40) % 4 == 0, energy + 0.1, np.full(40, 0.25)], axis=1)
    marks = Marks(views, values, tuple(str(n // 4) for n in range(40)), "before")
    [change] = marks.changes([("before", "after")])
    assert (change.images, change.groups) == (40, 10)
    assert change.energy == pytest.approx(0.1) and change.energy_ci == pytest.approx((0.1, 0.1))
    assert change.pointing == 0.25 and change.pointing_ci == (0.25, 0.25), "one of four in every scene"
    [none] = marks.changes([("before", "before")])
    assert none.pointing == 0 and none.energy_ci == (0, 0)
    rows = changes_table([change, none]).rows
    assert rows[0][-1] == "hits more, more energy inside" and rows[1][-1] == "no change shown"
    few = change.model_copy(update={"pointing_ci": None})
    assert changes_table([few]).rows[0][-1] == "too few scenes"


def checkpoint_like(name: str) -> Subject:
    """A model that is never asked."""
    return Subject(name=name, form="", spec=SPEC, task=BINARY, ask=lambda pixels: pixels, threshold=0.5)


def test_a_run_shows_what_distillation_and_int8_do_to_maps(finished_run: Path, tmp_path):
    command = ["explain", "--run", str(finished_run), "--samples", "3", "--show", "1", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    record = ExplainRecord.read(tmp_path / "explain.json")
    assert record.models == (
        "teacher", "small_cnn alone", "small_cnn distilled", "small_cnn INT8 ort", "small_cnn INT8 nncf",
    )  # fmt: skip
    assert record.reference == "small_cnn distilled"
    occlusion = {scores.model: scores for scores in record.scores if scores.method == "occlusion"}
    assert occlusion.keys() == set(record.models)
    assert occlusion["small_cnn INT8 nncf"].agreement > 0.3, "INT8 looks where FP32 does, noise would give 0"
    assert {scores.model for scores in record.scores if scores.method == ATTENTION} == {"teacher"}
    steps = {(change.before, change.after) for change in record.changes if change.method == "occlusion"}
    distilled = "small_cnn distilled"
    assert steps == {
        ("small_cnn alone", distilled), (distilled, "small_cnn INT8 ort"), (distilled, "small_cnn INT8 nncf")
    }  # fmt: skip
    assert {change.after for change in record.changes if change.method == "hirescam"} == {distilled}
    page = (tmp_path / "explain.html").read_text()
    assert "agrees with small_cnn distilled" in page and "What each step changed" in page
    assert "data:image/png;base64," in page
    assert "small_cnn INT8 ort" in result.stdout


def test_what_has_no_gradient_no_layer_or_no_run_is_one_line(learned: Path, altered: Dataset, tmp_path):
    with pytest.raises(
        EdgeproofError, match="layer 'block9' is no feature map, choose one of: block1, block2"
    ):
        checkpoint_subject(learned, layers=("block9",))
    picture = str(altered.root / "1.png")
    for given, said in (
        (["--run", str(tmp_path), picture], "holds no recipe.toml, expected a run folder"),
        ([str(learned), picture, "--method", "attention"], "method is 'attention', choose one of: gradcam"),
        ([str(learned.parent), picture, "--with", str(learned)], "student torch fp32"),
    ):
        result = CliRunner().invoke(app, ["explain", *given, "--json"])
        if said.startswith("student"):  # the same model twice is told apart by its form
            assert result.exit_code == 0 and said in result.stdout
        else:
            assert isinstance(result.exception, EdgeproofError) and said in str(result.exception), given
