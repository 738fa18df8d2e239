"""Train an ordinary MobileNet on Fashion-MNIST: inverted residual blocks with linear bottlenecks, depthwise convolutions, BatchNorm, ReLU6
(Sandler et al. 2018), no thought of spikes; and export it to ONNX.

    python examples/fashion_mnist/train_mobilenet.py --out examples/fashion_mnist/mobilenet.onnx

The last 5,000 training images choose the epoch; the test images are read for the last line alone (`train_mobilenet.log`). Interrupted, the
same command goes on behind the last whole epoch, bit by bit as if nothing had happened: until the end a checkpoint lies beside OUT.
"""

import argparse
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from train import HELD_OUT, accuracy

import ttfs_convert
from ttfs_convert.data import Dataset, load_dataset
from ttfs_convert.training.torch import export_onnx

EXPANSION = 3
WARM_UP = 1  # epochs in which the rate rises


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)]


class InvertedResidual(nn.Module):
    """x + bottleneck(depthwise(expanded(x))), without x where the size changes; the bottleneck has no activation."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        hidden = EXPANSION * inputs
        self.branch = nn.Sequential(
            *convolution(inputs, hidden, 1),
            nn.ReLU6(),
            *convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.ReLU6(),
            *convolution(hidden, outputs, 1),
        )
        self.residual = inputs == outputs and stride == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.branch(x) if self.residual else self.branch(x)


def network() -> nn.Sequential:
    """Six blocks of 12, 24, 24, 24, 32 and 32 channels behind a stem of 8, 96 channels, a global average pool and one linear layer.
    Input (n, 1, 28, 28)."""
    return nn.Sequential(
        *convolution(1, 8, 3, 2),
        nn.ReLU6(),
        InvertedResidual(8, 12, 1),
        InvertedResidual(12, 24, 2),
        InvertedResidual(24, 24, 1),
        InvertedResidual(24, 24, 1),
        InvertedResidual(24, 32, 1),
        InvertedResidual(32, 32, 1),
        *convolution(32, 96, 1),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(96, 10),
    )


def images_of(data: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    """(n, 1, 28, 28) float32 in [0, 1], labels."""
    return torch.tensor(data.x).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(data.y)


class Training:
    """A training under way. best: the weights that did best on the held-out images, and their accuracy there."""

    def __init__(self, options: argparse.Namespace, network: Callable[[], nn.Module]):
        torch.manual_seed(options.seed)
        self.options = options
        self.model = network().to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=options.rate, momentum=0.9, weight_decay=1e-4, nesterov=True)
        self.epoch, self.seconds, self.best, self.best_accuracy = 0, 0.0, {}, -1.0

    def rate(self, epoch: float) -> float:
        """At a moment, in epochs since the beginning: a straight rise, then half a cosine down to 0."""
        if epoch < WARM_UP:
            return self.options.rate * epoch / WARM_UP
        return self.options.rate * (1 + math.cos(math.pi * (epoch - WARM_UP) / (self.options.epochs - WARM_UP))) / 2

    def run(self, x: torch.Tensor, y: torch.Tensor, checkpoint: Path) -> nn.Module:
        """Train to the end and give back the best network."""
        held = min(HELD_OUT, len(x) // 10)
        held_x, held_y, x, y = x[-held:], y[-held:], x[:-held], y[:-held]
        while self.epoch < self.options.epochs:
            torch.manual_seed(1000 * self.options.seed + self.epoch + 1)  # an epoch's chance is its own, whoever starts with it
            start, steps, losses = time.time(), math.ceil(len(x) / self.options.batch), 0.0
            for step, chosen in enumerate(torch.randperm(len(x)).split(self.options.batch)):
                self.optimizer.param_groups[0]["lr"] = self.rate(self.epoch + (step + 1) / steps)
                images = torch.where(torch.rand(len(chosen), 1, 1, 1) < 0.5, x[chosen], x[chosen].flip(3))
                loss = cross_entropy(self.model(images.contiguous(memory_format=torch.channels_last)), y[chosen])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                losses += loss.item()
            right = accuracy(self.model, held_x, held_y)
            if right > self.best_accuracy:
                self.best_accuracy, self.best = right, {name: value.clone() for name, value in self.model.state_dict().items()}
            self.epoch, self.seconds = self.epoch + 1, self.seconds + time.time() - start
            print(
                f"epoch {self.epoch}/{self.options.epochs}: loss {losses / steps:.3f}, held out {100 * right:.2f} %, {self.seconds:.0f} s", flush=True
            )
            self.save(checkpoint)
        self.model.load_state_dict(self.best)
        print(f"best: held out {100 * self.best_accuracy:.2f} %", flush=True)
        return self.model.to(memory_format=torch.contiguous_format).eval()

    def save(self, checkpoint: Path) -> None:
        """An interruption leaves the one before it."""
        state = {name: getattr(self, name) for name in ("epoch", "seconds", "best", "best_accuracy")}
        state |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "recipe": recipe(self.options)}
        torch.save(state, checkpoint.with_suffix(".tmp"))
        os.replace(checkpoint.with_suffix(".tmp"), checkpoint)

    def resume(self, checkpoint: Path) -> None:
        state = torch.load(checkpoint, weights_only=True)
        if state["recipe"] != recipe(self.options):
            raise SystemExit(f"error: {checkpoint} is of a training with {state['recipe']}; repeat its options, or remove it")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in ("epoch", "seconds", "best", "best_accuracy"):
            setattr(self, name, state[name])


def recipe(options: argparse.Namespace) -> dict[str, float]:
    return {name: getattr(options, name) for name in ("epochs", "batch", "rate", "seed")}


def run_to_the_end(options: argparse.Namespace, network: Callable[[], nn.Module], called: str = "") -> None:
    """Train, export, convert and judge; goes on where a checkpoint lies beside OUT. called: what the log begins with."""
    if options.threads:
        torch.set_num_threads(options.threads)
    data = load_dataset("fashion-mnist", split="train", data_dir=options.data_dir)
    training, checkpoint = Training(options, network), options.out.with_suffix(".pt")
    if checkpoint.exists():
        training.resume(checkpoint)
    begun = recipe(options) if not training.epoch else f"going on with epoch {training.epoch + 1}"
    print(*filter(None, (called,)), begun, flush=True)
    x, y = images_of(data)
    export_onnx(training.run(x, y, checkpoint), options.out, x[:1])
    snn = ttfs_convert.convert(options.out, mode="exact", steps=None, calibrate=data.first(1000))
    report = ttfs_convert.evaluate(snn, load_dataset("fashion-mnist", data_dir=options.data_dir)).report
    print(
        f"{report.data.samples:,} test images: ANN {100 * report.ann.accuracy:.2f} %; in mode exact and continuous time "
        f"SNN {100 * report.snn.accuracy:.2f} %, agreement {100 * report.drift.agreement:.2f} %"
    )
    checkpoint.unlink()


def arguments_of_training(parser: argparse.ArgumentParser, epochs: int, rate: float | None) -> None:
    """rate: None where it depends on the network."""
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=rate)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir", type=Path, help="where the raw files are; else $TTFS_DATA, the user cache, a download")
    parser.add_argument("--threads", type=int, help="default: all cores")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments_of_training(parser, 12, 0.1)
    run_to_the_end(parser.parse_args(arguments), network)


if __name__ == "__main__":
    main()
