"""The tables of proof: parity, INT8, audit, data, seeds, thresholds, environment."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from bench.report.data import Json, RunData, interval, is_control, lookup, mapping, number, sequence
from bench.report.verdict import distillation_claim
from distill.page.blocks import Column, Table
from distill.page.formats import NONE, count, fixed, percent, with_interval

_MOST_SKIPPED = 50
_NUMBER = re.compile(r"[+−-]?\d[\d.,e+-]*( %| of [\d,]+)?")


def _mark(value: Any) -> str:
    return {True: "passed", False: "failed"}.get(value, NONE) if isinstance(value, bool) else NONE


def _table(title: str, titles: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, note: str = "") -> Table:
    """A table whose columns of numbers stand to the right."""
    numeric = [_numeric([row[i] for row in rows]) for i in range(len(titles))]
    found = tuple(Column(name, right) for name, right in zip(titles, numeric, strict=True))
    bad = frozenset(i for i, row in enumerate(rows) if "failed" in row)
    return Table(title, found, tuple(rows), note, bad=bad)


def _numeric(cells: list[str]) -> bool:
    return set(cells) != {NONE} and all(cell == NONE or _NUMBER.fullmatch(cell) for cell in cells)


def _items(value: Any, *keys: str) -> list[Json]:
    return [item for item in sequence(value, *keys) if isinstance(item, dict)]


def parity(run: RunData) -> Table:
    """Largest difference in probability and verdict flips between runtimes."""
    rows = [
        (
            str(p.get("student", "?")),
            str(p.get("a", "?")),
            str(p.get("b", "?")),
            _small(number(p, "max_abs_probability")),
            _small(number(p, "limit")),
            f"{count(number(p, 'flips'))} of {count(number(p, 'n'))}",
            _mark(p.get("passed")),
        )
        for p in _items(run.parity, "pairs")
    ]
    titles = ("Student", "Model", "Against", "Largest difference", "Limit", "Verdicts flipped", "Gate")
    return _table("Parity: the same images through every runtime", titles, rows)


def _small(value: float | None) -> str:
    return NONE if value is None else f"{value:.1e}"


def int8(run: RunData) -> Table:
    """Proof that the INT8 files really hold INT8."""
    rows = [
        (
            str(p.get("artifact", "?")),
            percent(number(p, "int8_weight_share")),
            percent(number(p, "size_ratio")),
            percent(number(p, "quantized_operator_share")),
            _mark(p.get("passed")),
            str(p.get("reason") or NONE),
        )
        for p in _items(run.parity, "int8")
    ]
    titles = ("Artifact", "Weights stored as INT8", "Size of FP32", "Operators quantized", "Gate", "Reason")
    return _table("INT8 proof: what the files hold", titles, rows)


def checks(run: RunData) -> Table:
    """Every check of the accuracy gate."""
    rows = [
        (
            str(c.get("name", "?")),
            fixed(number(c, "value"), 4),
            fixed(number(c, "limit"), 4),
            _mark(c.get("passed")),
        )
        for c in _items(run.accuracy, "gate", "checks")
    ]
    return _table("Accuracy gate", ("Check", "Value", "Limit", "Gate"), rows)


def audit(run: RunData) -> Table:
    """The checks made on the data before training."""
    rows = [
        (
            str(c.get("name", "?")),
            fixed(number(c, "value")),
            fixed(number(c, "limit")),
            _mark(c.get("passed")),
            str(c.get("note") or NONE),
        )
        for c in _items(run.audit, "checks")
    ]
    auc = with_interval(number(run.audit, "metadata_auc"), interval(run.audit, "metadata_ci"))
    note = (
        f"A classifier that sees only metadata reaches AUC {auc}; 0.5 means that metadata gives nothing away."
    )
    return _table(
        "Data audit", ("Check", "Value", "Limit", "Gate", "Note"), rows, note=note if run.audit else ""
    )


def data(run: RunData) -> Table:
    """Images per split and class."""
    rows = []
    for name, entry in mapping(run.summary, "splits").items():
        real, fake = number(entry, "real"), number(entry, "fake")
        share = fake / (real + fake) if real is not None and fake is not None and real + fake else None
        rows.append((str(name), count(real), count(fake), percent(share)))
    layout = str(run.summary.get("layout") or "unknown")
    note = f"Layout: {layout}. {'The images are simulated.' if run.simulated else ''}".strip()
    return _table("Images", ("Split", "Real", "Generated", "Share generated"), rows, note=note)


def generators(run: RunData) -> Table:
    """Generator families, where they were used, and the AUC of the models on them."""
    held = {str(name) for name in sequence(run.summary, "held_out")}
    rows = [
        (
            str(name),
            "control" if is_control(name, entry) else "held out" if name in held else "trained on",
            ", ".join(str(s) for s in sequence(entry, "split")) or NONE,
            count(number(entry, "count")),
        )
        for name, entry in mapping(run.summary, "generators").items()
    ]
    return _table("Generators", ("Generator", "Use", "Splits", "Images"), rows)


def skipped(run: RunData) -> Table:
    """Images that were left out, with the reason."""
    found = _items(run.summary, "skipped")
    rows = [(str(s.get("path", "?")), str(s.get("reason", "?"))) for s in found[:_MOST_SKIPPED]]
    more = len(found) - len(rows)
    note = f"And {more} more, listed in data/summary.json." if more else ""
    return _table(f"Skipped files: {len(found)}", ("File", "Reason"), rows, note=note)


def seeds(run: RunData) -> Table:
    """Every seed of every student, with and without distillation, best and last epoch."""
    rows = [row for name in mapping(run.accuracy, "distillation") for row in _seed_rows(run, name)]
    titles = (
        "Student",
        "Seed",
        "Epoch",
        "AUC distilled",
        "AUC control",
        "TPR at 5 % FPR distilled",
        "control",
    )
    claims = mapping(run.accuracy, "distillation")
    note = "; ".join(f"{name}: {distillation_claim(mapping(claims, name))}" for name in claims)
    return _table("Seeds: all of them", titles, rows, note=note + "." if note else "")


def _seed_rows(run: RunData, student: str) -> Iterator[tuple[str, ...]]:
    for entry in _items(run.accuracy, "distillation", student, "seeds"):
        for epoch in ("best", "last"):
            pairs = [(arm, key) for key in ("auc", "tpr_at_5fpr") for arm in ("distilled", "control")]
            cells = (fixed(number(entry, arm, epoch, key)) for arm, key in pairs)
            yield student, str(entry.get("seed", "?")), epoch, *cells


def thresholds(run: RunData) -> Table:
    """Confusion counts and error measures of every model at its frozen threshold, on test."""
    rows = []
    for item in run.contestants:
        test = mapping(item.accuracy, "splits", "test")
        if not test:
            continue
        cells = [
            number({"x": n}, "x")
            for line in sequence(test, "confusion")
            for n in (line if isinstance(line, list) else [])
        ]
        tn, fp, fn, tp = cells if len(cells) == 4 else [None] * 4
        rows.append(
            (
                item.short,
                fixed(number(item.accuracy, "threshold")),
                *(count(n) for n in (tn, fp, fn, tp)),
                *(
                    fixed(number(test, k))
                    for k in ("balanced_accuracy", "tpr_at_1fpr", "ece", "nll", "brier")
                ),
            )
        )
    names = ("Real kept", "Real flagged", "Generated missed", "Generated caught")
    measures = ("Balanced accuracy", "TPR at 1 % FPR", "ECE", "NLL", "Brier")
    note = "One threshold per model, frozen on clean validation images before the test split was read."
    return _table(
        "Verdicts at the frozen threshold", ("Model", "Threshold", *names, *measures), rows, note=note
    )


def environment(run: RunData) -> Table:
    """The machine and the versions, as the bench and the run described them."""
    machine = mapping(run.bench, "machine") or mapping(run.environment, "machine")
    top = {k: run.environment.get(k) for k in ("created", "edgeproof", "python", "platform")}
    stolen, rounds = number(run.bench, "steal_share"), number(run.bench, "rounds")
    timing = {
        "CPU time stolen while timing": None if stolen is None else percent(stolen),
        "rounds of timing": None if rounds is None else count(rounds),
    }
    parts = (("", top), ("", machine), ("", timing), ("version of ", mapping(run.environment, "versions")))
    rows = [(f"{prefix}{key}", text) for prefix, part in parts for key, text in _flat(part) if text]
    return _table("Environment", ("Item", "Value"), list(dict.fromkeys(rows)))


def _flat(value: Json, prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(item, dict):
            yield from _flat(item, f"{prefix}{key} ")
        elif isinstance(item, list):
            yield name, ", ".join(str(part) for part in item)
        elif isinstance(item, bool):
            yield name, "yes" if item else "no"
        elif isinstance(item, float):
            yield name, f"{item:,.3g}"
        elif item is not None:
            yield name, str(item)


def stages(run: RunData) -> Table:
    """Seconds per stage."""
    spent = {str(k): number({"x": v}, "x") for k, v in mapping(run.environment, "seconds").items()}
    rows = [(name, fixed(value, 1)) for name, value in spent.items()]
    total = sum(value for value in spent.values() if value is not None)
    note = f"Together {total / 60:.1f} minutes." if rows else ""
    return _table("Time per stage", ("Stage", "Seconds"), rows, note=note)


def command(run: RunData) -> str:
    """The command that made the run, or a guess from the recipe's name."""
    return str(lookup(run.environment, "command") or f"edgeproof run {run.name}")
