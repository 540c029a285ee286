"""Contestants that time PyTorch itself, eager and FP32: the one module of the bench that imports torch."""

import io
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench.contestant import Contestant
from bench.contestants.artifact import too_many_threads
from bench.contestants.source import sample_jpeg, sample_pixels
from bench.records.latency import Scope
from deploy.timing import Runner
from distill.preprocess import Pixels, PreprocessSpec, decode_image
from distill.task import task_of_labels
from distill.wrapped import deployed_form
from students import build_student

REFERENCE_NAME = "resnet18 (reference)"
REFERENCE_SIZE = 224


def torch_contestants(
    module: nn.Module,
    *,
    model: str,
    preprocess: PreprocessSpec,
    threads: int,
    images: Sequence[bytes] = (),
    reference: bool = False,
    end_to_end: bool = True,
    batch: int = 1,
) -> list[Contestant]:
    """A module's model-only row, from a normalized float tensor, and its row from JPEG bytes.

    Args:
        module: takes float ``[N, 3, S, S]``; put into evaluation mode when the contestant is made. Its deployed form is timed.
        model: the network's name, for the row.
        preprocess: its ``size`` is the input size.
        threads: torch's intra-op threads.
        images: JPEG files' bytes, taken in turn; one made-up photo by default.
        reference: mark the rows as those that speed-ups are taken to.
        end_to_end: whether to add that row; never where a call has several images.
        batch: images of one call.

    """
    module = deployed_form(module)
    size, params, macs = preprocess.size, count_params(module), _macs_if_it_runs(module, preprocess.size)
    photos = tuple(images) or (sample_jpeg(),)

    def contestant(scope: Scope, make: Callable[[], Runner]) -> Contestant:
        return Contestant(
            model=model,
            runtime="torch",
            precision="fp32",
            input_size=size,
            threads=threads,
            batch=batch,
            scope=scope,
            bytes=state_bytes(module),
            params=params,
            macs=macs,
            reference=reference,
            make=make,
            skip_reason=too_many_threads(threads),
        )

    found = [contestant("model", lambda: _model_only(module, preprocess, threads, batch))]
    if end_to_end and batch == 1 and not found[0].skip_reason:
        found.append(contestant("end_to_end", lambda: _end_to_end(module, preprocess, threads, photos)))
    return found


def reference_contestant(
    *, threads: int, images: Sequence[bytes] = (), size: int = REFERENCE_SIZE, batch: int = 1
) -> list[Contestant]:
    """The reports' model, measured again here: ResNet18, eager FP32, both scopes.

    Its weights are untrained, which latency does not notice. The reports ran it at 224 × 224; rows of another ``size``, number
    of threads or ``batch`` are compared with one of their own.
    """
    return torch_contestants(
        build_student("resnet18"),
        model=REFERENCE_NAME,
        preprocess=PreprocessSpec(size=size),
        threads=threads,
        images=images,
        reference=True,
        batch=batch,
    )


def count_params(module: nn.Module) -> int:
    """Parameters, trainable or not."""
    return sum(parameter.numel() for parameter in module.parameters())


def state_bytes(module: nn.Module) -> int:
    """Bytes of parameters and buffers: what a checkpoint of the module holds."""
    return sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())


def count_macs(module: nn.Module, size: int) -> int:
    """Multiply-accumulates of one ``size`` × ``size`` image: half of torch's count of FLOPs (convolutions,
    matrix products and attention; elementwise operations are left out, as is usual).
    """
    training = module.training
    module.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(torch.zeros(1, 3, size, size, device=_device(module)))
    finally:
        module.train(training)
    return int(counter.get_total_flops()) // 2


def _macs_if_it_runs(module: nn.Module, size: int) -> int | None:
    try:
        return count_macs(module, size)
    except Exception:  # a module that cannot run fails its row, with its own reason, when it is made
        return None


def _model_only(module: nn.Module, preprocess: PreprocessSpec, threads: int, batch: int) -> Runner:
    forward = _forward(module, threads)
    tensor = _tensor(preprocess, sample_pixels(preprocess.size, batch=batch))
    return lambda: forward(tensor)


def _end_to_end(
    module: nn.Module, preprocess: PreprocessSpec, threads: int, photos: tuple[bytes, ...]
) -> Runner:
    forward, turn = _forward(module, threads), cycle(photos)

    def run() -> object:
        image = decode_image(io.BytesIO(next(turn)), name="photo", smallest=preprocess.smallest_decoded)
        output: Any = forward(_tensor(preprocess, preprocess.apply(image)))
        task = task_of_labels("binary" if output.logits.ndim == 1 else "multiclass", ())
        return task.probabilities(output.logits.numpy()).tolist()

    return run


def _forward(module: nn.Module, threads: int) -> Callable[[Tensor], object]:
    module.eval()

    def forward(tensor: Tensor) -> object:
        # The setting is the process's: another contestant may have changed it since.
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        with torch.inference_mode():
            return module(tensor)

    return forward


def _tensor(preprocess: PreprocessSpec, pixels: Pixels) -> Tensor:
    return torch.from_numpy(preprocess.normalize(pixels)).permute(0, 3, 1, 2).contiguous()


def _device(module: nn.Module) -> torch.device:
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
