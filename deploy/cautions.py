"""What to bear in mind with an answer: an image or a model far from what the answer is asked for. Torch-free."""

from distill.preprocess import PreprocessSpec

SIMULATED = (
    "the model was trained on simulated images only, and its answer is no evidence about a real photograph"
)
_MUCH = 4  # times a side is shrunk, or is longer than what is looked at


def caution_of(data: str) -> str | None:
    """About a model, from what its manifest calls the data that it learned from."""
    return SIMULATED if data == "simulated" else None


def cautions_about(spec: PreprocessSpec, *, size: tuple[int, int], crops: int) -> tuple[str, ...]:
    """About an image of ``size`` (width, height) of which ``crops`` squares went into the model."""
    found: list[str] = []
    width, height = size
    if width < spec.size or height < spec.size:
        found.append(f"{_by(width, height)} pixels were enlarged to the model's {_by(spec.size, spec.size)}")
    if spec.policy == "resize":
        if (times := max(width, height) / spec.size) > _MUCH:
            found.append(
                f"{_by(width, height)} pixels were shrunk {times:.1f} times, which hides fine traces; try policy tiles"
            )
    elif (seen := crops * spec.size**2 / (width * height)) < 1 / _MUCH**2:
        remedy = "; try policy tiles" if spec.policy == "center_crop" else ""
        squares = (
            f"{'one square' if crops == 1 else f'{crops} squares'} of {_by(spec.size, spec.size)} pixels"
        )
        found.append(f"{squares}, {100 * seen:.2g} % of {_by(width, height)}, were looked at{remedy}")
    return tuple(found)


def _by(width: int, height: int) -> str:
    return f"{width}x{height}"
