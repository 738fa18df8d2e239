"""Small PyTorch networks of the usual kinds, with the weights and BatchNorm statistics that training leaves; none of them trained.

`trained(name)` is the network to test with, `SHAPES[name]` its input without the batch, `images` what it sees.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 10
TRAINING, CALIBRATION, EVALUATION = 1, 2, 8  # seeds of images; under the last one no network has a near tie


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, bias: bool = False) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias), nn.BatchNorm2d(outputs)]


def conv_bn_relu(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    return [*conv_bn(inputs, outputs, kernel, stride), nn.ReLU()]


def classifier(inputs: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, CLASSES)]


class Residual(nn.Module):
    """relu(branch(x) + shortcut(x)); without the ReLU where the sum stays linear."""

    def __init__(self, branch: list[nn.Module], shortcut: list[nn.Module], relu: bool = True):
        super().__init__()
        self.branch, self.shortcut, self.relu = nn.Sequential(*branch), nn.Sequential(*shortcut), relu

    def forward(self, x: Tensor) -> Tensor:
        total = self.branch(x) + self.shortcut(x)
        return functional.relu(total) if self.relu else total


class PreActivated(nn.Module):
    """x + branch(relu(norm(x))): both the norm and the sum read the linear stream x, unless a projection takes its place."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.branch = nn.Sequential(*conv_bn_relu(inputs, outputs, 3, stride), nn.Conv2d(outputs, outputs, 3, padding=1, bias=False))
        self.projection = None if stride == 1 and inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        a = functional.relu(self.norm(x))
        return self.branch(a) + (x if self.projection is None else self.projection(a))


class Concatenated(nn.Module):
    """The results of all branches on the same x, side by side along the channels."""

    def __init__(self, *branches: list[nn.Module]):
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*branch) for branch in branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class GlobalMean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class InputNorm(nn.Module):
    """(x - mean) / std per channel, inside the graph: what the next layer pads with 0 does not start at 0."""

    def __init__(self, mean: tuple[float, ...] = (0.49, 0.45, 0.41), std: tuple[float, ...] = (0.23, 0.22, 0.25)):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def mlp() -> nn.Module:
    layers, inputs = [nn.Flatten()], 3 * 12 * 12
    for width in (48, 32):
        layers += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.2)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, CLASSES))


def vgg11() -> nn.Module:
    """Simonyan and Zisserman 2014, configuration A, with BatchNorm behind convolutions that keep their biases."""
    layers, inputs = [], 3
    for width in (8, "pool", 12, "pool", 16, 16, "pool", 24, 24, "pool", 24, 24, "pool"):
        if width == "pool":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [*conv_bn(inputs, width, bias=True), nn.ReLU(inplace=True)]
            inputs = width
    head = [nn.Flatten(), nn.Linear(inputs, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 32), nn.ReLU(), nn.Dropout()]
    return nn.Sequential(*layers, *head, nn.Linear(32, CLASSES))


def resnet18() -> nn.Module:
    """He et al. 2015: basic blocks, with the stem and the three stages for small images."""
    layers, inputs = conv_bn_relu(3, 8), 8
    for width, stride in ((8, 1), (8, 1), (12, 2), (12, 1), (16, 2), (16, 1)):
        shortcut = [] if stride == 1 else conv_bn(inputs, width, 1, stride)
        layers.append(Residual([*conv_bn_relu(inputs, width, 3, stride), *conv_bn(width, width)], shortcut))
        inputs = width
    return nn.Sequential(*layers, *classifier(inputs))


def resnet50() -> nn.Module:
    """He et al. 2015: bottlenecks behind the large stem, whose max-pool pads; two stages of two blocks and one of one."""
    layers, inputs = [*conv_bn_relu(3, 8, 7, 2), nn.MaxPool2d(3, 2, 1)], 8
    for width, stride in ((4, 1), (4, 1), (6, 2), (6, 1), (10, 2)):
        outputs = 4 * width
        shortcut = [] if inputs == outputs else conv_bn(inputs, outputs, 1, stride)
        branch = [*conv_bn_relu(inputs, width, 1), *conv_bn_relu(width, width, 3, stride), *conv_bn(width, outputs, 1)]
        layers.append(Residual(branch, shortcut))
        inputs = outputs
    return nn.Sequential(*layers, *classifier(inputs))


