"""The section on colours."""

from dataclasses import dataclass, field

import numpy as np

from distill.data.explore import figures
from distill.data.explore.inspect import printable
from distill.data.explore.observe import CellView, Observations
from distill.data.explore.statistics import Floats, colour_profile
from distill.data.samples import GENERATED, REAL
from distill.page.blocks import Block, Gallery, Picture, Section, Table, columns

_CLASSES = {REAL: figures.REALS, GENERATED: figures.FAKES}


@dataclass
class _Pool:
    """Cells put together; each weighs as much as it has images, also where few of them were sampled."""

    shares: Floats = field(default_factory=lambda: np.zeros((3, 256)))
    total: int = 0
    sampled: int = 0

    def add(self, view: CellView) -> None:
        self.shares += view.cell.total * view.shares
        self.total += view.cell.total
        self.sampled += len(view.cell.sampled)

    @property
    def mean_shares(self) -> Floats:
        return self.shares / self.total


def colours_section(seen: Observations) -> Section:
    """Histograms of the channels per class, and their means and standard deviations per split and class."""
    by_class: dict[str, _Pool] = {}
    by_split: dict[tuple[str, str], _Pool] = {}
    for view in seen.cells:
        name = _CLASSES.get(view.cell.source.label, "unlabelled")
        by_class.setdefault(name, _Pool()).add(view)
        by_split.setdefault((printable(view.cell.split) or "all", name), _Pool()).add(view)
    classes = {name: pool.mean_shares for name, pool in by_class.items() if name in _CLASSES.values()}
    return Section("Colours", [*_charts(classes), _table(by_split)])


def _charts(classes: dict[str, Floats]) -> list[Block]:
    if not classes:
        return []
    return [
        Gallery(
            [_chart(f"{name} channel", classes, row) for row, name in enumerate(("Red", "Green", "Blue"))],
            across=3,
        )
    ]


def _chart(title: str, classes: dict[str, Floats], row: int) -> Picture:
    png = figures.channel({name: shares[row] for name, shares in classes.items()})
    return Picture(png=png, alt=title, title=title)


def _table(by_split: dict[tuple[str, str], _Pool]) -> Table:
    return Table(
        "Channels from 0 to 1, mean and standard deviation over all pixels, every image with the same weight",
        columns("split", "class", "images", "mean R G B", "std R G B", left=2),
        tuple(
            (split, name, f"{pool.sampled:,} of {pool.total:,}", *_profile(pool.mean_shares))
            for (split, name), pool in by_split.items()
        ),
    )


def _profile(shares: Floats) -> list[str]:
    return [" ".join(f"{value:.3f}" for value in values) for values in colour_profile(shares)]
