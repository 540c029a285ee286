"""Rows of the matrix from finished runs, and what they say of generators that were not learned from. Torch-free."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.cross.record import Cell, Kind, RowOf, Unseen
from bench.judged import truth_of
from distill.data.samples import GENERATED, REAL
from distill.evaluation.metrics import binary_metrics
from distill.pipeline.runfolder import load_arrays, load_samples
from distill.roster import Model


def rows_of(
    folder: Path,
    models: Sequence[tuple[str, Model]],
    *,
    kind: Kind,
    learned: Sequence[str],
    generators: Sequence[str],
) -> list[RowOf]:
    """One row for each named model of a run folder, from its probabilities on the test split."""
    truth = truth_of(load_samples(folder).split("test"))
    names = np.array([sample.generator for sample in truth.samples])
    real = truth.labels == REAL
    rows = []
    for title, model in models:
        probabilities = load_arrays(folder / model.predictions)["test"]
        cells = []
        for generator in generators:
            there = (truth.labels == GENERATED) & (names == generator)
            rows_there = np.flatnonzero(real | there)
            found = binary_metrics(
                truth.labels[rows_there],
                probabilities[rows_there],
                threshold=0.5,
                groups=[truth.groups[row] for row in rows_there],
            )
            cells.append(
                Cell(
                    generator=generator, seen=generator in learned, n=int(there.sum()), auc=found.auc, auc_ci=found.auc_ci,
                )
            )  # fmt: skip
        rows.append(
            RowOf(
                model=title,
                kind=kind,
                learned=tuple(learned),
                groups=len(set(truth.groups)),
                cells=tuple(cells),
            )
        )
    return rows


def unseen_of(rows: Sequence[RowOf]) -> Iterator[Unseen]:
    """Mean, spread (largest minus smallest) and worst AUC on unseen generators, for each model and kind."""
    for model, kind in dict.fromkeys((row.model, row.kind) for row in rows):
        found = [
            (cell.auc, row, cell)
            for row in rows
            for cell in row.cells
            if (row.model, row.kind) == (model, kind) and not cell.seen and cell.auc is not None
        ]
        if found:
            values = [value for value, _, _ in found]
            worst, row, cell = min(found, key=lambda item: item[0])
            yield Unseen(
                model=model,
                kind=kind,
                mean=float(np.mean(values)),
                spread=max(values) - min(values),
                worst=worst,
                worst_learned=row.title,
                worst_tested=cell.generator,
            )
