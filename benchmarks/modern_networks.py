"""MobileNetV3-small, EfficientNet-B0 and ViT-tiny in PyTorch, of any width and depth; with seeded weights that keep values at unit scale.

`seeded(module, shape)` gives a network what training would leave of weights, norms and statistics; `export` writes it as ONNX.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

STATISTICS, CALIBRATION, EVALUATION = 1, 2, 3  # seeds of images

MOBILENET_V3_SMALL = (  # kernel, expanded, outputs, whether it is gated, activation, stride
    (3, 16, 16, True, nn.ReLU, 2),
    (3, 72, 24, False, nn.ReLU, 2),
    (3, 88, 24, False, nn.ReLU, 1),
    (5, 96, 40, True, nn.Hardswish, 2),
    (5, 240, 40, True, nn.Hardswish, 1),
    (5, 240, 40, True, nn.Hardswish, 1),
    (5, 120, 48, True, nn.Hardswish, 1),
    (5, 144, 48, True, nn.Hardswish, 1),
    (5, 288, 96, True, nn.Hardswish, 2),
    (5, 576, 96, True, nn.Hardswish, 1),
    (5, 576, 96, True, nn.Hardswish, 1),
)
EFFICIENTNET_B0 = (  # expansion, kernel, stride, outputs, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def conv_bn(inputs: int, outputs: int, kernel: int, activation: type[nn.Module] = nn.Identity, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs), activation()]


class Gated(nn.Module):
    """Squeeze and excitation (Hu et al. 2018): x times a gate per channel, computed from the channels' means."""

    def __init__(self, channels: int, squeezed: int, activation: type[nn.Module], gate: type[nn.Module]):
        super().__init__()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, squeezed, 1), activation(), nn.Conv2d(squeezed, channels, 1), gate())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


class Inverted(nn.Module):
    """x + narrowed(gated(depthwise(widened(x)))), without x where the size changes (Sandler et al. 2018)."""

    def __init__(self, inputs: int, hidden: int, outputs: int, kernel: int, stride: int, activation: type[nn.Module], gate: nn.Module | None):
        super().__init__()
        self.branch = nn.Sequential(
            *(conv_bn(inputs, hidden, 1, activation) if hidden != inputs else []),
            *conv_bn(hidden, hidden, kernel, activation, stride, hidden),
            *([] if gate is None else [gate]),
            *conv_bn(hidden, outputs, 1),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x) if self.residual else self.branch(x)


def _divisible(channels: float, by: int = 8) -> int:
    """The multiple next to it, not below 0.9 of it."""
    nearest = max(by, int(channels + by / 2) // by * by)
    return nearest + by if nearest < 0.9 * channels else nearest


def mobilenet_v3_small(rows: tuple = MOBILENET_V3_SMALL, stem: int = 16, head: int = 1024, classes: int = 1000) -> nn.Module:
    """Howard et al. 2019: 2.5 million weights."""
    layers, inputs = conv_bn(3, stem, 3, nn.Hardswish, 2), stem
    for kernel, hidden, outputs, gated, activation, stride in rows:
        gate = Gated(hidden, _divisible(hidden / 4), nn.ReLU, nn.Hardsigmoid) if gated else None
        layers.append(Inverted(inputs, hidden, outputs, kernel, stride, activation, gate))
        inputs = outputs
    layers += conv_bn(inputs, 6 * inputs, 1, nn.Hardswish)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6 * inputs, head), nn.Hardswish(), nn.Linear(head, classes))


