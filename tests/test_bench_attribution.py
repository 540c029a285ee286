"""Who made an image: scores by hand, fingerprints that were planted, and the table."""

import numpy as np
import pytest
from PIL import Image

from bench.attribution.collect import attribution_of, temperature_of
from bench.attribution.fingerprint import correlations, learn
from bench.attribution.page import headline, matrices, page_of, table
from bench.attribution.record import AttributionRecord
from bench.attribution.score import Known, Scored, Unlearned, attributed, numbers_of
from distill.data.pixels import PixelSource
from distill.data.samples import Dataset, Sample
from distill.errors import EdgeproofError
from distill.page import html
from distill.pipeline.runfolder import save_arrays, save_samples
from distill.preprocess import PreprocessSpec
from distill.recipe import parse_recipe
from distill.roster import roster_of
from distill.task_settings import TaskSettings

CLASSES = ("real", "gan")
SIDE = 32


def nothing(done, total):
    """No progress is shown."""


@pytest.fixture
def found():
    valid = np.column_stack([np.linspace(0.5, 0.9, 101), 1 - np.linspace(0.5, 0.9, 101)])  # 95 % reach 0.52
    test = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.51, 0.49]])
    strange = np.array([[0.51, 0.49], [0.1, 0.9], [0.505, 0.495]])
    known = Known(np.array([0, 1, 1, 0]), ("a", "b", "c", "d"))
    unlearned = Unlearned(np.array([0, 0, 1]), 2, ("e", "f", "g"))
    return attributed("a network", Scored(valid, test, strange), test=known, unlearned=unlearned)


def test_scores_by_hand(found):
    assert found.threshold == pytest.approx(0.52)
    assert (found.accuracy, found.kept, found.right) == (0.75, 0.75, 0.5)
    assert found.refused == pytest.approx(2 / 3)
    # confidences .9 .8 .7 .51 against .51 .9 .505: of twelve pairs 7 right, 2 tied
    assert found.unknown_auc == pytest.approx((7 + 2 * 0.5) / 12)
    assert found.matrix == ((1, 0, 1), (1, 1, 0), (0, 1, 1), (0, 0, 1))


def test_without_unlearned_generators_nothing_is_said_of_them():
    scores = Scored(np.eye(2), np.eye(2), np.empty((0, 2)))
    none = Unlearned(np.empty(0, np.int64), 0, ())
    found = attributed("x", scores, test=Known(np.array([0, 1]), ("a", "b")), unlearned=none)
    assert found.accuracy == 1 and found.refused is None and found.unknown_auc is None
    assert found.matrix == ((1, 0, 0), (0, 1, 0))


def source(patterns, *, seed):
    """Flat pictures with noise, and a faint pattern of its maker in each."""
    rng = np.random.default_rng(seed)
    pixels = 128 + rng.normal(0, 4, (len(patterns), SIDE, SIDE, 3)) + np.stack(patterns)[..., None]
    samples = tuple(Sample(f"{seed}-{number}.png", 1) for number in range(len(patterns)))
    cache = pixels.clip(0, 255).astype(np.uint8)
    return PixelSource(root=None, samples=samples, spec=PreprocessSpec(size=SIDE), cache=cache)


def test_the_nearest_fingerprint_is_that_of_the_maker():
    first, second, stranger = np.random.default_rng(3).normal(0, 3, (3, SIDE, SIDE))
    train = source([first, second] * 20, seed=0)
    known = learn(train, np.array([0, 1] * 20), classes=2, progress=nothing)
    scores = correlations(source([first, second] * 10 + [stranger] * 10, seed=1), known, progress=nothing)
    assert scores.shape == (30, 2) and np.abs(scores).max() <= 1
    assert (scores[:20].argmax(axis=1) == np.array([0, 1] * 10)).mean() > 0.9
    assert scores[:20].max(axis=1).mean() > 2 * np.abs(scores[20:]).mean()


