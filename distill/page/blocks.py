"""A page as data: blocks that Markdown and HTML both render, so that no number is written twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph of plain text."""

    text: str
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Points:
    """Texts in a list; ``bad`` ones are marked."""

    items: Sequence[str]
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms and their one-line explanations."""

    items: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Number:
    """One figure in large type: the value, what it is, and what to know of it."""

    value: str
    title: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Numbers:
    """A few figures side by side."""

    items: Sequence[Number]


@dataclass(frozen=True, slots=True)
class Check:
    """One test and its outcome; ``passed`` is None where it was not run."""

    name: str
    passed: bool | None
    detail: str

    @property
    def outcome(self) -> Literal["passed", "failed", "not run"]:
        """The outcome in words."""
        if self.passed is None:
            return "not run"
        return "passed" if self.passed else "failed"


@dataclass(frozen=True, slots=True)
class Checks:
    """Tests and their outcomes side by side."""

    items: Sequence[Check]


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column; numbers stand to the right."""

    title: str
    right: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Plain-text cells; the rows in ``strong`` are set in bold, those in ``bad`` marked as failed."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    strong: frozenset[int] = frozenset()
    bad: frozenset[int] = frozenset()


def columns(*titles: str, left: int = 1) -> tuple[Column, ...]:
    """Columns of which the first ``left`` stand to the left."""
    return tuple(Column(title, i >= left) for i, title in enumerate(titles))


@dataclass(frozen=True, slots=True)
class Matrix:
    """Numbers from -1 to 1 in the colours of a map (see :mod:`distill.page.maps`); NaN is a dash."""

    title: str
    names: Sequence[str]
    values: Sequence[Sequence[float]]
    colours: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A PNG.

    Attributes:
        png: the file.
        alt: tells what it shows to who cannot see it.
        title: stands with the picture where it is not drawn in it.
        text: stands under the picture.
        marked: the title tells of a problem.
        name: stem of the file beside the page that holds the picture too; empty if there is none.
    """

    png: bytes
    alt: str
    title: str = ""
    text: str = ""
    marked: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Charts side by side, up to ``across`` of them where the page is wide enough; one alone is large."""

    pictures: Sequence[Picture]
    across: Literal[2, 3] = 2


@dataclass(frozen=True, slots=True)
class Sheet:
    """Photographs in rows, ``side`` pixels wide each; every pixel is enlarged to a square, colours stay."""

    title: str
    text: str
    pictures: Sequence[Picture]
    side: int


@dataclass(frozen=True, slots=True)
class Maps:
    """Captioned square maps of ``side`` pixels, shown like photographs.

    ``scale`` is their colour scale and the texts at its two ends.
    """

    title: str
    pictures: Sequence[Picture]
    side: int
    scale: tuple[bytes, str, str] | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """Verbatim text, folded away under ``summary`` if there is one."""

    text: str
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Beside:
    """Blocks beside each other where the page is wide enough, otherwise one after the other."""

    blocks: "Sequence[Block]"


Block = Text | Points | Terms | Numbers | Checks | Table | Matrix | Gallery | Sheet | Maps | Code | Beside


@dataclass(frozen=True, slots=True)
class Section:
    """A headed part of a page; one without a title leads it.

    Attributes:
        title: its heading.
        blocks: what it shows.
        folded: it is closed until the reader opens it, and open on paper.
        teaser: stands beside the title of a folded one: what is in it.
    """

    title: str
    blocks: Sequence[Block] = ()
    folded: bool = False
    teaser: str = ""


def pictures_in(blocks: Sequence[Block]) -> Iterator[Picture]:
    """Every picture of a gallery or a sheet among the blocks, those that stand beside others too."""
    for block in blocks:
        if isinstance(block, Beside):
            yield from pictures_in(block.blocks)
        elif isinstance(block, Gallery | Sheet):
            yield from block.pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A whole page.

    Attributes:
        title: names the page in the browser.
        eyebrow: a line above the headline.
        headline: the first thing to read.
        status: the outcome, if the page tells of one; it colours the header.
        opening: stands in the header, under the headline.
        sections: the rest; those that have a title and are not folded are listed in a table of contents.
        sortable: whether tables can be sorted by a click on a column's title.
    """

    title: str
    eyebrow: str
    headline: str
    status: Literal["", "passed", "failed", "incomplete"] = ""
    opening: Sequence[Block] = ()
    sections: Sequence[Section] = ()
    sortable: bool = False
