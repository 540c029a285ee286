"""Methods on feature maps: golden values written out in NumPy, invariances, and which maps are paired."""

import numpy as np
import pytest
import torch
from methods_fixture import STUDENT, TEACHER, batch, build, loss_of, maps, output, pair_of
from torch.nn import functional as F

from distill.errors import EdgeproofError
from distill.methods import Link
from distill.methods.attention_transfer import attention_loss
from distill.methods.fsp import flow, fsp_loss
from distill.methods.hint import hint_loss
from distill.methods.nst import nst_loss
from distill.methods.ofd import Margin, partial_l2
from distill.methods.pkt import pkt_loss
from distill.methods.reviewkd import Fusion, hierarchical_context_loss
from distill.methods.sp import sp_loss
from distill.methods.vid import gaussian_loss
from distill.probe import FeatureMap

FAMILY = ["attention_transfer", "fsp", "hint", "nst", "ofd", "pkt", "reviewkd", "sp", "vid"]


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pooled(map_, side):
    """Means over equal blocks, in NumPy."""
    n, c, h, w = map_.shape
    return map_.reshape(n, c, side, h // side, side, w // side).mean((3, 5))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


# golden


def test_hint_without_normalization_is_half_the_squared_distance():
    student, teacher = random(2, 3, 4, 4), random(2, 3, 2, 2, seed=1)
    difference = pooled(student.numpy(), 2) - teacher.numpy()
    expected = (difference**2).sum(1).mean() / 2
    assert hint_loss(student, teacher, normalize=False).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_attention_transfer_by_numpy(power):
    student, teacher = random(3, 4, 4, 4), random(3, 2, 2, 2, seed=1)
    one, other = (
        unit((np.abs(values) ** power).sum(1).reshape(3, -1))
        for values in (pooled(student.numpy(), 2), teacher.numpy())
    )
    expected = ((one - other) ** 2).sum(1).mean()
    assert attention_loss(student, teacher, power=power).item() == pytest.approx(expected, rel=1e-5)


def test_nst_by_numpy():
    student, teacher = random(2, 3, 4, 4), random(2, 5, 2, 2, seed=1)
    one, other = (
        unit(values.reshape(2, values.shape[1], -1))
        for values in (pooled(student.numpy(), 2), teacher.numpy())
    )

    def kernel(a, b):
        return np.mean([[(x @ y) ** 2 for y in b] for x in a])

    expected = np.mean(
        [kernel(a, a) + kernel(b, b) - 2 * kernel(a, b) for a, b in zip(one, other, strict=True)]
    )
    assert nst_loss(student, teacher).item() == pytest.approx(expected, rel=1e-4)


def test_pkt_by_numpy():
    student, teacher, expected = random(4, 3), random(4, 6, seed=1), 0.0
    cosines = [(unit(rows.numpy()) @ unit(rows.numpy()).T + 1) / 2 for rows in (student, teacher)]
    for i in range(4):
        others = [j for j in range(4) if j != i]
        q, p = (kernel[i, others] / kernel[i, others].sum() for kernel in cosines)
        expected += (p * np.log(p / q)).sum() / 4
    assert pkt_loss(student, teacher).item() == pytest.approx(expected, rel=1e-4)


def test_sp_by_numpy():
    student, teacher = random(3, 2, 4, 4), random(3, 5, 2, 2, seed=1)
    one, other = (unit(m.reshape(3, -1) @ m.reshape(3, -1).T) for m in (student.numpy(), teacher.numpy()))
    assert sp_loss(student, teacher).item() == pytest.approx(((one - other) ** 2).sum() / 9, rel=1e-5)


def test_vid_by_numpy():
    mean, teacher, variance = random(2, 3, 2, 2), random(2, 3, 2, 2, seed=1), torch.tensor([0.5, 1.0, 4.0])
    sigma = variance.numpy()[None, :, None, None]
    expected = 0.5 * ((teacher.numpy() - mean.numpy()) ** 2 / sigma + np.log(sigma)).mean()
    assert gaussian_loss(mean, teacher, variance).item() == pytest.approx(expected, rel=1e-5)


def test_vid_starts_at_a_variance_of_five():
    method = build("vid")
    assert [F.softplus(alpha).unique().item() for alpha in method.alphas] == [
        pytest.approx(5.0, abs=1e-3)
    ] * 2


def test_partial_l2_by_hand():
    # margin -1; targets: max(2, -1) = 2, max(-3, -1) = -1, max(-0.5, -1) = -0.5, 0
    teacher = torch.tensor([2.0, -3.0, -0.5, 0.0]).view(1, 1, 2, 2)
    student = torch.tensor([0.0, -4.0, 1.0, -2.0]).view(1, 1, 2, 2)
    # the second and the fourth lie below a target that is not positive: they cost nothing
    found = partial_l2(student, teacher, torch.tensor([-1.0]))
    assert found.item() == pytest.approx((4.0 + 1.5**2) / 4)


def test_the_margin_is_the_running_mean_of_negative_responses():
    margin = Margin(3)
    first = torch.tensor([[-1.0, 2.0, 0.0], [-3.0, 4.0, -8.0]]).view(2, 3, 1, 1)
    assert margin(first).tolist() == [-2.0, 0.0, -8.0]
    assert margin(torch.tensor([-5.0, 1.0, -4.0]).view(1, 3, 1, 1)).tolist() == [-3.0, 0.0, -6.0]
    margin.eval()
    assert margin(torch.full((1, 3, 1, 1), -100.0)).tolist() == [-3.0, 0.0, -6.0], (
        "learns while it trains alone"
    )
    assert set(margin.state_dict()) == {"total", "count"}, "kept in a checkpoint"


def test_hierarchical_context_loss_by_numpy():
    student, teacher = random(2, 3, 4, 4), random(2, 3, 8, 8, seed=1)
    one, other = student.numpy(), pooled(teacher.numpy(), 4)
    levels = [
        (1.0, one, other),
        (0.5, pooled(one, 2), pooled(other, 2)),
        (0.25, pooled(one, 1), pooled(other, 1)),
    ]
    expected = sum(weight * ((a - b) ** 2).mean() for weight, a, b in levels) / 1.75
    assert hierarchical_context_loss(student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_fusion_weighs_both_levels_by_attention():
    fusion = Fusion(FeatureMap(3, 4, 8), FeatureMap(5, 4, 8), channels=8, fuses=True).eval()
    student, deeper = random(2, 3, 4, 4), random(2, 8, 2, 2, seed=1)
    with torch.no_grad():
        fusion.attention[0].weight.zero_()
        fusion.attention[0].bias.copy_(torch.tensor([100.0, -100.0]))
        alone = fusion(student, deeper)[1]
        fusion.attention[0].bias.copy_(torch.tensor([-100.0, 100.0]))
        others, fused = fusion(student, deeper)
    torch.testing.assert_close(alone, fusion.reduce(student).detach())
    torch.testing.assert_close(fused, deeper.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert others.shape == (2, 5, 4, 4)


def test_reviewkds_shallow_level_learns_from_the_deep_ones():
    method = build("reviewkd", channels=16)
    assert [fusion.attention is not None for fusion in method.fusions] == [True, False]
    own = maps(STUDENT, grad=True)
    theirs = {name: value.requires_grad_() for name, value in maps(TEACHER, seed=1).items()}
    deep = theirs["t2"].detach().clone()
    fused, onward = method.fusions[1](own["s2"], None)
    shallow, _ = method.fusions[0](own["s1"], onward)
    shallow.square().mean().backward()
    assert own["s2"].grad.abs().sum() > 0 and fused.shape == deep.shape


def test_flow_by_numpy():
    first, second = random(2, 3, 4, 4).numpy(), random(2, 5, 2, 2, seed=1).numpy()
    peaks = first.reshape(2, 3, 2, 2, 2, 2).max((3, 5))
    expected = np.einsum("nahw,nbhw->nab", peaks, second) / 4
    found = flow(torch.from_numpy(first), torch.from_numpy(second))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    other = torch.zeros(2, 3, 2, 2)
    loss = fsp_loss((torch.from_numpy(first), torch.from_numpy(second)), (other, other.new_zeros(2, 5, 1, 1)))
    assert loss.item() == pytest.approx((expected**2).mean(), rel=1e-5)


def test_fsp_projects_only_where_channels_differ():
    student = {"s1": FeatureMap(16, 8, 4), "s2": FeatureMap(8, 4, 8)}
    method = build("fsp", pair_of(student=student))
    assert [type(each).__name__ for each in method.projections] == ["Identity", "Conv2d"]


def test_fsp_wants_two_levels():
    with pytest.raises(EdgeproofError) as caught:
        build("fsp", student_features=["s1"])
    assert str(caught.value) == (
        "distillation.methods: fsp matches the way from one level to the next, found one (s1 with t1); expected two or more"
    )


# what the papers claim

PERFECT = {
    "attention_transfer": lambda a, b: attention_loss(a, b, power=2.0), "hint": hint_loss, "nst": nst_loss, "sp": sp_loss,
    "hcl": hierarchical_context_loss, "pkt": lambda a, b: pkt_loss(a.flatten(1), b.flatten(1)),
    "ofd": lambda a, b: partial_l2(a, b.relu(), torch.zeros(b.shape[1])), "fsp": lambda a, b: fsp_loss((a, a), (b, b)),
}  # fmt: skip


@pytest.mark.parametrize("name", PERFECT)
def test_a_perfect_student_has_nothing_to_learn(name):
    teacher = random(4, 3, 4, 4).abs()
    student = teacher.clone().requires_grad_()
    loss = PERFECT[name](student, teacher)
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6) and student.grad.abs().max() < 1e-4
    assert PERFECT[name](random(4, 3, 4, 4, seed=1).abs(), teacher).item() > 1e-5


@pytest.mark.parametrize("name", ["attention_transfer", "hint", "nst", "pkt", "sp"])
def test_the_size_of_activations_does_not_matter(name):
    student, teacher = random(4, 3, 4, 4).abs(), random(4, 3, 4, 4, seed=1).abs()
    expected = PERFECT[name](student, teacher).item()
    assert PERFECT[name](100 * student, teacher / 100).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["attention_transfer", "nst", "sp"])
def test_the_order_of_channels_does_not_matter(name):
    student, teacher = random(4, 3, 4, 4), random(4, 3, 4, 4, seed=1)
    expected = PERFECT[name](student, teacher).item()
    assert PERFECT[name](student[:, [2, 0, 1]], teacher).item() == pytest.approx(expected, rel=1e-4)


def test_one_image_has_no_neighbours():
    assert pkt_loss(random(1, 3), random(1, 3, seed=1)).item() == 0.0


@pytest.mark.parametrize("name", FAMILY)
def test_maps_of_other_sizes_meet_and_what_is_trained_beside_is_no_part_of_the_student(name):
    """A teacher at four times the resolution, at the same strides: its maps are pooled, or need not be."""
    teacher = {"t1": FeatureMap(16, 16, 4), "t2": FeatureMap(32, 8, 8)}
    method = build(name, pair_of(teacher=teacher))
    own = maps(STUDENT, grad=True)
    seen = batch((0.0,) * 4, features=maps(teacher, seed=1))
    loss_of(method, output([0.0] * 4, features=own), seen).backward()
    assert own["s2"].grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in method.parameters())


