"""The embedded developer's side: load an artifact, give it images, read probabilities. Torch-free."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from deploy.artifact import MODEL_FILES, Manifest, verify
from deploy.sessions import Logits, Session, installed_runtimes, open_session
from distill.errors import EdgeproofError, unknown_name
from distill.optional import EXTRAS
from distill.preprocess import Pixels, read_image, to_rgb
from distill.roster import Precision
from distill.task import task_of_labels

ImageLike = str | Path | Image.Image | npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Prediction:
    """What the detector says about one image.

    Attributes:
        probability: calibrated probability that the image is generated, in [0, 1]; of K classes that of ``label``.
        logit: its log-odds; from the mean over the crops where the policy is ``tiles``.
        label: the manifest's label; of K classes the likeliest.
        threshold: the artifact's frozen threshold; None for K classes.
        generated: the verdict, ``probability >= threshold``; None for K classes.
        probabilities: K classes only, in the order of the manifest's labels.
    """

    probability: float
    logit: float
    label: str
    threshold: float | None
    generated: bool | None
    probabilities: tuple[float, ...] | None = None


class Detector:
    """A loaded artifact. It reuses its buffers, so it is not thread-safe: give every thread its own.

    Attributes:
        manifest: the artifact's verified manifest.
        runtime: ``openvino`` or ``onnxruntime``.
        precision: floating-point precision that the runtime really uses.
    """

    def __init__(self, *, manifest: Manifest, runtime: str, session: Session) -> None:
        self.manifest = manifest
        self.runtime = runtime
        self.precision = session.precision
        self._session = session
        self._task = task_of_labels(manifest.task, manifest.labels)

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        runtime: str | None = None,
        threads: int | None = None,
        precision: Precision | None = None,
    ) -> "Detector":
        """Verify every hash in ``folder`` and load its model.

        Args:
            folder: an artifact.
            runtime: ``openvino`` or ``onnxruntime``; None takes the first of them that is both installed and
                in the artifact.
            threads: CPU threads of one inference; None leaves it to the runtime.
            precision: floating-point precision of OpenVINO's layers that are not INT8; None takes BF16 where the manifest
                says so, otherwise FP32.

        Raises:
            EdgeproofError: a file is missing or altered, or no runtime fits.
        """
        folder = Path(folder)
        if threads is not None and threads < 1:
            raise EdgeproofError(f"threads: found {threads}, expected at least 1")
        manifest = verify(folder)
        chosen = _choose(folder, manifest.runtimes, wanted=runtime)
        precision = precision or ("bf16" if manifest.precision == "bf16" else "fp32")
        session = open_session(
            folder, runtime=chosen, output=manifest.outputs[1], threads=threads, precision=precision
        )
        _check_shapes(folder, manifest, session)
        return cls(manifest=manifest, runtime=chosen, session=session)

    @overload  # a str is one path, though also a sequence
    def predict(self, image: ImageLike) -> Prediction: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, image: Sequence[ImageLike]) -> list[Prediction]: ...
    def predict(self, image: ImageLike | Sequence[ImageLike]) -> Prediction | list[Prediction]:
        """Judge one image or several.

        Args:
            image: a path, a Pillow image, a uint8 RGB array ``[H, W, 3]``; or a sequence of these (a uint8
                array ``[N, H, W, 3]`` counts as one), which returns a list.

        Raises:
            EdgeproofError: an image that cannot be read, or an array of another type or shape.
        """
        if isinstance(image, str | Path | Image.Image):
            return self._judge([image])[0]
        if isinstance(image, np.ndarray) and image.ndim != 4:
            return self._judge([image])[0]
        return self._judge(list(image))

    def run(self, pixels: Pixels) -> Logits:
        """Raw model: uint8 RGB ``[N, S, S, 3]`` at its own size → calibrated logits ``[N]`` or ``[N, K]``.

        Raises:
            EdgeproofError: another dtype or shape.
        """
        expected = self._session.pixels.shape[1:]
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != expected:
            raise EdgeproofError(
                f"pixels: found {pixels.dtype} {list(pixels.shape)}, expected uint8 {['N', *expected]}"
            )
        logits = np.empty((len(pixels), *self._session.logits.shape[1:]), dtype=np.float32)
        for index, image in enumerate(pixels):
            self._session.pixels[0] = image
            self._session.infer()
            logits[index] = self._session.logits[0]
        return logits

    def probabilities(self, logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Logits of :meth:`run` → probability of *generated* ``[N]``, or of every class ``[N, K]``."""
        return self._task.probabilities(logits)  # the graph has calibrated them

    def generated(self, logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Logits of :meth:`run` → probability of *generated* ``[N]``; raises :class:`EdgeproofError` for K classes."""
        return self._task.generated(self.probabilities(logits))

    def _judge(self, images: list[ImageLike]) -> list[Prediction]:
        spec, predictions = self.manifest.preprocess, []
        for image in images:
            logits = self.run(spec.apply(as_rgb(image, smallest=spec.smallest_decoded)))
            predictions.append(self._prediction(logits.astype(np.float64).mean(axis=0)))
        return predictions

    def _prediction(self, logit: npt.NDArray[np.float64]) -> Prediction:
        labels, threshold = self.manifest.labels, self.manifest.threshold
        scores = self.probabilities(logit)
        if threshold is not None:
            probability = float(scores)
            generated = probability >= threshold
            return Prediction(probability, float(logit), labels[generated], threshold, generated)
        best = int(scores.argmax())
        log_odds = float(logit[best] - np.logaddexp.reduce(np.delete(logit, best)))
        classes = tuple(float(score) for score in scores)
        return Prediction(classes[best], log_odds, labels[best], None, None, classes)


def _choose(folder: Path, present: tuple[str, ...], *, wanted: str | None) -> str:
    if wanted is not None and wanted not in MODEL_FILES:
        raise unknown_name(kind="runtime", given=wanted, choices=MODEL_FILES)
    installed = installed_runtimes()
    usable = [name for name in present if name in installed and wanted in {None, name}]
    if usable:
        return usable[0]
    asked = f"runtime {wanted} was asked for, " if wanted else ""
    missing = [name for name in present if name not in installed and wanted in {None, name}]
    remedy = f"; pip install 'edgeproof[{EXTRAS[missing[0]]}]'" if missing else ""
    raise EdgeproofError(
        f"{folder}: {asked}the artifact holds models for {', '.join(present)}, "
        f"installed here: {', '.join(installed) or 'none'}{remedy}"
    )


def _check_shapes(folder: Path, manifest: Manifest, session: Session) -> None:
    classes = () if manifest.task == "binary" else (len(manifest.labels),)
    for name, found, expected in (
        ("input", session.pixels.shape, manifest.input.shape),
        (manifest.outputs[1], session.logits.shape, (1, *classes)),
    ):
        if tuple(found) != tuple(expected):
            raise EdgeproofError(
                f"{folder}: the model's {name} is {list(found)}, the manifest says {list(expected)}"
            )


def as_rgb(image: ImageLike, *, smallest: int = 0) -> Image.Image:
    """An image in any form that :meth:`Detector.predict` takes, as upright RGB; see ``distill.preprocess.read_image``."""
    if isinstance(image, str | Path):
        return read_image(image, smallest=smallest)
    if isinstance(image, Image.Image):
        return to_rgb(image)
    if not isinstance(image, np.ndarray):
        raise EdgeproofError(
            f"image: found {type(image).__name__}, expected a path, a Pillow image or a uint8 array [H, W, 3]"
        )
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise EdgeproofError(
            f"image: found an array {image.dtype} {list(image.shape)}, expected uint8 RGB [H, W, 3]"
        )
    return Image.fromarray(np.ascontiguousarray(image))
