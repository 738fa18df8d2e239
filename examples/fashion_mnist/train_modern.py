"""Train small networks on Fashion-MNIST that have more than ReLU: gates, norms over data and attention, no thought of spikes; export them to ONNX.

    python examples/fashion_mnist/train_modern.py mobilenetv3 --out examples/fashion_mnist/mobilenetv3.onnx

mobilenetv3: depthwise convolutions, HardSwish, squeeze-and-excitation (Howard et al. 2019). convnext: depthwise convolutions, LayerNorm, GELU
(Liu et al. 2022). vit: patches, LayerNorm, attention of two heads, GELU (Dosovitskiy et al. 2021). Training as in `train_mobilenet.py`, with
its checkpoint.
"""

import argparse

import torch
from torch import nn
from torch.nn.functional import hardsigmoid
from train_mobilenet import arguments_of_training, convolution, run_to_the_end


class SqueezeExcitation(nn.Module):
    """x times a gate per channel, computed from the channels' means."""

    def __init__(self, channels: int):
        super().__init__()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels // 4, 1), nn.ReLU(), nn.Conv2d(channels // 4, channels, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * hardsigmoid(self.gate(x))


class GatedResidual(nn.Module):
    """x + bottleneck(gated(depthwise(expanded(x)))), without x where the size changes."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        hidden = 3 * inputs
        self.branch = nn.Sequential(
            *convolution(inputs, hidden, 1),
            nn.Hardswish(),
            *convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.Hardswish(),
            SqueezeExcitation(hidden),
            *convolution(hidden, outputs, 1),
        )
        self.residual = inputs == outputs and stride == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.branch(x) if self.residual else self.branch(x)


class ConvNextBlock(nn.Module):
    """x + narrowed(GELU(widened(norm(depthwise(x))))), the norm over the channels of each position."""

    def __init__(self, channels: int):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm, self.wide, self.narrow = nn.LayerNorm(channels), nn.Linear(channels, 2 * channels), nn.Linear(2 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inside = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.narrow(nn.functional.gelu(self.wide(inside))).permute(0, 3, 1, 2)


class VisionTransformer(nn.Module):
    """16 patches of 7 x 7 pixels, two blocks of attention with two heads, the mean of all patches."""

    def __init__(self, width: int = 24):
        super().__init__()
        self.patches, self.places = nn.Conv2d(1, width, 7, 7), nn.Parameter(0.02 * torch.randn(1, 16, width))
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, nn.LayerNorm(width), enable_nested_tensor=False)
        self.out = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.blocks(self.patches(x).flatten(2).transpose(1, 2) + self.places).mean(1))


def mobilenetv3() -> nn.Module:
    """Three blocks of 12, 16 and 16 channels behind a stem of 8. Input (n, 1, 28, 28), like all."""
    return nn.Sequential(
        *convolution(1, 8, 3, 2),
        nn.Hardswish(),
        GatedResidual(8, 12, 2),
        GatedResidual(12, 16, 1),
        GatedResidual(16, 16, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 32),
        nn.Hardswish(),
        nn.Linear(32, 10),
    )


def convnext() -> nn.Module:
    """Two blocks of 24 channels on 7 x 7 patches of 4 x 4 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, 24, 4, 4), ConvNextBlock(24), ConvNextBlock(24), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(24), nn.Linear(24, 10)
    )


ARCHITECTURES = {"mobilenetv3": mobilenetv3, "convnext": convnext, "vit": VisionTransformer}
RATES = {"mobilenetv3": 0.1, "convnext": 0.1, "vit": 0.05}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("architecture", choices=ARCHITECTURES)
    arguments_of_training(parser, 6, None)
    options = parser.parse_args(arguments)
    options.rate = options.rate or RATES[options.architecture]
    run_to_the_end(options, ARCHITECTURES[options.architecture], options.architecture)


if __name__ == "__main__":
    main()