def preactivation_resnet() -> nn.Module:
    """He et al. 2016: the residual stream is a sum that no ReLU interrupts."""
    layers, inputs = [nn.Conv2d(3, 8, 3, padding=1, bias=False)], 8
    for width, stride in ((8, 1), (12, 2), (12, 1), (16, 2), (16, 1)):
        layers.append(PreActivated(inputs, width, stride))
        inputs = width
    return nn.Sequential(*layers, nn.BatchNorm2d(inputs), nn.ReLU(), GlobalMean(), nn.Linear(inputs, CLASSES))


def mobilenet_v1() -> nn.Module:
    """Howard et al. 2017: depthwise and pointwise convolutions in turn, each with ReLU6."""
    layers, inputs = [*conv_bn(3, 8, 3, 2), nn.ReLU6()], 8
    for width, stride in ((12, 1), (16, 2), (16, 1), (24, 2), (24, 1)):
        layers += [*conv_bn(inputs, inputs, 3, stride, groups=inputs), nn.ReLU6(), *conv_bn(inputs, width, 1), nn.ReLU6()]
        inputs = width
    return nn.Sequential(*layers, *classifier(inputs))


def mobilenet_v2() -> nn.Module:
    """Sandler et al. 2018: blocks that widen, filter by channel, and narrow to a linear bottleneck; sums of bottlenecks stay linear."""
    layers, inputs = [*conv_bn(3, 6, 3, 2), nn.ReLU6()], 6
    for expansion, width, stride in ((1, 6, 1), (4, 8, 2), (4, 8, 1), (4, 8, 1), (4, 12, 2)):
        hidden = expansion * inputs
        widen = [] if expansion == 1 else [*conv_bn(inputs, hidden, 1), nn.ReLU6()]
        block = [*widen, *conv_bn(hidden, hidden, 3, stride, groups=hidden), nn.ReLU6(), *conv_bn(hidden, width, 1)]
        layers += [Residual(block, [], relu=False)] if stride == 1 and inputs == width else block
        inputs = width
    return nn.Sequential(*layers, *conv_bn(inputs, 32, 1), nn.ReLU6(), *classifier(32))


def densenet() -> nn.Module:
    """Huang et al. 2016: every layer reads all convolutions before it, each time under a BatchNorm and ReLU of its own."""
    growth, inputs = 6, 12
    layers = [nn.Conv2d(3, inputs, 3, 2, 1, bias=False)]
    for depth, transition in ((3, True), (2, False)):
        for _ in range(depth):
            layer = [nn.BatchNorm2d(inputs), nn.ReLU(), *conv_bn_relu(inputs, 2 * growth, 1), nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False)]
            layers.append(Concatenated([], layer))
            inputs += growth
        layers += [nn.BatchNorm2d(inputs), nn.ReLU()]
        if transition:
            layers += [nn.Conv2d(inputs, inputs // 2, 1, bias=False), nn.AvgPool2d(2)]
            inputs //= 2
    return nn.Sequential(*layers, *classifier(inputs))


def inception() -> nn.Module:
    """Szegedy et al. 2014 and 2015: a block with an average pool, one with a max-pool, both padded, and one that halves the image."""
    first = Concatenated(
        conv_bn_relu(8, 6, 1),
        [*conv_bn_relu(8, 4, 1), *conv_bn_relu(4, 6, 3)],
        [*conv_bn_relu(8, 4, 1), *conv_bn_relu(4, 4, 5)],
        [nn.AvgPool2d(3, 1, 1), *conv_bn_relu(8, 4, 1)],
    )
    second = Concatenated(
        conv_bn_relu(20, 8, 1),
        [*conv_bn_relu(20, 6, 1), *conv_bn_relu(6, 8, 3), *conv_bn_relu(8, 8, 3)],
        [nn.AvgPool2d(3, 1, 1, count_include_pad=False), *conv_bn_relu(20, 4, 1)],
        [nn.MaxPool2d(3, 1, 1), *conv_bn_relu(20, 4, 1)],
    )
    halving = Concatenated(conv_bn_relu(24, 8, 3, 2), [*conv_bn_relu(24, 6, 1), *conv_bn_relu(6, 8, 3, 2)], [nn.MaxPool2d(3, 2, 1)])
    return nn.Sequential(*conv_bn_relu(3, 8, 3, 2), first, second, halving, *conv_bn_relu(40, 16, 1), *classifier(16))


def norm_behind_relu() -> nn.Module:
    """BatchNorm between ReLU and max-pool, so that a negative gamma turns the order of the pooled values; normalises its own input."""
    layers, inputs = [InputNorm()], 3
    for width in (8, 12, 16):
        layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(width), nn.MaxPool2d(2)]
        inputs = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * inputs, CLASSES))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "mlp": mlp,
    "vgg11": vgg11,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "preactivation_resnet": preactivation_resnet,
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "densenet": densenet,
    "inception": inception,
    "norm_behind_relu": norm_behind_relu,
}
SHAPES = dict.fromkeys(NETWORKS, (3, 32, 32)) | {"mlp": (3, 12, 12)}


