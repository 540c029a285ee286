"""Who teaches whom and for how long: several teachers, mutual learning, self-distillation, schedules."""

import numpy as np
import pytest
import torch
from methods_fixture import MANY, STEP, batch, bernoulli, build, loss_of, output, pair_of, sigmoid, softmax
from safetensors.torch import load_file
from training_fixture import PAIR as TINY
from training_fixture import MeanTeacher, TinyNet, same, train, training_data

from distill.check import check_names
from distill.errors import EdgeproofError
from distill.methods.ground_truth import GroundTruth
from distill.methods.kl import as_classes, softened_kl
from distill.methods.objective import Step
from distill.recipe import load_recipe, parse_recipe, to_toml
from distill.roster import roster_of
from distill.stages import distill_stages
from distill.stages.sources import shown_views, sources_of
from distill.training.views import Views
from students import FITTED, STUDENTS
from students.output import ModelOutput
from teachers import TEACHERS

NAMES = ("first", "second", "third")
SAID = [
    [[2.0, 0.0, -1.0], [0.0, 1.0, 0.0]],
    [[0.0, 1.0, 0.0], [1.0, 0.0, 3.0]],
    [[1.0, 1.0, 1.0], [0.0, 4.0, 0.0]],
]
STUDENT = [[1.0, 2.0, 0.0], [0.5, 0.0, -1.0]]


def several(said, student, labels, *, pair=None, **options):
    names = NAMES[: len(said)]
    method = build("several_teachers", pair or pair_of(MANY.task, names=names), teachers=names, **options)
    seen = batch(labels)._replace(teachers={name: output(s) for name, s in zip(names, said, strict=True)})
    return loss_of(method, output(student), seen).item()


def divergence(target, student, temperature):
    q = softmax(student, temperature)
    return temperature**2 * (target * np.log(target / q)).sum(1).mean()


# several teachers


@pytest.mark.parametrize(
    ("given", "shares"), [((), (1 / 3,) * 3), ((1, 1, 2), (0.25, 0.25, 0.5)), ((0, 3, 0), (0, 1, 0))]
)
def test_shares_of_several_teachers_by_numpy(given, shares):
    target = sum(share * softmax(said, 2.0) for share, said in zip(shares, SAID, strict=True))
    found = several(SAID, STUDENT, (0.0, 1.0), shares=given, temperature=2.0)
    assert found == pytest.approx(divergence(target, STUDENT, 2.0), rel=1e-5)


def test_confidence_by_numpy():
    """The first image's label is 0, the second's is not known: there every teacher has the same share."""
    wrong = np.array([-np.log(softmax(said)[0, 0]) for said in SAID])
    shares = (1 - np.exp(wrong) / np.exp(wrong).sum()) / 2
    assert shares.sum() == pytest.approx(1) and shares.argmax() == 0
    rows = [
        np.stack([share, 1 / 3])[:, None] * softmax(said, 3.0)
        for share, said in zip(shares, SAID, strict=True)
    ]
    found = several(SAID, STUDENT, (0.0, -1.0), by="confidence", temperature=3.0)
    assert found == pytest.approx(divergence(sum(rows), STUDENT, 3.0), rel=1e-5)


@pytest.mark.parametrize("by", ["mean", "confidence"])
def test_several_teachers_of_one_logit_by_numpy(by):
    said, student, label = [[3.0], [-1.0]], [0.5], 1.0
    shares = np.array([0.5, 0.5])
    if by == "confidence":  # of two teachers, each gets what the other is wrong by
        wrong = np.exp([bernoulli(label, sigmoid(s[0])) for s in said])
        shares = 1 - wrong / wrong.sum()
    target = sum(share * sigmoid(s[0] / 4) for share, s in zip(shares, said, strict=True))
    expected = 16 * (bernoulli(target, sigmoid(0.5 / 4)) - bernoulli(target, target))
    found = several(said, student, (label,), by=by, pair=pair_of(names=NAMES[:2]))
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teachers": ("first",)}, "found teachers = ['first'], expected two or more"),
        ({"shares": (1.0,)}, "found shares = [1.0] with by = 'mean' and 2 teachers; expected"),
        (
            {"shares": (1.0, 2.0), "by": "confidence"},
            "found shares = [1.0, 2.0] with by = 'confidence' and 2 teachers",
        ),
        ({"shares": (0.0, 0.0)}, "found shares = [0.0, 0.0]"),
    ],
)
def test_several_teachers_that_do_not_fit(options, message):
    options = {"teachers": ("first", "second"), **options}
    with pytest.raises(EdgeproofError) as caught:
        build("several_teachers", pair_of(names=options["teachers"]), **options)
    assert message in str(caught.value) and str(caught.value).startswith(
        "distillation.methods: several_teachers: "
    )


