"""Relations within a batch and over the data set: RKD and CRD."""

import itertools

import numpy as np
import pytest
import torch
from methods_fixture import STUDENT, TEACHER, batch, build, loss_of, maps, output, pair_of
from safetensors.torch import load_file
from training_fixture import PAIR, SPEC, TinyNet, same, train, training_data

from distill.errors import EdgeproofError
from distill.methods.crd import contrast_loss, draw_negatives
from distill.methods.ground_truth import GroundTruth
from distill.methods.objective import Step
from distill.methods.rkd import angle_loss, distance_loss
from distill.training.fit import TrainingData
from distill.training.teachers import Online
from students.output import ModelOutput


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def huber(difference):
    size = np.abs(difference)
    return np.where(size < 1, size**2 / 2, size - 0.5).mean()


# rkd


def test_rkd_distance_by_numpy():
    student, teacher = random(5, 3), random(5, 7, seed=1)

    def distances(rows):
        rows = rows.numpy()
        found = np.array([np.linalg.norm(rows[i] - rows[j]) for i, j in itertools.permutations(range(5), 2)])
        return found / found.mean()

    expected = huber(distances(student) - distances(teacher))
    assert distance_loss(student, teacher).item() == pytest.approx(expected, rel=1e-4)


def test_rkd_angle_by_numpy():
    student, teacher = random(4, 3), random(4, 7, seed=1)

    def cosines(rows):
        rows, found = rows.numpy(), []
        for j, i, k in itertools.permutations(range(4), 3):
            one, other = rows[i] - rows[j], rows[k] - rows[j]
            found.append(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
        return np.array(found)

    expected = huber(cosines(student) - cosines(teacher))
    assert angle_loss(student, teacher).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
def test_rkd_sees_neither_place_nor_size_nor_orientation(loss):
    teacher = random(6, 4)
    turned = torch.linalg.qr(random(4, 4, seed=1))[0]
    student = (3 * teacher @ turned + 5).requires_grad_()
    found = loss(student, teacher)
    found.backward()
    assert found.item() == pytest.approx(0.0, abs=1e-9) and student.grad.abs().max() < 1e-4
    assert loss(random(6, 4, seed=2), teacher).item() > 1e-3


def test_rkd_has_a_gradient_where_images_coincide():
    student = torch.ones(4, 3, requires_grad=True)
    (distance_loss(student, random(4, 3)) + angle_loss(student, random(4, 3))).backward()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (25.0, 50.0)])
def test_rkd_weighs_its_two_parts(weights):
    own, theirs = maps({"s2": STUDENT["s2"]}), maps({"t2": TEACHER["t2"]}, seed=1)
    method = build("rkd", distance_weight=weights[0], angle_weight=weights[1])
    found = loss_of(method, output([0.0] * 4, features=own), batch((0.0,) * 4, features=theirs))
    pooled = own["s2"].mean((2, 3)), theirs["t2"].mean((2, 3))
    expected = weights[0] * distance_loss(*pooled) + weights[1] * angle_loss(*pooled)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_two_images_have_no_angles():
    own, theirs = maps({"s2": STUDENT["s2"]}, count=2), maps({"t2": TEACHER["t2"]}, count=2)
    seen = batch((0.0, 1.0), features=theirs)
    assert loss_of(build("rkd"), output([0.0, 0.0], features=own), seen).item() == 0.0


# crd


def test_crds_loss_by_hand():
    # K = 2 negatives of n = 4 images: noise K / n = 1/2; h = P / (P + 1/2)
    scores = torch.tensor([[1.0, 0.5, 1.5], [0.5, 0.25, 0.5]])
    first = np.log(1 / 1.5) + np.log(0.5 / 1.0) + np.log(0.5 / 2.0)
    second = np.log(0.5 / 1.0) + np.log(0.5 / 0.75) + np.log(0.5 / 1.0)
    assert contrast_loss(scores, images=4).item() == pytest.approx(-(first + second) / 2, rel=1e-5)


