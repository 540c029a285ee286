"""Tables written, read and listed."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distill.data.layouts import (
    load_dataset,
)
from distill.errors import EdgeproofError


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def parquet(file, /, **columns):
    pq.write_table(pa.table(columns), file)
    return file


def listed(root, **options):
    return [(s.path, s.label, s.split, s.generator, s.group) for s in load_dataset(root, **options).samples]


def failure(root, **options):
    with pytest.raises(EdgeproofError) as caught:
        load_dataset(root, **options)
    assert str(caught.value).isprintable()
    return str(caught.value)
