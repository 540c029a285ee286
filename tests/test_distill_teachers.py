"""Teachers as a source: what was kept is what is said now, whatever they see."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import TINY
from PIL import Image
from torch import nn

from distill.data.pixels import PixelSource
from distill.data.samples import UNLABELLED, Dataset, Sample
from distill.data.transforms.settings import AugmentationSettings
from distill.errors import EdgeproofError
from distill.models import make_model
from distill.pipeline.runfolder import save_samples
from distill.pipeline.stage import Run
from distill.preprocess import PreprocessSpec
from distill.recipe import load_recipe
from distill.roster import roster_of
from distill.stages.listening import open_sources
from distill.stages.sources import shown_views, sources_of
from distill.stages.teacher import cache_outputs
from distill.stages.training import taught_pixels
from distill.training import inference
from distill.training.batches import BatchDataset, plain_loader
from distill.training.checkpoint import save_weights
from distill.training.inference import predict, write_cache
from distill.training.normalize import normalize
from distill.training.teachers import Cached, CacheKey, Online
from distill.training.tensorfile import create_tensors, open_tensors
from distill.training.views import Views
from students.output import ModelOutput

SPEC = PreprocessSpec(size=16)
COUNT = 7
FLIPS = Views(count=2, flips=True)
STRONG = AugmentationSettings(
    noise={"probability": 0.9, "range": (0.2, 0.3)}, jpeg={"probability": 0.9, "range": (10, 30)}
)
KEY = CacheKey(teacher="aa", samples="bb", spec=SPEC, views=FLIPS, augmentation=None, features=("deep",))


class Net(nn.Module):
    """Sees where in an image something is, so that a mirrored one is another."""

    feature_channels = {"shallow": 4, "deep": 5}

    def __init__(self, classes=1):
        super().__init__()
        self.shallow = nn.Conv2d(3, 4, 3, stride=2)
        self.deep = nn.Conv2d(4, 5, 3, stride=2)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.LazyLinear(classes)
        self(torch.zeros(1, 3, 16, 16))

    def forward(self, images):
        shallow = self.shallow(images).relu()
        deep = self.deep(shallow)
        logits = self.head(self.dropout(deep).flatten(1))
        return ModelOutput(
            logits.squeeze(1) if logits.shape[1] == 1 else logits, {"shallow": shallow, "deep": deep}
        )


@pytest.fixture
def net():
    torch.manual_seed(5)
    return Net().eval()


@pytest.fixture(scope="module")
def pixels():
    cache = np.random.default_rng(0).integers(0, 256, (COUNT, 16, 16, 3), np.uint8)
    samples = tuple(Sample(path=f"{i}.png", label=i % 2) for i in range(COUNT))
    return PixelSource(root=None, samples=samples, spec=SPEC, cache=cache)


@pytest.fixture
def cached(net, pixels, tmp_path):
    write_cache(net, pixels, key=KEY, path=tmp_path / "o.safetensors", batch_size=3)
    return Cached(tmp_path / "o.safetensors", key=KEY)


ROWS = np.array([3, 0, 3, 6, 1]), np.array([1, 0, 0, 1, 1])


def asked(net, pixels, indices, numbers):
    """What the teacher says of pictures that were mirrored by hand."""
    images = [
        pixels.cache[i, :, ::-1] if view else pixels.cache[i]
        for i, view in zip(indices, numbers, strict=True)
    ]
    with torch.no_grad():
        return net(normalize(torch.from_numpy(np.stack(images)), spec=SPEC))


# cached


def test_what_was_kept_is_what_it_says_of_either_flip(cached, net, pixels):
    kept, said = cached.outputs(*ROWS), asked(net, pixels, *ROWS)
    torch.testing.assert_close(kept.logits, said.logits)
    assert kept.logits.dtype == torch.float32 and kept.logits.unique().numel() == 5
    assert list(kept.features) == ["deep"], "no more than was asked for"
    assert kept.features["deep"].dtype == torch.float16
    assert kept.features["deep"].shape == said.features["deep"].shape
    torch.testing.assert_close(kept.features["deep"], said.features["deep"].half(), rtol=1e-3, atol=1e-3)


def test_several_logits_are_kept_too(pixels, tmp_path):
    torch.manual_seed(5)
    net, key = Net(3).eval(), replace(KEY, features=())
    write_cache(net, pixels, key=key, path=tmp_path / "o", batch_size=4)
    kept = Cached(tmp_path / "o", key=key).outputs(*ROWS)
    assert kept.logits.shape == (5, 3) and not kept.features
    torch.testing.assert_close(kept.logits, asked(net, pixels, *ROWS).logits)


def test_where_there_are_fewer_views_of_a_clean_image_they_repeat(cached):
    """A student's fixed views outnumber a clean teacher's; every second one is mirrored in both."""
    again = cached.outputs(ROWS[0], ROWS[1] + 6)
    assert torch.equal(again.logits, cached.outputs(*ROWS).logits)


def test_the_file_tells_the_seeds_of_its_views(net, pixels, tmp_path):
    key = replace(KEY, views=Views(count=3, flips=True, seed=4, fixed=True), augmentation=STRONG)
    write_cache(net, pixels, key=key, path=tmp_path / "o")
    metadata, arrays = open_tensors(tmp_path / "o")
    assert metadata == {"key": key.text()}
    assert {name: array.shape for name, array in arrays.items()} == {
        "logits": (COUNT, 3), "draws": (COUNT, 3), "feature.deep": (COUNT, 3, 5, 3, 3), "clean": (COUNT, 1),
    }  # fmt: skip
    for view in range(3):
        expected = key.views.draws(np.arange(COUNT), np.full(COUNT, view))
        np.testing.assert_array_equal(arrays["draws"][:, view], expected)
    assert len(np.unique(arrays["logits"])) == 3 * COUNT


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"teacher": "ac"}, '"teacher": "ac"'),
        ({"samples": "bc"}, '"samples": "bc"'),
        ({"spec": PreprocessSpec(size=32)}, '"size": 32'),
        ({"views": Views(count=2)}, '"flips": false'),
        ({"views": Views(count=2, flips=True, seed=1)}, '"seed": 1'),
        ({"augmentation": STRONG}, '"jpeg"'),
        ({"features": ("deep", "shallow")}, '"features": ["deep", "shallow"]'),
        ({"features": ()}, '"features": []'),
    ],
)
def test_another_key_is_refused_and_the_expected_one_named(cached, change, word):
    wanted = replace(KEY, **change)
    with pytest.raises(EdgeproofError) as caught:
        Cached(cached.path, key=wanted)
    message = str(caught.value)
    assert message == (
        f"{cached.path}: outputs of another teacher, data set or view: found key {KEY.text()}, "
        f"expected {wanted.text()}; delete the file to ask the teacher anew"
    )
    assert word in message and word not in KEY.text()


@pytest.mark.parametrize("content", [None, b"", b"rubbish"])
def test_a_file_that_is_none_says_what_to_do(tmp_path, content):
    path = tmp_path / "o.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EdgeproofError) as caught:
        Cached(path, key=KEY)
    message = str(caught.value)
    assert message.startswith(f"{path}: not a readable .safetensors file (")
    assert message.endswith("; delete the file to ask the teacher anew") and "\n" not in message


def test_a_file_without_a_key_is_another_ones(tmp_path):
    with create_tensors(tmp_path / "o", {"logits": ("float32", (1, 1))}, metadata={}):
        pass
    with pytest.raises(EdgeproofError, match="found key None, expected"):
        Cached(tmp_path / "o", key=KEY)


def test_a_copy_goes_to_other_processes_by_its_path(cached):
    data = pickle.dumps(cached)
    assert len(data) < 2000
    copy = pickle.loads(data)
    for name in ("logits", "features"):
        torch.testing.assert_close(getattr(copy.outputs(*ROWS), name), getattr(cached.outputs(*ROWS), name))
    cached.path.unlink()
    with pytest.raises(EdgeproofError, match="delete the file to ask the teacher anew"):
        pickle.loads(data)


def test_the_teacher_is_asked_frozen_and_told_how_far_it_is(pixels, tmp_path):
    torch.manual_seed(5)
    net, told = Net().train(), []
    write_cache(
        net, pixels, key=KEY, path=tmp_path / "o", batch_size=4, progress=lambda *step: told.append(step)
    )
    assert told == [(4, 14), (7, 14), (11, 14), (14, 14)]
    assert not net.training and not any(parameter.requires_grad for parameter in net.parameters())
    first = Cached(tmp_path / "o", key=KEY).outputs(*ROWS)  # no dropout
    torch.testing.assert_close(first.logits, asked(net, pixels, *ROWS).logits)


class Elsewhere:
    """Other machines: they get copies of the work and of its parts, and answer in another order."""

    def map(self, work, parts):
        for part in reversed(list(parts)):
            yield pickle.loads(pickle.dumps(work))(pickle.loads(pickle.dumps(part)))


def test_machines_that_share_the_work_keep_the_same(net, pixels, tmp_path, monkeypatch):
    monkeypatch.setattr(inference, "_BATCHES", 1)
    for sample, image in zip(pixels.samples, pixels.cache, strict=True):
        Image.fromarray(image).save(tmp_path / sample.path)
    source, key = (
        replace(pixels, root=tmp_path),
        replace(KEY, views=Views(count=3, flips=True, seed=4, fixed=True), augmentation=STRONG),
    )
    write_cache(net, source, key=key, path=tmp_path / "here", batch_size=3)
    write_cache(net, source, key=key, path=tmp_path / "there", batch_size=3, engine=Elsewhere())
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()


def test_an_aborted_question_leaves_nothing(net, pixels, tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cache(net, pixels, key=KEY, path=tmp_path / "o", progress=stop)
    assert not any(tmp_path.iterdir())


def test_predictions_are_of_the_plain_images_in_order(net, pixels):
    net.train()
    found = predict(net, pixels, batch_size=3)
    assert net.training, "the model is left in the mode that it was in"
    net.eval()
    torch.testing.assert_close(found, asked(net, pixels, range(COUNT), [0] * COUNT).logits)
    assert found.dtype == torch.float32


# online


def test_online_asks_for_what_is_read_in_fp32(net, pixels):
    teacher = Online(net.train(), spec=SPEC, features=["shallow"])
    assert not net.training
    with torch.autocast("cpu", dtype=torch.bfloat16):
        said = teacher.outputs(torch.from_numpy(pixels.cache))
    assert said.logits.dtype == torch.float32 and not said.logits.requires_grad
    assert list(said.features) == ["shallow"]
    expected = asked(net, pixels, range(COUNT), [0] * COUNT)
    torch.testing.assert_close(said.logits, expected.logits)
    torch.testing.assert_close(said.features["shallow"], expected.features["shallow"])


# both, by a recipe: what stages build

VIEWS = ("training.views=5", "augmentation.noise={probability=0.9, range=[0.2, 0.3]}", "seed=3")
LARGER = ("teacher.preprocess={size=48, policy='resize'}",)
CLEAN = ("teacher.sees='clean'",)
UNFLIPPED = ("training.horizontal_flip=false",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run folder with images in files, some without a label, and an untrained teacher."""
    root = tmp_path_factory.mktemp("run")
    random, samples = np.random.default_rng(1), []
    for index in range(9):
        blocks = random.integers(0, 256, (6, 8, 3), np.uint8).repeat(10, axis=0).repeat(10, axis=1)
        Image.fromarray(blocks).save(root / f"{index}.png")
        known = index < 6
        samples.append(
            Sample(
                path=f"{index}.png", label=index % 2 if known else UNLABELLED,
                split="train" if known else "unlabelled",
            )
        )  # fmt: skip
    save_samples(Dataset(root=root, layout="x", samples=tuple(samples)), root)
    recipe = load_recipe(str(TINY))
    torch.manual_seed(2)
    teacher = make_model(recipe, roster_of(recipe).teachers[0])
    save_weights(teacher, root / "teacher" / "weights.safetensors", sidecar={})
    return root


