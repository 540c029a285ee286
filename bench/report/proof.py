"""The tables of proof: accuracy gate, INT8, parity."""

from collections.abc import Sequence

from bench.report.data import RunData
from bench.report.gates import accuracy_checks, degradation_checks
from bench.report.tables import mark, table
from deploy.parity import ParityPair
from distill.page.blocks import Table
from distill.page.formats import NONE, count, fixed, percent

_READING = (
    "Beyond guessing: the lower end of the score's 95 % interval, at least the limit. Losses and drops: at most the limit; "
    "a drop against FP32 in either direction."
)


def checks(run: RunData) -> Table:
    """Every check of the accuracy gate, and of that on degraded images."""
    found = (*accuracy_checks(run), *degradation_checks(run))
    rows = [
        (f"{c.name} ({c.note})" if c.note else c.name, fixed(c.value, 4), fixed(c.limit, 4), mark(c.passed))
        for c in found
    ]
    return table("Accuracy gate", ("Check", "Value", "Limit", "Gate"), rows, note=_READING)


def int8(run: RunData) -> Table:
    """Proof that the INT8 files really hold INT8."""
    rows = [
        (
            proof.artifact,
            percent(proof.int8_weight_share),
            percent(proof.size_ratio),
            percent(proof.int8_mac_share),
            mark(proof.passed),
            proof.reason or NONE,
        )
        for proof in (run.parity.int8 if run.parity else ())
    ]
    titles = ("Artifact", "Weights stored as INT8", "Size of FP32", "Work in INT8", "Gate", "Reason")
    return table("INT8 proof: what the files hold", titles, rows)


def parity(run: RunData) -> Table:
    """Largest difference in probability and verdict flips between runtimes."""
    return _pairs("Parity: the same images through every runtime", run.parity.pairs if run.parity else ())


def drift(run: RunData) -> Table:
    """The same of INT8 forms against their own FP32 forms."""
    title = "Drift: the same images in INT8 and in the FP32 form that it was made from"
    return _pairs(title, run.parity.drift if run.parity else ())


def _pairs(title: str, pairs: Sequence[ParityPair]) -> Table:
    rows = [
        (
            pair.model,
            pair.a,
            pair.b,
            _small(pair.max_abs_probability),
            _small(pair.limit),
            f"{count(pair.flips)} of {count(pair.n)}",
            mark(pair.passed),
        )
        for pair in pairs
    ]
    titles = ("Network", "Model", "Against", "Largest difference", "Limit", "Verdicts flipped", "Gate")
    return table(title, titles, rows)


def _small(value: float | None) -> str:
    return NONE if value is None else f"{value:.1e}"
