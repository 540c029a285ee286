"""An evaluation for people and for programs: on the console, and as files. Torch-free."""

from pathlib import Path
from typing import Final

from rich.text import Text

from deploy.evaluate_record import EvaluationRecord
from deploy.evaluate_tables import headline, tables
from distill.errors import EdgeproofError
from distill.files import write_text
from distill.optional import require
from distill.page.terminal import console, drawn

RECORD: Final = "evaluation.json"
PAGE: Final = "evaluation.html"


def print_evaluation(record: EvaluationRecord, *, as_json: bool) -> None:
    """On standard output."""
    if as_json:
        print(record.text())
        return
    out = console()
    for table in tables(record):
        out.print(drawn(table))
        if table.note:
            out.print(Text(table.note, "dim"), soft_wrap=True)
    for caution in record.cautions:
        out.print(Text(f"caution: {caution}", "bold red"), soft_wrap=True)
    out.print(Text(headline(record), "bold"), soft_wrap=True)


def check_target(out: Path) -> None:
    """Say before any work that the page cannot be written.

    Raises:
        EdgeproofError: a library is missing, or ``out`` is a file.
    """
    for package in ("jinja2", "matplotlib"):
        require(package)
    if out.exists() and not out.is_dir():
        raise EdgeproofError(f"{out}: is a file, expected a folder to write {RECORD} and {PAGE} to")


def write_evaluation(record: EvaluationRecord, out: Path) -> list[Path]:
    """``evaluation.json`` and one self-contained ``evaluation.html``; what was written."""
    from deploy.evaluate_page import page_of
    from distill.page.html import render

    record.write(out / RECORD)
    write_text(out / PAGE, render(page_of(record)))
    return [out / RECORD, out / PAGE]
