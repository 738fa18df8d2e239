"""Repeat the paper's Table III, its ablation study, with a small network on Fashion-MNIST, and print both tables as one.

    python examples/paper/table3.py --out runs/table3

trains VGG-7 (12-12-P-24-24-P-48-FC64-10: 3 x 3 convolutions, P an average pool of 2, no BatchNorm, no bias, no dropout) on the 28 x 28
images as they are, from scratch for every model, converts it and runs it on all test images. LC-TTFS, section IV-D, on what a model
leaves out:

    1   "removing all the constraints that applied to the pre-trained ANN (i.e., soft and hard constraints for the weight sum, ReLU1
        activation function, and pre-activation normalization) and the converted SNN (i.e., dynamic firing threshold)"
    2a  "Dropping the hard constraint while keeping all the rest constraints"
    2b  "dropping both the soft and hard constraints"
    3   "we replaced the ReLU1 activation function with a standard ReLU function, while keeping all the rest constraints"
    4   "all constraints except for the pre-activation normalization"
    5   "the same ANN pre-training procedures as the baseline model, while during the network conversion, we replaced the dynamic firing
        threshold with a fixed threshold of 1"

Models that train alike (5 and the baseline) share one training. What strict mode accepts is converted strictly, the rest in mode
unchecked: a ReLU as a clamp at 1, weight sums as they are. The fixed threshold is simulated step by step (engine clock).

A model has a folder in OUT with log.txt, checkpoint.pt, model.onnx, snn.npz and report.json. The command can be interrupted and
repeated: what has a report is not run again, and a training goes on from its checkpoint.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from images import test_images
from recipe import CHECKPOINT, Recipe, checkpoint
from train import log_to, measured, trained

from ttfs_convert.data import Dataset
from ttfs_convert.errors import DataError, TtfsError, UsageError
from ttfs_convert.report.schema import Report
from ttfs_convert.training.torch import export_onnx

DATA, SIDE, STEPS = "fashion-mnist", 28, 50
LAMBDA_W, LAMBDA_A = 1e-3, 1e-2
CONSTRAINTS = ("soft", "hard", "relu1", "norm", "dynamic")
log = logging.getLogger("train")


@dataclass(frozen=True)
class Model:
    """A row of Table III. ann, snn: the paper's accuracies in %, of VGG-11 on CIFAR-10."""

    name: str
    soft: bool  # constraint for the weight sum
    hard: bool
    relu1: bool
    norm: bool  # pre-activation normalisation
    dynamic: bool  # firing threshold
    ann: float
    snn: float

    @property
    def left_out(self) -> str:
        names = {"soft": "soft constraint", "hard": "hard constraint", "relu1": "ReLU1", "norm": "normalisation", "dynamic": "dynamic threshold"}
        return ", ".join(name for constraint, name in names.items() if not getattr(self, constraint)) or "nothing"

    @property
    def mode(self) -> str:
        return "strict" if self.hard and self.relu1 else "unchecked"

    @property
    def threshold(self) -> str:
        return "dynamic" if self.dynamic else "fixed"

    def recipe(self, given: argparse.Namespace, seed: int) -> Recipe:
        return Recipe(
            DATA,
            "vgg7",
            given.width,
            given.epochs,
            given.batch,
            given.lr,
            seed,
            given.limit,
            dropout=0.0,
            mean=0.0,
            lambda_w=LAMBDA_W if self.soft else 0.0,
            lambda_a=LAMBDA_A if self.norm else 0.0,
            shift=0,
            activation="relu1" if self.relu1 else "relu",
            hard=self.hard,
            side=SIDE,
            schedule="one cycle",
        )

    def trained_as(self) -> str:
        """The first model with the same training."""
        return next(
            other.name
            for other in MODELS.values()
            if replace(self, name="", dynamic=True, ann=0, snn=0) == replace(other, name="", dynamic=True, ann=0, snn=0)
        )


