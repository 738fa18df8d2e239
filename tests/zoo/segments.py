"""PyTorch networks whose output is as large as their input: pixel classes, masked signals, pictures again.

`trained(name)` is the network to test with, `SHAPES[name]` its input without the batch, `inputs` what it sees, `RANGES[name]` between
which values. As in `networks`, none of them is trained.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from tests.zoo.networks import TRAINING, conv_bn_relu, images


class UNet(nn.Module):
    """Ronneberger et al. 2015, two scales below the full one: what comes back up is joined with what went down; two classes per pixel.

    up: from width to width of the module that doubles height and width.
    """

    def __init__(self, up: Callable[[int, int], nn.Module], widths: tuple[int, ...] = (6, 8, 12)):
        super().__init__()
        self.down, self.up, self.join, inputs = nn.ModuleList(), nn.ModuleList(), nn.ModuleList(), 3
        for width in widths:
            self.down.append(nn.Sequential(*conv_bn_relu(inputs, width), *conv_bn_relu(width, width)))
            inputs = width
        for width in widths[-2::-1]:
            self.up.append(up(inputs, width))
            self.join.append(nn.Sequential(*conv_bn_relu(2 * width, width)))
            inputs = width
        self.pool, self.classes = nn.MaxPool2d(2), nn.Conv2d(inputs, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        skipped = []
        for down in self.down:
            x = down(self.pool(x) if skipped else x)
            skipped.append(x)
        for up, join, skip in zip(self.up, self.join, skipped[-2::-1]):
            x = join(torch.cat([skip, up(x)], 1))
        return self.classes(x)


def nearest(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), *conv_bn_relu(inputs, outputs))


class Denoiser(nn.Module):
    """Masks its input, as Luo and Mesgarani 2019 do: residual blocks of convolutions in time, from one to the next twice as wide."""

    def __init__(self, channels: int = 4, width: int = 10):
        super().__init__()
        self.entry = nn.Conv1d(channels, width, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(width, 2 * width, 1),
                nn.BatchNorm1d(2 * width),
                nn.ReLU(),
                nn.Conv1d(2 * width, 2 * width, 3, padding=dilation, dilation=dilation, groups=2 * width),
                nn.BatchNorm1d(2 * width),
                nn.ReLU(),
                nn.Conv1d(2 * width, width, 1),
            )
            for dilation in (1, 2, 4, 8, 16)
        )
        self.mask = nn.Sequential(nn.ReLU(), nn.Conv1d(width, channels, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        stream = self.entry(x)
        for block in self.blocks:
            stream = stream + block(stream)
        return x * self.mask(stream)


def autoencoder() -> nn.Module:
    """Hinton and Salakhutdinov 2006, with ReLU, and pictures of probabilities at the end."""
    widths = (784, 128, 64, 32, 64, 128, 784)
    layers = [layer for sizes in zip(widths, widths[1:]) for layer in (nn.Linear(*sizes), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers[:-1], nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))


SEGMENTS: dict[str, Callable[[], nn.Module]] = {
    "unet_transposed": lambda: UNet(lambda inputs, outputs: nn.ConvTranspose2d(inputs, outputs, 2, 2)),
    "unet_nearest": lambda: UNet(nearest),
    "denoiser": Denoiser,
    "autoencoder": autoencoder,
}
SHAPES = {"unet_transposed": (3, 16, 16), "unet_nearest": (3, 16, 16), "denoiser": (4, 48), "autoencoder": (1, 28, 28)}
RANGES = {name: (0.0, 1.0) if len(shape) == 3 else (-1.0, 1.0) for name, shape in SHAPES.items()}


def inputs(name: str, count: int, seed: int) -> np.ndarray:
    """(count, *shape) float32 in the network's range: pictures, or signals of three tones under noise."""
    if len(SHAPES[name]) == 3:
        return images(SHAPES[name], count, seed)
    rng = np.random.default_rng(seed)
    channels, length = SHAPES[name]
    spans = (0.05, 1.5), (0, 6.3), (0.05, 0.4)
    frequency, phase, amplitude = (rng.uniform(low, high, (3, count, channels, 1)) for low, high in spans)
    tones = (amplitude * np.sin(frequency * np.arange(length) + phase)).sum(0)
    return np.clip(tones + rng.normal(0, 0.1, tones.shape), -1, 1).astype(np.float32)


@functools.cache
@torch.no_grad()
def trained(name: str) -> nn.Module:
    """The network `name` of the table in evaluation mode: weights normal with variance 2 / fan-in, biases normal(0, 0.1), BatchNorms
    with signs of both kinds and the statistics of the network's own activations."""
    generator = torch.Generator().manual_seed(0)

    def normal(like: Tensor, deviation: float) -> Tensor:
        return torch.randn(like.shape, generator=generator) * deviation

    module = SEGMENTS[name]()
    for layer in module.modules():
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Linear, nn.ConvTranspose2d)):
            separate = isinstance(layer, nn.ConvTranspose2d)  # its taps do not overlap
            fan_in = layer.weight.shape[0] if separate else layer.weight[0].numel()
            layer.weight.copy_(normal(layer.weight, (2 / fan_in) ** 0.5))
            if layer.bias is not None:
                layer.bias.copy_(normal(layer.bias, 0.1))
        elif isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.weight.copy_(normal(layer.weight, 0.5).exp())
            layer.weight[0] *= -1
            layer.bias.copy_(normal(layer.bias, 0.3))
            layer.momentum = 1.0  # the statistics of the one batch below
    seen = torch.from_numpy(inputs(name, 64, TRAINING))
    module.train()(seen)
    module.eval()
    if isinstance(module, UNet):
        module.classes.bias -= module(seen).mean((0, 2, 3))  # as balanced classes would
    return module.requires_grad_(False)
