"""The embedded developer's side: load an artifact, give it images, read probabilities. Torch-free."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeGuard, cast, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from deploy.artifact import MODEL_FILES, Manifest, verify
from deploy.cautions import caution_of, cautions_about
from deploy.inputs import ENCODED, ImageLike, as_sized
from deploy.prediction import Prediction, answer_of
from deploy.sessions import EngineOptions, Logits, RequestPool, Session, installed_runtimes, open_session
from deploy.shipped import find_artifact
from distill.errors import EdgeproofError, unknown_name
from distill.forms import Precision
from distill.optional import EXTRAS
from distill.preprocess import Pixels, Policy, PreprocessSpec
from distill.task import task_of_labels

__all__ = ["Detector", "ImageLike", "Prediction"]
_MOST_DECODERS = 8  # enough to keep one inference after another busy


class Detector:
    """A loaded artifact. Threads may share it: each call has buffers of its own while it lasts.

    Attributes:
        manifest: the artifact's verified manifest.
        runtime: ``openvino`` or ``onnxruntime``.
        precision: floating-point precision that the runtime really uses.
        workers: images of a sequence that are judged side by side.
        caution: what to bear in mind with every answer, None if nothing.
    """

    def __init__(
        self,
        *,
        manifest: Manifest,
        runtime: str,
        session: Session,
        workers: int = 1,
        streams: int = 1,
        origin: Path | None = None,
    ) -> None:
        self.manifest = manifest
        self.runtime = runtime
        self.precision = session.precision
        self.workers = workers
        self.caution = caution_of(manifest.data)
        self._streams = streams
        self._origin = origin or manifest.name  # in messages
        self._session = session
        self._requests = RequestPool(session)
        self._task = task_of_labels(manifest.task, manifest.labels)

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        runtime: str | None = None,
        threads: int | None = None,
        precision: Precision | None = None,
        workers: int | None = None,
        cache: Path | str | None = None,
        selftest: bool = False,
        timeout_s: float | None = None,
        public_key: Path | str | None = None,
    ) -> "Detector":
        """Verify every hash in ``folder`` and load its model.

        Args:
            folder: an artifact, or the name of one that comes with the package (:mod:`deploy.shipped`).
            runtime: ``openvino`` or ``onnxruntime``; None takes the first of them that is both installed and
                in the artifact.
            threads: CPU threads in all; None leaves them to the runtime.
            precision: floating-point precision of OpenVINO's layers that are not INT8; None takes BF16 where the manifest
                says so, otherwise FP32.
            workers: images that are judged side by side where there are several, each with its share of the
                threads: the most images a second, where the default gives the first answer soonest. None decodes
                side by side and gives every inference all threads.
            cache: a folder where OpenVINO keeps what it compiled, so that the next process starts sooner.
            selftest: whether it must answer here as it did where it was made, on the artifact's own eight images.
            timeout_s: seconds for one image; the model then runs in processes of its own, one a worker, each ended and
                replaced where it takes longer (:mod:`deploy.bounded`). None runs it in this one.
            public_key: a minisign key, or its file, whose owner must have signed the artifact; None asks for no signature.

        Raises:
            EdgeproofError: a file is missing or altered, no runtime fits, it is not signed, or the self-test fails or checks
                nothing.
        """
        folder = find_artifact(folder, runtime=runtime)
        for name, number in (("threads", threads), ("workers", workers)):
            if number is not None and number < 1:
                raise EdgeproofError(f"{name}: found {number}, expected at least 1")
        manifest = verify(folder, public_key=public_key)
        chosen = _choose(folder, manifest.runtimes, wanted=runtime)
        precision = precision or ("bf16" if manifest.precision == "bf16" else "fp32")
        options = EngineOptions(
            threads=threads, precision=precision, streams=workers or 1, cache=Path(cache) if cache else None
        )
        session = _open(timeout_s)(folder, runtime=chosen, output=manifest.outputs[1], options=options)
        _check_shapes(folder, manifest, session)
        decoders = min(_MOST_DECODERS, threads or os.cpu_count() or 1) if timeout_s is None else 1
        detector = cls(
            manifest=manifest, runtime=chosen, session=session, workers=workers or decoders,
            streams=options.streams, origin=folder,
        )  # fmt: skip
        if selftest:
            from deploy.selftest import check, require_ok

            require_ok(check(detector, folder))
        return detector

    @overload  # a str is one path, though also a sequence
    def predict(self, image: ImageLike, *, policy: Policy | None = None) -> Prediction: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, image: Sequence[ImageLike], *, policy: Policy | None = None) -> list[Prediction]: ...
    def predict(
        self, image: ImageLike | Sequence[ImageLike], *, policy: Policy | None = None
    ) -> Prediction | list[Prediction]:
        """Judge one image or several.

        Args:
            image: a path, an encoded image as bytes or as a file open for reading bytes, a Pillow image, a uint8 or
                uint16 array ``[H, W]``, ``[H, W, 1]``, ``[H, W, 3]`` or ``[H, W, 4]``; or a sequence of any of these
                (an array ``[N, H, W, C]`` counts as one), which returns a list in its order.
            policy: how the image becomes the model's input, instead of the manifest's: ``resize``, ``center_crop`` or
                ``tiles``. The last covers a large photo with up to 64 crops at its own resolution.

        Raises:
            EdgeproofError: an image that cannot be read, an array of another type or shape, no such policy, or a model that
                fails or answers no finite number.
        """
        spec = self.preprocessing(policy)
        if _is_one(image):
            return self._judge(image, spec=spec, name="image")
        named = [(one, f"images[{index}]") for index, one in enumerate(cast(Sequence[ImageLike], image))]
        if len(named) <= self.workers or self.workers == 1:  # threads cost more than they bring
            return [self._judge(one, spec=spec, name=name) for one, name in named]
        from deploy.in_order import in_order  # a fiftieth of a second that one image need not pay

        answers = in_order(
            lambda pair: self._judge(pair[0], spec=spec, name=pair[1]), named, workers=self.workers
        )
        return list(answers)

    def stream(self, images: Iterable[ImageLike], *, policy: Policy | None = None) -> Iterator[Prediction]:
        """Judge images as they come, ``workers`` at a time: answers in their order, a few images held at once.

        Raises:
            EdgeproofError: in the place of the image that cannot be read; nothing comes after it.
        """
        from deploy.in_order import in_order

        spec = self.preprocessing(policy)
        return in_order(lambda one: self._judge(one, spec=spec, name="image"), images, workers=self.workers)

    def run(self, pixels: Pixels) -> Logits:
        """Raw model: uint8 RGB ``[N, S, S, 3]`` at its own size → calibrated logits ``[N]`` or ``[N, K]``.

        Raises:
            EdgeproofError: another dtype or shape, or the model fails.
        """
        expected = self._session.pixels_shape[1:]
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != expected:
            raise EdgeproofError(
                f"pixels: found {pixels.dtype} {list(pixels.shape)}, expected uint8 {['N', *expected]}"
            )
        if self._streams == 1 or len(pixels) < 2 * self._streams:
            return self._infer(pixels)
        from deploy.in_order import in_order

        parts = np.array_split(pixels, self._streams)
        return np.concatenate(list(in_order(self._infer, parts, workers=self._streams)))

    def prepare(self, image: ImageLike, *, spec: PreprocessSpec, name: str) -> tuple[Pixels, tuple[str, ...]]:
        """The first third of :meth:`predict`, for who times or keeps its parts: decode one image and cut its crops.

        Args:
            image: as :meth:`predict` takes it.
            spec: of :meth:`preprocessing`.
            name: of the image, in messages.

        Returns:
            What :meth:`run` takes, uint8 ``[N, S, S, 3]``, and cautions about the image.

        Raises:
            EdgeproofError: it cannot be read.
        """
        rgb, size = as_sized(image, smallest=spec.smallest_decoded, name=name)
        pixels = spec.apply(rgb)
        return pixels, cautions_about(spec, size=size, crops=len(pixels))

    def conclude(self, logits: Logits, *, cautions: tuple[str, ...] = ()) -> Prediction:
        """The last third of :meth:`predict`: logits of :meth:`run` for an image's crops, ``[N]`` or ``[N, K]``, in words.

        Raises:
            EdgeproofError: a logit that is no finite number.
        """
        if not np.isfinite(logits).all():
            raise EdgeproofError(
                f"{self._origin}: the model answers {logits.ravel().tolist()!r:.80}, expected finite numbers"
            )
        return self._prediction(logits.astype(np.float64), cautions=cautions)

    def preprocessing(self, policy: Policy | None = None) -> PreprocessSpec:
        """How an image becomes the model's input by ``policy``, the manifest's own unless given.

        Raises:
            EdgeproofError: no such policy.
        """
        return self.manifest.preprocess.under(policy)

    def probabilities(self, logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Logits of :meth:`run` → probability of *generated* ``[N]``, or of every class ``[N, K]``."""
        return self._task.probabilities(logits)  # the graph has calibrated them

    def generated(self, logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Logits of :meth:`run` → probability of *generated* ``[N]``; raises :class:`EdgeproofError` for K classes."""
        return self._task.generated(self.probabilities(logits))

    def _infer(self, pixels: Pixels) -> Logits:
        """What :meth:`run` promises, in the calling thread alone."""
        logits = np.empty((len(pixels), *self._session.logits_shape[1:]), dtype=np.float32)
        try:
            request = self._requests.take()
            try:
                request.begin()
                for index, image in enumerate(pixels):
                    request.pixels[0] = image
                    request.infer()
                    logits[index] = request.logits[0]
            finally:
                self._requests.give_back(request)
        except EdgeproofError:  # no answer in time
            raise
        except Exception as error:  # both engines raise types of their own C++ layers
            reason = " ".join(str(error).split())[:200]
            raise EdgeproofError(f"{self._origin}: {self.runtime} cannot run the model ({reason})") from error
        return logits

    def _judge(self, image: ImageLike, *, spec: PreprocessSpec, name: str) -> Prediction:
        pixels, cautions = self.prepare(image, spec=spec, name=name)
        return self.conclude(self._infer(pixels), cautions=cautions)

    def _prediction(self, logits: npt.NDArray[np.float64], *, cautions: tuple[str, ...]) -> Prediction:
        """From the logits ``[N]`` or ``[N, K]`` of an image's crops."""
        labels, threshold, logit = self.manifest.labels, self.manifest.threshold, logits.mean(axis=0)
        scores = self.probabilities(logit)
        if threshold is not None:
            probability = float(scores)
            generated = probability >= threshold
            return Prediction(
                probability, float(logit), labels[generated], threshold, generated,
                answer=answer_of(probability, band=self.manifest.band), cautions=cautions,
                spread=self._spread(logits) if len(logits) > 1 else None,
            )  # fmt: skip
        best = int(scores.argmax())
        log_odds = float(logit[best] - np.logaddexp.reduce(np.delete(logit, best)))
        classes = tuple(float(score) for score in scores)
        return Prediction(classes[best], log_odds, labels[best], None, None, classes, cautions=cautions)

    def _spread(self, logits: npt.NDArray[np.float64]) -> tuple[float, float]:
        low, high = self.probabilities([logits.min(), logits.max()])
        return float(low), float(high)


def _is_one(image: object) -> TypeGuard[ImageLike]:
    """Whether it is one image: everything else is a sequence of them."""
    if isinstance(image, np.ndarray):
        return image.ndim != 4
    known = isinstance(image, (str, Path, Image.Image, *ENCODED)) or hasattr(image, "read")
    return known or not isinstance(image, Iterable)


def _open(timeout_s: float | None) -> Callable[..., Session]:
    """What opens a model: in this process, or in others that can be ended."""
    if timeout_s is None:
        return open_session
    from deploy.bounded import BoundedSession  # multiprocessing, which most do without

    return partial(BoundedSession, timeout_s=timeout_s)


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
        ("input", session.pixels_shape, manifest.input.shape),
        (manifest.outputs[1], session.logits_shape, (1, *classes)),
    ):
        if tuple(found) != tuple(expected):
            raise EdgeproofError(
                f"{folder}: the model's {name} is {list(found)}, the manifest says {list(expected)}"
            )
