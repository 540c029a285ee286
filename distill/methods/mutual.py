"""Deep mutual learning: Zhang et al. 2018 (arXiv 1706.00384). Two students teach each other; no teacher."""

from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from distill.data.samples import Sample
from distill.errors import EdgeproofError
from distill.methods.ground_truth import GroundTruth
from distill.methods.kl import as_classes, softened_kl
from distill.methods.method import Method
from distill.methods.objective import Batch, Step
from distill.methods.pair import Pair
from students.output import ModelOutput


def agreement(one: Tensor, other: Tensor, *, temperature: float) -> Tensor:
    """``T² · KL(other ‖ one)`` of logits ``[N]`` or ``[N, K]``, averaged over the batch; the other has no gradient."""
    return softened_kl(as_classes(one), as_classes(other.detach()), temperature=temperature)


class Mutual(Method):
    """A peer of the same architecture, with other first weights, learns beside the student, and each from the other.

    The term holds the student's divergence from the peer, and the peer's whole loss (labels, and its divergence from
    the student). The peer belongs to the objective: it is trained, resumed, and never saved with the student.

    Raises:
        EdgeproofError: nothing is known of how to build another student.
    """

    name = "mutual"
    listens = False

    def __init__(
        self, pair: Pair, *, weight: float = 1.0, temperature: Annotated[float, Field(gt=0)] = 1.0
    ) -> None:
        super().__init__(pair, weight=weight)
        if pair.make_student is None:
            raise EdgeproofError(
                "distillation.methods: mutual trains a second student, found no way to build one; "
                "expected Pair.make_student"
            )
        self.temperature = temperature
        self.truth = GroundTruth()
        self.peer: nn.Module | None = None
        self._make: Callable[[], nn.Module] | None = pair.make_student

    def prepare(self, samples: Sequence[Sample]) -> None:
        """Build the peer: not before, since a recipe's check builds methods too."""
        if self._make is not None:
            self.peer, self._make = self._make(), None

    def loss(self, output: ModelOutput, batch: Batch, step: Step) -> Tensor:
        """Scalar: of both students."""
        if self.peer is None:
            raise RuntimeError("mutual was not prepared")
        said: ModelOutput = self.peer(batch.images)
        own, other = output.logits.float(), said.logits.float()
        taught = agreement(own, other, temperature=self.temperature)
        teaching = agreement(other, own, temperature=self.temperature)
        truth: Tensor = self.truth(said, batch, step)
        return taught + teaching + truth