@functools.cache
def trained(name: str) -> nn.Module:
    """The network `name` of the table, `realistic` and in evaluation mode."""
    return realistic(NETWORKS[name](), SHAPES[name], seed=0)


@torch.no_grad()
def realistic(module: nn.Module, shape: tuple[int, ...], seed: int) -> nn.Module:
    """`module` with what training leaves, in evaluation mode: signs, statistics, and outputs of which none always wins.

    Weights: normal with variance 2 / fan-in (He et al. 2015); their biases: normal(0, 0.1). BatchNorm: gamma log-normal(0, 0.5) with
    every tenth negative, at least one; beta normal(0, 0.3); one channel in twelve dead, as weight decay leaves them; mean and variance
    those of the network's own activations for 64 images of `shape`. The last linear layer's bias centres each output on these images,
    as balanced classes would.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(like: Tensor, deviation: float) -> Tensor:
        return torch.randn(like.shape, generator=generator) * deviation

    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.weight.copy_(normal(layer.weight, (2 / layer.weight[0].numel()) ** 0.5))
            if layer.bias is not None:
                layer.bias.copy_(normal(layer.bias, 0.1))
            last = layer
        elif isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            gamma, beta = normal(layer.weight, 0.5).exp(), normal(layer.bias, 0.3)
            order = torch.randperm(len(gamma), generator=generator)
            negative, dead = order[: max(1, len(gamma) // 10)], order[len(gamma) - len(gamma) // 12 :]
            gamma[negative] *= -1
            gamma[dead], beta[dead] = 1e-6, -0.3
            layer.weight.copy_(gamma)
            layer.bias.copy_(beta)
            layer.momentum = 1.0  # the statistics of the one batch below
    seen = torch.from_numpy(images(shape, 64, TRAINING))
    module.eval()
    for layer in module.modules():
        layer.training = isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))  # and no dropout
    module(seen)
    module.eval()
    last.bias -= module(seen).mean(0)
    return module.requires_grad_(False)


def images(shape: tuple[int, ...], count: int, seed: int) -> np.ndarray:
    """(count, *shape) float32 in [0, 1]: noise whose amplitude falls with its spatial frequency, and so unlike noise from image to image.

    shape: (channels, height, width).
    """
    generator = torch.Generator().manual_seed(seed)
    picture = torch.full((count, *shape), 0.5)
    for cells, amplitude in ((1, 0.15), (2, 0.2), (4, 0.2), (8, 0.1), (shape[1], 0.05)):
        noise = torch.randn(count, shape[0], cells, cells, generator=generator)
        picture += amplitude * functional.interpolate(noise, shape[1:], mode="bilinear")
    return picture.clamp(0, 1).numpy()
