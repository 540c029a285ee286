"""Teachers as a source of what students learn: asked once and kept on disk, or asked at every step.

A cache is keyed by teacher, data and view: crop, flip and augmentation. The views' augmentations are stored with the
outputs, and a file with another key is never used.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from distill.data.transforms.settings import AugmentationSettings
from distill.errors import EdgeproofError
from distill.preprocess import PreprocessSpec
from distill.probe import ATTENTION, BOX_LOGITS, BOXES
from distill.training.normalize import normalize
from distill.training.tensorfile import open_tensors
from distill.training.views import Views
from students.output import ModelOutput

Rows = npt.NDArray[np.int64]
_FEATURE = "feature."


@dataclass(frozen=True)
class CacheKey:
    """What cached outputs belong to.

    Attributes:
        teacher: SHA-256 of its weights.
        samples: SHA-256 of the list of samples.
        spec: how images became its input.
        views: of every image.
        augmentation: what degraded them; None where the teacher saw them clean.
        features: names of what else is kept, as :func:`pick` knows them.
    """

    teacher: str
    samples: str
    spec: PreprocessSpec
    views: Views
    augmentation: AugmentationSettings | None
    features: tuple[str, ...]

    def text(self) -> str:
        """As the file's header holds it."""
        parts = {
            "teacher": self.teacher,
            "samples": self.samples,
            "spec": self.spec.model_dump(mode="json"),
            "views": asdict(self.views),
            "augmentation": self.augmentation and self.augmentation.model_dump(mode="json"),
            "features": self.features,
        }
        return json.dumps(parts, sort_keys=True)


class Cached:
    """What a teacher said of every training image in every view, read through memory mapping.

    Processes share the file's pages; a copy sent to another process is opened there anew.

    Args:
        path: the file that :class:`CacheWriter` wrote.
        key: what it must belong to.
        reads: names of what is read beside the logits; everything that is kept unless given.

    Raises:
        EdgeproofError: a damaged file, or outputs of another teacher, data set or view.
    """

    def __init__(self, path: Path, *, key: CacheKey, reads: tuple[str, ...] | None = None) -> None:
        self.path, self.key = path, key
        self.reads = key.features if reads is None else reads
        self._open()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "key": self.key, "reads": self.reads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def outputs(self, indices: Rows, numbers: Rows) -> ModelOutput:
        """Logits float32 ``[N]`` or ``[N, K]`` and what else was asked for, in float16, of the views ``numbers``."""
        numbers = numbers % self._logits.shape[1]
        features = {name: _tensor(values[indices, numbers]) for name, values in self._features.items()}
        return ModelOutput(logits=_tensor(self._logits[indices, numbers]), features=features)

    def clean(self, indices: Rows) -> npt.NDArray[np.float32]:
        """Logits ``[N]`` or ``[N, K]`` of the images as they are."""
        found: npt.NDArray[np.float32] = np.array(self._clean[indices, 0])
        return found

    def _open(self) -> None:
        advice = "delete the file to ask the teacher anew"
        try:
            metadata, arrays = open_tensors(self.path)
        except EdgeproofError as error:
            raise EdgeproofError(f"{error}; {advice}") from None
        if metadata.get("key") != self.key.text():
            raise EdgeproofError(
                f"{self.path}: outputs of another teacher, data set or view: found key {metadata.get('key')}, "
                f"expected {self.key.text()}; {advice}"
            )
        self._logits = arrays["logits"]
        self._clean = arrays.get("clean", self._logits)
        self._features = {name: arrays[_FEATURE + name] for name in self.reads}


class Online:
    """A frozen teacher that is asked at every step.

    Args:
        module: the teacher.
        spec: how images become its input.
        features: names of what is read beside the logits, as :func:`pick` knows them.
    """

    def __init__(self, module: nn.Module, *, spec: PreprocessSpec, features: Sequence[str]) -> None:
        self.module, self.spec, self.features = freeze(module), spec, tuple(features)

    def to(self, device: torch.device) -> None:
        """Move it."""
        self.module.to(device)

    @torch.no_grad()
    def outputs(self, images: Tensor) -> ModelOutput:
        """``uint8 [N, H, W, 3]`` → what it says, in FP32 as a cache would hold it."""
        with torch.autocast(images.device.type, enabled=False):
            said = self.module(normalize(images, spec=self.spec))
        return ModelOutput(logits=said.logits, features=pick(said, self.features))


def pick(said: ModelOutput, names: Sequence[str]) -> dict[str, Tensor]:
    """The named things among what a network said, whether its answers are kept or used at once.

    A name is a feature map's (``[N, C, H, W]``), ``attention.<level>`` (``[N, 1, h, w]``), ``boxes`` (``[N, 4]``) or
    ``box_logits`` (``[N]``). All of them arrive in ``features`` of what methods get to see of a teacher.

    Raises:
        KeyError: a name of nothing that it said.
    """
    attention = {ATTENTION + level: value for level, value in (said.attention or {}).items()}
    boxes = {BOXES: said.boxes, BOX_LOGITS: said.box_logits}
    found = {**boxes, **attention, **said.features}
    return {name: value for name in names if (value := found[name]) is not None}


def freeze(module: nn.Module) -> nn.Module:
    """Evaluation mode, and no gradients: what a teacher is while others learn from it."""
    return module.eval().requires_grad_(False)


def _tensor(array: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
