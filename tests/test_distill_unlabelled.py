import io
import tarfile

import pytest
import torch
from conftest import TINY
from PIL import Image

from distill.data.samples import UNLABELLED, Dataset, Sample
from distill.data.storage import open_image
from distill.data.unlabelled import load_unlabelled
from distill.errors import EdgeproofError
from distill.methods.ground_truth import GroundTruth
from distill.methods.objective import Batch, Step
from distill.models import make_model
from distill.pipeline.runfolder import load_samples, save_samples
from distill.pipeline.stage import Run
from distill.recipe import load_recipe
from distill.roster import roster_of
from distill.stages.controls import check_pool
from distill.stages.sources import shown_views, sources_of
from distill.stages.student import train_student
from distill.stages.training import Teachers
from students.output import ModelOutput

STEP = Step(epoch=0, epochs=1, step=0)


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_files_and_tars_whatever_their_folders_are_called(tmp_path):
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "a.png").write_bytes(png())
    (tmp_path / "notes.txt").write_text("hello")
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        for name in ("1.png", "1.json", "2.png"):
            data = png() if name.endswith("png") else b"{}"
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    found = load_unlabelled(tmp_path)
    assert [sample.path.removeprefix(f"{tmp_path}/") for sample in found.samples] == [
        "fake/a.png", "b.tar/1.png", "b.tar/2.png",
    ]  # fmt: skip
    assert {(sample.label, sample.split) for sample in found.samples} == {(UNLABELLED, "unlabelled")}
    assert [item.path for item in found.skipped] == ["notes.txt"]
    elsewhere = tmp_path / "another root"
    assert {open_image(elsewhere, sample).size for sample in found.samples} == {(4, 4)}


def test_nothing_there(tmp_path):
    with pytest.raises(EdgeproofError, match=r"data\.unlabelled: .*no images"):
        load_unlabelled(tmp_path)
    with pytest.raises(EdgeproofError, match="no such folder"):
        load_unlabelled(tmp_path / "nowhere")


def test_the_labels_loss_leaves_unlabelled_images_out():
    logits = torch.tensor([1.0, -2.0, 5.0], requires_grad=True)
    batch = Batch(torch.zeros(3, 3, 4, 4), torch.tensor([1.0, 0.0, -1.0]), torch.zeros(3, 4), torch.arange(3))
    loss = GroundTruth()(ModelOutput(logits=logits, features={}), batch, STEP)
    known = torch.nn.functional.binary_cross_entropy_with_logits(logits[:2], batch.labels[:2])
    assert loss.item() == pytest.approx(known.item())
    loss.backward()
    assert logits.grad[2] == 0 and (logits.grad[:2] != 0).all()


