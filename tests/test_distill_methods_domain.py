"""What is special to this task: spectra of features, the teacher's attention, the teacher's face box."""

import math

import numpy as np
import pytest
import torch
from methods_fixture import (
    STUDENT,
    TEACHER,
    batch,
    bernoulli,
    build,
    loss_of,
    maps,
    output,
    pair_of,
    sigmoid,
)

from distill.data.pixels import PixelSource
from distill.data.samples import Sample
from distill.errors import EdgeproofError
from distill.methods import Link
from distill.methods.attention_map import attention_map_loss
from distill.methods.box_distillation import box_loss
from distill.methods.frequency import frequency_loss
from distill.preprocess import PreprocessSpec
from distill.probe import FeatureMap, parts_of
from distill.training.inference import write_cache
from distill.training.teachers import Cached, CacheKey, Online, pick
from distill.training.views import Views
from students.output import ModelOutput
from teachers import build_teacher

TINY = {"backbone": "test_efficientnet", "fpn_channels": 16}


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# frequency


def test_frequency_by_numpy():
    student, teacher = random(2, 3, 8, 8), random(2, 3, 4, 4, seed=1)
    one = student.numpy().reshape(2, 3, 4, 2, 4, 2).mean((3, 5))
    spectra = [np.log1p(np.abs(np.fft.fft2(m, norm="ortho")))[..., :3] for m in (one, teacher.numpy())]
    expected = ((spectra[0] - spectra[1]) ** 2).mean()
    assert frequency_loss(student, teacher).item() == pytest.approx(expected, rel=1e-4)


def test_a_spectrum_does_not_tell_where_things_are():
    teacher = random(2, 3, 8, 8)
    assert frequency_loss(teacher.roll((2, 3), dims=(2, 3)), teacher).item() == pytest.approx(0.0, abs=1e-9)
    assert frequency_loss(random(2, 3, 8, 8, seed=1), teacher).item() > 1e-3


# attention


def test_attention_by_numpy():
    student, teacher = random(2, 5, 8, 8), random(2, 1, 4, 4, seed=1).sigmoid()
    own = (student.numpy() ** 2).mean(1).reshape(2, 4, 2, 4, 2).mean((2, 4)).reshape(2, -1)
    theirs = teacher.numpy().reshape(2, -1)
    expected = np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(own, theirs, strict=True)])
    assert attention_map_loss(student, teacher).item() == pytest.approx(expected, rel=1e-4)


def test_only_where_attention_is_larger_counts():
    student = random(2, 5, 4, 4)
    own = student.square().mean(1, keepdim=True)
    assert attention_map_loss(student, 0.1 * own + 0.5).item() == pytest.approx(0.0, abs=1e-5)


def test_attention_levels_are_paired_by_stride():
    method = build("attention_map")
    assert method.links == (Link("s1", "attention.p2"), Link("s2", "attention.p3"))
    assert method.needs.features == {"teacher": ("attention.p2", "attention.p3")}
    assert build("attention_map", teacher_features=["p3"]).links == (Link("s2", "attention.p3"),)


POINT = {"teacher": {"attention.p5": FeatureMap(1, 1, 8)}}


@pytest.mark.parametrize(
    ("pair", "options", "message"),
    [
        (
            pair_of(attention={}),
            {},
            "teacher gives no attention maps, expected a teacher with CBAM (efficientnet_fpn_cbam)",
        ),
        (
            pair_of(attention=POINT),
            {},
            "found maps of one place (s2 with attention.p5), expected places to look at",
        ),
        (
            pair_of(),
            {"teacher_features": ["p9"]},
            "unknown teacher feature 'attention.p9'; choose one of: attention.p2, attention.p3",
        ),
    ],
)
def test_attention_that_is_not_there(pair, options, message):
    with pytest.raises(EdgeproofError) as caught:
        build("attention_map", pair, **options)
    assert str(caught.value) == f"distillation.methods: attention_map: {message}"


# face box


def test_box_loss_by_hand():
    # the first teacher is sure (3/4), the second is not (1/4); boxes 0..4 and 2..6: GIoU = 4/28 - 8/36
    boxes, theirs = (
        torch.tensor([[0.0, 0, 4, 4], [9.0, 9, 9, 9]]),
        torch.tensor([[2.0, 2, 6, 6], [0.0, 0, 1, 1]]),
    )
    logits, sure = torch.tensor([0.0, 0.0]), torch.tensor([math.log(3), -math.log(3)])
    target = sigmoid(sure.numpy())
    confidence = (bernoulli(target, 0.5) - bernoulli(target, target)).mean()
    found = box_loss(boxes, logits, theirs, sure, confidence=0.5)
    assert found.item() == pytest.approx(confidence + 1 - (4 / 28 - 8 / 36), rel=1e-5)
    assert box_loss(boxes, logits, theirs, sure, confidence=0.9).item() == pytest.approx(confidence, rel=1e-5)


def test_a_teacher_that_is_nowhere_sure_teaches_its_doubt_alone():
    teacher = torch.tensor([-5.0, -6.0])
    found = box_loss(torch.rand(2, 4), teacher, torch.rand(2, 4), teacher, confidence=0.5)
    assert found.item() == pytest.approx(0.0, abs=1e-7)


