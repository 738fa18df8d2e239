"""Silence by training: what a target mean below zero of the pre-activations costs in accuracy, and what it saves.

    python examples/paper/silence.py --data DIR --out runs/silence

trains the Fashion-MNIST example (examples/fashion_mnist/train.py) once for each mean of the pre-activation's target distribution (LC-TTFS,
Eq. 20, has 0; --lambda-a is how much the loss weighs that draws pre-activations there; without biases hidden neurons can hardly follow
it), converts it in strict mode, runs it on all test images, and prints one table. A silent neuron is one that has not
fired before its window ends: its activation is 0. The operations are the report's four counts, of which `event` has a spike of every
neuron, as the paper's slope demands, and only `event, if gated` leaves silent ones out. Speed is that of the `exact` engine and of
ONNX Runtime, in turn in one process, same threads, batches of 64.

DIR holds Fashion-MNIST's four IDX files. A mean has a folder in OUT with log.txt, options.json, model.onnx, snn.npz and report.json.
The command can be interrupted and repeated: what is trained is not trained again, what has a report is not run again; speed is always
measured.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import onnx
from train import measured

import ttfs_convert
from ttfs_convert.data import Dataset, load_dataset
from ttfs_convert.errors import ModelError, TtfsError, UsageError
from ttfs_convert.report.schema import OperationsPart, Report
from ttfs_convert.simulation.exact_engine import Simulator

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from benchmarks.models import session  # noqa: E402
from benchmarks.timing import in_turn  # noqa: E402

TRAIN = ROOT / "examples" / "fashion_mnist" / "train.py"
RECIPE = ("lambda_a", "bias", "epochs", "batch", "rate", "seed", "limit")  # options of train.py besides the mean
LAMBDA_A = 0.1  # of train.py, unless told
STEPS, BATCH, BATCHES = 50, 64, 4  # the last two for speed
EFFORT = {"rounds": 11, "at_least": 0.1}
log = logging.getLogger("train")


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the IDX files")
    parser.add_argument("--out", type=Path, required=True, help="folder for everything that is written")
    parser.add_argument("--means", type=float, nargs="+", default=[0.0, -0.1, -0.2, -0.3], help="of the target distribution")
    parser.add_argument("--lambda-a", type=float, default=LAMBDA_A, help="weight of the loss that draws pre-activations to that distribution")
    parser.add_argument("--bias", action=argparse.BooleanOptionalAction, default=True, help="of hidden neurons")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="of training images")
    parser.add_argument("--test-limit", type=int, help="of test images")
    parser.add_argument("--threads", type=int, default=numba.config.NUMBA_NUM_THREADS, help="default: all cores")
    given = parser.parse_args(arguments)
    for name in ("lambda_a", "epochs", "batch", "rate", "limit", "test_limit", "threads"):
        if getattr(given, name) is not None and not getattr(given, name) > 0:
            parser.error(f"--{name.replace('_', '-')} must be above 0")
    return given


def recipe(given: argparse.Namespace, mean: float) -> dict[str, float]:
    """Options of train.py that decide what is trained."""
    return {"mean": mean, **{name: getattr(given, name) for name in RECIPE if getattr(given, name) is not None}}


def train(given: argparse.Namespace, mean: float, folder: Path) -> None:
    """Leaves model.onnx in `folder`, and in log.txt what train.py prints."""
    partial, command = folder / "model.partial", recipe(given, mean)
    (folder / "options.json").write_text(json.dumps(command) + "\n")
    given_too = {"threads": given.threads, "data": given.data, "out": partial}
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in {**command, **given_too}.items() if name != "bias"]
    arguments.insert(0, "--bias" if given.bias else "--no-bias")
    log.info("%s; %s follows the training", " ".join(["train.py", *arguments]), folder / "log.txt")
    with open(folder / "log.txt", "w") as file:
        file.write(f"{command}\n")
        file.flush()
        code = subprocess.run([sys.executable, str(TRAIN), *arguments], stdout=file, stderr=subprocess.STDOUT).returncode
    if code:
        raise ModelError(str(TRAIN), f"exit code {code}", "0", f"see {folder / 'log.txt'}")
    partial.replace(folder / "model.onnx")


def report(given: argparse.Namespace, mean: float, test: Dataset) -> Report:
    """Of the network with this mean, trained and run only if it has not been; raises UsageError if that was with other options."""
    folder = folder_of(given, mean)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "model.onnx").exists():
        train(given, mean, folder)
    theirs = json.loads((folder / "options.json").read_text())
    if theirs != recipe(given, mean):
        raise UsageError(str(folder), f"a model trained with {theirs}", f"{recipe(given, mean)}", "choose another --out")
    if not (folder / "report.json").exists():
        return measured(folder, test, STEPS, given.threads)
    found = Report.model_validate_json((folder / "report.json").read_text())
    if found.data.samples != len(test):
        raise UsageError(str(folder), f"a report on {found.data.samples} test images", f"{len(test)}", "choose another --out")
    return found


def folder_of(given: argparse.Namespace, mean: float) -> Path:
    return given.out / (f"mean{mean:g}" + (f"-lambda{given.lambda_a:g}" if given.lambda_a != LAMBDA_A else "") + ("" if given.bias else "-no-bias"))


def speed(given: argparse.Namespace, test: Dataset) -> list[dict[str, float]]:
    """Seconds per image of `exact` and `onnxruntime`, of each mean's network; all take turns with one another."""
    numba.set_num_threads(given.threads)
    images = np.moveaxis(test.x[: BATCH * BATCHES], -1, 1).astype(np.float32) / 255
    parts = [images[first : first + BATCH] for first in range(0, len(images), BATCH)]
    engines = {}
    for mean in given.means:
        folder = folder_of(given, mean)
        for name, engine in (
            ("exact", Simulator(ttfs_convert.load(folder / "snn.npz"))),
            ("onnxruntime", session(onnx.load(folder / "model.onnx"), given.threads)),
        ):
            engines[mean, name] = lambda engine=engine: [engine(part) for part in parts]
    taken = in_turn(engines, **EFFORT)
    return [{name: taken[mean, name] / len(images) for name in ("exact", "onnxruntime")} for mean in given.means]


