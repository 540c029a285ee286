"""Small autoencoders, one grid per generator family, each trained briefly on photographs of scenes.

In the manner of Yang et al. 2023 (arXiv 2307.15977): instances of a family share the upsampling that leaves
the trace and differ in levels, kernel, activation and normalization. Imports torch: load it lazily.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "silu": nn.SiLU, "elu": nn.ELU, "tanh": nn.Tanh,
}  # fmt: skip
_NORMALIZATIONS = ("none", "batch", "group", "instance")
_STEPS, _BATCH, _PATCH, _RATE = 80, 8, 32, 6e-3


@dataclass(frozen=True)
class AutoencoderConfig:
    """One instance of a family.

    Attributes:
        upsampling: ``transposed``, ``nearest``, ``bilinear`` or ``shuffle``.
        levels: number of halvings.
        channels: of the first level; each level below doubles them.
        latent: channels of the bottleneck, 0 for none.
    """

    upsampling: str
    levels: int
    channels: int
    kernel: int
    activation: str
    normalization: str
    latent: int = 0


def instance_config(family: str, instance: int) -> AutoencoderConfig:
    """The configuration of a family's n-th instance."""
    activation = list(_ACTIVATIONS)[(instance + len(family)) % len(_ACTIVATIONS)]
    normalization = _NORMALIZATIONS[(instance + 2 * len(family)) % len(_NORMALIZATIONS)]
    if family == "vae8":
        upsampling = ("nearest", "transposed", "bilinear")[instance % 3]
        return AutoencoderConfig(
            upsampling, 3, 12, 3, activation, normalization, latent=8 + 4 * (instance % 3)
        )
    if family == "diffusion":  # steep activations: the others hardly learn to denoise in so short a time
        activation, normalization = ("tanh", "elu")[instance % 2], _NORMALIZATIONS[instance % 3]
        return AutoencoderConfig("shuffle", 1, 24 + 4 * (instance % 3), 3, activation, normalization)
    upsampling = "transposed" if family == "blend" else family
    kernel = (3, 4, 5)[instance % 3] if upsampling == "transposed" else (3, 5)[instance % 2]
    channels = 12 + 4 * (instance % 2)
    return AutoencoderConfig(upsampling, 1 + instance % 2, channels, kernel, activation, normalization)


class Autoencoder(nn.Module):
    """Strided convolutions down, the family's upsampling up. ``[N, 3, H, W]`` in 0..1 to the same shape."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        widths = [3, *(config.channels << level for level in range(config.levels))]
        down: list[nn.Module] = []
        for inside, outside in zip(widths[:-1], widths[1:], strict=True):
            down += [nn.Conv2d(inside, outside, 4, 2, 1), *_head(config, outside)]
        if config.latent:
            down += [nn.Conv2d(widths[-1], config.latent, 1), nn.Conv2d(config.latent, widths[-1], 1)]
        up: list[nn.Module] = []
        for inside, outside in zip(widths[:0:-1], [*widths[-2:0:-1], config.channels], strict=True):
            up += [_upsample(config, inside, outside), *_head(config, outside)]
        self.encoder, self.decoder = nn.Sequential(*down), nn.Sequential(*up)
        self.output = nn.Conv2d(config.channels, 3, 3, 1, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Reconstruct."""
        result: Tensor = self.output(self.decoder(self.encoder(pixels - 0.5))) + 0.5
        return result


class Denoiser(nn.Module):
    """Predicts unit noise at half resolution in space-to-depth form, as FFDNet and diffusion models do."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        width = config.channels
        self.body = nn.Sequential(
            nn.Conv2d(13, width, 3, 1, 1), *_head(config, width),
            nn.Conv2d(width, width, 3, 1, 1), *_head(config, width),
            nn.Conv2d(width, 12, 3, 1, 1),
        )  # fmt: skip

    def forward(self, noisy: Tensor, level: float) -> Tensor:
        """Remove noise of standard deviation ``level`` from ``[N, 3, H, W]``."""
        folded = functional.pixel_unshuffle((noisy - 0.5) * 4, 2)
        plane = torch.full_like(folded[:, :1], level * 10)
        return noisy - level * functional.pixel_shuffle(self.body(torch.cat([folded, plane], 1)), 2)


def build(family: str, instance: int) -> Autoencoder | Denoiser:
    """An untrained instance of a family."""
    config = instance_config(family, instance)
    return Denoiser(config) if family == "diffusion" else Autoencoder(config)


def train(family: str, instance: int, photos: Tensor, *, seed: int) -> Autoencoder | Denoiser:
    """Train an instance for about a second on photos ``[N, 3, H, W]``; same photos and seed, same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(family, instance)
        parameters = list(model.parameters())
        moments = [(torch.zeros_like(value), torch.zeros_like(value)) for value in parameters]
        steps = 2 * _STEPS if isinstance(model, Denoiser) else _STEPS
        for step in range(steps):
            clean = _patches(photos)
            loss = _loss(model, clean)
            gradients = torch.autograd.grad(loss, parameters)
            rate = _RATE * min(1.0, (step + 1) / 10) * (1 - step / steps) / (1 - 0.9 ** (step + 1))
            unbias = 1 - 0.99 ** (step + 1)
            with torch.no_grad():
                for value, gradient, (first, second) in zip(parameters, gradients, moments, strict=True):
                    # Adam by hand: torch.optim imports the compiler, seconds in each worker process
                    first.lerp_(gradient, 0.1)
                    second.lerp_(gradient * gradient, 0.01)
                    value.addcdiv_(first, (second / unbias).sqrt() + 1e-8, value=-rate)
    return model.eval().requires_grad_(False)


def _loss(model: Autoencoder | Denoiser, clean: Tensor) -> Tensor:
    if isinstance(model, Autoencoder):
        return functional.l1_loss(model(clean), clean)
    level = float(torch.empty(()).uniform_(0.01, 0.2))
    denoised = model(clean + level * torch.randn_like(clean), level)
    return functional.l1_loss(denoised, clean) / level


def _patches(photos: Tensor) -> Tensor:
    side = min(_PATCH, photos.shape[-1]) // 8 * 8
    chosen = torch.randint(len(photos), (_BATCH,)).tolist()
    top, left = (torch.randint(photos.shape[-1] - side + 1, (_BATCH,)).tolist() for _ in range(2))
    crops = [photos[i, :, y : y + side, x : x + side] for i, y, x in zip(chosen, top, left, strict=True)]
    return torch.stack(crops)


def _upsample(config: AutoencoderConfig, inside: int, outside: int) -> nn.Module:
    kernel = config.kernel
    if config.upsampling == "transposed":
        # a kernel that stride 2 does not divide overlaps unevenly: the chequerboard (Odena et al. 2016)
        return nn.ConvTranspose2d(inside, outside, kernel, 2, (kernel - 1) // 2, output_padding=kernel % 2)
    mode = nn.Upsample(scale_factor=2, mode=config.upsampling)
    return nn.Sequential(mode, nn.Conv2d(inside, outside, kernel, 1, kernel // 2))


def _head(config: AutoencoderConfig, channels: int) -> list[nn.Module]:
    norms: dict[str, nn.Module] = {
        "batch": nn.BatchNorm2d(channels),
        "group": nn.GroupNorm(4, channels),
        "instance": nn.InstanceNorm2d(channels, affine=True),
    }
    norm = norms.get(config.normalization)
    return [*([norm] if norm else []), _ACTIVATIONS[config.activation]()]
