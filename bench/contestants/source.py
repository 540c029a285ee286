"""An artifact as a contestant that any process can make: what to load, and how to call it. Torch-free.

Scope ``model`` is the engine alone on uint8 pixels that are bound to it, as a program in C would call it; ``end_to_end``
starts from JPEG bytes: decoding, preprocessing, the network, the calibrated verdict.
"""

import io
import tempfile
from itertools import cycle
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import ConfigDict

from bench.contestants.batched import write_batched
from bench.records.latency import Scope
from deploy.artifact import verify
from deploy.runtime import Detector
from deploy.sessions import EngineOptions, Session, open_session
from deploy.timing import Runner
from distill.errors import EdgeproofError
from distill.forms import Precision, Runtime
from distill.preprocess import Pixels, decode_image
from distill.record import Frozen


class ArtifactSource(Frozen):
    """One artifact in one runtime, precision and scope.

    Attributes:
        folder: the artifact. Its hashes are checked when it is made.
        runtime: whose model is run.
        precision: of the row; layers that are not INT8 compute in BF16 if it says so, otherwise in FP32.
        threads: CPU threads of one inference.
        batch: images of one call; more than one only of scope ``model``.
        scope: what one call is.
        photos: JPEG files' bytes for ``end_to_end``, taken in turn.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    folder: Path
    runtime: Runtime
    precision: Precision
    threads: int
    batch: int = 1
    scope: Scope = "model"
    photos: tuple[bytes, ...] = ()

    def make(self) -> Runner:
        """Load it and return what one call is.

        Raises:
            EdgeproofError: an altered file, a runtime that is missing or refuses the model, another precision than asked for.
        """
        return self._end_to_end() if self.scope == "end_to_end" else self._model()

    def _model(self) -> Runner:
        manifest = verify(self.folder)
        # FP32 is named outright: left alone, OpenVINO computes in bf16 on a CPU with AMX.
        options = EngineOptions(threads=self.threads, precision=self._floats)
        output = manifest.outputs[1]
        if self.batch == 1:
            session = open_session(self.folder, runtime=self.runtime, output=output, options=options)
        else:
            with tempfile.TemporaryDirectory(prefix="edgeproof-") as temporary:
                fresh = Path(temporary, "batched")
                write_batched(self.folder, manifest, runtime=self.runtime, batch=self.batch, out=fresh)
                session = open_session(fresh, runtime=self.runtime, output=output, options=options)
        self._check_precision(session.precision)
        return _bound(session)

    def _end_to_end(self) -> Runner:
        detector = Detector.load(
            self.folder, runtime=self.runtime, threads=self.threads, precision=self._floats
        )
        self._check_precision(detector.precision)
        turn, smallest = cycle(self.photos), detector.manifest.preprocess.smallest_decoded
        return lambda: detector.predict(decode_image(io.BytesIO(next(turn)), name="photo", smallest=smallest))

    @property
    def _floats(self) -> Precision:
        return "bf16" if self.precision == "bf16" else "fp32"

    def _check_precision(self, found: str) -> None:
        if found != self._floats:
            raise EdgeproofError(f"the runtime computes in {found}, although {self._floats} was asked for")


def sample_jpeg(*, size: int = 256, seed: int = 0) -> bytes:
    """A made-up photo, ``size`` × ``size``: smooth noise at JPEG quality 90, the same for the same seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=90)
    return buffer.getvalue()


def sample_pixels(size: int, *, batch: int = 1, seed: int = 0) -> Pixels:
    """Noise, uint8 ``[batch, size, size, 3]``."""
    return np.random.default_rng(seed).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)


def _bound(session: Session) -> Runner:
    """The engine's call itself, on pixels that are bound to it once: nothing of ours is timed."""
    request = session.request()
    batch, size = session.pixels_shape[:2]
    request.pixels[:] = sample_pixels(size, batch=batch)
    return request.infer
