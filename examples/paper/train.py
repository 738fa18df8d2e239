"""Train one of the paper's networks, convert it, and print its row of the paper's Table I.

    python examples/paper/train.py vgg16 cifar10 --out runs/vgg16

trains VGG-16 on CIFAR-10 with the paper's recipe (300 epochs; give it days or few channels without a GPU), keeps the weights that do
best on 5,000 validation images, exports them to ONNX, converts that in strict mode, and runs both on the test images, which nothing
before has looked at. Interrupted, it goes on with --resume. OUT then holds log.txt, checkpoint.pt, model.onnx, snn.npz,
report.json and continuous.json.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import torch
from architectures import ARCHITECTURES
from images import CLASSES, test_images, training_images
from recipe import CHECKPOINT, Recipe, Training

import ttfs_convert
from ttfs_convert.data import Dataset
from ttfs_convert.errors import TtfsError, UsageError
from ttfs_convert.training.torch import export_onnx

PAPER = {
    ("cifar10", "vgg11"): (91.25, -0.05),
    ("cifar10", "vgg16"): (92.72, -0.07),
    ("cifar10", "resnet20"): (92.67, -0.05),
    ("cifar100", "vgg16"): (70.15, -0.13),
    ("cifar100", "resnet20"): (72.36, 0.13),
}  # Table I: SNN accuracy in %, SNN - ANN
log = logging.getLogger("train")


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architecture", choices=ARCHITECTURES)
    parser.add_argument("data", choices=CLASSES)
    parser.add_argument("--out", type=Path, required=True, help="folder for everything that is written")
    parser.add_argument("--epochs", type=int, help="default: the paper's, 200 for ResNets and 300 for VGGs")
    parser.add_argument("--width", type=float, default=1.0, help="channels of the hidden layers, as a factor")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.01, help="divided by 10 at 0.6, 0.8 and 0.9 of the epochs")
    parser.add_argument(
        "--schedule",
        choices=("milestones", "one cycle"),
        default="milestones",
        help="of the learning rate; one cycle, which rises to --lr and falls to 0, is for short trainings",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="of training images")
    parser.add_argument("--test-limit", type=int, help="of test images")
    parser.add_argument("--dropout", type=float, default=0.2, help="probability")
    parser.add_argument("--shift", type=int, default=4, help="pixels each way by which training images are moved")
    parser.add_argument("--mean", type=float, default=0.0, help="of the pre-activation's target distribution")
    parser.add_argument("--lambda-w", type=float, default=1e-3, help="weight of the weight-sum loss")
    parser.add_argument("--lambda-a", type=float, default=1e-2, help="weight of the pre-activation loss")
    parser.add_argument("--steps", type=int, default=50, help="time steps per window")
    parser.add_argument("--data-dir", type=Path, help="where the raw files are; else $TTFS_DATA, the user cache, a download")
    parser.add_argument("--threads", type=int, help="default: all cores")
    parser.add_argument("--checkpoint-seconds", type=float, default=600.0, help="also within an epoch; one is always written after it")
    parser.add_argument("--resume", action="store_true", help="go on from OUT's checkpoint if it has one")
    given = parser.parse_args(arguments)
    given.epochs = given.epochs or (200 if given.architecture.startswith("resnet") else 300)
    for name in ("epochs", "batch", "limit", "test_limit", "threads", "width", "lr"):
        if getattr(given, name) is not None and not getattr(given, name) > 0:
            parser.error(f"--{name.replace('_', '-')} must be above 0")
    return given


def log_to(folder: Path) -> None:
    handlers = [logging.StreamHandler(sys.stdout), logging.FileHandler(folder / "log.txt")]
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=handlers, force=True)
    log.setLevel(logging.INFO)


def trained(
    recipe: Recipe, folder: Path, data_dir: Path | None = None, resume: bool = True, every: float = 600.0
) -> tuple[torch.nn.Module, torch.Tensor]:
    """The network that did best on the validation images, and one image. resume: go on from `folder`'s checkpoint if it has one."""
    training, validation = training_images(recipe.data, data_dir, recipe.limit, recipe.side)
    run = Training(recipe, training.x.shape[1])
    if (folder / CHECKPOINT).exists():
        if not resume:
            raise UsageError("--out", f"{folder} holds a checkpoint", remedy="go on with --resume, or choose another folder")
        run.resume(folder)
        log.info("going on at epoch %d, batch %d", run.epoch + 1, run.step + 1)
    log.info("%s", recipe)
    log.info(
        "%s on %s: %s training and %s validation images, %s weights",
        recipe.architecture,
        recipe.data,
        f"{len(training):,}",
        f"{len(validation):,}",
        f"{sum(weight.numel() for weight in run.model.parameters()):,}",
    )
    run.run(training, validation, folder, every)
    run.model.load_state_dict(run.best)
    log.info("best validation accuracy %.2f %%", 100 * run.best_accuracy)
    return run.model, training.batch(slice(0, 1))[0]


