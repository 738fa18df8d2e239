"""The networks of LC-TTFS, section IV, for 32 x 32 inputs: no BatchNorm, no bias, ReLU1, and a width to make them smaller.

VGG-11, VGG-16 and ResNet-20 are those of Rathi et al., "Enabling deep spiking neural networks with hybrid conversion and spike timing
dependent backpropagation" (arXiv:2005.01807), as its authors' repository defines them (nitin-rathi/hybrid-snn-conversion), without
BatchNorm. VGG-9 and ResNet-11 are those of Lee et al., "Enabling spike-based backpropagation for training deep neural network
architectures" (Frontiers in Neuroscience 14:119, 2020; chan8972/Enabling_Spikebased_Backpropagation). Dropout as LC-TTFS says: after
every layer but the pools in the VGGs, in the ResNets only on what the fully connected layers read and send. VGG-7 is ours: small
enough to train on two cores in minutes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from torch import nn

from ttfs_convert.training.torch import ReLU1, Residual

SIDE = 32
POOL = "P"  # average pool of 2

ACTIVATIONS = {"relu1": ReLU1, "relu": nn.ReLU}

VGG = {  # channels of the 3 x 3 convolutions, then the hidden fully connected layers
    "vgg7": ((12, 12, POOL, 24, 24, POOL, 48), (64,)),
    "vgg9": ((64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL), (1024,)),
    "vgg11": ((64, POOL, 128, 256, POOL, 512, 512, POOL, 512, POOL, 512, 512), (4096, 4096)),
    "vgg16": ((64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512, POOL, 512, 512, 512), (4096, 4096)),
}


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


def fully_connected(inputs: int, hidden: tuple[int, ...], classes: int, dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width, bias=False), ReLU1(), nn.Dropout(dropout)]
        inputs = width
    return [*layers, nn.Linear(inputs, classes, bias=False)]


def vgg(name: str, channels: int, classes: int, width: float, dropout: float, side: int = SIDE) -> nn.Module:
    convolutions, hidden = VGG[name]
    layers: list[nn.Module] = []
    for outputs in convolutions:
        if outputs == POOL:
            layers += [nn.AvgPool2d(2)]
            side //= 2
        else:
            layers += [conv(channels, scaled(outputs, width)), ReLU1(), nn.Dropout(dropout)]
            channels = scaled(outputs, width)
    return nn.Sequential(
        *layers, nn.Flatten(), *fully_connected(channels * side * side, tuple(scaled(units, width) for units in hidden), classes, dropout)
    )


def block(inputs: int, outputs: int, first_stride: int, second_stride: int = 1) -> Residual:
    """relu1(conv(relu1(conv(x))) + shortcut(x)); the shortcut is a 1 x 1 convolution where the channels change, else it drops positions."""
    stride = first_stride * second_stride
    branch = nn.Sequential(conv(inputs, outputs, 3, first_stride), ReLU1(), conv(outputs, outputs, 3, second_stride))
    if inputs != outputs:
        return Residual(branch, conv(inputs, outputs, 1, stride))
    return Residual(branch, nn.AvgPool2d(1, stride) if stride > 1 else None)


def resnet20(channels: int, classes: int, width: float, dropout: float) -> nn.Module:
    """Three convolutions and a pool, four stages of two blocks, one fully connected layer: 3 + 16 + 1 weight layers."""
    base = scaled(64, width)
    layers: list[nn.Module] = [conv(channels, base), ReLU1(), conv(base, base), ReLU1(), conv(base, base), ReLU1(), nn.AvgPool2d(2)]
    inputs = base
    for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        outputs = scaled(outputs, width)
        layers += [block(inputs, outputs, stride), block(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout), *fully_connected(inputs * 2 * 2, (), classes, dropout))


def resnet11(channels: int, classes: int, width: float, dropout: float) -> nn.Module:
    """A convolution and a pool, four blocks (the second and fourth halve the side), two fully connected layers: 1 + 8 + 2 weight layers."""
    return lee_resnet(((128, 1), (256, 2), (512, 1), (512, 2)), channels, classes, width, dropout)


def lee_resnet(blocks: tuple[tuple[int, int], ...], channels: int, classes: int, width: float, dropout: float) -> nn.Module:
    """blocks: (channels, stride of the second convolution) each; four times four positions are left behind them."""
    inputs = scaled(64, width)
    layers: list[nn.Module] = [conv(channels, inputs), ReLU1(), nn.AvgPool2d(2)]
    for outputs, stride in blocks:
        layers += [block(inputs, scaled(outputs, width), 1, stride)]
        inputs = scaled(outputs, width)
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout), *fully_connected(inputs * 4 * 4, (scaled(1024, width),), classes, dropout))


def scaled(size: int, width: float) -> int:
    return max(1, round(size * width))


def _vgg(name: str) -> Callable[..., nn.Module]:
    return functools.partial(vgg, name)


ARCHITECTURES = {**{name: _vgg(name) for name in VGG}, "resnet11": resnet11, "resnet20": resnet20}


def network(
    name: str, channels: int = 3, classes: int = 10, width: float = 1.0, dropout: float = 0.2, activation: str = "relu1", side: int = SIDE
) -> nn.Module:
    """An untrained network with inputs (n, channels, side, side) in [0, 1] and outputs (n, classes).

    name: a key of ARCHITECTURES. width: every hidden layer has `width` times the channels of the original, at least 1. dropout: the
    probability; the paper does not give it. activation: a key of ACTIVATIONS; anything but relu1 is for ablations. side: of the
    images; of a ResNet 32.
    """
    model = ARCHITECTURES[name](channels, classes, width, dropout, **({"side": side} if name in VGG else {}))
    for module in list(model.modules()):
        for place, child in module.named_children():
            if isinstance(child, ReLU1):
                setattr(module, place, ACTIVATIONS[activation]())
    return model
