"""Blocks as HTML and as Markdown, and how charts look."""

from base64 import b64encode
from hashlib import sha256
from io import BytesIO
from typing import Any, get_args

import jinja2
import numpy as np
import pytest
from html_page import Reader
from PIL import Image

from distill.page import charts, formats, html, markdown
from distill.page.blocks import (
    Beside,
    Block,
    Check,
    Checks,
    Code,
    Gallery,
    Maps,
    Matrix,
    Number,
    Numbers,
    Page,
    Picture,
    Points,
    Section,
    Sheet,
    Table,
    Terms,
    Text,
    columns,
    pictures_in,
)
from distill.page.maps import colour_of, map_png, scale_png

EVIL = """<script src="x">alert('1')</script>&amp;"""


def dot() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG")
    return buffer.getvalue()


def picture(text: str = "p", **options: Any) -> Picture:
    return Picture(png=dot(), alt=text, title=text, text=text, **options)


def one_of_each(text: str) -> list[Block]:
    """Every block, every field of it filled with ``text``."""
    return [
        Text(text),
        Points([text]),
        Points([text], bad=True),
        Terms([(text, text)]),
        Numbers([Number(text, text, text)]),
        Checks([Check(text, passed, text) for passed in (True, False, None)]),
        Beside([Text(text), Gallery([picture(text)])]),
        Table(text, columns(text, text), ((text, text),), note=text, strong=frozenset({0})),
        Table(text, columns(text), ()),
        Matrix(text, [text], [[0.5]], colours="gray"),
        Gallery([picture(text, name="file"), picture(text, marked=True)], across=3),
        Sheet(text, text, [picture(text)], side=32),
        Maps(text, [picture(text)], side=32, scale=(scale_png("gray"), text, text)),
        Code(text),
        Code(text, summary=text),
    ]


def page(*blocks: Block, opening: tuple[Block, ...] = (), title: str = "t", **options: Any) -> str:
    sections = [Section(title, blocks)]
    return html.render(
        Page(title=title, eyebrow=title, headline=title, opening=opening, sections=sections, **options)
    )


# --- HTML


def test_the_blocks_of_these_tests_are_all_there_are() -> None:
    assert {type(block) for block in one_of_each("x")} == set(get_args(Block))


def test_every_text_is_escaped_wherever_it_stands() -> None:
    blocks = one_of_each(EVIL)
    found = Reader(page(*blocks, opening=tuple(blocks), title=EVIL))
    harmless = "x" * len(EVIL)
    blocks = one_of_each(harmless)
    plain = Reader(page(*blocks, opening=tuple(blocks), title=harmless))
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attributes) for _, attributes in found.tags] == [sorted(a) for _, a in plain.tags]
    count = sum(text.strip() == harmless for text in plain.texts)
    assert count > 40 and sum(text.strip() == EVIL for text in found.texts) == count
    for image in found.of("img"):
        assert image["alt"] in (EVIL, "colour scale") and image.get("title", EVIL) == EVIL


