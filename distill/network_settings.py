"""A recipe's sections of networks: teachers and students. Torch-free."""

from typing import Any, Literal

from pydantic import model_validator

from distill.data_settings import DataSettings
from distill.preprocess import PreprocessSpec
from distill.pretrained import black_box, resolve_shipped
from distill.section import NonNegative, Seed
from distill.training.settings import LossSettings, Schedule


class ModelSettings(Schedule):
    """One network: ``name`` is an architecture's, or ``module:factory`` for a module of the user's own.

    ``options`` go to the architecture. ``layers`` names the submodules of a plain module whose outputs are its
    features (see :func:`distill.wrap.wrap`).
    """

    name: str
    options: dict[str, Any] = {}
    layers: tuple[str, ...] = ()


class TeacherSettings(ModelSettings):
    """A large model. ``name`` may also be that of shipped weights, whose architecture and preprocessing are then its own.

    ``weights`` names a checkpoint (``.safetensors``, ``.pt``, ``.pth``, ``.ckpt``), or shipped ones, to use instead of
    training one. Of a head with two classes, ``generated_class`` is the output that means generated: by default the second,
    as in labels in the order real, generated. With ``fine_tune`` they are where its training on the run's images begins,
    for ``epochs`` more. Finished weights of ``timm:<name>`` see images as timm says, unless
    ``preprocess`` says otherwise. ``predictions`` names a table of a black box's probabilities instead of a network: it is
    asked about images as they are, alone, and is neither exported nor timed.

    ``data`` are labelled images of its own to learn from, which students never see; it is judged on the run's.
    ``preprocess`` is its own where it sees more of an image than the student, ``sees`` "clean" shows it the image
    before augmentation. ``source`` "cached" asks it once for every view, "online" at every step.

    ``learns_from`` names another teacher from whom it learns, by the recipe's methods, before it teaches: a teaching
    assistant (Mirzadeh et al. 2019, arXiv 1902.03393).
    """

    name: str = "efficientnet_fpn_cbam"
    weights: str = ""
    predictions: str = ""
    fine_tune: bool = False
    generated_class: Literal[0, 1] = 1
    data: DataSettings | None = None
    box_weight: NonNegative = 0.2
    preprocess: PreprocessSpec | None = None
    source: Literal["cached", "online"] = "cached"
    sees: Literal["view", "clean"] = "view"
    learns_from: str = ""

    @property
    def finished(self) -> bool:
        """Whether its weights are taken as they are."""
        return bool(self.weights) and not self.fine_tune

    @model_validator(mode="before")
    @classmethod
    def _shipped(cls, values: Any) -> Any:
        return resolve_shipped(black_box(values)) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _fine_tuned_from_something(self) -> "TeacherSettings":
        if self.fine_tune and not self.weights:
            raise ValueError("weights to begin from beside fine_tune, or the name of shipped ones")
        return self

    @model_validator(mode="after")
    def _one_source_of_answers(self) -> "TeacherSettings":
        if not self.predictions:
            return self
        for key, given in (("weights", self.weights), ("data", self.data), ("learns_from", self.learns_from)):
            if given:
                raise ValueError(
                    f"{key} beside predictions: a black box is neither trained nor loaded; expected one"
                )
        if self.source == "online":
            raise ValueError(
                'source = "cached" beside predictions: a black box is not here to be asked at every step'
            )
        if self.sees == "view":
            raise ValueError('sees = "clean" beside predictions: a black box said nothing of augmented views')
        return self


class StudentSettings(ModelSettings):
    """One small model; ``seeds`` and ``loss`` are its own if not those of all. Without ``int8`` the quantizers leave it out.

    An ``optional`` one that cannot be made (no weights to be had, too few images for a head, an operator that a runtime
    lacks) is left out with its reason, and the others go on.
    """

    seeds: tuple[Seed, ...] = ()
    int8: bool = True
    loss: LossSettings | None = None
    optional: bool = False
