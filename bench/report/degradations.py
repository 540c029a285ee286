"""The tables of degraded images: every model's fall, the chosen model in detail, and the cost of each step."""

from collections.abc import Sequence

from bench.report.data import Contestant, Json, RunData, interval, lookup, mapping, number, sequence
from distill.page.blocks import Table, Text, columns
from distill.page.formats import NONE, count, fixed, percent, signed, with_interval

CLEAN = "clean"
LEFT_OUT = "The sweep over degraded images was left out by the recipe (degradations.samples = 0)."
_STEPS = {"distillation": "against its control", "size": "against the teacher", "int8": "against FP32"}


def left_out(run: RunData) -> bool:
    """Whether the recipe asks for no sweep."""
    return number(run.recipe, "degradations", "samples") == 0


def names(run: RunData) -> dict[str, str]:
    """Degradation → what people call it, in order."""
    found = {}
    for item in sequence(run.degradations, "degradations"):
        name, family, strength = (str(lookup(item, key) or "") for key in ("name", "family", "strength"))
        found[name] = CLEAN if name == CLEAN else f"{family} {strength}"
    return found


def cell(run: RunData, item: Contestant, name: str) -> Json:
    """What one model does under one degradation; empty if it was not swept."""
    return mapping(run.degradations, "models", item.key, "degradations", name)


def introduction(run: RunData) -> Text | None:
    """What was done to which images."""
    images = mapping(run.degradations, "images")
    if not images:
        return None
    real, fake, groups, n, of = (count(number(images, k)) for k in ("n_real", "n_fake", "groups", "n", "of"))
    kind = "simulated test" if run.simulated else "test"
    return Text(
        f"{n} of {of} {kind} images ({real} real and {fake} generated, in {groups} groups) were decoded, degraded and "
        "only then preprocessed, as a degraded file arrives. Every model keeps the one threshold that was frozen on "
        "clean validation images."
    )


def overview(run: RunData, models: Sequence[Contestant]) -> Table:
    """Balanced accuracy of the given models under each degradation, and its change against clean."""
    items = [item for item in models if cell(run, item, CLEAN)]
    rows = tuple(
        (title, *(_with_change(cell(run, item, name), name) for item in items))
        for name, title in names(run).items()
        if items
    )
    note = (
        "In brackets: the change against clean. Blur: sigma in pixels of the original; resize: down to this share "
        f"of the sides and back up; noise: sigma in 255ths. {_worst(run, items)}"
    )
    title = "Balanced accuracy at the frozen threshold"
    return Table(title, columns("Degradation", *(item.short for item in items)), rows, note.strip())


def _with_change(found: Json, name: str) -> str:
    change = "" if name == CLEAN else f" ({signed(number(found, 'balanced_accuracy_change'))})"
    value = number(found, "balanced_accuracy")
    return NONE if value is None else fixed(value) + change


def _worst(run: RunData, items: Sequence[Contestant]) -> str:
    falls = [
        (change, item.short, title, number(found, "balanced_accuracy"))
        for item in items
        for name, title in names(run).items()
        if (change := number(found := cell(run, item, name), "balanced_accuracy_change")) is not None
    ]
    change, model, title, value = min(falls, default=(0.0, "", "", None))
    return f"Worst fall: {model} at {title}, {signed(change)} to {fixed(value)}." if change < 0 else ""


def flip_test(run: RunData, models: Sequence[Contestant]) -> Text | None:
    """What the row means in which only generated images were saved again."""
    items = sequence(run.degradations, "degradations")
    name = next((str(lookup(i, "name")) for i in items if lookup(i, "generated_only") is True), "")
    caught = [
        (after - before, item.short, before, after)
        for item in models
        if (after := number(cell(run, item, name), "tpr")) is not None
        and (before := number(cell(run, item, CLEAN), "tpr")) is not None
    ]
    if not caught:
        return None
    change, model, before, after = min(caught)
    fall = f"Greatest fall in the share caught: {model}, {fixed(before)} to {fixed(after)}."
    return Text(
        f"“{names(run)[name]}” leaves the real images alone: a detector that looks at compression instead of content "
        "loses the generated ones here (one well-known detector then caught 0.002 of them). "
        f"{fall if change < 0 else 'No model catches fewer of them.'}"
    )


def detail(run: RunData, chosen: Contestant | None) -> Table | None:
    """All that is known of the verdict's choice."""
    if chosen is None or not cell(run, chosen, CLEAN):
        return None
    rows = tuple(_detail_row(title, cell(run, chosen, name)) for name, title in names(run).items())
    titles = ("AUC [95 % CI]", "AUC change [95 % CI]", "Generated caught (TPR)", "Real kept (TNR)")
    note = (
        "Where the AUC holds and the rates part, the order of the scores survived but the threshold no longer "
        "fits. Intervals: bootstrap by group. Flipped: other verdicts than on the clean image."
    )
    table_columns = columns("Degradation", *titles, "Verdicts flipped")
    return Table(f"{chosen.short} in detail", table_columns, rows, note)


def _detail_row(title: str, found: Json) -> tuple[str, ...]:
    change, pair = number(found, "auc_change"), interval(found, "auc_change_ci")
    flips = mapping(found, "flips")
    return (
        title,
        with_interval(number(found, "auc"), interval(found, "auc_ci")),
        NONE if title == CLEAN else with_interval(change, pair, sign=True),
        fixed(number(found, "tpr")),
        fixed(number(found, "tnr")),
        NONE if title == CLEAN else f"{count(number(flips, 'count'))} ({percent(number(flips, 'share'))})",
    )


def steps(run: RunData) -> Table:
    """What each step changed, degradation by degradation: the later model's AUC minus the earlier one's."""
    by_key = {item.key: item for item in run.contestants if item.key}
    found = [
        (by_key[after], str(lookup(entry, "what")), mapping(entry, "degradations"))
        for entry in sequence(run.degradations, "comparisons")
        if (after := str(lookup(entry, "a"))) in by_key
    ]
    rows = tuple(
        (title, *(_step(mapping(cells, name)) for _, _, cells in found))
        for name, title in names(run).items()
        if found
    )
    titles = (f"{item.short} {_STEPS.get(what, what)}" for item, what, _ in found)
    note = (
        "AUC change, with * where its 95 % interval (paired bootstrap by group) leaves out 0; in brackets how many "
        "verdicts differ, each model at its own frozen threshold. Each column is one pair of models: a claim about "
        "distillation takes several seeds, and stands in the verdict."
    )
    return Table("Step by step on degraded images", columns("Degradation", *titles), rows, note)


def _step(found: Json) -> str:
    value, pair = number(found, "auc_difference"), interval(found, "ci")
    shown = "*" if pair and not pair[0] <= 0 <= pair[1] else ""
    return f"{signed(value)}{shown} ({count(number(found, 'flips', 'count'))})"