def measured(folder: Path, test: Dataset, steps: int, threads: int | None, mode: str = "strict", threshold: str = "dynamic") -> ttfs_convert.Report:
    """Convert `folder`'s model.onnx and hold the result, snn.npz, against it on `test`; written to report.json."""
    snn = ttfs_convert.convert(folder / "model.onnx", mode=mode, steps=steps)
    ttfs_convert.save(snn, folder / "snn.npz")
    engine = "exact" if threshold == "dynamic" else "clock"
    report = ttfs_convert.evaluate(snn, test, threads=threads, engine=engine, threshold=threshold).report
    (folder / "report.json").write_text(report.model_dump_json(indent=2) + "\n")
    return report


def continuous(folder: Path, test: Dataset, threads: int | None) -> ttfs_convert.Report:
    """Run `folder`'s snn.npz in continuous time; written to continuous.json."""
    report = ttfs_convert.evaluate(ttfs_convert.load(folder / "snn.npz").with_steps(None), test, threads=threads).report
    (folder / "continuous.json").write_text(report.model_dump_json(indent=2) + "\n")
    return report


def row(given: argparse.Namespace, report: ttfs_convert.Report, exact: ttfs_convert.Report) -> str:
    """Heading and row as in Table I, and below it the paper's where it has one for the full-width network. exact: in continuous time."""
    low, high = report.drift.ci95_pp
    name = given.architecture + (f", width {given.width:g}" if given.width != 1 else "")
    lines = [
        "| dataset | network | test images | ANN | SNN | drift, 95 % interval | agreement | in continuous time |",
        "|---|---|---|---|---|---|---|---|",
        f"| {given.data} | {name} | {report.data.samples:,} | {100 * report.ann.accuracy:.2f} % | {100 * report.snn.accuracy:.2f} % | "
        f"{report.drift.accuracy_pp:+.2f} pp [{low:+.2f}, {high:+.2f}] | {100 * report.drift.agreement:.2f} % | "
        f"{100 * exact.drift.agreement:.2f} % |",
    ]
    if given.width == 1 and (given.data, given.architecture) in PAPER:
        accuracy, drift = PAPER[given.data, given.architecture]
        lines += [f"| {given.data} | {name}, the paper's | 10,000 | {accuracy - drift:.2f} % | {accuracy:.2f} % | {drift:+.2f} pp | | |"]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    given = options(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    log_to(given.out)
    if given.threads:
        torch.set_num_threads(given.threads)
    log.info("train.py %s", " ".join(sys.argv[1:] if arguments is None else arguments))
    try:
        test = test_images(given.data, given.data_dir, given.test_limit)  # first, so that missing data shows before the training
        recipe = Recipe(
            given.data,
            given.architecture,
            given.width,
            given.epochs,
            given.batch,
            given.lr,
            given.seed,
            given.limit,
            given.dropout,
            given.mean,
            given.lambda_w,
            given.lambda_a,
            shift=given.shift,
            schedule=given.schedule,
        )
        model, image = trained(recipe, given.out, given.data_dir, given.resume, given.checkpoint_seconds)
        export_onnx(model, given.out / "model.onnx", image)
        report = measured(given.out, test, given.steps, given.threads)
        exact = continuous(given.out, test, given.threads)
    except TtfsError as error:
        log.error("error: %s", error)
        sys.exit(error.exit_code)
    log.info("%s", row(given, report, exact))


if __name__ == "__main__":
    main()
