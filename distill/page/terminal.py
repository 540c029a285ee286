"""A page's tables on a terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from distill.page import blocks

_WIDTH = 160  # a log has no width, and 80 columns cut intervals


def console() -> Console:
    """Standard output, wide where it is no terminal."""
    found = Console()
    if not found.is_terminal:
        found.width = _WIDTH
    return found


def drawn(table: blocks.Table) -> Table:
    """The same cells; the rows in ``strong`` are bold."""
    found = Table(title=Text(table.title), title_justify="left")
    for column in table.columns:
        found.add_column(Text(column.title), justify="right" if column.right else "left")
    for number, row in enumerate(table.rows):
        found.add_row(*(Text(cell) for cell in row), style="bold" if number in table.strong else None)
    return found
