"""Sections as Markdown (GitHub's dialect)."""

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape as html

from distill.page.blocks import (
    Beside,
    Block,
    Check,
    Checks,
    Code,
    Column,
    Gallery,
    Maps,
    Matrix,
    Numbers,
    Picture,
    Points,
    Section,
    Sheet,
    Table,
    Terms,
    Text,
)
from distill.page.formats import correlation

_MARKUP = re.compile(r"[\\|*`<>~]|(?<!\w)_|_(?!\w)|](?=[(\[:])|&(?=#|\w+;)")


def escape(text: str) -> str:
    """One line of literal text; underscores inside words and brackets that open no link stay as they are."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def render(sections: Iterable[Section], *, folder: str) -> str:
    """The sections under headings of the second level, or folded, each after an empty line.

    Args:
        sections: what to write.
        folder: where the files of the pictures lie, seen from the document; a picture without a file is left out.
    """
    lines: list[str] = []
    for section in sections:
        lines += _opened(section)
        for block in section.blocks:
            lines += ["", *_block(block, folder=folder)]
        lines += ["", "</details>"] if section.folded else []
    return "\n".join(lines)


def _opened(section: Section) -> Iterator[str]:
    """Its heading; of a folded one what the reader clicks on."""
    yield ""
    if section.folded:
        yield f"<details>\n<summary><b>{html(section.title)}</b> {html(section.teaser)}</summary>"
    elif section.title:
        yield f"## {escape(section.title)}"


def checks(items: Iterable[Check]) -> Iterator[str]:
    """A line for each check; a failed one stands out."""
    for item in items:
        outcome = "**FAILED**" if item.passed is False else item.outcome
        yield f"- {escape(item.name)}: {outcome}. {escape(item.detail)}"


def terms(items: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A line for each term."""
    return (f"- **{escape(term)}**: {escape(meaning)}" for term, meaning in items)


def _block(block: Block, *, folder: str) -> Iterator[str]:
    match block:
        case Text(text):
            yield escape(text)
        case Points(items):
            yield from (f"- {escape(item)}" for item in items)
        case Terms(items):
            yield from terms(items)
        case Numbers(figures):
            yield from (
                f"- **{escape(n.value)}** {escape(n.title)}. {escape(n.detail)}".rstrip() for n in figures
            )
        case Checks(items):
            yield from checks(items)
        case Table():
            yield from _table(block)
        case Matrix():
            yield from _table(_as_table(block))
        case Gallery(pictures):
            yield from _pictures(pictures, folder=folder)
        case Sheet(title, text, pictures):
            yield f"**{escape(title)}** {escape(text)}"
            yield from _pictures(pictures, folder=folder)
        case Maps(title, pictures):
            yield f"**{escape(title)}**"
            yield from _pictures(pictures, folder=folder)
        case Code():
            yield from _code(block)
        case Beside(blocks):
            for one in blocks:
                yield from (*_block(one, folder=folder), "")


def _table(block: Table) -> Iterator[str]:
    """A pipe table with its title above and its note below."""
    yield f"**{escape(block.title)}**"
    yield ""
    yield _row(column.title for column in block.columns)
    yield "|" + "|".join("---:" if column.right else "---" for column in block.columns) + "|"
    for index, cells in enumerate(block.rows):
        texts = [escape(cell) for cell in cells]
        yield "| " + " | ".join(f"**{t}**" if index in block.strong and t else t for t in texts) + " |"
    if block.note:
        yield ""
        yield escape(block.note)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(escape(cell) for cell in cells) + " |"


def _as_table(matrix: Matrix) -> Table:
    return Table(
        matrix.title,
        (Column("", right=False), *(Column(name) for name in matrix.names)),
        tuple(
            (name, *(correlation(value) for value in row))
            for name, row in zip(matrix.names, matrix.values, strict=True)
        ),
    )


def _pictures(pictures: Sequence[Picture], *, folder: str) -> Iterator[str]:
    return (f"![{escape(p.alt)}]({folder}/{p.name}.png)" for p in pictures if p.name)


def _code(block: Code) -> Iterator[str]:
    runs = [len(run) for run in re.findall(r"`{3,}", block.text)]
    fence = "`" * (max(runs, default=2) + 1)
    if block.summary:
        yield from ("<details>", f"<summary>{escape(block.summary)}</summary>", "")
    yield from (fence, block.text.rstrip("\n"), fence)
    if block.summary:
        yield from ("", "</details>")