def silent_share(report: Report) -> float:
    """Of all hidden neurons on all images."""
    hidden = [layer for layer in report.layers if layer.slope]
    return sum(layer.silent * layer.neurons for layer in hidden) / sum(layer.neurons for layer in hidden)


def operations(count: OperationsPart) -> str:
    return f"{count.p_proxy / 1e6:.2f} ({count.synops / 1e6:.2f})"


def table(given: argparse.Namespace, reports: list[Report], speeds: list[dict[str, float]]) -> str:
    lines = [
        "| mean | lambda_a | bias | ANN | SNN | drift, 95 % interval | agreement | silent | paper | synaptic | event | event, if gated | "
        "ours, us per image | ONNX Runtime | times as fast |",
        "|---" * 15 + "|",
    ]
    for mean, report, taken in zip(given.means, reports, speeds):
        low, high = report.drift.ci95_pp
        counts = " | ".join(
            operations(count) for count in (report.energy.paper, report.energy.synaptic, report.energy.event, report.energy.event_if_gated)
        )
        lines += [
            f"| {mean:g} | {given.lambda_a:g} | {'yes' if given.bias else 'no'} | "
            f"{100 * report.ann.accuracy:.2f} % | {100 * report.snn.accuracy:.2f} % | "
            f"{report.drift.accuracy_pp:+.2f} pp [{low:+.2f}, {high:+.2f}] | {100 * report.drift.agreement:.2f} % | "
            f"{100 * silent_share(report):.1f} % | {counts} | "
            f"{1e6 * taken['exact']:.0f} | {1e6 * taken['onnxruntime']:.0f} | {taken['onnxruntime'] / taken['exact']:.2f} |"
        ]
    return "\n".join(
        [*lines, "", f"Counts: millions of operations per image, P_proxy and in brackets SynOPs; {reports[0].data.samples:,} test images."]
    )


def main(arguments: list[str] | None = None) -> None:
    given = options(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout, force=True)
    log.setLevel(logging.INFO)
    try:
        test = load_dataset("fashion-mnist", data_dir=given.data, limit=given.test_limit)
        reports = [report(given, mean, test) for mean in given.means]
        print(table(given, reports, speed(given, test)))
    except TtfsError as error:
        print(f"error: {error}")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
