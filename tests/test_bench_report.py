import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import report_fixture as fixture
from rich.console import Console

from bench.report.data import load_run
from bench.report.tables import headline
from bench.report.verdict import choose
from bench.report.write import headline_table, write_report
from distill.errors import EdgeproofError
from distill.page.markdown import escape

_VOID = {"meta", "img", "br", "link", "input", "hr", "source"}
_EVIL = '<script src="http://x.example/a.js">|$\\alpha$</script>'


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parse(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert page.open == []
    return page


def tables(markdown: str) -> list[list[list[str]]]:
    """Every pipe table as rows of cells, the ruler left out."""
    found, rows = [], []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            if not set(line) <= set("|-: "):
                rows.append([cell.strip().strip("*") for cell in cells])
        elif rows:
            found.append(rows)
            rows = []
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = fixture.write(tmp_path_factory.mktemp("run"))
    write_report(run)
    return run


def renamed(value: Any) -> Any:
    """The fixture with one student under a malicious name."""
    if isinstance(value, dict):
        return {renamed(key): renamed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item) for item in value]
    return value.replace("mobilenet_v2", _EVIL) if isinstance(value, str) else value


def test_first_three_lines_of_markdown_are_the_verdict(whole: Path) -> None:
    lines = (whole / "report.md").read_text().splitlines()
    assert lines[0].startswith("# PASSED on simulated data: small_cnn INT8 in OpenVINO")
    assert lines[1].startswith("- **Speed.** 0.360 ms per image at 224×224")
    assert lines[2].startswith("- **Accuracy.** AUC 0.930")


def test_html_reaches_for_nothing_outside_itself(whole: Path) -> None:
    page = parse(whole / "report.html")
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        for key in ("src", "href", "srcset", "action"):
            assert (attributes.get(key) or "#").startswith(("#", "data:image/png;base64,"))
    style = (whole / "report.html").read_text().split("<style>")[1].split("</style>")[0]
    assert "url(" not in style and "@import" not in style


def test_every_picture_is_inline_and_beside_the_markdown(whole: Path) -> None:
    pictures = sorted(path.name for path in (whole / "plots").glob("*.png"))
    students = ("mobilenet_v2", "small_cnn")
    kinds = ("calibration", "confusion", "degradations", "generators", "roc", "training")
    expected = [f"{kind}_{student}.png" for kind in kinds for student in students]
    assert pictures == sorted(["accuracy_latency.png", "training_teacher.png", *expected])
    markdown = (whole / "report.md").read_text()
    assert sorted(re.findall(r"\(plots/([^)]+)\)", markdown)) == pictures
    images = [attributes for tag, attributes in parse(whole / "report.html").tags if tag == "img"]
    assert len(images) == len(pictures)
    assert all(attributes["alt"] for attributes in images)


def test_markdown_tables_are_rectangular_and_html_holds_the_same_cells(whole: Path) -> None:
    found = tables((whole / "report.md").read_text())
    assert len(found) >= 12
    for table in found:
        assert {len(row) for row in table} == {len(table[0])}
    cells = sum(len(table) * len(table[0]) for table in found)
    assert sum(tag in ("td", "th") for tag, _ in parse(whole / "report.html").tags) == cells


def test_numbers_of_the_one_table_are_those_of_the_files(whole: Path) -> None:
    run = load_run(whole)
    files = fixture.contents()
    test = files["accuracy.json"]["models"]["small_cnn-openvino-int8"]["splits"]["test"]
    rows = files["bench.json"]["rows"]
    same = {"model": "small_cnn", "runtime": "openvino", "precision": "int8", "input_size": 64}
    model, whole_way = (
        next(r for r in rows if all(r[k] == v for k, v in {**same, "scope": scope}.items()))
        for scope in ("model", "end_to_end")
    )
    table = headline(run, chosen=choose(run))
    (strong,) = table.strong
    assert table.rows[strong] == (
        "small_cnn",
        "OpenVINO",
        "INT8",
        f"{test['auc']:.3f} [{test['auc_ci'][0]:.3f}, {test['auc_ci'][1]:.3f}]",
        f"{test['tpr_at_5fpr']:.3f}",
        f"{test['f1']:.3f}",
        f"{model['p50_ms']:.3f}",
        f"{model['p99_ms']:.3f}",
        f"{whole_way['p50_ms']:.3f}",
        f"{model['bytes'] / 1000:.0f} kB",
        f"{model['speedup_vs_reference']:,.0f}×",
        f"{model['speedup_vs_resnet18_eager']:,.0f}×",
    )


def test_a_malicious_name_stays_text(tmp_path: Path) -> None:
    files = {name: value for name, value in renamed(fixture.contents()).items() if "students/" not in name}
    paths = write_report(fixture.write(tmp_path, files))
    page = parse(paths.html)
    assert "script" not in {tag for tag, _ in page.tags}
    assert any(_EVIL in text for text in page.text)
    markdown = paths.markdown.read_text()
    assert "<script" not in re.sub(r"\\<", "", markdown)
    for table in tables(markdown):
        assert {len(row) for row in table} == {len(table[0])}


def test_a_run_that_stopped_early_says_what_is_missing(tmp_path: Path) -> None:
    files = fixture.contents()
    kept = {name: files[name] for name in ("recipe.json", "data/summary.json", "data/audit.json")}
    text = write_report(fixture.write(tmp_path, kept)).markdown.read_text()
    assert text.startswith("# INCOMPLETE on simulated data: no verdict yet")
    assert "accuracy.json not there: the run did not get that far" in text
    assert "bench.json not there" in text
    assert "Data audit: passed" in text


def test_an_empty_folder_and_a_broken_file_still_give_a_report(tmp_path: Path) -> None:
    (tmp_path / "accuracy.json").write_text("{", encoding="utf-8")
    (tmp_path / "bench.json").write_text("[1]", encoding="utf-8")
    paths = write_report(tmp_path)
    text = paths.markdown.read_text()
    assert "accuracy.json could not be read (JSONDecodeError)" in text
    assert "bench.json could not be read (not a JSON object)" in text
    parse(paths.html)


def test_no_such_folder_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(EdgeproofError, match="nowhere: no such run folder"):
        write_report(tmp_path / "nowhere")


def test_terminal_table_fits_and_names_every_model(whole: Path) -> None:
    console = Console(width=100, record=True, file=(whole / "terminal.txt").open("w"))
    console.print(headline_table(whole))
    text = console.export_text()
    assert "simulated data" in text
    assert re.search(r"small_cnn +OpenVINO +INT8 +0\.930 ", text)
    console.file.close()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a_b", "a_b"),
        ("_a_", r"\_a\_"),
        ("0.9 [0.8, 1.0]", "0.9 [0.8, 1.0]"),
        ("[x](http://y)", r"[x\](http://y)"),
        ("a|b\nc", r"a\|b c"),
        ("<b>&amp;", r"\<b\>\&amp;"),
    ],
)
def test_markdown_escape(given: str, expected: str) -> None:
    assert escape(given) == expected
