"""A recipe's section of the images. Torch-free."""

from typing import Annotated

from pydantic import AfterValidator, model_validator

from distill.data.columns import Grouping, ManifestColumns
from distill.data.simulate.settings import SimulationSettings
from distill.section import Count, Natural, Section, Share, Workers, each_once


class DataSettings(Section):
    """Where the images come from: the user's ``path``; without one, ``simulate`` renders them into the run folder.

    ``unlabelled`` names a folder (or shards) of further images that only distillation sees. ``groups`` says what belongs
    together and must not straddle a split: what the layout tells, or ``stem``, files of the same name in whatever folder. A
    valid or test split of fewer than ``min_groups`` of them is warned of.

    ``generators`` names those whose images are learned from, every one by default: training and validation see no generated
    image of another, so that the test split tells what a detector makes of generators that it never saw.
    """

    path: str = ""
    layout: str = "auto"
    columns: ManifestColumns = ManifestColumns()
    unlabelled: str = ""
    valid_share: Share = 0.15
    test_share: Share = 0.15
    min_groups: Natural = 20
    groups: Grouping = "layout"
    generators: Annotated[tuple[str, ...], AfterValidator(each_once)] = ()
    max_bad_share: Share = 0.01
    workers: Workers = 0
    memory_mb: Count = 500
    simulate: SimulationSettings | None = None

    @model_validator(mode="after")
    def _some_source(self) -> "DataSettings":
        if not self.path and self.simulate is None:
            raise ValueError(
                "data.path to name a folder of images (--set data.path=FOLDER), or a section [data.simulate]"
            )
        if self.valid_share + self.test_share >= 1:
            raise ValueError(
                "data.valid_share + data.test_share to be below 1, so that images are left to train on"
            )
        return self