def efficientnet_b0(stages: tuple = EFFICIENTNET_B0, stem: int = 32, head: int = 1280, classes: int = 1000) -> nn.Module:
    """Tan and Le 2019: 5.3 million weights."""
    layers, inputs = conv_bn(3, stem, 3, nn.SiLU, 2), stem
    for expansion, kernel, stride, outputs, blocks in stages:
        for block in range(blocks):
            hidden = expansion * inputs
            gate = Gated(hidden, max(1, inputs // 4), nn.SiLU, nn.Sigmoid)
            layers.append(Inverted(inputs, hidden, outputs, kernel, 1 if block else stride, nn.SiLU, gate))
            inputs = outputs
    return nn.Sequential(*layers, *conv_bn(inputs, head, 1, nn.SiLU), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(head, classes))


class Attention(nn.Module):
    """Softmax(q k / sqrt(width of a head)) v per head, then a linear layer."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.split, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        _, tokens, width = x.shape
        queries, keys, values = (each.reshape(-1, tokens, self.heads, width // self.heads).transpose(1, 2) for each in self.split(x).chunk(3, -1))
        shares = (queries @ keys.transpose(2, 3) * (width // self.heads) ** -0.5).softmax(-1)
        return self.out((shares @ values).transpose(1, 2).reshape(-1, tokens, width))


class Block(nn.Module):
    """x + attention(norm(x)), and that + narrowed(GELU(widened(norm)))."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width, 1e-6), Attention(width, heads))
        self.mlp = nn.Sequential(nn.LayerNorm(width, 1e-6), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        return x + self.mlp(x)


class VisionTransformer(nn.Module):
    """Dosovitskiy et al. 2021, the width of Touvron et al. 2021's tiny one: 5.7 million weights with 12 blocks. The classes are read from the
    mean over the patches, as those of Zhai et al. 2022 are."""

    def __init__(self, tokens: int, width: int = 192, heads: int = 3, blocks: int = 12, patch: int = 16, classes: int = 1000):
        super().__init__()
        self.patches, self.places = nn.Conv2d(3, width, patch, patch), nn.Parameter(torch.zeros(1, tokens, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(blocks)))
        self.norm, self.out = nn.LayerNorm(width, 1e-6), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.norm(self.blocks(self.patches(x).flatten(2).transpose(1, 2) + self.places)).mean(1))


@torch.no_grad()
def seeded(module: nn.Module, shape: tuple[int, ...], seed: int = 0) -> nn.Module:
    """`module` in evaluation mode: weights normal with variance 2 / fan-in in convolutions, 1 / fan-in in linear layers; biases and shifts
    normal(0, 0.2), factors of norms log-normal(0, 0.25), a tenth of those behind convolutions negative; the BatchNorms' statistics those of the
    network's own activations on 16 images of `shape`. The last bias centres the outputs on these."""
    generator = torch.Generator().manual_seed(seed)

    def normal(like: Tensor, deviation: float) -> Tensor:
        return torch.randn(like.shape, generator=generator) * deviation

    for name, parameter in module.named_parameters():
        if name.endswith("bias") or name == "places":
            parameter.copy_(normal(parameter, 0.2))
        elif parameter.ndim == 1:
            parameter.copy_(normal(parameter, 0.25).exp())
        else:
            parameter.copy_(normal(parameter, ((2 if parameter.ndim > 2 else 1) / parameter[0].numel()) ** 0.5))
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        layer.weight[::10] *= -1
        layer.momentum = 1.0  # the statistics of the one batch below
    seen = torch.from_numpy(images(shape, 16, STATISTICS))
    module.eval()
    for layer in norms:
        layer.training = True
    module(seen)
    module.eval()
    last = [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1]
    last.bias -= module(seen).mean(0)
    return module.requires_grad_(False)


def images(shape: tuple[int, ...], count: int, seed: int) -> np.ndarray:
    """(count, *shape) float32 in [0, 1]: noise of several scales, coarse and strong to fine and weak. shape: (channels, height, width)."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.full((count, *shape), 0.5)
    for cells, amplitude in ((1, 0.15), (2, 0.2), (4, 0.2), (8, 0.1), (shape[1], 0.05)):
        noise = torch.randn(count, shape[0], cells, cells, generator=generator)
        picture += amplitude * functional.interpolate(noise, shape[1:], mode="bilinear")
    return picture.clamp(0, 1).numpy()


def export(module: nn.Module, shape: tuple[int, ...], path: Path) -> None:
    """`module` as ONNX, from `input` (batch, *shape) to `output`, by the older exporter: it takes a tenth of the time."""
    warnings.simplefilter("ignore")  # it says that it is the older one
    torch.onnx.export(
        module,
        torch.zeros(2, *shape),
        str(path),
        dynamo=False,
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
    )