def test_the_page_has_a_table_and_a_matrix(found):
    record = AttributionRecord(
        recipe="attribution", simulated=True, classes=CLASSES, rows=(*CLASSES, "new", "newer"), images=4, groups=4,
        unlearned=3, keeps=0.95, models=(found,),
    )  # fmt: skip
    assert record.chance == 0.5 and "75.0%" in headline(record)
    assert table(record).rows[0][:2] == ("a network", "0.750")
    [block] = matrices(record, found)
    assert block.rows[2] == ("new", "0.00", "0.50", "0.50", "2")
    assert "simulated" in html.render(page_of(record))
    assert numbers_of(["gan", "real"], CLASSES).tolist() == [1, 0]


@pytest.fixture
def run(tmp_path):
    """A run folder as the stages leave it: images of two makers and a stranger, and what each network said of them."""
    root, rng, samples = tmp_path / "images", np.random.default_rng(5), []
    root.mkdir()
    patterns = dict(zip(("", "gan", "new"), rng.normal(0, 6, (3, SIDE, SIDE, 1)), strict=True))
    for split, count, generators in (
        ("train", 12, ("", "gan")), ("valid", 10, ("", "gan")), ("test", 10, ("", "gan")), ("heldout", 10, ("", "new")),
    ):  # fmt: skip
        for number in range(count):
            generator = generators[number % 2]
            pixels = 128 + rng.normal(0, 4, (SIDE, SIDE, 3)) + patterns[generator]
            name = f"{split}-{number}.png"
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / name)
            samples.append(
                Sample(name, number % 2, split=split, generator=generator, group=f"{split}{number // 2}")
            )
    save_samples(Dataset(root, "test", tuple(samples)), tmp_path)
    recipe = parse_recipe(
        {
            "name": "made", "description": "by hand", "task": {"kind": "families", "labels": ["real", "gan"]},
            "data": {"path": str(root)}, "preprocess": {"size": SIDE, "policy": "resize"},
            "students": {"small_cnn": {"name": "small_cnn"}},
        },
        origin="a test",
    )  # fmt: skip
    right = np.tile([[2.0, -2.0], [-2.0, 2.0]], (5, 1))
    unsure = np.tile([[2.0, -2.0], [0.1, 0.0]], (5, 1))
    for model in roster_of(recipe).networks:
        (tmp_path / model.logits).parent.mkdir(parents=True, exist_ok=True)
        save_arrays(tmp_path / model.logits, {"valid": right, "test": right, "heldout": unsure})
    return tmp_path, recipe


def test_every_network_of_a_run_and_the_fingerprints_are_judged_on_the_same_images(run):
    folder, recipe = run
    record = attribution_of(folder, recipe, roster_of(recipe), progress=nothing)
    names = [found.model for found in record.models]
    assert names == ["teacher", "small_cnn distilled", "small_cnn alone", "nearest fingerprint"]
    assert (record.classes, record.rows) == (CLASSES, (*CLASSES, "new"))
    assert (record.images, record.groups, record.unlearned) == (10, 5, 5)
    teacher, fingerprint = record.models[0], record.models[-1]
    assert teacher.accuracy == 1 and teacher.refused == 1 and teacher.unknown_auc == 1
    assert teacher.matrix == ((5, 0, 0), (0, 5, 0), (0, 0, 5))
    assert fingerprint.accuracy > 0.8 and fingerprint.unknown_auc > 0.8
    networks = attribution_of(folder, recipe, roster_of(recipe), progress=nothing, fingerprints=False)
    assert networks.models == record.models[:-1]
    assert temperature_of(folder, roster_of(recipe).distilled[0], CLASSES).temperature < 1, (
        "always right: sharper"
    )


def test_a_run_of_another_task_or_without_logits_is_one_line(run):
    folder, recipe = run
    with pytest.raises(EdgeproofError, match="task is binary, expected families"):
        attribution_of(
            folder, recipe.model_copy(update={"task": TaskSettings()}), roster_of(recipe), progress=nothing
        )
    (folder / roster_of(recipe).networks[-1].logits).unlink()
    with pytest.raises(
        EdgeproofError, match=r"logits\.npz: no such file, expected a run with trained students"
    ):
        attribution_of(folder, recipe, roster_of(recipe), progress=nothing)
