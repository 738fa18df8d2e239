"""Train the Fashion-MNIST example with the LC-TTFS constraints and export it to ONNX.

    python examples/fashion_mnist/train.py --data DIR --out examples/fashion_mnist/model.onnx

DIR holds Fashion-MNIST's four IDX files, gzipped or not. The last 5,000 training images are held out for the figures printed after
each epoch; the test images are not read. The target mean below 0 and the biases silence three quarters of the neurons; LC-TTFS has a mean
of 0 and no biases (examples/paper/silence.py compares). Twelve epochs take about half an hour on one core (`train.log`).
"""

import argparse
import gzip
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ttfs_convert.training.torch import LcTtfs, ReLU1, export_onnx

LAMBDA_A = 0.1  # the paper leaves it open; see `LcTtfs`
MEAN = -0.3
HELD_OUT = 5000  # or a tenth of a small training set


class Net(nn.Sequential):
    """24-24-P-48-48-P-96-FC128-10: 3x3 convolutions, P an average pool of 2, ReLU1, no BatchNorm. Input (n, 1, 28, 28).

    bias: whether hidden neurons have one, a charge that is there when the window opens. With weights that sum to 1, it alone can make the
    mean of a neuron's potentials another than that of its inputs.
    """

    def __init__(self, bias: bool = True):
        layers: list[nn.Module] = []
        channels = 1
        for width in (24, 24, "P", 48, 48, "P", 96):
            if width == "P":
                layers += [nn.AvgPool2d(2)]
            else:
                layers += [nn.Conv2d(channels, width, 3, padding=1, bias=bias), ReLU1()]
                channels = width
        layers += [
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(channels * 7 * 7, 128, bias=bias),
            ReLU1(),
            nn.Dropout(0.3),
            nn.Linear(128, 10, bias=False),
        ]
        super().__init__(*layers)


def idx(folder: Path, name: str, offset: int) -> np.ndarray:
    plain = folder / name
    raw = plain.read_bytes() if plain.exists() else gzip.decompress((folder / f"{name}.gz").read_bytes())
    return np.frombuffer(raw, np.uint8, offset=offset)


def training_data(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    x = idx(folder, "train-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)
    y = idx(folder, "train-labels-idx1-ubyte", 8)
    return torch.from_numpy(x.astype(np.float32) / 255), torch.from_numpy(y.astype(np.int64))


def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    model.eval()
    with torch.no_grad():
        right = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in zip(x.split(500), y.split(500)))
    model.train()
    return right / len(y)


def train(
    x: torch.Tensor, y: torch.Tensor, epochs: int, batch: int, rate: float, mean: float = MEAN, lambda_a: float = LAMBDA_A, bias: bool = True
) -> nn.Module:
    held = min(HELD_OUT, len(x) // 10)
    held_x, held_y, x, y = x[-held:], y[-held:], x[:-held], y[:-held]
    model = Net(bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * math.ceil(len(x) / batch))
    lc = LcTtfs(model, optimizer, mean=mean, lambda_a=lambda_a)
    start = time.time()
    for epoch in range(epochs):
        for chosen in torch.randperm(len(x)).split(batch):
            images = torch.where(torch.rand(len(chosen), 1, 1, 1) < 0.5, x[chosen], x[chosen].flip(3))
            loss = lc.loss(cross_entropy(model(images), y[chosen]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(
            f"epoch {epoch + 1}/{epochs}: loss {loss.item():.4f}, held-out accuracy {accuracy(model, held_x, held_y):.4f}, "
            f"{time.time() - start:.0f} s",
            flush=True,
        )
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the IDX files")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("model.onnx"))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mean", type=float, default=MEAN, help="of the pre-activation's target distribution")
    parser.add_argument("--lambda-a", type=float, default=LAMBDA_A, help="weight of the loss that draws pre-activations there")
    parser.add_argument("--bias", action=argparse.BooleanOptionalAction, default=True, help="of hidden neurons: without, a mean below 0 silences few")
    parser.add_argument("--limit", type=int, help="use the first images only")
    parser.add_argument("--threads", type=int, help="default: all cores")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    x, y = (array[: options.limit] for array in training_data(options.data))
    model = train(x, y, options.epochs, options.batch, options.rate, options.mean, options.lambda_a, options.bias)
    export_onnx(model, options.out, x[:2])
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
