"""What a recipe may do to training images so that detectors survive the wild. Torch-free and light."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

_DEFAULT = {
    "jpeg": (40.0, 100.0), "webp": (40.0, 100.0), "blur": (0.2, 2.0), "resize": (0.4, 1.0), "noise": (0.0, 0.04),
    "colour": (0.0, 0.2), "cutout": (0.02, 0.2),
}  # fmt: skip
_ALLOWED = {
    "jpeg": (1.0, 100.0), "webp": (1.0, 100.0), "blur": (0.0, 20.0), "resize": (0.05, 1.0), "noise": (0.0, 1.0),
    "colour": (0.0, 1.0), "cutout": (0.0, 0.9),
}  # fmt: skip


class Augmentation(BaseModel):
    """One augmentation: how often, and between which strengths (drawn uniformly)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    probability: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    range: tuple[float, float] = (0.0, 0.0)


def _off(name: str) -> Augmentation:
    return Augmentation(range=_DEFAULT[name])


class AugmentationSettings(BaseModel):
    """Augmentations of training images, in this order, all off unless given a probability; never in evaluation.

    Attributes:
        resize: factor by which the image is made smaller and then enlarged again.
        blur: sigma of a Gaussian, in pixels of the model's input.
        colour: largest relative change of brightness, contrast and saturation.
        noise: standard deviation of Gaussian noise, 1 = white.
        cutout: share of the area that one grey rectangle hides.
        jpeg: quality of a JPEG round trip.
        webp: quality of a WebP round trip.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resize: Augmentation = _off("resize")
    blur: Augmentation = _off("blur")
    colour: Augmentation = _off("colour")
    noise: Augmentation = _off("noise")
    cutout: Augmentation = _off("cutout")
    jpeg: Augmentation = _off("jpeg")
    webp: Augmentation = _off("webp")

    @field_validator("*", mode="before")
    @classmethod
    def _with_default_range(cls, value: Any, info: ValidationInfo) -> Any:
        return {"range": _DEFAULT[str(info.field_name)], **value} if isinstance(value, dict) else value

    @field_validator("*")
    @classmethod
    def _within_limits(cls, value: Augmentation, info: ValidationInfo) -> Augmentation:
        (low, high), (least, most) = value.range, _ALLOWED[str(info.field_name)]
        if not least <= low <= high <= most:
            raise ValueError(f"a range [low, high] within {least:g} to {most:g}")
        return value

    @property
    def active(self) -> dict[str, Augmentation]:
        """Name → augmentation of those that have a probability, in order of application."""
        every: dict[str, Augmentation] = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: item for name, item in every.items() if item.probability}
