"""What people deploy on processors, beside the `exact` engine, in one process:  python -m benchmarks.deployed_peers [--threads N] [--rounds N]

The README's network under ONNX Runtime in float32; in int8, quantised by ONNX Runtime's own tool (`quantize_static`, QDQ, weights per channel); and
under OpenVINO (`pip install openvino==2026.4.1`), in float32 and from the same int8 model; where that is not installed, without it. Accuracy on the
example's 2,000 images, or with $TTFS_DATA on all 10,000; times of batches, processor time of the whole process, all threads, the median of rounds in
which each has its turn: on a machine that others use, elapsed time says little. Int8 is calibrated on 100 of the same images.
"""

from __future__ import annotations

import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numba
import numpy as np
import onnx
import onnxruntime
from onnxruntime import quantization

from ttfs_convert import convert
from ttfs_convert.data import load_dataset
from ttfs_convert.simulation.exact_engine import Simulator

from .cases import EXAMPLE

CALIBRATION = 100  # images
BATCHES = (1, 64)
AT_LEAST = 0.05  # seconds of a turn
FLOAT, INT8 = "ONNX Runtime", "ONNX Runtime, int8"
Engine = Callable[[np.ndarray], np.ndarray]  # (n, 1, 28, 28) float32 to scores (n, 10)


class Samples(quantization.CalibrationDataReader):
    """Images as `quantize_static` reads them, ten at a time."""

    def __init__(self, name: str, images: np.ndarray):
        self._parts: Iterator[dict[str, np.ndarray]] = iter({name: images[first : first + 10]} for first in range(0, len(images), 10))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next ones; None behind the last."""
        return next(self._parts, None)


def quantised(model: Path, target: Path, images: np.ndarray) -> None:
    """`model` in int8, written to `target`."""
    name = onnx.load(model).graph.input[0].name
    quantization.quantize_static(
        model,
        target,
        Samples(name, images),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )


def under_onnxruntime(model: Path, threads: int) -> Engine:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # processor time would count the looking out for work
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


def under_openvino(model: Path, threads: int) -> Engine | None:
    """None where it is not installed."""
    try:
        import openvino
    except ImportError:
        return None
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(str(model), "CPU", settings)
    request = compiled.create_infer_request()
    return lambda x: request.infer([x], share_inputs=True)[0]


def engines(threads: int, images: np.ndarray, folder: Path) -> dict[str, Engine]:
    """By name, ONNX Runtime's first."""
    simulate, int8 = Simulator(convert(EXAMPLE / "model.onnx")), folder / "int8.onnx"
    quantised(EXAMPLE / "model.onnx", int8, images[:CALIBRATION])
    found = {
        FLOAT: under_onnxruntime(EXAMPLE / "model.onnx", threads),
        INT8: under_onnxruntime(int8, threads),
        "OpenVINO": under_openvino(EXAMPLE / "model.onnx", threads),
        "OpenVINO, int8": under_openvino(int8, threads),
        "exact": lambda x: simulate(x).potentials.copy(),
    }
    return {name: engine for name, engine in found.items() if engine is not None}


def processor_seconds(engine: Engine, parts: list[np.ndarray]) -> float:
    """Mean of one batch, of as many as take AT_LEAST seconds."""
    calls, start = 0, time.process_time()
    while (passed := time.process_time() - start) < AT_LEAST:
        engine(parts[calls % len(parts)])
        calls += 1
    return passed / calls


def images_and_labels() -> tuple[np.ndarray, np.ndarray]:
    """(n, 1, 28, 28) float32 in [0, 1], and (n,)."""
    if os.environ.get("TTFS_DATA"):
        data = load_dataset("fashion-mnist")
        x, y = data.x, data.y
    else:
        with np.load(EXAMPLE / "images.npz") as archive:
            x, y = archive["x"], archive["y"]
    return (x.reshape(-1, 1, 28, 28) / np.float32(255 if x.dtype == np.uint8 else 1)).astype(np.float32), np.asarray(y)


@click.command()
@click.option("--threads", type=int, default=min(2, numba.config.NUMBA_NUM_THREADS), show_default=True, help="For all of them.")
@click.option("--rounds", type=int, default=21, show_default=True)
@click.option("--images", type=int, help="The first of them alone.")
def main(threads: int, rounds: int, images: int | None) -> None:
    logging.getLogger().setLevel(logging.ERROR)  # the quantisation tool advises preprocessing, which this network needs none of
    numba.set_num_threads(threads)
    x, labels = (each[:images] for each in images_and_labels())
    with tempfile.TemporaryDirectory() as folder:
        found = engines(threads, x, Path(folder))
        if len(found) < 5:
            click.echo("OpenVINO is not installed: left out", err=True)
        scores = {name: np.concatenate([engine(x[first : first + 64]) for first in range(0, len(x), 64)]) for name, engine in found.items()}
        accuracy = {name: 100 * float((each.argmax(1) == labels).mean()) for name, each in scores.items()}
        agreement = {name: 100 * float((each.argmax(1) == scores[FLOAT].argmax(1)).mean()) for name, each in scores.items()}
        taken = {}
        for batch in BATCHES:
            parts = [x[first : first + batch] for first in range(0, min(8 * batch, len(x) - batch + 1), batch)]
            rows = {name: [] for name in found}
            for _ in range(rounds):
                for name, engine in found.items():
                    engine(parts[0])
                    rows[name].append(processor_seconds(engine, parts))
            taken[batch] = {name: statistics.median(each) for name, each in rows.items()}
    click.echo(f"{len(x):,} images, {threads} threads, processor time, medians of {rounds} rounds")
    click.echo(f"{'':20} accuracy  agreement  " + "  ".join(f"batch {batch}: us an image, times {FLOAT}'s" for batch in BATCHES))
    for name in found:
        columns = (f"{1e6 * taken[batch][name] / batch:17.0f}  {taken[batch][name] / taken[batch][FLOAT]:20.2f}" for batch in BATCHES)
        click.echo(f"{name:20} {accuracy[name]:6.2f} %  {agreement[name]:7.2f} %  " + "  ".join(columns))


if __name__ == "__main__":
    sys.exit(main())
