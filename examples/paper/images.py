"""Images, by default of 32 x 32, for the paper's networks: training, validation and test sets, and how training images are varied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ttfs_convert.data import Dataset, load_dataset

SIDE = 32
VALIDATION = 5000  # of CIFAR's 50,000 training images, as in the paper
CLASSES = {"cifar10": 10, "cifar100": 100, "fashion-mnist": 10, "mnist": 10}
FLIPPED = ("cifar10", "cifar100", "fashion-mnist")  # a digit in the mirror is another or none


@dataclass(frozen=True)
class Split:
    """x: (n, channels, side, side) uint8. y: (n,) int64."""

    x: Tensor
    y: Tensor

    def batch(self, chosen: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Images as float32 in [0, 1], what a spike time can carry: no mean is subtracted; and labels."""
        return self.x[chosen].float() / 255, self.y[chosen]

    def __len__(self) -> int:
        return len(self.y)


def training_images(name: str, data_dir: Path | None = None, limit: int | None = None, side: int = SIDE) -> tuple[Split, Split]:
    """Training and validation images. The validation images are the last 5,000 of the training set (of a small one its last tenth), and
    no more than there are training images.

    name: a key of CLASSES. limit: of training images. side: to which smaller images are padded. Raises DataError when the data cannot be
    had.
    """
    data = padded(load_dataset(name, split="train", data_dir=data_dir), side)
    x, y = channels_first(data.x), torch.from_numpy(data.y)
    held = min(VALIDATION, len(y) // 10)
    training = Split(x[:-held][:limit], y[:-held][:limit])
    return training, Split(x[-held:][: len(training)], y[-held:][: len(training)])


def test_images(name: str, data_dir: Path | None = None, limit: int | None = None, side: int = SIDE) -> Dataset:
    return padded(load_dataset(name, data_dir=data_dir, limit=limit), side)


def channels_first(x: np.ndarray) -> Tensor:
    """(n, channels, height, width) in plain strides, also of one channel, which `contiguous` alone would leave as channels last."""
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


def padded(data: Dataset, side: int = SIDE) -> Dataset:
    """`data` with zeros around images smaller than side x side."""
    missing = [side - size for size in data.x.shape[1:3]]
    if not any(missing):
        return data
    around = [(size // 2, size - size // 2) for size in missing]
    return replace(data, name=f"{data.name}, padded to {side} x {side}", x=np.pad(data.x, ((0, 0), *around, (0, 0))))


def varied(x: Tensor, flip: bool, shift: int = 4) -> Tensor:
    """Each image moved by up to `shift` pixels each way, zeros coming in, and mirrored with probability 1/2 if `flip`.

    x: (n, channels, side, side). Draws from torch's global generator.
    """
    count, channels, side = x.shape[:3]
    image, channel = torch.arange(count).view(-1, 1, 1, 1), torch.arange(channels).view(1, -1, 1, 1)
    rows, columns = torch.randint(0, 2 * shift + 1, (2, count, 1)) + torch.arange(side)
    moved = functional.pad(x, [shift] * 4)[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
    return torch.where(torch.rand(count, 1, 1, 1) < 0.5, moved.flip(3), moved) if flip else moved