def test_boxes_are_brought_to_the_students_pixels():
    """The same face, said by a teacher that sees the picture at twice the size."""
    said = {"boxes": torch.tensor([[4.0, 4, 20, 24]] * 4), "box_logits": torch.full((4,), 3.0)}
    larger = {"boxes": 2 * said["boxes"], "box_logits": said["box_logits"]}
    resized = PreprocessSpec(size=32, policy="resize")
    own = output([0.0] * 4, features=maps(STUDENT))
    losses = []
    for spec, seen in ((resized, said), (replace_size(resized, 64), larger)):
        torch.manual_seed(0)
        method = build("face_box", pair_of(sees={"": resized, "teacher": spec}))
        losses.append(loss_of(method, own, batch((0.0,) * 4, features=seen)).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


CROP = PreprocessSpec(size=32, policy="center_crop")


def replace_size(spec, size):
    return spec.model_copy(update={"size": size})


def test_the_head_learns_the_teachers_box():
    torch.manual_seed(0)
    method = build("face_box")
    own = output([0.0] * 4, features=maps(STUDENT))
    said = {"boxes": torch.tensor([[2.0, 2, 12, 14]] * 4), "box_logits": torch.full((4,), 4.0)}
    seen, optimizer = batch((0.0,) * 4, features=said), torch.optim.Adam(method.parameters(), lr=0.03)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = loss_of(method, own, seen)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (
            pair_of(localisers=frozenset()),
            "teacher gives no boxes, expected a teacher with a localiser (efficientnet_fpn_cbam)",
        ),
        (
            pair_of(sees={"": CROP, "teacher": replace_size(CROP, 64)}),
            "teacher sees center_crop at 64 pixels and the student center_crop at 32, so that a box is elsewhere; "
            "expected the same, or resize for both",
        ),
    ],
)
def test_a_box_that_is_not_there_or_elsewhere(pair, message):
    with pytest.raises(EdgeproofError) as caught:
        build("face_box", pair)
    assert str(caught.value) == f"distillation.methods: face_box: {message}"


# what a teacher gives


@pytest.fixture(scope="module")
def teacher():
    torch.manual_seed(0)
    return build_teacher("efficientnet_fpn_cbam", options=TINY).eval()


def test_what_a_teacher_gives_is_found_by_one_pass(teacher):
    parts = parts_of(teacher, size=64)
    assert parts.features == {
        "p3": FeatureMap(16, 8, 8), "p4": FeatureMap(16, 4, 16), "p5": FeatureMap(16, 2, 32),
    }  # fmt: skip
    assert parts.attention == {f"attention.{k}": FeatureMap(1, *v[1:]) for k, v in parts.features.items()}
    assert parts.boxes and parts.size == 64
    bare = parts_of(
        build_teacher("efficientnet_fpn_cbam", options={**TINY, "cbam": False, "localiser": False}), size=64
    )
    assert not bare.attention and not bare.boxes and bare.features == parts.features


def test_attention_is_what_weighs_the_places(teacher):
    with torch.no_grad():
        said = teacher(random(2, 3, 64, 64))
    for name, attention in said.attention.items():
        assert attention.shape == (2, 1, *said.features[name].shape[2:])
        assert 0 < attention.min() and attention.max() < 1
    block, level = teacher.attention["p3"], random(2, 16, 8, 8).relu()
    weighed, spatial = block.attend(level)
    channels = torch.sigmoid(
        block.mlp(level.mean((2, 3), keepdim=True)) + block.mlp(level.amax((2, 3), keepdim=True))
    )
    torch.testing.assert_close(weighed, level * channels * spatial)
    assert torch.equal(block(level), weighed)


NAMES = ("attention.p3", "box_logits", "boxes", "p5")


def test_what_was_kept_is_what_it_says_now(teacher, tmp_path):
    spec, views = PreprocessSpec(size=64), Views(count=2, flips=True)
    cache = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)
    samples = tuple(Sample(path=f"{i}.png", label=i % 2) for i in range(5))
    pixels = PixelSource(root=None, samples=samples, spec=spec, cache=cache)
    key = CacheKey(teacher="a", samples="b", spec=spec, views=views, augmentation=None, features=NAMES)
    write_cache(teacher, pixels, key=key, path=tmp_path / "o.safetensors", batch_size=2)
    rows = np.array([3, 0, 4])
    kept = Cached(tmp_path / "o.safetensors", key=key).outputs(rows, np.array([1, 0, 1]))
    images = np.stack([cache[3, :, ::-1], cache[0], cache[4, :, ::-1]])
    now = Online(teacher, spec=spec, features=NAMES).outputs(torch.from_numpy(images))
    assert set(kept.features) == set(now.features) == set(NAMES)
    assert kept.features["boxes"].shape == (3, 4) and kept.features["box_logits"].shape == (3,)
    for name in NAMES:
        torch.testing.assert_close(kept.features[name].float(), now.features[name], rtol=2e-3, atol=2e-3)


def test_pick_takes_what_is_asked_for_alone():
    said = ModelOutput(
        torch.zeros(1),
        maps(TEACHER, count=1),
        boxes=torch.ones(1, 4),
        attention={"p2": torch.ones(1, 1, 2, 2)},
    )
    assert list(pick(said, ["t2", "boxes", "attention.p2"])) == ["t2", "boxes", "attention.p2"]
    assert pick(said, []) == {}
    with pytest.raises(KeyError, match="t9"):
        pick(said, ["t9"])
