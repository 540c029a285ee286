"""The lists of the GRIP group's detectors (CLIP-based detection, SynthWildX): a CSV with ``filename`` and ``typ``.

The polarity: ``typ`` is *real*, in any case, for a real image; every other value names the generator of a generated
one. File names are relative to the CSV's folder.
"""

import sys
from pathlib import Path

from distill.data.layouts.table import csv_header, place, read_rows
from distill.data.layouts.table_samples import GRIP, TableSamples, clean_path, table_dataset
from distill.data.layouts.walk import is_file, one_line
from distill.data.samples import GENERATED, REAL, Dataset, Sample
from distill.errors import EdgeproofError


def matches(root: Path) -> bool:
    """Whether ``root`` is such a CSV, or a folder that holds one."""
    return bool(_tables(root))


def load(root: Path) -> Dataset:
    """Read the list without looking for its files.

    Raises:
        EdgeproofError: several lists or none, a row without file name or ``typ``, one file under both labels.
    """
    tables = _tables(root)
    if len(tables) != 1:
        found = ", ".join(table.name for table in tables) or "none"
        raise EdgeproofError(
            f"{one_line(root)}: expected one CSV with the columns filename and typ, found {found}; name the file itself"
        )
    table, rows = tables[0], TableSamples(tables[0])
    for number, (filename, typ) in read_rows(table, required=["filename", "typ"]):
        path, name = clean_path(filename), typ.strip()
        if not path or not name:
            raise EdgeproofError(f"{place(table, number)}: no {'typ' if path else 'filename'}, expected both")
        label = REAL if name.lower() == "real" else GENERATED
        generator = sys.intern(name) if label == GENERATED else ""
        rows.add(number, Sample(path=path, label=label, generator=generator, group=path))
    return table_dataset(table.parent, layout="grip", samples=rows.samples, problems=rows.problems)


def _tables(root: Path) -> list[Path]:
    try:
        found = [root] if is_file(root) else sorted(root.glob("*.[cC][sS][vV]"))
    except OSError:
        return []
    return [path for path in found if csv_header(path) >= GRIP]
