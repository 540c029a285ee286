"""What a recipe says of its task. Torch-free and light: recipes import it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, SerializerFunctionWrapHandler, model_serializer, model_validator

from distill.data.simulate.settings import SimulationSettings
from distill.section import Section

REAL_LABEL = "real"


def _one_folder(name: str) -> str:
    if not name.strip() or not name.isprintable() or {"/", "\\"} & set(name) or name.startswith("."):
        raise ValueError("a name that a folder may have")
    return name


Label = Annotated[str, AfterValidator(_one_folder)]


class TaskSettings(Section):
    """What models answer; a bare word is its ``kind``.

    ``binary`` is real or generated, with one logit. ``multiclass`` is one of K ``labels``. ``families`` learns from
    ``labels`` "real" and then generator families (subclasses), and is judged as ``binary`` is; a simulated set names its
    families itself.
    """

    kind: Literal["binary", "multiclass", "families"] = "binary"
    labels: tuple[Label, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _bare_word(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _labels_fit(self) -> "TaskSettings":
        labels = self.labels
        if len(set(labels)) != len(labels):
            twice = next(name for name in labels if labels.count(name) > 1)
            raise ValueError(f"labels that stand only once, not {twice!r} twice")
        if self.kind == "binary" and labels:
            raise ValueError('no labels for the kind "binary", or another kind')
        if self.kind == "multiclass" and len(labels) < 2:
            raise ValueError(
                'at least 2 labels for the kind "multiclass", such as labels = ["cat", "dog", "bird"]'
            )
        if self.kind == "families" and (len(labels) < 2 or labels[0] != REAL_LABEL):
            raise ValueError(
                f'labels that begin with "{REAL_LABEL}" and go on with generators for the kind "families", such as '
                'labels = ["real", "gan", "diffusion"]'
            )
        return self

    @model_serializer(mode="wrap")
    def _as_it_may_be_written(self, dump: SerializerFunctionWrapHandler) -> Any:
        return self.kind if self.kind == "binary" else dump(self)


def with_families(values: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's values, with the labels of ``families`` that its simulated set names where it states none itself."""
    task, data = values.get("task"), values.get("data")
    kind, labels = (task, ()) if isinstance(task, str) else (_of(task, "kind"), _of(task, "labels"))
    simulated = _of(data, "simulate")
    if kind != "families" or labels or simulated is None or _of(data, "path"):
        return dict(values)
    families = _of(simulated, "families") or SimulationSettings.model_fields["families"].default
    return {**values, "task": {"kind": kind, "labels": [REAL_LABEL, *families]}}


def _of(section: Any, name: str) -> Any:
    return section.get(name) if isinstance(section, Mapping) else getattr(section, name, None)
