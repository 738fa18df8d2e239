"""The paper's training recipe (LC-TTFS, section IV-A2), restartable at any time."""

from __future__ import annotations

import copy
import dataclasses
import logging
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from architectures import network
from images import CLASSES, FLIPPED, SIDE, Split, varied
from torch.nn.functional import cross_entropy

from ttfs_convert.errors import DataError, UsageError
from ttfs_convert.training.torch import LcTtfs

WARM_UP = 0.3  # share of a one-cycle training in which the rate rises
MILESTONES = (0.6, 0.8, 0.9)  # shares of the epochs after which the learning rate is divided by 10
CHECKPOINT = "checkpoint.pt"
log = logging.getLogger("train")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is trained: two runs with equal recipes and equal images are equal bit by bit on one machine."""

    data: str
    architecture: str
    width: float
    epochs: int
    batch: int
    lr: float
    seed: int
    limit: int | None
    dropout: float
    mean: float  # of the pre-activation's target distribution
    lambda_w: float  # of the soft weight-sum constraint; 0: without
    lambda_a: float  # of the pre-activation normalisation; 0: without
    momentum: float = 0.9
    weight_decay: float = 5e-4
    shift: int = 4  # pixels each way by which training images are moved
    activation: str = "relu1"
    hard: bool = True  # whether weight sums are projected to 1 after every step
    side: int = SIDE  # of the images
    schedule: str = "milestones"  # the paper's; or "one cycle", for short trainings

    def rate(self, epoch: float) -> float:
        """Learning rate at a moment, in epochs since the beginning.

        One cycle: from lr / 25 up to lr and down to almost 0, each along half a cosine (Smith and Topin, arXiv:1708.07120).
        """
        if self.schedule == "one cycle":
            share = epoch / self.epochs
            start, past = (1 / 25, share / WARM_UP) if share < WARM_UP else (0.0, (1 - share) / (1 - WARM_UP))
            return self.lr * (start + (1 - start) * (1 - math.cos(math.pi * past)) / 2)
        return self.lr * 0.1 ** sum(epoch >= round(share * self.epochs) for share in MILESTONES)


class Unprojected(LcTtfs):
    """LC-TTFS without its hard constraint: weight sums are wherever the loss takes them."""

    def project_(self) -> None:
        pass


def checkpoint(folder: Path, recipe: Recipe) -> dict:
    """The checkpoint in `folder`; raises UsageError if it is that of another recipe."""
    state = torch.load(folder / CHECKPOINT, weights_only=True)
    theirs = state["recipe"]
    if different := [f"{key} {theirs.get(key)} (now {value})" for key, value in dataclasses.asdict(recipe).items() if theirs.get(key) != value]:
        raise UsageError(
            str(folder / CHECKPOINT),
            f"a checkpoint with {', '.join(different)}",
            "the same options",
            "repeat the options of the first run, or choose another --out",
        )
    return state


class Training:
    """A training under way. best: the weights that did best on the validation images, and their accuracy there."""

    def __init__(self, recipe: Recipe, channels: int):
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.model = network(recipe.architecture, channels, CLASSES[recipe.data], recipe.width, recipe.dropout, recipe.activation, recipe.side)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
        constraints = LcTtfs if recipe.hard else Unprojected
        self.lc = constraints(self.model, self.optimizer, lambda_w=recipe.lambda_w, lambda_a=recipe.lambda_a, mean=recipe.mean)
        self.epoch, self.step, self.seconds, self.loss = 0, 0, 0.0, 0.0
        self.best: dict[str, torch.Tensor] = {}
        self.best_accuracy = -1.0

    def run(self, training: Split, validation: Split, folder: Path, every: float = 600.0) -> None:
        """Train to the end, with a checkpoint in `folder` after every epoch and every so many seconds within one."""
        flip = self.recipe.data in FLIPPED
        while self.epoch < self.recipe.epochs:
            steps = math.ceil(len(training) / self.recipe.batch)
            order = torch.randperm(len(training), generator=torch.Generator().manual_seed(self.recipe.seed * 100_003 + self.epoch))
            start = saved = time.perf_counter()
            before = self.seconds
            for chosen in order.split(self.recipe.batch)[self.step :]:
                self.optimizer.param_groups[0]["lr"] = self.recipe.rate(self.epoch + self.step / steps)
                self._update(*training.batch(chosen), flip)
                self.step += 1
                self.seconds = before + time.perf_counter() - start
                if time.perf_counter() - saved > every:
                    self.save(folder)
                    saved = time.perf_counter()
            self._end_epoch(validation, steps, folder)

    def _update(self, x: torch.Tensor, y: torch.Tensor, flip: bool) -> None:
        self.model.train()
        loss = self.lc.loss(cross_entropy(self.model(varied(x, flip, self.recipe.shift)), y))
        if not torch.isfinite(loss):
            raise DataError(f"epoch {self.epoch + 1}, batch {self.step + 1}", f"loss {loss.item()}", "a finite number", "lower --lr")
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.loss += loss.item()

    def _end_epoch(self, validation: Split, steps: int, folder: Path) -> None:
        accuracy = self.accuracy(validation)
        log.info(
            "epoch %d/%d: rate %g, loss %.4f, validation accuracy %.2f %%, %.0f s",
            self.epoch + 1,
            self.recipe.epochs,
            self.recipe.rate(self.epoch),
            self.loss / steps,
            100 * accuracy,
            self.seconds,
        )
        if accuracy > self.best_accuracy:
            self.best_accuracy, self.best = accuracy, copy.deepcopy(self.model.state_dict())
        self.epoch, self.step, self.loss = self.epoch + 1, 0, 0.0
        self.save(folder)

    @torch.no_grad()
    def accuracy(self, images: Split, batch: int = 500) -> float:
        """Share of images whose largest output is that of their label."""
        self.model.eval()
        right = 0
        for first in range(0, len(images), batch):
            x, y = images.batch(slice(first, first + batch))
            right += int((self.model(x).argmax(1) == y).sum())
        return right / len(images)

    def save(self, folder: Path) -> None:
        """Write a checkpoint; an interruption leaves the one before it."""
        state = {
            "recipe": dataclasses.asdict(self.recipe),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "loss": self.loss,
            "best": self.best,
            "best_accuracy": self.best_accuracy,
            "generator": torch.get_rng_state(),
        }
        torch.save(state, folder / f"{CHECKPOINT}.tmp")
        os.replace(folder / f"{CHECKPOINT}.tmp", folder / CHECKPOINT)

    def resume(self, folder: Path) -> None:
        """Go on from the checkpoint in `folder`; raises UsageError if it is that of another recipe."""
        state = checkpoint(folder, self.recipe)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in ("epoch", "step", "seconds", "loss", "best", "best_accuracy"):
            setattr(self, name, state[name])
        torch.set_rng_state(state["generator"])
