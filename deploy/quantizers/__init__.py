"""INT8 quantizers by the name of their tool. Each imports its packages when it is used."""

from deploy.quantizers import inc, nncf, ort
from deploy.quantizers.base import Quantizer
from distill.errors import EdgeproofError, MistakesError
from distill.forms import Runtime
from distill.parts import find_part
from distill.recipe import Recipe

QUANTIZERS: dict[str, Quantizer] = {
    quantizer.name: quantizer for quantizer in (nncf.QUANTIZER, ort.QUANTIZER, inc.QUANTIZER)
}

__all__ = ["QUANTIZERS", "Quantizer", "find_quantizer", "quantizers_of", "runtimes_of"]


def find_quantizer(tool: str) -> Quantizer:
    """The quantizer of a tool, the user's own included (see :mod:`distill.parts`).

    Raises:
        EdgeproofError: an unknown name.
    """
    found = find_part("quantizers", tool, table=QUANTIZERS, kind="quantizer")
    if not isinstance(found, Quantizer):
        raise EdgeproofError(f"quantizer {tool!r}: found {type(found).__name__}, expected a Quantizer")
    return found


def quantizers_of(recipe: Recipe) -> dict[str, Quantizer]:
    """Name of a section ``[quantization.<name>]`` → its quantizer, every setting checked.

    Raises:
        EdgeproofError: unknown tools or settings, all of them, a line each.
    """
    found, problems = {}, []
    for name, section in recipe.quantization.items():
        try:
            found[name] = find_quantizer(section.tool or name)
            found[name].parse(section.settings)
        except EdgeproofError as error:
            problems.append(f"quantization.{name}: {error}")
    if problems:
        raise MistakesError(*problems)
    return found


def runtimes_of(recipe: Recipe) -> dict[str, Runtime]:
    """Name of a section → the runtime that its tool makes models for."""
    return {name: quantizer.runtime for name, quantizer in quantizers_of(recipe).items()}