# which maps are paired


def strides(**given):
    return {name: FeatureMap(8, 64 // stride, stride) for name, stride in given.items()}


def test_one_pair_at_the_deepest_common_stride_or_one_for_each():
    pair = pair_of(student=strides(a=2, b=4, c=8, d=32), teacher=strides(x=4, y=8, z=16))
    assert build("hint", pair).links == (Link("c", "y"),)
    assert build("sp", pair).links == (Link("b", "x"), Link("c", "y"))


def test_of_several_maps_of_one_stride_the_deepest_counts():
    pair = pair_of(student=strides(a=16), teacher=strides(x=16, y=16, z=16))
    assert build("sp", pair).links == (Link("a", "z"),)


def test_who_names_one_map_gets_the_other_of_its_stride():
    pair = pair_of(student=strides(a=4, b=8), teacher=strides(x=4, y=8))
    assert build("hint", pair, student_feature="a").links == (Link("a", "x"),)
    assert build("hint", pair, teacher_feature="x").links == (Link("a", "x"),)
    assert build("hint", pair, student_feature="a", teacher_feature="y").links == (Link("a", "y"),)
    assert build("sp", pair, teacher_features=["y", "x"]).links == (Link("b", "y"), Link("a", "x"))
    assert build("sp", pair, student_features=["a"], teacher_features=["y"]).links == (Link("a", "y"),)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "hint",
            {},
            "hint: no feature map of the student has the stride of one of teacher's (student: a has 2, b has 32; teacher: "
            "x has 4, y has 8); expected a stride that both have, or the names of a pair",
        ),
        (
            "sp",
            {"student_features": ["b"]},
            "sp: no feature map of the student has the stride of one of teacher's (student: b has 32; teacher: x has 4, y "
            "has 8); expected a stride that both have, or the names of a pair",
        ),
        (
            "sp",
            {"student_features": ["a", "b"], "teacher_features": ["x"]},
            "sp: student_features are ['a', 'b'] and teacher_features ['x'], expected as many of each",
        ),
        ("nst", {"student_feature": "c"}, "nst: unknown student feature 'c'; choose one of: a, b"),
        ("ofd", {"teacher_features": ["z"]}, "ofd: unknown teacher feature 'z'; choose one of: x, y"),
    ],
)
def test_maps_that_do_not_fit_are_named(name, options, message):
    pair = pair_of(student=strides(a=2, b=32), teacher=strides(x=4, y=8))
    with pytest.raises(EdgeproofError) as caught:
        build(name, pair, **options)
    assert str(caught.value) == f"distillation.methods: {message}"


@pytest.mark.parametrize("name", FAMILY)
def test_a_network_without_features_says_so(name):
    with pytest.raises(
        EdgeproofError, match=f"{name}: teacher feature: the model offers none; name its layers"
    ):
        build(name, pair_of(teacher={}))
