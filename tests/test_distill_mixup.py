"""Mixed images are taught by what the teacher says of those very images."""

import numpy as np
import pytest
import torch
from training_fixture import PAIR, SPEC, MeanTeacher, TinyNet, images, train, training_data

from distill.check import check_names
from distill.errors import EdgeproofError
from distill.methods.ground_truth import GroundTruth
from distill.methods.logit_mse import LogitMSE
from distill.methods.objective import Batch, Objective
from distill.recipe import load_recipe
from distill.roster import roster_of
from distill.task import MultiClass
from distill.training.batches import BatchDataset, Sight
from distill.training.fit import TrainingData, fit
from distill.training.mixup import Mix, draw_mix, mix_batch
from distill.training.normalize import normalize
from distill.training.teachers import Online


def batch(labels, **fields):
    count = len(labels)
    pixels = torch.arange(count * 12, dtype=torch.uint8).reshape(count, 2, 2, 3)
    return Batch(pixels, torch.tensor(labels), torch.zeros(count, 4), torch.arange(count), **fields)


def test_images_labels_and_views_by_hand():
    given = batch(
        [1.0, 0.0, -1.0, -1.0], views={"teacher": torch.tensor([[[[0]]], [[[100]]], [[[8]]], [[[4]]]])}
    )
    mixed = mix_batch(given, Mix(share=0.75, partner=torch.tensor([1, 0, 3, 2])))
    assert mixed.labels.tolist() == [0.75, 0.25, -1.0, -1.0]
    assert mixed.images[0, 0, 0].tolist() == [3.0, 4.0, 5.0]  # a quarter of the way to 12, 13, 14
    assert mixed.images[1, 0, 0].tolist() == [9.0, 10.0, 11.0]
    assert mixed.views["teacher"].flatten().tolist() == [25.0, 75.0, 7.0, 5.0]
    assert mixed.indices.tolist() == [0, 1, 2, 3]


def test_a_label_never_meets_an_unknown_one():
    labels = torch.tensor([1.0, -1.0, 0.0, -1.0, 1.0, 0.0, -1.0])
    random, met = np.random.default_rng(0), set()
    for _ in range(200):
        mix = draw_mix(labels, alpha=0.4, random=random)
        assert sorted(mix.partner.tolist()) == list(range(7))
        assert ((labels >= 0) == (labels[mix.partner] >= 0)).all()
        assert 0.5 <= mix.share <= 1
        met.update(enumerate(mix.partner.tolist()))
    assert len(met) == 4 * 4 + 3 * 3, "every two of a kind meet"


def test_shares_follow_the_beta_distribution():
    random, labels = np.random.default_rng(0), torch.zeros(2)
    shares = [draw_mix(labels, alpha=1.0, random=random).share for _ in range(2000)]
    assert np.mean(shares) == pytest.approx(0.75, abs=0.01)  # uniform, folded to [0.5, 1]


class Listening(Objective):
    """Keeps what the networks saw and what was said of it."""

    name = "listening"

    def __init__(self):
        super().__init__()
        self.heard = []

    def loss(self, output, batch, step):
        self.heard.append(batch)
        return output.logits.sum() * 0


@pytest.mark.parametrize("apart", [False, True])
def test_the_teacher_sees_the_mixed_image_itself(tmp_path, apart):
    teacher, listening = MeanTeacher(), Listening()
    data = training_data(unlabelled=6, online=teacher)
    if apart:  # what it sees has been prepared apart
        sight = Sight(pixels=images(32, seed=0, unlabelled=6), clean=True)
        train_data = BatchDataset(data.train.pixels, sights={"teacher": sight}, views=data.train.views)
        data = TrainingData(train=train_data, valid=data.valid, spec=SPEC, online=data.online)
    train(tmp_path, data, objectives=[GroundTruth(), LogitMSE(PAIR), listening], epochs=1, mixup=0.5)
    original = {index: data.train.labels[index] for index in range(32)}
    mixed = 0
    for shown, seen in zip(teacher.shown, listening.heard, strict=True):
        torch.testing.assert_close(shown, seen.images)
        said = 4 * seen.images.mean((1, 2, 3))
        torch.testing.assert_close(seen.teachers["teacher"].logits, said)
        for label, index in zip(seen.labels.tolist(), seen.indices.tolist(), strict=True):
            assert label == -1 if original[index] == -1 else abs(label - original[index]) <= 0.5
            mixed += label not in (-1.0, 0.0, 1.0)
    assert mixed > 4


def test_without_mixup_images_are_as_they_were(tmp_path):
    listening, data = Listening(), training_data()
    train(tmp_path, data, objectives=[GroundTruth(), listening], epochs=1)
    for seen in listening.heard:
        for image, index in zip(seen.images, seen.indices, strict=True):
            plain = normalize(torch.from_numpy(data.train.pixels.cache[index][None]), spec=SPEC)[0]
            assert torch.equal(image, plain) or torch.equal(image, plain.flip(2))


def test_cached_answers_are_refused(tmp_path):
    data = training_data()
    cached = BatchDataset(data.train.pixels, teachers={"teacher": object()})
    with pytest.raises(EdgeproofError) as caught:
        train(tmp_path, TrainingData(train=cached, valid=data.valid, spec=SPEC), mixup=0.2)
    assert str(caught.value) == (
        "mixup: given 0.2 with cached answers of teacher; expected teachers that are asked at every step, since a mixed "
        "image is taught by what is said of that very image"
    )


def test_a_recipe_with_cached_answers_is_refused_before_any_work():
    mixup = "students.rep_cnn.mixup=0.2"

    def checked(*overrides):
        recipe = load_recipe("demo", overrides=[mixup, *overrides])
        check_names(recipe, roster_of(recipe))
        return recipe.students["rep_cnn"].mixup

    with pytest.raises(EdgeproofError) as caught:
        checked()
    assert str(caught.value) == (
        "students.rep_cnn.mixup: given 0.2 with answers of teacher that are cached; expected teacher.source = "
        '"online", since a mixed image is taught by what is said of that very image'
    )
    assert checked("teacher.source=online") == checked("distillation.methods=[]") == 0.2


def test_several_classes_are_refused(tmp_path):
    from training_fixture import SCHEDULE, SETTINGS

    with pytest.raises(EdgeproofError, match="mixup: given 0.2 for 3 classes, expected 0"):
        fit(
            TinyNet(), task=MultiClass(("real", "a", "b")), objectives=[GroundTruth()], data=training_data(),
            schedule=SCHEDULE.model_copy(update={"mixup": 0.2}), settings=SETTINGS, seed=0, folder=tmp_path, sidecar={},
        )  # fmt: skip


def test_online_is_what_it_says():
    teacher = MeanTeacher()
    said = Online(teacher, spec=SPEC, features=()).outputs(torch.full((1, 16, 16, 3), 51.0))
    assert said.logits.shape == (1,) and teacher.shown[0].dtype == torch.float32
