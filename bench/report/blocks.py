"""The report as data: blocks that Markdown and HTML both render, so no number is written twice."""

from collections.abc import Sequence
from dataclasses import dataclass, field

NONE = "–"


@dataclass(frozen=True)
class Column:
    """A table's column; numbers stand to the right."""

    title: str
    right: bool = True


@dataclass(frozen=True)
class Table:
    """Plain-text cells; the rows in ``strong`` are set in bold, those in ``bad`` marked as failed."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    strong: frozenset[int] = frozenset()
    bad: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Text:
    """A paragraph of plain text."""

    text: str
    muted: bool = False


@dataclass(frozen=True)
class Terms:
    """Terms and their one-line explanations."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Picture:
    """A picture under ``plots/``; ``alt`` tells its finding to who cannot see it."""

    name: str
    alt: str
    png: bytes


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side where the page is wide enough."""

    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Code:
    """Verbatim text, folded away under ``summary`` if there is one."""

    text: str
    summary: str = ""


Block = Table | Text | Terms | Gallery | Code


@dataclass(frozen=True)
class Section:
    """A headed part of the report."""

    title: str
    blocks: list[Block] = field(default_factory=list)


def columns(*titles: str, left: int = 1) -> tuple[Column, ...]:
    """Columns of which the first ``left`` stand to the left."""
    return tuple(Column(title, i >= left) for i, title in enumerate(titles))


def fixed(value: float | None, digits: int = 3) -> str:
    """A number with fixed digits, or a dash."""
    return NONE if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    """A difference with its sign (a true minus), or a dash."""
    if value is None:
        return NONE
    return f"{value:+.{digits}f}".replace("-", "−") if round(value, digits) else f"{0:.{digits}f}"


def with_interval(value: float | None, pair: tuple[float, float] | None, *, sign: bool = False) -> str:
    """``0.941 [0.921, 0.961]``, or the bare value if there is no interval."""
    show = signed if sign else fixed
    return show(value) + (f" [{show(pair[0])}, {show(pair[1])}]" if value is not None and pair else "")


def milliseconds(value: float | None) -> str:
    """Three significant digits or so, without a unit."""
    if value is None:
        return NONE
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:,.1f}"


def times(value: float | None) -> str:
    """A ratio such as ``1,477×``."""
    if value is None:
        return NONE
    return f"{value:,.0f}×" if value >= 10 else f"{value:.1f}×"


def size(value: float | None) -> str:
    """Bytes in decimal kB or MB."""
    if value is None:
        return NONE
    return f"{value / 1e6:,.1f} MB" if value >= 1e6 else f"{value / 1e3:,.0f} kB"


def count(value: float | None) -> str:
    """A whole number with thousands separated."""
    return NONE if value is None else f"{value:,.0f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage."""
    return NONE if value is None else f"{100 * value:.{digits}f} %"


def listing(items: Sequence[str], most: int = 3) -> str:
    """The first few items and how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return "; ".join(items[:most]) + more
