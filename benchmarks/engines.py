"""The engines beside ONNX Runtime, in turn and in one process:  python -m benchmarks.engines [--threads N] [--rounds N] [--only TEXT]

How many times as long as ONNX Runtime each takes for the same images: the README's network on its own images, VGG-16 and ResNet-20 with random
weights at 70 % silence.
"""

from __future__ import annotations

from collections.abc import Callable

import click
import numba
import numpy as np
import onnx

from ttfs_convert import convert
from ttfs_convert.simulation.encoded_inputs import entries_of
from ttfs_convert.simulation.engines import ENGINES, simulator

from .cases import EXAMPLE, _converted
from .models import resnet20, session, vgg16
from .timing import in_turn

SILENT = 0.7


def _example(images: int):
    with np.load(EXAMPLE / "images.npz") as archive:
        x = archive["x"][:images, None].astype(np.float32) / 255
    return convert(EXAMPLE / "model.onnx"), onnx.load(EXAMPLE / "model.onnx"), x


def _random(build: Callable) -> Callable:
    def made(images: int):
        builder, network = _converted(build, SILENT)
        return network, builder.model(), builder.inputs(images)

    return made


CASES = {"README's network": (_example, 64), "VGG-16": (_random(vgg16), 8), "ResNet-20": (_random(resnet20), 16)}


@click.command()
@click.option("--threads", type=int, default=numba.config.NUMBA_NUM_THREADS, help="For all of them.")
@click.option("--rounds", type=int, default=5)
@click.option("--only", default="", metavar="TEXT")
def main(threads: int, rounds: int, only: str) -> None:
    numba.set_num_threads(threads)
    click.echo(f"{threads} threads; times ONNX Runtime's\n{'network':20} images " + " ".join(f"{engine:>8}" for engine in ENGINES))
    for name, (build, images) in CASES.items():
        if only in name:
            network, original, x = build(images)
            entries, reference = entries_of(network, x), session(original, threads)
            engines = {"onnxruntime": lambda reference=reference, x=x: reference(x)}
            for engine in ENGINES:
                simulate = simulator(network if engine != "clock" else network.with_steps(50), engine)
                engines[engine] = lambda simulate=simulate, entries=entries: simulate(entries)
            taken = in_turn(engines, rounds, 0.0)
            click.echo(f"{name:20} {images:6} " + " ".join(f"{taken[engine] / taken['onnxruntime']:8.2f}" for engine in ENGINES))


if __name__ == "__main__":
    main()