# mutual learning


class Peer(TinyNet):
    """Says the brightness of an image times a weight of its own."""

    def __init__(self, weight):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(weight))

    def forward(self, images):
        return ModelOutput(self.weight * images.mean((1, 2, 3)), {})


def test_mutual_learning_by_numpy():
    method = build("mutual", pair_of(make_student=lambda: Peer(2.0)), samples=2)
    seen = batch((1.0, 0.0))._replace(images=torch.stack([torch.ones(3, 4, 4), -torch.ones(3, 4, 4)]))
    student = torch.tensor([0.5, 1.0], requires_grad=True)
    loss = loss_of(method, ModelOutput(student, {}), seen)
    loss.backward()
    p, q, labels = sigmoid([0.5, 1.0]), sigmoid([2.0, -2.0]), np.array([1.0, 0.0])

    def kl(one, other):
        return (bernoulli(one, other) - bernoulli(one, one)).mean()

    assert loss.item() == pytest.approx(kl(q, p) + kl(p, q) + bernoulli(labels, q).mean(), rel=1e-5)
    # each is moved by its own part alone: d/ds KL(q || p) = (p - q) / N
    np.testing.assert_allclose(student.grad, (p - q) / 2, rtol=1e-5)
    expected = ((q - p + q - labels) / 2 * [1, -1]).sum()
    assert method.peer.weight.grad.item() == pytest.approx(expected, rel=1e-5)


def test_one_logit_as_two_classes():
    one, other = torch.tensor([1.5, -0.5]), torch.tensor([3.0, -2.0])
    p, q = sigmoid(other), sigmoid(one)
    expected = (bernoulli(p, q) - bernoulli(p, p)).mean()
    assert softened_kl(as_classes(one), as_classes(other), temperature=1.0).item() == pytest.approx(
        expected, rel=1e-5
    )
    assert torch.equal(as_classes(torch.ones(2, 3)), torch.ones(2, 3))


def mutual():
    pair = pair_of(student=TINY.student, names=(), make_student=TinyNet)
    return [GroundTruth(), build("mutual", pair)]


def test_a_peer_is_another_student_learns_and_is_never_saved(tmp_path):
    objectives = mutual()
    assert objectives[1].peer is None, "a recipe's check builds methods, but no second network"
    torch.manual_seed(20)
    first = objectives[1]
    history = train(tmp_path, training_data(unlabelled=4), objectives=objectives)
    untouched = TinyNet().state_dict()
    saved = load_file(tmp_path / "weights.safetensors")
    assert set(saved) == set(untouched)
    assert not torch.equal(first.peer.state_dict()["head.weight"], saved["head.weight"])
    parts = [epoch.train_parts["mutual"] for epoch in history.epochs]
    assert parts[-1] < parts[0]


def test_a_killed_mutual_training_ends_like_an_uninterrupted_one(tmp_path):
    def kill(done, total):
        if done == 6:
            raise KeyboardInterrupt

    torch.manual_seed(1)
    train(tmp_path / "whole", training_data(), objectives=mutual())
    torch.manual_seed(1)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", training_data(), objectives=mutual(), progress=kill)
    torch.manual_seed(2)  # another first peer: the one that was trained so far comes back
    train(tmp_path / "killed", training_data(), objectives=mutual())
    assert same(tmp_path / "whole" / "weights.safetensors", tmp_path / "killed" / "weights.safetensors")


def test_mutual_learning_wants_to_know_how_to_build_a_student():
    with pytest.raises(EdgeproofError, match="mutual trains a second student, found no way to build one"):
        build("mutual", pair_of(make_student=None))


# schedules


def test_a_teacher_is_not_asked_once_nobody_listens(tmp_path):
    """12 steps in three epochs; from the sixth on its term is off, and with it the teacher."""
    teacher = MeanTeacher()
    method = build("logit_mse", TINY, until=0.5)
    history = train(tmp_path, training_data(online=teacher), objectives=[GroundTruth(), method])
    assert len(teacher.shown) == 6
    assert [epoch.train_parts["logit_mse"] > 0 for epoch in history.epochs] == [True, True, False]


