"""The page's parts, and their HTML: one file, no network, no script, light and dark, wide and narrow.

Every text is escaped here, and nowhere else: a file name may hold ``<script>``.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from string import Template

from distill.data.explore.maps import colour_of

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header>
<p class="eyebrow">$eyebrow</p>
<h1>$title</h1>
$opening
</header>
<nav><ol>$contents</ol></nav>
<main>$sections</main>
</body>
</html>
""")


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Points:
    """Texts in a list; ``bad`` ones are marked."""

    items: Sequence[str]
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG; ``alt`` says what it is, ``text`` what else stands under it."""

    png: bytes
    alt: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Example pictures in rows, ``side`` pixels wide each at their native size."""

    title: str
    text: str
    pictures: Sequence[Picture]
    side: int


@dataclass(frozen=True, slots=True)
class Maps:
    """Small square pictures of ``side`` pixels; ``scale`` is their colour scale and the texts at its two ends."""

    title: str
    pictures: Sequence[Picture]
    side: int
    scale: tuple[bytes, str, str] | None = None


@dataclass(frozen=True, slots=True)
class Charts:
    """Charts side by side, up to ``across`` of them, two or three."""

    charts: Sequence["Chart"]
    across: int = 2


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart between its title and a text; a ``marked`` title tells of a difference."""

    title: str
    png: bytes
    text: str = ""
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers; the first ``words`` columns are words."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1


@dataclass(frozen=True, slots=True)
class Matrix:
    """Numbers from -1 to 1 with their colour; NaN is a dash."""

    title: str
    names: Sequence[str]
    values: Sequence[Sequence[float]]
    colours: str


Block = Text | Points | Sheet | Maps | Charts | Table | Matrix


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block] = field(default=())


def render(*, title: str, eyebrow: str, opening: Sequence[Block], sections: Sequence[Section]) -> str:
    """The whole page."""
    return _PAGE.substitute(
        title=escape(title),
        eyebrow=escape(eyebrow),
        style=files(__package__).joinpath("page.css").read_text(encoding="utf-8"),
        opening=_blocks(opening),
        contents="".join(f'<li><a href="#s{i}">{escape(s.title)}</a></li>' for i, s in enumerate(sections)),
        sections="".join(
            f'<section id="s{i}"><h2>{escape(s.title)}</h2>{_blocks(s.blocks)}</section>'
            for i, s in enumerate(sections)
        ),
    )


def _blocks(blocks: Sequence[Block]) -> str:
    return "".join(part for block in blocks for part in _block(block))


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Text):
        yield f"<p>{escape(block.text)}</p>"
    elif isinstance(block, Points):
        items = "".join(f"<li>{escape(item)}</li>" for item in block.items)
        yield f'<ul class="{"bad" if block.bad else "plain"}">{items}</ul>'
    elif isinstance(block, Sheet):
        yield from _sheet(block)
    elif isinstance(block, Maps):
        yield from _maps(block)
    elif isinstance(block, Charts):
        css = "charts three" if block.across == 3 else "charts"
        yield f'<div class="{css}">{"".join(_chart(chart) for chart in block.charts)}</div>'
    elif isinstance(block, Table):
        yield from _table(block)
    else:
        yield from _matrix(block)


def _sheet(sheet: Sheet) -> Iterator[str]:
    yield f'<figure class="sheet" style="--side:{_zoomed(sheet.side, wanted=128)}px">'
    yield f"<figcaption><b>{escape(sheet.title)}</b> {escape(sheet.text)}</figcaption><div>"
    yield from (_image(picture, hint=True) for picture in sheet.pictures)
    yield "</div></figure>"


def _maps(maps: Maps) -> Iterator[str]:
    width = _zoomed(maps.side, wanted=256 if len(maps.pictures) <= 4 else 128)
    yield f'<h3>{escape(maps.title)}</h3><div class="maps" style="--side:{width}px">'
    for picture in maps.pictures:
        caption = f"<b>{escape(picture.alt)}</b> {escape(picture.text)}"
        yield f"<figure>{_image(picture)}<figcaption>{caption}</figcaption></figure>"
    yield "</div>"
    if maps.scale:
        strip, low, high = maps.scale
        bar = _image(Picture(strip, alt="colour scale"))
        yield f'<p class="scale"><span>{escape(low)}</span>{bar}<span>{escape(high)}</span></p>'


def _zoomed(side: int, *, wanted: int) -> int:
    """About as wide as ``wanted``, in whole steps, so that every pixel stays a square."""
    return side * max(1, round(wanted / side))


def _chart(chart: Chart) -> str:
    mark = ' class="marked"' if chart.marked else ""
    return (
        f"<figure><h3{mark}>{escape(chart.title)}</h3>{_image(Picture(chart.png, alt=chart.title))}"
        f"<figcaption>{escape(chart.text)}</figcaption></figure>"
    )


def _image(picture: Picture, *, hint: bool = False) -> str:
    text = escape(picture.alt)
    title = f' title="{text}"' if hint else ""
    return f'<img src="data:image/png;base64,{b64encode(picture.png).decode()}" alt="{text}"{title}>'


def _table(table: Table) -> Iterator[str]:
    yield f'<h3>{escape(table.title)}</h3><div class="scroll"><table><thead><tr>'
    for index, column in enumerate(table.columns):
        yield f'<th scope="col"{_right(index, table)}>{escape(column)}</th>'
    yield "</tr></thead><tbody>"
    for row in table.rows:
        cells = "".join(f"<td{_right(i, table)}>{escape(cell)}</td>" for i, cell in enumerate(row))
        yield f"<tr>{cells}</tr>"
    yield "</tbody></table></div>"


def _right(index: int, table: Table) -> str:
    return ' class="r"' if index >= table.words else ""


def _matrix(matrix: Matrix) -> Iterator[str]:
    yield f'<h3>{escape(matrix.title)}</h3><div class="scroll"><table class="matrix"><thead><tr><td></td>'
    yield from (f'<th scope="col"><span>{escape(name)}</span></th>' for name in matrix.names)
    yield "</tr></thead><tbody>"
    for name, row in zip(matrix.names, matrix.values, strict=True):
        cells = "".join(_matrix_cell(value, colours=matrix.colours) for value in row)
        yield f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'
    yield "</tbody></table></div>"


def _matrix_cell(value: float, *, colours: str) -> str:
    if value != value:  # NaN
        return "<td>–</td>"
    colour = colour_of(value, low=-1, high=1, colours=colours)
    ink = "#fff" if abs(value) > 0.65 else "#111"
    number = f"{round(value, 2) + 0.0:.2f}".replace("-", "−")  # + 0.0: no minus before a zero
    return f'<td style="background:{colour};color:{ink}">{number}</td>'
