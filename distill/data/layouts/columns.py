"""Which columns of a manifest mean what. Torch-free and light: recipes import it."""

from pydantic import BaseModel, ConfigDict


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
