"""Train an ordinary residual network on Fashion-MNIST, with BatchNorm, biases and ReLU and no thought of spikes, and export it to ONNX.

    python examples/fashion_mnist/train_resnet.py --data DIR --out examples/fashion_mnist/resnet.onnx

DIR holds Fashion-MNIST's four IDX files, gzipped or not. The last 5,000 training images are held out for the figures printed after
each epoch; the test images are not read (`train_resnet.log`).
"""

import argparse
import math
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from train import HELD_OUT, accuracy, training_data

from ttfs_convert.training.torch import export_onnx


class Block(nn.Module):
    """relu(x + branch(x)), with a projection where the size changes (He et al. 2015)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = (
            nn.Identity() if inputs == outputs else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.branch(x) + self.shortcut(x))


class Normalised(nn.Module):
    """(x - mean) / deviation of the training images, inside the model."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - 0.286) / 0.353


def network() -> nn.Sequential:
    """Four blocks of 16, 16, 32 and 64 channels behind a stem, a global average pool and one linear layer. Input (n, 1, 28, 28)."""
    return nn.Sequential(
        Normalised(),
        nn.Conv2d(1, 16, 3, 1, 1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Block(16, 16, 1),
        Block(16, 16, 1),
        Block(16, 32, 2),
        Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def train(x: torch.Tensor, y: torch.Tensor, epochs: int, batch: int, rate: float) -> nn.Module:
    held_x, held_y, x, y = x[-HELD_OUT:], y[-HELD_OUT:], x[:-HELD_OUT], y[:-HELD_OUT]
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * math.ceil(len(x) / batch))
    start = time.time()
    for epoch in range(epochs):
        for chosen in torch.randperm(len(x)).split(batch):
            images = x[chosen]
            images = images.flip(3) if torch.rand(()) < 0.5 else images
            loss = cross_entropy(model(images), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(
            f"epoch {epoch + 1}: loss {loss.item():.3f}, held out {100 * accuracy(model, held_x, held_y):.2f} %, {time.time() - start:.0f} s",
            flush=True,
        )
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    x, y = training_data(arguments.data)
    export_onnx(train(x, y, arguments.epochs, arguments.batch, arguments.rate), arguments.out, x[:1])


if __name__ == "__main__":
    main()