def taught(folder, overrides, *, views=None):
    """The training data of a student as the recipe has it: batches with what the teacher says of them."""
    recipe = load_recipe(str(TINY), overrides=overrides)
    roster, run = roster_of(recipe), Run(folder, recipe)
    student = roster.trainings[0]
    sources = sources_of(recipe, roster)
    for source in sources:
        if source.cached:
            cache_outputs(run, lambda done, total: None, source=source)
    found = open_sources(run, sources, student=student)
    views = views or shown_views(recipe, roster)
    data = BatchDataset(
        taught_pixels(run, spec=student.preprocess), teachers=found.cached, sights=found.sights,
        augmentation=recipe.augmentation, views=views,
    )  # fmt: skip

    def ask(batch):
        said = {
            name: teacher.outputs(batch.views.get(name, batch.images))
            for name, teacher in found.online.items()
        }
        return {**batch.teachers, **said}["teacher"]

    outputs = []
    for view in range(views.count):
        for batch in plain_loader(data, batch_size=4, view=view):
            outputs.append((batch.images, ask(batch)))
    return views, outputs, found


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        VIEWS,
        LARGER,
        CLEAN,
        (*VIEWS, *LARGER),
        (*VIEWS, *CLEAN),
        (*VIEWS, *LARGER, *CLEAN),
        (*VIEWS, *UNFLIPPED),
    ],
    ids=lambda overrides: " ".join(item.split("=")[0] for item in overrides) or "plain",
)
def test_a_teacher_asked_now_says_what_was_kept(folder, overrides):
    fixed = Views(count=5, flips=UNFLIPPED[0] not in overrides, seed=3, fixed=True)
    views = fixed if VIEWS[0] in overrides else None
    views, kept, cached = taught(folder, overrides, views=views)
    _, now, online = taught(folder, ("teacher.source='online'", *overrides), views=views)
    assert [*cached.cached] == [*online.online] == ["teacher"] and not cached.online and not online.cached
    assert bool(online.sights) == (LARGER[0] in overrides or {VIEWS[0], CLEAN[0]} <= {*overrides})
    said = torch.cat([said.logits for _, said in now])
    assert said.shape == (9 * views.count,) and said.std() > 1e-4, "the teacher tells images apart"
    for (images, one), (again, other) in zip(kept, now, strict=True):
        assert torch.equal(images, again)
        torch.testing.assert_close(one.logits, other.logits, rtol=1e-4, atol=1e-5)
        assert one.features.keys() == other.features.keys() and one.features
        for name, value in one.features.items():
            torch.testing.assert_close(value.float(), other.features[name], rtol=2e-3, atol=2e-3)


