"""The tables of degraded images: every model's fall, the chosen model in detail, and the cost of each step."""

from collections.abc import Sequence

from bench.records.degradations import (
    DegradationKind,
    DegradedComparison,
    DegradedMetrics,
    DegradedStep,
    SweptStep,
)
from bench.report.costs import flipped
from bench.report.data import RunData
from bench.report.entry import CONTROLS, Entry
from distill.data.transforms.degradations import CLEAN
from distill.evaluation.statistics import MIN_GROUPS
from distill.page.blocks import Table, Text, columns
from distill.page.formats import NONE, count, fixed, signed, with_interval

LEFT_OUT = "The sweep over degraded images was left out by the recipe (degradations.samples = 0)."
_STEPS: dict[SweptStep, str] = {"size": "against the teacher", "int8": "against FP32"}


def left_out(run: RunData) -> bool:
    """Whether the recipe asks for no sweep."""
    return run.recipe is not None and run.recipe.degradations.samples == 0


def kinds(run: RunData) -> tuple[DegradationKind, ...]:
    """What was done to the images, clean first."""
    return run.degradations.degradations if run.degradations else ()


def cell(run: RunData, item: Entry, degradation: str) -> DegradedMetrics | None:
    """What one model does under one degradation, if it was swept."""
    model = run.degradations.models.get(item.key) if run.degradations else None
    return model.degradations.get(degradation) if model else None


def introduction(run: RunData) -> Text | None:
    """What was done to which images."""
    if run.degradations is None:
        return None
    images = run.degradations.images
    kind = "simulated test" if run.simulated else "test"
    return Text(
        f"{count(images.n)} of {count(images.of)} {kind} images ({count(images.n_real)} real and "
        f"{count(images.n_fake)} generated, in {count(images.groups)} groups) were decoded, degraded and only then "
        "preprocessed, as a degraded file arrives. Every model keeps the one threshold that was frozen on clean "
        "validation images."
    )


def overview(run: RunData, models: Sequence[Entry]) -> Table:
    """Balanced accuracy of the given models under each degradation, and its change against clean."""
    items = [item for item in models if cell(run, item, CLEAN)]
    rows = tuple(
        (kind.title, *(_with_change(cell(run, item, kind.name), kind) for item in items))
        for kind in kinds(run)
        if items
    )
    note = (
        "In brackets: the change against clean. Blur: sigma in pixels of the original; resize: down to this share "
        f"of the sides and back up; noise: sigma in 255ths. {_worst(run, items)}"
    )
    title = "Balanced accuracy at the frozen threshold"
    return Table(title, columns("Degradation", *(item.short for item in items)), rows, note.strip())


def _with_change(found: DegradedMetrics | None, kind: DegradationKind) -> str:
    if found is None or found.balanced_accuracy is None:
        return NONE
    change = "" if kind.is_clean else f" ({signed(found.balanced_accuracy_change)})"
    return fixed(found.balanced_accuracy) + change


def _worst(run: RunData, items: Sequence[Entry]) -> str:
    falls = [
        (found.balanced_accuracy_change, item.short, kind.title, found.balanced_accuracy)
        for item in items
        for kind in kinds(run)
        if (found := cell(run, item, kind.name)) and found.balanced_accuracy_change is not None
    ]
    change, model, title, value = min(falls, default=(0.0, "", "", None))
    return f"Worst fall: {model} at {title}, {signed(change)} to {fixed(value)}." if change < 0 else ""


def flip_test(run: RunData, models: Sequence[Entry]) -> Text | None:
    """What the row means in which only generated images were saved again."""
    kind = next((kind for kind in kinds(run) if kind.generated_only), None)
    if kind is None:
        return None
    caught = [
        (found.tpr - clean.tpr, item.short, clean.tpr, found.tpr)
        for item in models
        if (found := cell(run, item, kind.name))
        and (clean := cell(run, item, CLEAN))
        and found.tpr is not None
        and clean.tpr is not None
    ]
    if not caught:
        return None
    change, model, before, after = min(caught)
    fall = f"Greatest fall in the share caught: {model}, {fixed(before)} to {fixed(after)}."
    return Text(
        f"“{kind.title}” leaves the real images alone: a detector that looks at compression instead of content "
        "loses the generated ones here (one well-known detector then caught 0.002 of them). "
        f"{fall if change < 0 else 'No model catches fewer of them.'}"
    )


def detail(run: RunData, chosen: Entry | None) -> Table | None:
    """All that is known of the verdict's choice."""
    if chosen is None:
        return None
    found = ((kind, cell(run, chosen, kind.name)) for kind in kinds(run))
    rows = tuple(_detail_row(kind, metrics) for kind, metrics in found if metrics)
    if not rows:
        return None
    titles = ("AUC [95 % CI]", "AUC change [95 % CI]", "Generated caught (TPR)", "Real kept (TNR)")
    note = (
        "Where the AUC holds and the rates part, the order of the scores survived but the threshold no longer "
        "fits. Intervals: bootstrap by group. Flipped: other verdicts than on the clean image."
    )
    table_columns = columns("Degradation", *titles, "Verdicts flipped")
    return Table(f"{chosen.short} in detail", table_columns, rows, note)


def _detail_row(kind: DegradationKind, found: DegradedMetrics) -> tuple[str, ...]:
    return (
        kind.title,
        with_interval(found.auc, found.auc_ci),
        NONE if kind.is_clean else with_interval(found.auc_change, found.auc_change_ci, sign=True),
        fixed(found.tpr),
        fixed(found.tnr),
        NONE if kind.is_clean else flipped(found.flips),
    )


def steps(run: RunData) -> Table:
    """What each step changed, degradation by degradation: the later model's AUC minus the earlier one's."""
    compared = run.degradations.comparisons if run.degradations else ()
    found = [(item, step) for step in compared if (item := run.entry(step.a))]
    groups = run.degradations.images.groups if run.degradations else 0
    rows = tuple(
        (kind.title, *(_step(step.degradations[kind.name], groups=groups) for _, step in found))
        for kind in kinds(run)
        if found
    )
    titles = (f"{item.short} {_against(run, step)}" for item, step in found)
    few = (
        f" {groups} groups are fewer than {MIN_GROUPS}, so no change is called shown."
        if groups < MIN_GROUPS
        else ""
    )
    note = (
        f"AUC change, with * where its 95 % interval (paired bootstrap over {count(groups)} groups) leaves out 0; in "
        "brackets how many verdicts differ, each model at its own frozen threshold. Each column is one pair of models, "
        "the chosen seed of each: a claim about distillation takes several seeds, and stands in the verdict."
        + few
    )
    return Table("Step by step on degraded images", columns("Degradation", *titles), rows, note)


def _against(run: RunData, step: DegradedComparison) -> str:
    if step.step != "distillation":
        return _STEPS[step.step]
    control = run.entry(step.b)
    return f"against {CONTROLS.get(control.identity.arm or 'alone') if control else step.b}"


def _step(found: DegradedStep, *, groups: int) -> str:
    shown = "*" if groups >= MIN_GROUPS and found.ci and not found.ci[0] <= 0 <= found.ci[1] else ""
    return f"{signed(found.auc_difference)}{shown} ({count(found.flips.count)})"