def test_a_teacher_is_asked_as_long_as_anybody_listens(tmp_path):
    teacher = MeanTeacher()
    methods = [build("logit_mse", TINY, until=0.25), build("soft_bce", TINY, warmup=0.5)]
    train(tmp_path, training_data(online=teacher), objectives=[GroundTruth(), *methods])
    assert len(teacher.shown) == 12


def test_a_step_knows_its_share_of_the_training(tmp_path):
    shares = []

    class Listening(GroundTruth):
        def loss(self, output, batch, step):
            shares.append((step.step, step.steps, step.share))
            return super().loss(output, batch, step)

    train(tmp_path, training_data(), objectives=[Listening()], accumulate=2)
    assert shares == [(step, 6, step / 6) for step in range(6) for _ in range(2)]
    assert STEP.share == 0.0 and Step(0, 1, 3, 4).share == 0.75


# by a recipe


def checked(*methods, **values):
    values = {"name": "r", "data": {"path": "photos"}, "students": {"small": {"name": "small_cnn"}}, **values}
    recipe = parse_recipe({**values, "distillation": {"methods": list(methods)}}, origin="")
    check_names(recipe, roster_of(recipe))
    return recipe


def stages_of(recipe):
    return {stage.name: stage for stage in distill_stages(recipe, roster_of(recipe))}


@pytest.mark.parametrize("name", ["label_smoothing", "mutual"])
def test_a_method_without_a_teacher_needs_none_of_its_outputs(name):
    recipe = checked({"name": name})
    assert sources_of(recipe, roster_of(recipe)) == ()
    stages = stages_of(recipe)
    assert "teacher:outputs" not in stages
    assert stages["student:small:seed0:distilled"].needs == ("audit",)
    mixed = checked({"name": name}, {"name": "logit_mse"})
    assert [source.teacher.name for source in sources_of(mixed, roster_of(mixed))] == ["teacher"]


def test_a_resolved_recipe_is_the_same_recipe(tmp_path):
    recipe = checked({"name": "mutual", "warmup": 0.1}, {"name": "logit_mse", "until": 0.5})
    path = tmp_path / "recipe.toml"
    path.write_text(to_toml(recipe), encoding="utf-8")
    again = load_recipe(str(path))
    assert again == recipe
    check_names(again, roster_of(again))


def test_a_teacher_named_for_a_method_without_one():
    with pytest.raises(
        EdgeproofError, match="mutual: listens to no teacher, found teachers = .*; leave the key out"
    ):
        checked({"name": "mutual", "teachers": ["teacher"]})


def test_mixup_goes_with_a_method_that_asks_nobody():
    students = {"small": {"name": "small_cnn", "mixup": 0.2}}
    checked({"name": "label_smoothing"}, students=students)
    with pytest.raises(
        EdgeproofError, match="students.small.mixup: given 0.2 with answers of teacher that are cached"
    ):
        checked({"name": "label_smoothing"}, {"name": "logit_mse"}, students=students)


@pytest.mark.parametrize("name", sorted(STUDENTS.keys() - FITTED))
def test_a_student_is_taught_by_its_own_kind(name):
    assert TEACHERS[name] is STUDENTS[name]
    checked({"name": "hint"}, students={"own": {"name": name}}, teacher={"name": name})


def test_what_a_teacher_lacks_is_said_before_any_work():
    with pytest.raises(EdgeproofError) as caught:
        checked(
            {"name": "attention_map"}, {"name": "face_box"}, {"name": "kl"}, teacher={"name": "small_cnn"}
        )
    assert str(caught.value).splitlines() == [
        "distillation.methods: attention_map: teacher gives no attention maps, expected a teacher with CBAM "
        "(efficientnet_fpn_cbam)",
        "distillation.methods: face_box: teacher gives no boxes, expected a teacher with a localiser "
        "(efficientnet_fpn_cbam)",
        "distillation.methods: kl is identically zero for one logit; use soft_bce or logit_mse",
    ]


def test_views_follow_those_who_are_heard():
    augmentation = {"noise": {"probability": 0.5, "range": [0.1, 0.2]}}
    fixed = checked({"name": "logit_mse"}, augmentation=augmentation, training={"views": 3})
    free = checked({"name": "label_smoothing"}, augmentation=augmentation, training={"views": 3})
    assert shown_views(fixed, roster_of(fixed)).fixed
    assert shown_views(free, roster_of(free)) == Views(count=2, flips=True)
