"""A network's forward pass through ``torch.compile``; the network itself, and the names of its weights, stay as they are."""

from torch import Tensor, compile, nn

from distill.errors import EdgeproofError
from students.output import ModelOutput

_COMPILERS = ("torch._dynamo", "torch._inductor")


class Compiled:
    """The compiled forward of ``model``, made at its first call.

    Raises:
        EdgeproofError: it cannot be compiled here, most likely for want of a C++ compiler.
    """

    def __init__(self, model: nn.Module) -> None:
        self._forward = compile(model)

    def __call__(self, images: Tensor) -> ModelOutput:
        """Normalized ``[N, 3, H, W]`` → what the network says."""
        try:
            output: ModelOutput = self._forward(images)
        except Exception as error:
            if not type(error).__module__.startswith(_COMPILERS):
                raise
            reason = str(error).strip().partition("\n")[0]
            raise EdgeproofError(
                f"training.compile: given true, but torch.compile failed ({type(error).__name__}: {reason}); "
                "expected a C++ compiler (g++ or clang++), or training.compile = false"
            ) from error
        return output