def test_what_a_clean_teacher_says_follows_the_flip_alone(folder):
    _, kept, _ = taught(folder, (*VIEWS, *CLEAN), views=Views(count=4, flips=True, seed=3, fixed=True))
    logits = torch.cat([said.logits for _, said in kept]).reshape(4, 9)
    assert torch.equal(logits[0], logits[2]) and torch.equal(logits[1], logits[3])
    assert not torch.allclose(logits[0], logits[1])


def test_a_teacher_that_is_asked_now_leaves_the_views_free(folder):
    """A fixed number of views is the price of a cache alone."""
    for overrides, fixed in (
        (VIEWS, True),
        ((*VIEWS, "teacher.source='online'"), False),
        ((*VIEWS, *CLEAN), False),
    ):
        recipe = load_recipe(str(TINY), overrides=overrides)
        views = shown_views(recipe, roster_of(recipe))
        assert views.fixed is fixed and views.count == (5 if fixed else 2)


def test_beside_augmented_views_the_cache_holds_what_it_says_of_clean_images(folder):
    _, _, plain = taught(folder, UNFLIPPED)
    rows = np.arange(9)
    expected = plain.cached["teacher"].outputs(rows, rows * 0).logits.numpy()
    np.testing.assert_array_equal(plain.cached["teacher"].clean(rows), expected)
    _, _, augmented = taught(folder, (*VIEWS, *UNFLIPPED))
    found = augmented.cached["teacher"]
    np.testing.assert_allclose(found.clean(rows), expected, atol=1e-5)
    assert not np.allclose(found.outputs(rows, rows * 0).logits.numpy(), expected, atol=1e-3)
