"""Which columns of a manifest mean what, and what makes a group. Torch-free and light: recipes import it."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from distill.errors import EdgeproofError, unknown_name

Grouping = Literal["layout", "stem"]


class ManifestColumns(BaseModel):
    """Column names of a CSV or Parquet manifest; an optional column that is not there is no mistake.

    Attributes:
        path: the image, relative to the manifest's folder, or absolute.
        label: the class, in words (real, fake, ...) or as 0 and 1.
        split, generator, group: optional.
        fake: the label's value that means *generated*, where words do not say it; by default 1 does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = "path"
    label: str = "label"
    split: str = "split"
    generator: str = "generator"
    group: str = "group"
    fake: str = ""


def parse_columns(pairs: Sequence[str]) -> ManifestColumns:
    """``["label=target", "fake=ai"]`` from a command line.

    Raises:
        EdgeproofError: no ``KEY=NAME``, an unknown key, or a key given twice.
    """
    names: dict[str, str] = {}
    for pair in pairs:
        key, equals, name = pair.partition("=")
        if not equals or not name:
            raise EdgeproofError(f"--column {pair!r}: expected KEY=NAME, such as label=target")
        if key not in ManifestColumns.model_fields:
            raise unknown_name(kind="column", given=key, choices=ManifestColumns.model_fields)
        if key in names:
            raise EdgeproofError(f"--column {key!r} is given twice, as {names[key]!r} and as {name!r}")
        names[key] = name
    return ManifestColumns(**names)
