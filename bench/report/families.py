"""AUC per generator: trained families, held-out families, and the identity control."""

from collections.abc import Iterator, Sequence

from bench.records.accuracy import GeneratorMetrics
from bench.report.data import RunData
from bench.report.entry import Entry
from distill.page.blocks import Table, columns
from distill.page.formats import count, fixed

TRAINED, HELD_OUT, CONTROL = "trained on", "held out", "control"
USES = (TRAINED, HELD_OUT, CONTROL)


def families(models: Sequence[Entry]) -> Table:
    """AUC per generator of the given models."""
    rows = []
    for use, names in generator_groups(models):
        for name in names:
            cells = [metrics_on(model, name) for model in models]
            images = next((found.n for found in cells if found), None)
            rows.append((name, use, count(images), *(fixed(found.auc if found else None) for found in cells)))
    titles = ("Generator", "Use", "Images", *(model.short for model in models))
    return Table("AUC per generator", columns(*titles, left=2), tuple(rows), "Intervals are in the pictures.")


def generator_groups(models: Sequence[Entry]) -> Iterator[tuple[str, list[str]]]:
    """Use → generators, as far as the models were judged on them."""
    uses = {
        name: CONTROL if found.is_control else HELD_OUT if found.held_out else TRAINED
        for model in models
        for name, found in (model.accuracy.generators.items() if model.accuracy else ())
    }
    for use in USES:
        names = [name for name, found in uses.items() if found == use]
        if names:
            yield use, names


def metrics_on(model: Entry, generator: str) -> GeneratorMetrics | None:
    """What a model does on one generator's images."""
    return model.accuracy.generators.get(generator) if model.accuracy else None


def shown(run: RunData, teams: Sequence[Sequence[Entry]]) -> list[Entry]:
    """The models of several students' teams, each once, and the teachers beside the main one."""
    others = [e for e in run.entries if e.is_teacher and e.accuracy and not e.is_artifact]
    return list(dict.fromkeys([*others, *(item for team in teams for item in team)]))
