"""A network with its objectives, as Lightning trains it: the step, the validation, the optimizer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn

from distill.data.samples import Sample
from distill.errors import EdgeproofError
from distill.methods.method import Method
from distill.methods.objective import Batch, Objective, Step
from distill.preprocess import PreprocessSpec
from distill.task import Task
from distill.training.average import Average
from distill.training.compiled import Compiled
from distill.training.finite import Bad, FiniteWatch
from distill.training.head import Backbone
from distill.training.layer_decay import layer_scales
from distill.training.mixup import draw_mix, mix_batch
from distill.training.normalize import normalize
from distill.training.optimizer import make_optimizer, rate
from distill.training.settings import Schedule
from distill.training.teachers import Online

_NAMED_IMAGES = 3


class Trainable(lightning.LightningModule):
    """A model and its objectives; a student alone differs from the distilled one in the objectives alone.

    Args:
        model: the network.
        task: what it answers.
        objectives: whose sum is minimised.
        schedule: how long, how fast and with what.
        spec: how images become its input.
        online: teachers that are asked at every step.
        samples: the training images, to name those of a bad batch.
        folder: of the training, for messages.
        seed: of what is drawn in a step.
        compiled: run the training steps through ``torch.compile``.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        task: Task,
        objectives: Sequence[Objective],
        schedule: Schedule,
        spec: PreprocessSpec,
        online: Mapping[str, Online] | None = None,
        samples: Sequence[Sample] = (),
        folder: Path = Path(),
        seed: int = 0,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.average = Average(model, decay=schedule.ema) if schedule.ema else None
        self.task = task
        self.objectives = nn.ModuleList(objectives)
        self.schedule = schedule
        self.spec = spec
        self.online = dict(online or {})  # no submodules: they are neither trained nor saved
        self.samples, self.folder, self.seed, self.compiled = samples, folder, seed, compiled
        self.valid_outputs: list[tuple[Tensor, Tensor]] = []
        self.parts: dict[str, Tensor] = {}
        self.steps = 0
        self.total_steps = 1
        self._watch = FiniteWatch()
        self._backbone: Backbone | None = None
        self._compiled: Compiled | None = None

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and saved: the average, where there is one."""
        return self.average.module if self.average else self.model

    def training_step(self, batch: Batch, number: int) -> Tensor:
        """Sum of the objectives; their means over the epoch go to the history.

        Raises:
            EdgeproofError: a loss that is not finite; names the batch.
        """
        step = Step(self.current_epoch, self.schedule.epochs, self.global_step, self.total_steps)
        batch = self._taught(batch, number, step)
        output = (self._compiled or self.model)(batch.images)
        losses: list[tuple[str, Tensor]] = [
            (str(each.name), each(output, batch, step)) for each in self.objectives
        ]
        self._stop_at(self._watch.add(number, indices=batch.indices, losses=losses))
        for name, value in losses:  # names may repeat: two hints
            self.parts[name] = self.parts.get(name, torch.zeros((), device=value.device)) + value.detach()
        self.steps += 1
        return torch.stack([value for _, value in losses]).sum()

    def _taught(self, batch: Batch, number: int, step: Step) -> Batch:
        """The batch as networks take it, with what the teachers that are asked now say of it."""
        if self.schedule.mixup:
            key = [self.seed, self.current_epoch, number, self.global_rank]
            random = np.random.default_rng(key)
            batch = mix_batch(batch, draw_mix(batch.labels, alpha=self.schedule.mixup, random=random))
        said = {
            name: teacher.outputs(batch.views.get(name, batch.images))
            for name, teacher in self.online.items()
            if name not in self._unheard(step)
        }
        return batch._replace(
            images=normalize(batch.images, spec=self.spec), teachers={**batch.teachers, **said}, views={}
        )

    def _unheard(self, step: Step) -> set[str]:
        """The teachers to whom nobody listens any more: asking them would cost time for nothing."""
        methods = [each for each in self.objectives if isinstance(each, Method)]
        heard = {name for method in methods if method.active(step) for name in method.teachers}
        return {name for method in methods for name in method.teachers} - heard

    def on_fit_start(self) -> None:
        """Bring the teachers to where the student is; compile in the process that trains."""
        for teacher in self.online.values():
            teacher.to(self.device)
        if self.compiled:
            self._compiled = Compiled(self.model)

    def on_train_epoch_start(self) -> None:
        """The head alone trains in the first epochs, if so wished."""
        frozen = self.current_epoch < self.schedule.frozen_epochs
        if frozen and self._backbone is None:
            self._backbone = Backbone(self.model)
            self._backbone.freeze()
        elif not frozen and self._backbone is not None:
            self._backbone.thaw()
            self._backbone = None

    def on_validation_epoch_start(self) -> None:
        """Look at the epoch's last losses before anything is judged or kept."""
        self._stop_at(self._watch.look())

    def validation_step(self, batch: Batch, _: int) -> None:
        """Collect logits and labels."""
        output = self.judged(normalize(batch.images, spec=self.spec))
        self.valid_outputs.append((output.logits.float().cpu(), batch.labels.cpu()))

    def configure_optimizers(self) -> Any:
        """Optimizer and learning rate by the schedule."""
        decay = self.schedule.layer_decay
        scales = layer_scales(self.model, decay=decay) if decay < 1 else {}
        optimizer = make_optimizer(self.parameters(), schedule=self.schedule, scales=scales)
        total = self.total_steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate(step, total=total, schedule=self.schedule)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def optimizer_step(self, *args: Any, **options: Any) -> None:
        """Step, and let the average follow."""
        super().optimizer_step(*args, **options)
        if self.average:
            self.average.update(self.model, step=self.global_step)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        """Keep the gradients' memory: first touch of fresh memory is what makes CPU training slow."""
        optimizer.zero_grad(set_to_none=False)

    def _stop_at(self, bad: Bad | None) -> None:
        if bad is None:
            return
        total = sum(value for _, value in bad.parts)
        paths = [self.samples[index].path for index in bad.indices[:_NAMED_IMAGES] if self.samples]
        more = ["..."] if len(bad.indices) > len(paths) else []
        parts = ", ".join(f"{name}={value:.4g}" for name, value in bad.parts)
        raise EdgeproofError(
            f"{self.folder}: the loss became {total:g} in epoch {self.current_epoch + 1}, batch {bad.batch} "
            f"(images {', '.join([*paths, *more])}; {parts}), expected finite numbers; "
            f"lower learning_rate (now {self.schedule.learning_rate:g}) or look at these images"
        )
