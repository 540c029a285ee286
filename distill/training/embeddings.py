"""What a frozen backbone says of images, computed once and kept on disk.

Heads, arms and seeds that share a backbone share the file. It is keyed by the backbone's weights, the preprocessing and the
images, and a file with another key is never used.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from distill.data.pixels import PixelSource
from distill.errors import EdgeproofError
from distill.preprocess import PreprocessSpec
from distill.probe import device_of
from distill.training.batches import BatchDataset, plain_loader
from distill.training.normalize import normalize
from distill.training.tensorfile import create_tensors, open_tensors
from students.embed import Embed

Embeddings = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]
_BATCH = 128


@dataclass(frozen=True)
class EmbeddingKey:
    """What embeddings belong to.

    Attributes:
        backbone: SHA-256 of its modules and weights, see :func:`backbone_hash`.
        spec: how images became its input.
        samples: SHA-256 of the list of samples.
        splits: of it, in order.
    """

    backbone: str
    spec: PreprocessSpec
    samples: str
    splits: tuple[str, ...]

    def text(self) -> str:
        """As the file's header holds it."""
        parts = {
            "backbone": self.backbone,
            "spec": self.spec.model_dump(mode="json"),
            "samples": self.samples,
            "splits": self.splits,
        }
        return json.dumps(parts, sort_keys=True)

    def path(self, folder: Path) -> Path:
        """The file in ``folder``: one for each key."""
        return folder / f"{hashlib.sha256(self.text().encode()).hexdigest()[:16]}.safetensors"


def backbone_hash(student: Embed) -> str:
    """SHA-256 of a backbone's name, modules and tensors."""
    found = hashlib.sha256(f"{student.backbone_name}\n{student.backbone!r}".encode())
    for name, tensor in sorted(student.backbone.state_dict().items()):
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def embed_once(
    student: Embed, pixels: PixelSource, *, key: EmbeddingKey, folder: Path, progress: Progress | None = None
) -> Embeddings:
    """Embeddings float32 ``[N, D]`` of the images as they are: from the file of that key, or computed and kept there."""
    path = key.path(folder)
    if not path.is_file():
        _write(student, pixels, key=key, path=path, progress=progress)
    return read_embeddings(path, key=key)


def read_embeddings(path: Path, *, key: EmbeddingKey) -> Embeddings:
    """What :func:`embed_once` has kept.

    Raises:
        EdgeproofError: a damaged file, or embeddings of another backbone, preprocessing or data set.
    """
    advice = "delete the file to compute them anew"
    try:
        metadata, arrays = open_tensors(path)
    except EdgeproofError as error:
        raise EdgeproofError(f"{error}; {advice}") from None
    found = metadata.get("key")
    if found != key.text():
        raise EdgeproofError(
            f"{path}: embeddings of another backbone, preprocessing or data set: found key {found}, expected {key.text()}; "
            f"{advice}"
        )
    return np.array(arrays["embeddings"])


@torch.inference_mode()
def _write(
    student: Embed, pixels: PixelSource, *, key: EmbeddingKey, path: Path, progress: Progress | None
) -> None:
    student.eval()
    device, total = device_of(student), len(pixels)
    width = student.embed(torch.zeros(1, 3, key.spec.size, key.spec.size, device=device)).shape[1]
    shapes = {"embeddings": ("float32", (total, width))}
    with create_tensors(path, shapes, metadata={"key": key.text()}) as arrays:
        for batch in plain_loader(BatchDataset(pixels), batch_size=_BATCH):
            rows = batch.indices.numpy()
            found = student.embed(normalize(batch.images.to(device), spec=key.spec))
            arrays["embeddings"][rows] = found.float().cpu().numpy()
            if progress:
                progress(int(rows[-1]) + 1, total)
    if not np.isfinite(arrays["embeddings"]).all():
        path.unlink()
        raise EdgeproofError(f"{path}: the backbone gives NaN or infinity, expected finite embeddings")
