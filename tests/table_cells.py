"""Cells of a table, by what stands in others."""

from distill.page.blocks import Table


def cells_of(table: Table, **wanted: str) -> dict[str, str]:
    """The first row that has these cells, by column."""
    titles = [column.title for column in table.columns]
    rows = (dict(zip(titles, row, strict=True)) for row in table.rows)
    return next(row for row in rows if all(row[title] == cell for title, cell in wanted.items()))
