"""The report as one HTML file: no network, no script, pictures inside, light and dark, phone and paper."""

from base64 import b64encode
from collections.abc import Iterator
from html import escape
from pathlib import Path
from string import Template

from bench.report.blocks import NONE, Block, Code, Gallery, Picture, Section, Table, Terms, Text
from bench.report.gates import Gate
from bench.report.verdict import Verdict

_MARKS = {True: ("good", "passed"), False: ("bad", "failed"), None: ("none", "not run")}

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
<header class="$status">
<p class="eyebrow">$title</p>
<h1>$headline</h1>
<dl class="points">$points</dl>
<ul class="gates">$gates</ul>
$cautions
</header>
<nav><ol>$contents</ol></nav>
<main>$sections</main>
</body>
</html>
""")


def render(*, title: str, verdict: Verdict, sections: list[Section]) -> str:
    """The whole page. Every text is escaped here, and nowhere else."""
    notes = "".join(f"<li>{escape(caution)}</li>" for caution in verdict.cautions)
    return _PAGE.substitute(
        title=escape(title),
        style=Path(__file__).with_name("report.css").read_text(encoding="utf-8"),
        status=verdict.status,
        headline=escape(verdict.headline),
        points="".join(f"<dt>{escape(label)}</dt><dd>{escape(text)}</dd>" for label, text in verdict.points),
        gates="".join(_gate(gate) for gate in verdict.gates),
        cautions=f'<ul class="cautions">{notes}</ul>' if notes else "",
        contents="".join(f'<li><a href="#s{i}">{escape(s.title)}</a></li>' for i, s in enumerate(sections)),
        sections="".join(_section(i, section) for i, section in enumerate(sections)),
    )


def _gate(gate: Gate) -> str:
    css, word = _MARKS[gate.passed]
    return (
        f'<li>{escape(gate.name)}: <span class="mark {css}">{word}</span>'
        f"<small>{escape(gate.detail)}</small></li>"
    )


def _section(index: int, section: Section) -> str:
    blocks = "".join(part for block in section.blocks for part in _block(block))
    return f'<section id="s{index}"><h2>{escape(section.title)}</h2>{blocks}</section>'


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Text):
        css = ' class="muted"' if block.muted else ""
        yield f"<p{css}>{escape(block.text)}</p>"
    elif isinstance(block, Terms):
        items = "".join(f"<div><dt>{escape(t)}</dt><dd>{escape(m)}</dd></div>" for t, m in block.items)
        yield f'<dl class="terms">{items}</dl>'
    elif isinstance(block, Gallery):
        yield f'<div class="gallery{" wide" if len(block.pictures) == 1 else ""}">'
        yield from (_picture(p) for p in block.pictures)
        yield "</div>"
    else:
        yield _code(block)


def _table(block: Table) -> Iterator[str]:
    dense = ' class="dense"' if len(block.columns) > 9 else ""
    yield f'<div class="scroll"><table{dense}><caption>{escape(block.title)}</caption><thead><tr>'
    for column in block.columns:
        yield f'<th scope="col"{_right(column.right)}>{escape(column.title)}</th>'
    yield "</tr></thead><tbody>"
    for index, cells in enumerate(block.rows):
        css = "strong" * (index in block.strong) or "bad" * (index in block.bad)
        yield f'<tr class="{css}">' if css else "<tr>"
        for column, cell in zip(block.columns, cells, strict=True):
            wide = ' class="wide"' if len(cell) > 40 else _right(column.right)
            yield f"<td{wide}>{escape(cell)}</td>"
        yield "</tr>"
    if not block.rows:
        yield f'<tr><td colspan="{len(block.columns)}">{NONE}</td></tr>'
    yield "</tbody></table></div>"
    if block.note:
        yield f'<p class="note">{escape(block.note)}</p>'


def _right(right: bool) -> str:
    return ' class="r"' if right else ""


def _picture(item: Picture) -> str:
    data = b64encode(item.png).decode()
    return f'<figure><img src="data:image/png;base64,{data}" alt="{escape(item.alt)}"></figure>'


def _code(block: Code) -> str:
    text = f"<pre><code>{escape(block.text)}</code></pre>"
    return f"<details><summary>{escape(block.summary)}</summary>{text}</details>" if block.summary else text
