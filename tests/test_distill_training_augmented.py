"""Trainings on augmented images."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_fixture import SCHEDULE, SPEC, images
from training_fixture import network as model
from training_parts import FLIPS, Said, lesson, same, taught, train

from distill.data.transforms.settings import AugmentationSettings
from distill.pipeline.stage import Run
from distill.pipeline.state import stage_keys
from distill.recipe import load_recipe
from distill.roster import roster_of
from distill.stages import distill_stages
from distill.stages.training import Teachers
from distill.training.batches import BatchDataset
from distill.training.fit import TrainingData
from distill.training.trainable import Trainable


@pytest.fixture(scope="module")
def data():
    return lesson()


# augmentation

WILD = AugmentationSettings(
    noise={"probability": 0.7, "range": (0.1, 0.3)}, jpeg={"probability": 0.7}, blur={"probability": 0.5}
)


@pytest.fixture(scope="module")
def wild(data):
    train = BatchDataset(data.train.pixels, teachers=data.train.teachers, augmentation=WILD, views=FLIPS)
    return TrainingData(train=train, valid=data.valid, spec=SPEC)


def test_a_killed_training_with_augmentation_ends_like_an_uninterrupted_one(data, wild, tmp_path):
    def kill(done, total):
        if done == 6:  # of 12: in the second epoch
            raise KeyboardInterrupt

    train(tmp_path / "plain", data, objectives=taught())
    train(tmp_path / "whole", wild, objectives=taught())
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", wild, objectives=taught(), progress=kill)
    train(tmp_path / "killed", wild, objectives=taught())
    same(tmp_path / "whole", tmp_path / "killed", "last.safetensors")
    clean, augmented = (
        load_file(folder / "last.safetensors") for folder in (tmp_path / "plain", tmp_path / "whole")
    )
    assert not torch.equal(clean["head.weight"], augmented["head.weight"])


def test_validation_images_are_never_augmented(wild, tmp_path, monkeypatch):
    seen = []
    step = Trainable.validation_step

    def watch(self, batch, number):
        seen.append(batch.images.clone())
        step(self, batch, number)

    monkeypatch.setattr(Trainable, "validation_step", watch)
    train(tmp_path, wild, schedule=SCHEDULE.model_copy(update={"epochs": 2}))
    assert len(seen) == 2
    for images_seen in seen:
        np.testing.assert_array_equal(images_seen.numpy(), wild.valid.pixels.cache)


def test_a_change_of_augmentation_redoes_the_trainings_and_not_the_data():
    keys = []
    for overrides in ((), ("augmentation.jpeg.probability=0.5",)):
        recipe = load_recipe("demo", overrides=overrides)
        keys.append(stage_keys(distill_stages(recipe, roster_of(recipe)), recipe))
    before, after = keys
    kept = {name for name in before if before[name] == after[name]}
    assert kept == {"data", "audit"}


def test_teacher_student_and_student_alone_train_under_the_recipes_augmentation(tmp_path, monkeypatch):
    """All three in the same words: equal budget."""
    import distill.stages.training as work
    import distill.training.fit

    recipe = load_recipe("demo", overrides=["augmentation.blur.probability=0.25"])
    given = []
    monkeypatch.setattr(work, "pixels_of", lambda run, split, *, spec, owner=None: images(8, seed=0))
    monkeypatch.setattr(work, "sidecar_of", lambda *args, **options: {})
    monkeypatch.setattr(distill.training.fit, "fit", lambda *args, data, **options: given.append(data))
    roster = roster_of(recipe)
    heard = Teachers(cached={"teacher": Said(torch.zeros(8, 2))})
    for item, teachers in (
        (roster.teachers[0], None),
        (roster.trainings[0], heard),
        (roster.trainings[-1], None),
    ):
        work.train(
            Run(folder=tmp_path, recipe=recipe), model(), model=item, objectives=[],
            schedule=recipe.students["rep_cnn"], progress=lambda done, total: None, teachers=teachers,
        )  # fmt: skip
    assert [data.train.augmentation for data in given] == [recipe.augmentation] * 3
    assert [data.valid.augmentation for data in given] == [None] * 3
