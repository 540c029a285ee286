"""Maps of what an answer hangs on: a detector of one planted square, scores against masks, and the command."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from deploy.explain import METHODS, energy_inside, explain, pointing_game, squares
from deploy.explain.marks import agreement
from deploy.explain.page import table, told
from deploy.explain.picture import CAPTION, GAP, Panel, sheet
from deploy.explain.picture import SIDE as SHOWN
from deploy.explain.record import ExplainRecord, Scores
from distill.cli.app import app
from distill.data.simulate.settings import SceneCounts, SimulationSettings
from distill.data.simulate.writer import simulate
from distill.errors import EdgeproofError

SIDE = 64
PLACE = np.s_[8:24, 40:56]


def stripes_in_place(pixels):
    """The logit of a detector that looks for stripes in one square alone."""
    square = pixels[:, PLACE[0], PLACE[1]].astype(np.float64)
    return np.abs(np.diff(square, axis=2)).mean(axis=(1, 2, 3)) / 10


@pytest.fixture
def striped():
    pixels = np.full((SIDE, SIDE, 3), 120, np.uint8)
    pixels[:, ::2] += 60
    return pixels


@pytest.mark.parametrize("method", METHODS)
def test_the_peak_lies_where_the_answer_comes_from(method, striped):
    found = explain(stripes_in_place, striped, method=method)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[PLACE] = 255
    assert found.shape == (SIDE, SIDE) and found.dtype == np.float32
    assert pointing_game(found, mask) and energy_inside(found, mask) > 2 * mask.mean() / 255
    assert np.array_equal(found, explain(stripes_in_place, striped, method=method)), "the same again"


def test_hiding_what_speaks_against_is_negative_and_of_k_classes_the_likeliest_counts(striped):
    against = explain(lambda pixels: -stripes_in_place(pixels), striped)
    assert against[16, 48] < 0 and against.max() <= 1e-6
    both = explain(
        lambda pixels: np.stack([0 * stripes_in_place(pixels), stripes_in_place(pixels)], axis=1), striped
    )
    assert both[16, 48] > 0


def test_squares_cover_every_pixel_of_any_side():
    for side in (16, 64, 65, 224):
        covered = np.zeros((side, side), int)
        for top, left, size in squares(side):
            covered[top : top + size, left : left + size] += 1
            assert top + size <= side and left + size <= side
        assert covered.min() >= 1


def test_scores_of_a_map_that_is_known():
    heat = np.array([[1.0, 3.0], [-9.0, 0.0]], np.float32)
    assert pointing_game(heat, np.array([[0, 1], [0, 0]])) and not pointing_game(
        heat, np.array([[1, 0], [1, 1]])
    )
    assert energy_inside(heat, np.array([[0, 255], [255, 0]], np.uint8)) == 0.75
    assert energy_inside(-np.ones((2, 2), np.float32), np.ones((2, 2))) == 0.0
    with pytest.raises(EdgeproofError, match="method is 'lime', choose one of: occlusion, rise"):
        explain(stripes_in_place, np.zeros((SIDE, SIDE, 3), np.uint8), method="lime")


def test_maps_agree_with_themselves_and_not_with_their_opposite():
    heat = np.random.default_rng(0).random((8, 8)).astype(np.float32)
    assert agreement(heat, 3 * heat + 1) == pytest.approx(1) and agreement(heat, -heat) == pytest.approx(-1)
    assert agreement(heat, np.ones((8, 8), np.float32)) == 0.0


def test_the_picture_is_red_where_it_speaks_for_generated_and_what_was_altered_is_outlined():
    heat, mask = np.zeros((16, 16), np.float32), np.zeros((16, 16), np.uint8)
    heat[:8], heat[8:], mask[4:12, 4:12] = 1.0, -1.0, 255
    grey = np.full((16, 16, 3), 128, np.uint8)
    png = sheet([Panel(grey, ("a photo",), mask=mask), Panel(grey, ("a model", "generated 0.9"), heat)])
    shown = np.asarray(Image.open(io.BytesIO(png)), np.int64)
    assert shown.shape == (SHOWN + CAPTION, 2 * SHOWN + GAP, 3)
    left, right = shown[CAPTION:, :SHOWN], shown[CAPTION:, SHOWN + GAP :]
    top, bottom = right[: SHOWN // 3].mean(axis=(0, 1)), right[-SHOWN // 3 :].mean(axis=(0, 1))
    assert top[0] > top[2] and bottom[2] > bottom[0]
    yellow = (left == (255, 214, 0)).all(axis=2)
    assert yellow[SHOWN // 4 + 1, SHOWN // 2] and not yellow[SHOWN // 2, SHOWN // 2]


def test_the_command_explains_photos_and_scores_maps_of_simulated_blends(tmp_path):
    scenes = SceneCounts(train=0, valid=0, test=6, heldout=0, control=0)
    simulate(
        SimulationSettings(size=64, families=("blend",), held_out=(), instances=1, scenes=scenes),
        root=tmp_path / "sim",
        workers=1,
    )
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)).save(photo)
    out = tmp_path / "out"
    command = [
        "explain",
        "simulated-64",
        str(photo),
        "--data",
        str(tmp_path / "sim"),
        "--samples",
        "5",
        "--out",
        str(out),
    ]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    record = ExplainRecord.read(out / "explain.json")
    found, *masked = record.images
    assert len(masked) == 4 and all(image.image.startswith("test/") for image in masked)
    with Image.open(out / found.picture) as picture:
        assert picture.size == (2 * SHOWN + GAP, SHOWN + CAPTION)
    [look] = found.maps
    assert look.method == "occlusion" and f"strongest at {look.peak[0]}, {look.peak[1]}" in result.stdout
    [scores] = record.scores
    assert scores.images == 5 and scores.groups == 5 and 0 < scores.chance < 1
    assert scores.agreement is None and not record.changes and told(scores) in result.stdout
    page = (out / "explain.html").read_text()
    assert "photo.png" in page and "data:image/png;base64," in page and "simulated images only" in page
    as_json = CliRunner().invoke(app, ["explain", "simulated-64", str(photo), "--json"])
    assert json.loads(as_json.stdout)["images"][0]["maps"][0]["peak"] == list(look.peak)


def test_a_peak_no_better_than_chance_is_called_so():
    scores = Scores(
        model="a",
        form="torch fp32",
        method="rise",
        images=60,
        groups=60,
        pointing=0.2,
        pointing_ci=(0.1, 0.3),
        energy=0.2,
        energy_ci=None,
        chance=0.25,
        pointing_over_ci=(-0.15, 0.05),
        energy_over_ci=(0.01, 0.02),
    )
    assert scores.beats_chance is False and "not shown to be better than chance" in told(scores)
    record = ExplainRecord(models=("a",), reference="a", scores=(scores,))
    assert table(record).rows[0][-1] == "energy" and scores.concentrates
    few = scores.model_copy(update={"pointing_over_ci": None})
    assert few.beats_chance is None
    assert table(record.model_copy(update={"scores": (few,)})).rows[0][-1] == "too few scenes"


def test_wrong_values_are_one_line(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "fake").mkdir()
    for kind in ("real", "fake"):
        Image.new("RGB", (70, 70)).save(tmp_path / kind / "a.png")
    for given, said in (
        ([], "neither photos nor --data"),
        ([str(tmp_path / "real" / "a.png"), "--method", "gradcam"], "others need a checkpoint"),
        ([str(tmp_path / "real" / "a.png"), "--with", "simulated-46"], "simulated-46: expected an artifact"),
        ([str(tmp_path / "none.png")], "none.png"),
        (["--data", str(tmp_path)], "no image with a mask"),
        ([str(tmp_path / "real" / "a.png"), "--method", "lime"], "method is 'lime'"),
    ):
        result = CliRunner().invoke(app, ["explain", "simulated-64", *given, "--out", str(tmp_path / "out")])
        assert isinstance(result.exception, EdgeproofError) and said in str(result.exception), given
    assert not (tmp_path / "out").exists(), "nothing half written"