def test_nothing_is_reached_for() -> None:
    text = page(*one_of_each("x"))
    found = Reader(text)
    for _, attributes in found.tags:
        for key in ("src", "href", "srcset", "action", "data"):
            assert (attributes.get(key) or "#").startswith(("#", "data:image/png;base64,"))
    style = text.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style and "@import" not in style and "&#" not in style
    policy = next(meta for meta in found.of("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_the_table_of_contents_leads_to_every_section() -> None:
    sections = [Section(f"part {number}") for number in range(3)]
    found = Reader(html.render(Page(title="t", eyebrow="e", headline="h", sections=sections)))
    assert [link["href"] for link in found.of("a")] == [f"#{part['id']}" for part in found.of("section")]
    assert len(found.of("section")) == 3 and all(found.texts.count(f"part {n}") == 2 for n in range(3))


@pytest.mark.parametrize("status", ["", "passed", "failed", "incomplete"])
def test_the_header_has_the_status(status: str) -> None:
    [header] = Reader(page(status=status)).of("header")
    assert header == ({"class": status} if status else {})


def test_rows_are_marked_and_numbers_stand_to_the_right() -> None:
    table = Table(
        "T", columns("a", "b"), (("x", "1"), ("y", "2"), ("z" * 50, "3")), strong=frozenset({0}), bad=frozenset({1})
    )  # fmt: skip
    found = Reader(page(table))
    assert [row.get("class") for row in found.of("tr")] == [None, "strong", "bad", None]
    assert [cell["class"] for cell in found.of("td")] == ["r"] * 3
    assert [head.get("class") for head in found.of("th")] == [None, "r", "short", "short", "wide"]
    assert [head["scope"] for head in found.of("th")] == ["col"] * 2 + ["row"] * 3


def test_folded_sections_are_closed_and_not_listed_and_one_without_a_title_leads() -> None:
    sections = [
        Section("", [Text("first")]),
        Section("A", [Text("a")]),
        Section("B", [Text("b")], folded=True, teaser="why"),
    ]
    text = html.render(Page(title="t", eyebrow="t", headline="t", sections=sections))
    found = Reader(text)
    assert [link["href"] for link in found.of("a")] == ["#s1"]
    assert found.of("details") == [{"class": "fold"}] and "why" in found.texts
    assert text.count("<h2>") == 2
    lines = markdown.render(sections, folder="").splitlines()
    assert "## A" in lines and "<summary><b>B</b> why</summary>" in lines and lines[-1] == "</details>"
    assert not any(line.startswith("## ") and line != "## A" for line in lines)


def test_a_page_has_one_script_if_its_tables_can_be_sorted_and_allows_no_other() -> None:
    assert Reader(page()).of("script") == [] and "script-src" not in page()
    text = page(Text(EVIL), sortable=True)
    assert Reader(text).of("script") == [{}]
    script = text.split("<script>")[1].split("</script>")[0]
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = next(m["content"] for m in Reader(text).of("meta") if m.get("http-equiv"))
    assert policy is not None and policy.endswith(f"script-src 'sha256-{digest}'")


def test_pictures_are_found_beside_other_blocks_too() -> None:
    blocks = [
        Text("x"),
        Beside([Gallery([picture("a")]), Text("x")]),
        Sheet("s", "t", [picture("b")], side=2),
    ]
    assert [found.alt for found in pictures_in(blocks)] == ["a", "b"]


def test_an_empty_table_is_a_dash() -> None:
    found = Reader(page(Table("T", columns("a", "b", "c"), ())))
    assert found.of("td") == [{"colspan": "3"}] and formats.NONE in found.texts


def test_code_keeps_its_lines() -> None:
    text = "  a\n\n    b < c\n"
    assert f"<pre><code>{text.replace('<', '&lt;')}</code></pre>" in page(Code(text))


def test_cells_of_a_matrix_have_their_colour() -> None:
    found = Reader(page(Matrix("M", ["a", "b"], [[1.0, -0.001], [float("nan"), -1.0]], colours="gray")))
    styles = [cell.get("style") for cell in found.of("td")]
    assert styles[1] == "background:#ffffff;color:#fff" and styles[3] is None
    assert styles[4] == "background:#000000;color:#fff" and "color:#111" in (styles[2] or "")
    assert [text for text in found.texts if text in ("1.00", "0.00", "–", "−1.00")] == [
        "1.00", "0.00", "–", "−1.00",
    ]  # fmt: skip


def test_small_pictures_are_enlarged_in_whole_steps() -> None:
    sides = {48: 144, 64: 128, 128: 128, 300: 300}
    for side, width in sides.items():
        [sheet] = [
            figure for figure in Reader(page(Sheet("s", "", [picture()], side=side))).of("figure") if figure
        ]
        assert sheet["style"] == f"--side:{width}px"


def test_a_field_that_is_not_there_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        html.render(object())  # type: ignore[arg-type]


# --- Markdown


def test_every_block_as_markdown() -> None:
    text = markdown.render([Section("S", one_of_each(EVIL))], folder="plots")
    outside = text.split("```")[0::2]
    assert "<script" not in "".join(outside).replace("\\<", "")
    assert text.count("(plots/file.png)") == 1  # the others lie in no file
    assert "**FAILED**" in text and "not run" in text


def test_a_matrix_is_a_table_in_markdown() -> None:
    matrix = Matrix("M", ["a", "b"], [[1.0, -0.25], [float("nan"), 0]], colours="gray")
    lines = markdown.render([Section("S", [matrix])], folder="").splitlines()
    assert lines[-4:] == ["|  | a | b |", "|---|---:|---:|", "| a | 1.00 | −0.25 |", "| b | – | 0.00 |"]


def test_code_with_fences_is_fenced_by_more() -> None:
    text = markdown.render([Section("S", [Code("a\n````\nb\n")])], folder="")
    assert text.endswith("`````\na\n````\nb\n`````")


# --- charts and maps


def test_a_chart_is_a_small_png_of_its_size() -> None:
    def draw(figure: Any) -> None:
        ax = charts.axes(figure, x="x", y="y")
        ax.plot([0, 1], [0, 1], label="line")
        charts.legend_below(figure, ax)

    png = charts.png(draw, width=3, height=2, title="Costs $5 to $10")
    with Image.open(BytesIO(png)) as image:
        assert image.size == (3 * 144, 2 * 144) and image.mode == "P"
    assert png == charts.png(draw, width=3, height=2, title="Costs $5 to $10")


def test_names_are_drawn_as_they_are() -> None:
    assert charts.plain("a$b\x07c\u202ed\ne") == r"a\$b" + "�c�d\ne"


def test_long_names_have_few_columns() -> None:
    assert [charts.legend_columns([name] * 3) for name in ("real", "x" * 20, "x" * 60)] == [3, 2, 1]


def test_maps_have_their_values_colours() -> None:
    with Image.open(BytesIO(map_png(np.array([[-9, 0.0, 9]]), low=-1, high=1, colours="gray"))) as image:
        assert [value[0] for value in np.asarray(image.convert("RGB"))[0].tolist()] == [0, 128, 255]
    assert colour_of(1, low=-1, high=1, colours="gray") == "#ffffff"


# --- numbers


def test_numbers_as_texts() -> None:
    assert [formats.signed(value, 1) for value in (0.26, -0.26, -0.04, None)] == ["+0.3", "−0.3", "0.0", "–"]
    assert formats.with_interval(0.5, (0.4, 0.6)) == "0.500 [0.400, 0.600]"
    assert [formats.milliseconds(value) for value in (0.5, 5, 1234.56)] == ["0.500", "5.00", "1,234.6"]
    assert [formats.correlation(value) for value in (-0.001, -0.5, float("nan"))] == ["0.00", "−0.50", "–"]
    assert formats.listing(["a", "b", "c", "d"]) == "a; b; c and 1 more"