def test_a_batch_without_any_label_is_no_loss_and_no_nan():
    logits = torch.ones(2, requires_grad=True)
    batch = Batch(torch.zeros(2, 3, 4, 4), -torch.ones(2), torch.zeros(2, 4), torch.arange(2))
    loss = GroundTruth()(ModelOutput(logits=logits, features={}), batch, STEP)
    loss.backward()
    assert loss.item() == 0 and logits.grad.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("arm", "labels", "terms", "heard"),
    [
        ("distilled", [0, 1, -1, -1, -1], ["labels", "soft_bce"], ["teacher"]),
        ("alone", [0, 1], ["labels"], []),
        ("plain", [0, 1], ["labels"], []),
        ("pool", [0, 1, 1, 0, 1], ["labels"], []),
    ],
)
def test_every_arm_gets_as_many_steps_and_its_own_images_labels_and_augmentation(
    tmp_path, monkeypatch, arm, labels, terms, heard
):
    (tmp_path / "real").mkdir()
    for name in ("a", "b"):
        (tmp_path / "real" / f"{name}.png").write_bytes(png())
    labelled = [Sample(path=f"real/{name}.png", label=i, split="train") for i, name in enumerate("ab")]
    extra = [Sample(path="real/a.png", label=UNLABELLED, split="unlabelled", truth=t) for t in (1, 0, 1)]
    save_samples(Dataset(root=tmp_path, layout="test", samples=(*labelled, *extra)), tmp_path)
    changes = ["methods=[{name='soft_bce'}]", "controls=['plain', 'pool']"]
    recipe = load_recipe(
        str(TINY),
        overrides=[
            *(f"distillation.{text}" for text in changes),
            "augmentation.jpeg={probability=0.5}", "loss.pos_weight='auto'",
        ],
    )  # fmt: skip
    run, roster = Run(folder=tmp_path, recipe=recipe), roster_of(recipe)
    seen = {}

    def fit(model, *, data, total, objectives, **_):
        seen.update(total=total, labels=data.train.labels.tolist(), terms=[o.name for o in objectives])
        seen.update(heard=[*data.train.teachers], images=len(data.train))
        seen.update(augmentation=data.train.augmentation, views=data.train.views)
        seen.update(pos_weight=float(objectives[0].pos_weight), model=model)

    def opened(run, sources, *, student):
        return Teachers(cached={source.teacher.name: object() for source in sources})

    monkeypatch.setattr("distill.training.fit.fit", fit)
    monkeypatch.setattr("distill.stages.student.open_sources", opened)
    monkeypatch.setattr("distill.stages.student.logits_of_splits", lambda *_: None)
    monkeypatch.setattr("distill.stages.training.sidecar_of", lambda *_: {})
    model = next(item for item in roster.trainings if item.arm == arm)
    train_student(
        run, lambda done, total: None, model=model, views=shown_views(recipe, roster),
        sources=sources_of(recipe, roster) if arm == "distilled" else (),
    )  # fmt: skip
    assert seen["total"] == 5
    assert seen["labels"] == labels and seen["images"] == len(labels)
    assert (seen["terms"], seen["heard"]) == (terms, heard)
    assert (seen["augmentation"] is None) == (arm == "plain")
    assert seen["views"] == shown_views(recipe, roster) and seen["views"].flips  # the same draws in every arm
    assert seen["pos_weight"] == pytest.approx(
        2 / 3 if arm == "pool" else 1.0
    )  # reals / fakes that it is told
    torch.manual_seed(model.seed)
    for name, tensor in make_model(recipe, model).state_dict().items():
        assert torch.equal(tensor, seen["model"].state_dict()[name])  # every arm starts from the same weights


@pytest.mark.parametrize(
    ("truths", "message"),
    [([], "found no unlabelled images"), ([1, UNLABELLED, 0], "found 1 of 3 whose true label is not known")],
)
def test_a_pool_without_true_labels_is_refused_in_a_line(tmp_path, truths, message):
    extra = [
        Sample(path=f"{i}.png", label=UNLABELLED, split="unlabelled", truth=t) for i, t in enumerate(truths)
    ]
    save_samples(Dataset(root=tmp_path, layout="test", samples=tuple(extra)), tmp_path)
    with pytest.raises(EdgeproofError, match=message) as caught:
        check_pool(Run(folder=tmp_path, recipe=load_recipe(str(TINY))), lambda done, total: None)
    assert "\n" not in str(caught.value)


def test_true_labels_of_unlabelled_images_come_back_from_the_list_of_samples(tmp_path):
    samples = tuple(
        Sample(path=f"{i}.png", label=UNLABELLED, split="unlabelled", truth=truth)
        for i, truth in enumerate((1, 0, UNLABELLED))
    )
    save_samples(Dataset(root=tmp_path, layout="test", samples=samples), tmp_path)
    assert load_samples(tmp_path).samples == samples
    save_samples(Dataset(root=tmp_path, layout="test", samples=samples[2:]), tmp_path)
    assert (
        "truth" not in (tmp_path / "data/samples.json").read_text()
    )  # a column that says nothing is left out