MODELS = {
    row[0]: Model(*row)
    for row in (
        ("baseline", True, True, True, True, True, 91.30, 91.25),
        ("1", False, False, False, False, False, 91.33, 10.00),
        ("2a", True, False, True, True, True, 91.57, 86.95),
        ("2b", False, False, True, True, True, 92.10, 29.18),
        ("3", True, True, False, True, True, 90.87, 64.44),
        ("4", True, True, True, False, True, 89.60, 89.67),
        ("5", True, True, True, True, False, 91.30, 77.82),
    )
}


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for everything that is written")
    parser.add_argument(
        "--only",
        choices=MODELS,
        nargs="+",
        metavar="MODEL",
        default=list(MODELS),
        help=f"of {', '.join(MODELS)}; the table has what else is finished",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the baseline; the other models have the first")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.05, help="the highest of the one cycle; model 3 has diverged at 0.1")
    parser.add_argument("--width", type=float, default=1.0, help="channels of the hidden layers, as a factor")
    parser.add_argument("--limit", type=int, help="of training images")
    parser.add_argument("--test-limit", type=int, help="of test images")
    parser.add_argument("--data-dir", type=Path, help="where the raw files are; else $TTFS_DATA, the user cache, a download")
    parser.add_argument(
        "--threads", type=int, help="default: all cores; two commands with --only and one thread each are faster than one command with two"
    )
    given = parser.parse_args(arguments)
    for name in ("epochs", "batch", "lr", "width", "limit", "test_limit", "threads"):
        if getattr(given, name) is not None and not getattr(given, name) > 0:
            parser.error(f"--{name.replace('_', '-')} must be above 0")
    return given


def runs(given: argparse.Namespace) -> Iterator[tuple[Model, int]]:
    """All rows of the table: models and their seeds."""
    for model in MODELS.values():
        for seed in given.seeds if model.name == "baseline" else given.seeds[:1]:
            yield model, seed


def folder_of(given: argparse.Namespace, name: str, seed: int) -> Path:
    return given.out / f"{name}-seed{seed}"


def finished(given: argparse.Namespace, model: Model, seed: int, samples: int) -> Report | None:
    """The report of an earlier run, if there is one; raises UsageError if that had other options."""
    file = folder_of(given, model.name, seed) / "report.json"
    source = folder_of(given, model.trained_as(), seed)
    if not file.exists():
        return None
    if (source / CHECKPOINT).exists():
        checkpoint(source, model.recipe(given, seed))
    report = Report.model_validate_json(file.read_text())
    if report.data.samples != samples:
        raise UsageError(
            str(file), f"{report.data.samples} test images", f"{samples}", "repeat the options of the first run, or choose another --out"
        )
    return report


def run(given: argparse.Namespace, model: Model, seed: int, test: Dataset) -> Report:
    """Train (or find what was trained), convert, and run on the test images; all that is written is in the model's folder."""
    folder, source = folder_of(given, model.name, seed), folder_of(given, model.trained_as(), seed)
    if not (source / "model.onnx").exists():
        start_log(source)
        if given.threads:
            torch.set_num_threads(given.threads)  # every time: Numba's OpenMP layer sets it for the whole process
        network, image = trained(model.recipe(given, seed), source, given.data_dir)
        partial = source / "model.partial"
        export_onnx(network, partial, image)
        partial.replace(source / "model.onnx")
    start_log(folder)
    if folder != source:
        shutil.copyfile(source / "model.onnx", folder / "model.onnx")
        log.info("%s, trained as %s", model.recipe(given, seed), source.name)
    log.info("%s, left out: %s; mode %s, %s threshold", model.name, model.left_out, model.mode, model.threshold)
    report = measured(folder, test, STEPS, given.threads, model.mode, model.threshold)
    log.info("%s", table([(model, seed, report)]))
    return report


def start_log(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    log_to(folder)


def table(rows: list[tuple[Model, int, Report]]) -> str:
    lines = [
        "| model | left out | soft | hard | ReLU1 | norm | dynamic | seed | ANN | SNN | drift, 95 % interval | agreement | "
        "paper's ANN | paper's SNN |",
        "|---" * 14 + "|",
    ]
    for model, seed, report in rows:
        low, high = report.drift.ci95_pp
        marks = " | ".join("x" if getattr(model, constraint) else "" for constraint in CONSTRAINTS)
        lines += [
            f"| {model.name} | {model.left_out} | {marks} | {seed} | {100 * report.ann.accuracy:.2f} % | "
            f"{100 * report.snn.accuracy:.2f} % | {report.drift.accuracy_pp:+.2f} pp [{low:+.2f}, {high:+.2f}] | "
            f"{100 * report.drift.agreement:.2f} % | {model.ann:.2f} % | {model.snn:.2f} % |"
        ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    given = options(arguments)
    rows, failed = [], 0
    try:
        test = test_images(DATA, given.data_dir, given.test_limit, SIDE)
        for model, seed in runs(given):
            report = finished(given, model, seed, len(test))
            if report is None and model.name in given.only:
                try:
                    report = run(given, model, seed, test)
                except DataError as error:  # a training that diverges: the others go on
                    log.error("error: %s", error)
                    failed = error.exit_code
            if report is not None:
                rows.append((model, seed, report))
    except TtfsError as error:
        print(f"error: {error}")
        sys.exit(error.exit_code)
    print(table(rows))
    if failed:
        sys.exit(failed)


if __name__ == "__main__":
    main()
