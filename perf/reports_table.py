"""The README's table of the reports' systems, from a finished run: ``python -m perf.reports_table runs/seeds``.

A line for each student of the recipe ``seeds``, with what the run measured; nothing is measured here.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.report.data import RunData, load_run
from bench.report.students import Candidate, candidates, seconds_of
from distill.page.formats import NONE, fixed, milliseconds, size, with_interval

SYSTEMS: Final = {
    "rep_cnn": "this project's student",
    "small_cnn": "this project's smaller student",
    "cnn4": "CNN, 4 blocks, 2 classifier layers",
    "cnn6": "CNN, 6 blocks, wider",
    "resnet18-head": "ResNet18, frozen, head trained",
    "resnet18-all": "ResNet18, all layers",
    "mobilenet_v2": "MobileNetV2 with `pos_weight`",
    "vit": "a vision transformer (XCiT-Nano)",
    "logistic": "CNN embeddings, logistic regression",
    "linear_svm": "CNN embeddings, linear SVM",
    "rbf_svm": "CNN embeddings, RBF SVM",
    "knn": "CNN embeddings, nearest neighbours",
    "forest": "CNN embeddings, random forest",
    "boosting": "CNN embeddings, gradient boosting",
    "tuned-logistic": "the CNN fine-tuned first, logistic regression",
    "tuned-svm": "the CNN fine-tuned first, linear SVM",
    "spectrum": "power spectrum, logistic regression",
}
"""Student of the recipe → the system as the reports call it."""

_HEADS = (
    "system",
    "row of `edgeproof run seeds`",
    "AUC alone",
    "AUC taught",
    "balanced accuracy",
    "p50 ms",
    "file",
    "training s",
)


def markdown(run: RunData) -> Iterator[str]:
    """The table, line by line; a student that was left out has its reason instead of figures."""
    yield f"| {' | '.join(_HEADS)} |"
    yield "|" + "---|" * len(_HEADS)
    timed = {candidate.name: candidate for candidate in candidates(run)}
    left_out = run.recipe.left_out if run.recipe else {}
    for name, system in SYSTEMS.items():
        cells = _cells(run, name, timed.get(name))
        if name in left_out:
            cells = (left_out[name], *[NONE] * 5)
        if name in run.students or name in left_out:
            yield f"| {system} | `{name}` | {' | '.join(cells)} |"


def _cells(run: RunData, name: str, timed: Candidate | None) -> tuple[str, ...]:
    """AUC alone and taught of the FP32 network, then of what is deployed: accuracy, latency, size; seconds of a training."""
    alone, taught = (run.student(name, arm=arm) for arm in ("alone", "distilled"))
    test = timed.item.test if timed else None
    return (
        *(with_interval(e.score, e.test.score_ci) if e and e.test else NONE for e in (alone, taught)),
        fixed(test.balanced_accuracy) if test else NONE,
        ("~" * timed.row.noisy + milliseconds(timed.p50)) if timed else NONE,
        size(timed.row.bytes) if timed else NONE,
        seconds_of(run, name),
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a finished run of the recipe seeds")
    print("\n".join(markdown(load_run(parser.parse_args().folder))))


if __name__ == "__main__":
    main()
