"""What a card tells beyond its artifact's manifest: whoever measured it says so here."""

from collections.abc import Sequence
from dataclasses import dataclass

from distill.page.blocks import Block, Section, Text


@dataclass(frozen=True, kw_only=True)
class Result:
    """One number for the hub's ``model-index``.

    Attributes:
        split: what it was measured on.
        metric: the hub's name for it, such as ``roc_auc`` (https://hf.co/metrics).
        name: what people call it.
        value: the number.
    """

    split: str
    metric: str
    name: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was measured of an artifact, and on what.

    Attributes:
        data: more about the data than its name.
        sections: measurements.
        limits: what a reader must know before trusting them, beyond what holds for every artifact.
        results: the measurements that stand in the head.
    """

    data: Sequence[Block] = ()
    sections: Sequence[Section] = (
        Section(
            "What was measured",
            [
                Text(
                    "Not measured: neither accuracy nor degraded images nor speed. This card was written from the manifest "
                    "alone; the artifacts of a whole run (edgeproof run) get theirs from its records."
                )
            ],
        ),
    )
    limits: Sequence[str] = ()
    results: Sequence[Result] = ()
