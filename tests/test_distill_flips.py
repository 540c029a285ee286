import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from distill.data.audit.findings import facts_of
from distill.data.audit.flips import flip_tests, sample_rows
from distill.data.audit.traces import TRACES, jpeg_again, middle, traces
from distill.data.samples import Dataset, Sample
from distill.data.scan import scan
from distill.data.simulate.settings import SceneCounts, SimulationSettings
from distill.data.simulate.writer import simulate

LIMIT = 0.1
SCENES = 40


def picture(seed, *, side=64):
    """Blobs of colour under fine grain, never compressed."""
    random = np.random.default_rng(seed)
    blobs = Image.fromarray(random.integers(0, 255, (9, 9, 3), np.uint8))
    smooth = np.asarray(blobs.resize((side, side), Image.Resampling.BICUBIC), float)
    return Image.fromarray((smooth + random.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8))


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def planted(root, make, *, scenes=SCENES, split="train"):
    """Pairs of two different pictures each; ``make(picture, label, random)`` gives the bytes of the file."""
    random, samples = np.random.default_rng(0), []
    for number in range(2 * scenes):
        path = f"{number}.img"
        (root / path).write_bytes(make(picture(number), number % 2, random))
        samples.append(Sample(path=path, label=number % 2, split=split, group=f"scene{number // 2}"))
    return Dataset(root=root, layout="x", samples=tuple(samples))


def findings(dataset, *, seed=0, **options):
    dataset, columns = scan(dataset, max_bad_share=0.0, workers=1)
    return flip_tests(dataset, facts_of(dataset), columns, seed=seed, **options)


def leaks(found):
    return [name for name, finding in found.items() if finding.value > LIMIT and finding.shown]


@pytest.mark.parametrize("seed", range(3))
def test_a_clean_simulated_set_passes(tmp_path, seed):
    """The generators leave traces, but both classes went through one last JPEG."""
    counts = SceneCounts(train=70, valid=0, test=0, heldout=10, control=0)
    settings = SimulationSettings(size=48, seed=seed, instances=1, scenes=counts)
    found = findings(simulate(settings, root=tmp_path / "set", workers=1), seed=seed)
    assert leaks(found) == []
    assert abs(found["compression"].value) < 0.05
    assert found["flip_png"].value == 0


def once_more(image, quality):
    return jpeg_again(image, quality)


def any_quality(random):
    return int(random.integers(65, 98))


HARMLESS = {
    "PNG": lambda image, label, random: encoded(image, "PNG"),
    "WebP": lambda image, label, random: encoded(image, "WEBP", quality=80),
    "JPEG of any quality": lambda image, label, random: encoded(image, "JPEG", quality=any_quality(random)),
    "JPEG 90, saved as PNG": lambda image, label, random: encoded(once_more(image, 90), "PNG"),
    "some PNG, some JPEG": lambda image, label, random: encoded(image, ("PNG", "JPEG")[random.integers(2)]),
}


@pytest.mark.parametrize("make", HARMLESS.values(), ids=HARMLESS)
def test_both_classes_saved_alike(tmp_path, make):
    assert leaks(findings(planted(tmp_path, make))) == []


def jpeg_then_png(image, label, random):
    """Fakes a JPEG 95 once more than the reals, which are JPEGs too; no header tells."""
    first = once_more(image, any_quality(random))
    return encoded(once_more(first, 95) if label else first, "PNG")


LEAKS = {
    "reals JPEG 75, fakes PNG": (
        lambda image, label, random: encoded(image, "PNG") if label else encoded(image, "JPEG", quality=75),
        {"compression", "flip_jpeg96", "flip_jpeg95_fakes", "flip_png"},
    ),
    "fakes JPEG 95 once more": (
        lambda image, label, random: encoded(
            once_more(image, any_quality(random)) if label else image,
            "JPEG",
            quality=95 if label else any_quality(random),
        ),
        {"flip_jpeg96", "flip_png"},
    ),
    "fakes JPEG 95 once more, all PNG": (jpeg_then_png, {"compression"}),
    "reals were JPEG 95, all PNG": (
        lambda image, label, random: encoded(image if label else once_more(image, 95), "PNG"),
        {"compression", "flip_jpeg96", "flip_jpeg95_fakes"},
    ),
    "reals were JPEG 75, all PNG": (
        lambda image, label, random: encoded(image if label else once_more(image, 75), "PNG"),
        {"compression", "flip_jpeg96", "flip_jpeg95_fakes"},
    ),
    "half the reals were JPEGs, all PNG": (
        lambda image, label, random: encoded(
            image if label or random.random() < 0.5 else once_more(image, 90), "PNG"
        ),
        {"compression", "flip_jpeg96"},
    ),
    "reals were JPEGs before a crop, all PNG": (
        lambda image, label, random: encoded(
            (image if label else once_more(image, 80)).crop((3, 5, 63, 63)), "PNG"
        ),
        {"compression", "flip_jpeg96"},
    ),
    "reals JPEG 75 and fakes JPEG 90, all PNG": (
        lambda image, label, random: encoded(once_more(image, 90 if label else 75), "PNG"),
        {"compression"},  # no flip imitates or undoes a JPEG 75
    ),
}