def test_crds_first_step_by_numpy():
    """Both directions, with Z = the mean of exp(similarity / τ) times the number of images."""
    method = build("crd", samples=6, dimensions=4, negatives=3, temperature=0.5)
    banks = {"student": method.memory_student.clone(), "teacher": method.memory_teacher.clone()}
    own, theirs = maps(STUDENT), maps(TEACHER, seed=1)
    seen = batch((0.0,) * 4, features=theirs)
    found = loss_of(method, output([0.0] * 4, features=own), seen).item()
    others = draw_negatives(seen.indices, count=3, labels=method.labels, choice="any", key=(0, 0))
    rows = torch.cat([seen.indices[:, None], others], dim=1).numpy()
    expected = 0.0
    for layer, map_, bank in (
        (method.embed_student, own["s2"], banks["teacher"]), (method.embed_teacher, theirs["t2"], banks["student"]),
    ):  # fmt: skip
        anchor = layer(map_.mean((2, 3))).detach().numpy()
        anchor /= np.linalg.norm(anchor, axis=1, keepdims=True)
        raw = np.exp(np.einsum("nd,nkd->nk", anchor, bank.numpy()[rows]) / 0.5)
        scores, noise = raw / (raw.mean() * 6), 3 / 6
        expected -= (
            np.log(scores[:, 0] / (scores[:, 0] + noise)) + np.log(noise / (scores[:, 1:] + noise)).sum(1)
        ).mean()
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_memory_follows_what_was_shown():
    method = build("crd", samples=6, dimensions=4, negatives=2, momentum=0.25)
    before = method.memory_student.clone()
    own = maps(STUDENT)
    loss_of(method, output([0.0] * 4, features=own), batch((0.0,) * 4, features=maps(TEACHER)))
    now = method.embed_student(own["s2"].mean((2, 3))).detach()
    mixed = 0.25 * before[:4] + 0.75 * now / now.norm(dim=1, keepdim=True)
    torch.testing.assert_close(method.memory_student[:4], mixed / mixed.norm(dim=1, keepdim=True))
    assert torch.equal(method.memory_student[4:], before[4:]), "what was not shown stays"


def test_negatives_are_never_the_image_itself_and_all_others_are_drawn():
    labels, indices = torch.zeros(5).long(), torch.arange(5)
    found = draw_negatives(indices, count=200, labels=labels, choice="any", key=(1, 2))
    assert all(set(row.tolist()) == set(range(5)) - {i} for i, row in enumerate(found))
    again = draw_negatives(indices, count=200, labels=labels, choice="any", key=(1, 2))
    other = draw_negatives(indices, count=200, labels=labels, choice="any", key=(1, 3))
    assert torch.equal(found, again) and not torch.equal(found, other)


def test_negatives_of_other_classes_where_labels_are_known():
    labels = torch.tensor([0, 0, 1, 1, -1])
    found = draw_negatives(torch.arange(5), count=200, labels=labels, choice="other_class", key=(0,))
    sets = [set(row.tolist()) for row in found]
    assert sets == [{2, 3}, {2, 3}, {0, 1}, {0, 1}, {0, 1, 2, 3}]


def test_crd_wants_someone_to_contrast_with():
    with pytest.raises(
        EdgeproofError, match="crd contrasts an image with others, found 1 images of 1 classes"
    ):
        build("crd", samples=1)


class Maps(TinyNet):
    """Deterministic, with a feature map: a teacher of `training_fixture`'s pair."""

    def forward(self, images):
        said = super().forward(images)
        return ModelOutput(said.logits, {"t": torch.cat([said.features["last"]] * 2, dim=1)[:, :5]})


def contrasted(online):
    data = training_data()
    teachers = {"teacher": Online(online, spec=SPEC, features=("t",))}
    return TrainingData(train=data.train, valid=data.valid, spec=SPEC, online=teachers)


def crd():
    torch.manual_seed(11)
    options = {"student_feature": "last", "teacher_feature": "t", "dimensions": 8, "negatives": 16}
    return [GroundTruth(), build("crd", PAIR, weight=0.1, **options)]


def test_a_killed_training_with_a_memory_ends_like_an_uninterrupted_one(tmp_path):
    torch.manual_seed(5)
    teacher = Maps()
    train(tmp_path / "whole", contrasted(teacher), objectives=crd())

    def kill(done, total):
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", contrasted(teacher), objectives=crd(), progress=kill)
    assert (tmp_path / "killed" / "resume.safetensors").is_file()
    train(tmp_path / "killed", contrasted(teacher), objectives=crd())
    for name in ("weights.safetensors", "last.safetensors"):
        assert same(tmp_path / "whole" / name, tmp_path / "killed" / name)


def test_a_memory_has_a_place_for_every_image_and_stays_out_of_the_student(tmp_path):
    objectives = crd()
    train(tmp_path, contrasted(Maps()), objectives=objectives, epochs=1)
    bank = objectives[1].memory_student
    assert bank.shape == (32, 8)
    torch.testing.assert_close(bank.norm(dim=1).cpu(), torch.ones(32))
    assert set(load_file(tmp_path / "weights.safetensors")) == set(TinyNet().state_dict())


def test_every_step_draws_other_negatives():
    method = build("crd", samples=6, dimensions=4, negatives=4)
    own, seen = output([0.0] * 4, features=maps(STUDENT)), batch((0.0,) * 4, features=maps(TEACHER))
    kept = {name: value.clone() for name, value in method.state_dict().items()}
    losses = []
    for number in (0, 1, 0):
        method.load_state_dict(kept)
        losses.append(loss_of(method, own, seen, Step(0, 1, number, 10)).item())
    assert losses[0] == losses[2] != losses[1]


def test_names_of_the_pair():
    assert build("crd", pair_of(), samples=4).needs.features == {"teacher": ("t2",)}
    assert build("crd", pair_of(), samples=4).needs.memory
