"""What the service takes and answers, as OpenAPI shows it."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from distill.record import Frozen

State = Literal["queued", "running", "done", "failed", "cancelled"]


class Form(Frozen):
    """A form of the interface: complete when it is imported, since FastAPI reads it."""

    model_config = ConfigDict(defer_build=False)


class Explanation(Form):
    """What an answer hangs on, by occlusion: ``peak`` is (x, y) in the model's pixels.

    ``png`` is a picture in base64, the image as the model saw it and the same under the map: red speaks for *generated*.
    """

    method: str
    peak: tuple[int, int]
    strongest: float
    png: str


class Judged(Form):
    """One image. ``verdict`` is ``real``, ``generated`` or ``not sure``, of K classes the likeliest one's name.

    Where the image could not be read, ``error`` says why and nothing else is told.
    """

    name: str
    verdict: str | None = None
    probability: float | None = None
    threshold: float | None = None
    probabilities: dict[str, float] | None = None
    cautions: tuple[str, ...] = ()
    explanation: Explanation | None = None
    error: str | None = None


class ModelName(Form):
    """Which artifact answered: its name, and the SHA-256 of its manifest, which holds that of every file."""

    name: str
    sha256: str


class Answer(Form):
    """All images of a request, in their order, and the seconds that they took."""

    model: ModelName
    images: tuple[Judged, ...]
    seconds: float

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "model": {"name": "photos-128", "sha256": "0b4e…"},
                "images": [
                    {
                        "name": "photo.jpg", "verdict": "not sure", "probability": 0.41, "threshold": 0.44,
                        "probabilities": None, "explanation": None, "error": None,
                        "cautions": ["the model was trained on simulated images only, and its answer is no evidence"],
                    }
                ],
                "seconds": 0.0021,
            }
        }
    )  # fmt: skip


class Choice(Form):
    """The model to answer with from now on."""

    model: Annotated[str, Field(examples=["photos-128"])]


class ModelRow(Form):
    """One artifact in brief."""

    name: str
    active: bool
    architecture: str
    task: str
    precision: str
    runtimes: tuple[str, ...]
    size: int
    data: str


class Models(Form):
    """Every artifact that can answer."""

    active: str
    models: tuple[ModelRow, ...]


class ModelPage(Form):
    """One artifact in full: its manifest, its card in Markdown, and its rows of the run's bench, where there are any."""

    name: str
    active: bool
    sha256: str
    manifest: dict[str, Any]
    card: str | None
    bench: tuple[dict[str, Any], ...]


class FitRequest(Form):
    """A training: a shipped recipe by ``recipe``, or a whole one in ``toml``; ``data`` lies below the data folder."""

    recipe: Annotated[str | None, Field(examples=["own"])] = None
    toml: Annotated[str | None, Field(max_length=2**18)] = None
    data: Annotated[str | None, Field(examples=["cats"])] = None
    overrides: Annotated[
        tuple[Annotated[str, Field(max_length=2**14)], ...],
        Field(max_length=200, examples=[["training.seeds=[0]"]]),
    ] = ()


class Job(Form):
    """A training, or the exploring of a data set.

    Attributes:
        id: its name, and that of its run.
        kind: ``fit`` or ``eda``.
        state: where it is.
        created: seconds since 1970; so are ``started`` and ``ended``.
        progress: share of the work, 0 to 1.
        seconds_left: reckoned.
        at_work: what is being done.
        passed: whether every gate passed; None until it is done.
        message: why it failed, or which gates did.
        log: the last lines that it wrote.
        report: where its page is, once there is one.
    """

    id: str
    kind: Literal["fit", "eda"]
    state: State
    created: float
    started: float | None = None
    ended: float | None = None
    progress: float | None = None
    seconds_left: float | None = None
    at_work: str = ""
    passed: bool | None = None
    message: str = ""
    log: tuple[str, ...] = ()
    report: str | None = None


class Jobs(Form):
    """Every job, the newest first."""

    jobs: tuple[Job, ...]


class Tensor(Form):
    """A tensor of the Open Inference Protocol."""

    name: Annotated[str, Field(max_length=64)]
    shape: Annotated[tuple[int, ...], Field(max_length=8)]
    datatype: Annotated[str, Field(max_length=64)]
    data: Any = None
    parameters: dict[str, Any] | None = None


class InferRequest(Form):
    """``image``: UINT8 ``[N, S, S, 3]`` in RGB; or BYTES ``[N]``, encoded photographs in base64."""

    id: str | None = None
    inputs: Annotated[tuple[Tensor, ...], Field(min_length=1, max_length=1)]
    outputs: Annotated[tuple[dict[str, Any], ...], Field(max_length=8)] | None = None
    parameters: dict[str, Any] | None = None