@pytest.mark.parametrize(("make", "expected"), LEAKS.values(), ids=LEAKS)
def test_planted_leaks_are_found(tmp_path, make, expected):
    assert expected <= set(leaks(findings(planted(tmp_path, make))))


def test_pixels_that_leak_do_not_leak_through_png(tmp_path):
    make, _ = LEAKS["reals were JPEG 75, all PNG"]
    assert findings(planted(tmp_path, make))["flip_png"].value == 0


def test_a_set_that_never_was_compressed_has_nothing_to_lose(tmp_path):
    found = findings(planted(tmp_path, HARMLESS["PNG"]))
    assert [finding.value for finding in found.values()] == [0.0] * 4


def test_chance_in_a_tiny_set_is_not_called_a_leak(tmp_path):
    for count in (2, 5):
        (tmp_path / str(count)).mkdir()
        dataset = planted(tmp_path / str(count), HARMLESS["JPEG of any quality"], scenes=count)
        assert leaks(findings(dataset)) == []


def test_nothing_is_written_and_progress_reaches_the_end(tmp_path):
    dataset = planted(tmp_path, HARMLESS["PNG"], scenes=5)
    before = sorted(path.name for path in tmp_path.iterdir())
    told = []
    findings(dataset, progress=lambda *step: told.append(step))
    assert told[-1] == (10, 10) and len(told) == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_the_same_seed_finds_the_same(tmp_path):
    dataset = planted(tmp_path, HARMLESS["JPEG of any quality"], scenes=20)
    assert findings(dataset, seed=3) == findings(dataset, seed=3)


def facts_for(*rows):
    samples = [Sample(path=str(i), label=row[0], split=row[1], group=row[2]) for i, row in enumerate(rows)]
    return facts_of(Dataset(root=None, layout="x", samples=tuple(samples)))


def test_a_draw_is_balanced_and_leaves_out_control_and_unlabelled():
    rows = [(0, "train", "")] * 30 + [(1, "train", "")] * 10
    rows += [(0, "control", "")] * 5 + [(1, "control", "")] * 5 + [(-1, "unlabelled", "")] * 5
    drawn = sample_rows(facts_for(*rows), at_most=100, seed=0)
    assert len(set(drawn)) == 20 and drawn.max() < 40
    assert Counter(drawn < 30) == {True: 10, False: 10}
    assert len(sample_rows(facts_for(*rows), at_most=6, seed=0)) == 6


def test_a_draw_asks_every_group_before_any_gives_twice():
    rows = [(label, "train", "video") for label in (0, 1) for _ in range(500)]
    rows += [(label, "train", f"scene{i}") for i in range(20) for label in (0, 1)]
    facts = facts_for(*rows)
    drawn = sample_rows(facts, at_most=42, seed=0)
    assert Counter(facts.groups[drawn]) == dict.fromkeys(range(21), 2)


def test_a_draw_keeps_pairs_together_and_depends_on_the_seed():
    facts = facts_for(*[(label, "train", f"scene{i}") for i in range(200) for label in (0, 1)])
    first, again, other = (sample_rows(facts, at_most=40, seed=seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()
    assert set(Counter(facts.groups[first]).values()) == {2}


def value(found, name):
    return found[TRACES.index(name)]


@pytest.mark.parametrize("quality", [30, 60, 75, 85, 90, 95, 98])
def test_the_quality_of_a_jpeg_is_read_from_its_pixels(quality):
    for seed in range(8):
        found = traces(jpeg_again(picture(seed), quality))
        assert value(found, "quality") == quality and not np.isnan(found).any()


def test_a_picture_that_never_was_a_jpeg_has_no_trace():
    for seed in range(40):
        assert np.isnan(traces(picture(seed))).all()


@pytest.mark.parametrize("shift", [(1, 0), (0, 5), (3, 6)])
def test_a_crop_shifts_the_grid_but_hides_no_quality(shift):
    left, top = shift
    found = traces(jpeg_again(picture(0), 80).crop((left, top, 64, 64)))
    assert value(found, "quality") == 80
    assert np.isnan(found[1:]).all(), "strengths belong to the file's own grid"


def test_the_middle_keeps_the_grid():
    image = jpeg_again(picture(0, side=333), 85)
    part = middle(image)
    assert part.size == (256, 256)
    np.testing.assert_array_equal(np.asarray(part), np.asarray(image)[32:288, 32:288])
    assert value(traces(part), "quality") == 85
    assert middle(picture(0)).size == (64, 64)


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 20), (31, 31), (32, 32), (33, 47)])
def test_any_size_is_taken(size):
    found = traces(middle(jpeg_again(picture(0).resize(size), 50)))
    assert found.shape == (len(TRACES),)
    assert np.isnan(found).all() == (min(size) < 32)


def test_a_flat_picture_is_taken():
    assert np.isnan(traces(jpeg_again(Image.new("RGB", (64, 64), "red"), 75))).all()
