"""The work of the students' stages: one training each, and the choice of what is deployed."""

from distill.data.samples import UNLABELLED_SPLIT
from distill.files import write_bytes
from distill.pipeline.runfolder import (
    PREDICTIONS,
    TEACHER,
    WEIGHTS,
    chosen_folder,
    load_dataset,
    load_predictions,
    training_folder,
)
from distill.pipeline.stage import Progress, Run
from distill.stages.teacher import cached_outputs
from distill.stages.training import calibrate, ground_truth, labels_of, predict_evaluated, train


def train_student(run: Run, progress: Progress, *, name: str, seed: int, kind: str) -> None:
    """One training; the control differs from the distilled student in the objectives alone."""
    import torch

    from distill.methods import Pair, build_method
    from distill.models import channels, make_model

    torch.manual_seed(seed)
    student = make_model(run.recipe, name)
    settings = run.recipe.distillation
    objectives = [ground_truth(run, weight=settings.label_weight if kind == "distilled" else 1.0)]
    if kind == "distilled":
        pair = Pair(student=channels(student), teacher=channels(make_model(run.recipe, TEACHER)))
        objectives += [build_method(method, pair=pair) for method in settings.methods]
    folder = run.folder / training_folder(name, seed=seed, kind=kind)
    train(
        run,
        student,
        name=name,
        objectives=objectives,
        schedule=run.recipe.students[name],
        seed=seed,
        folder=folder,
        progress=progress,
        teacher=cached_outputs(run) if kind == "distilled" else None,
        images=len(
            load_dataset(run.folder).split("train", UNLABELLED_SPLIT)
        ),  # also without a teacher: equal budget
    )
    predict_evaluated(run, name, folder)


def choose_seed(run: Run, progress: Progress, *, name: str, kind: str) -> None:
    """Deploy the seed with the best validation AUC; the same rule for the control."""
    from distill.evaluation.metrics import roc_auc

    labels = labels_of(run, "valid")
    scored = []
    for seed in run.recipe.seeds_of(name):
        folder = run.folder / training_folder(name, seed=seed, kind=kind)
        scored.append((roc_auc(labels, load_predictions(folder / PREDICTIONS)["valid"]), -seed, folder))
    _, negative_seed, folder = max(scored)
    model = name if kind == "distilled" else f"{name}/control"
    target = run.folder / chosen_folder(model)
    for file in (WEIGHTS, "weights.json", PREDICTIONS):
        write_bytes(target / file, (folder / file).read_bytes())
    calibrate(run, model, load_predictions(target / PREDICTIONS)["valid"], seed=-negative_seed)
