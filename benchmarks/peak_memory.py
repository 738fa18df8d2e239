"""Peak memory of both commands on full-width networks:  python -m benchmarks.peak_memory [--only TEXT] [--images N]

Per network the size of its ONNX file, and of `ttfs-convert` and `ttfs-run` the peak of resident memory over that size; the same without what
Python with NumPy, Numba, onnx and ONNX Runtime takes alone, which is a constant; and processor seconds. Weights are random and images noise: what is
measured is the cost of the size. Every figure is of a process of its own, whose `VmHWM` is read as it ends.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from .memory import peak

CALIBRATION = 8  # images
COMMANDS = {"ttfs-convert": "ttfs_convert.cli.convert", "ttfs-run": "ttfs_convert.cli.run"}


def build(name: str, folder: Path, images: int) -> None:
    """Model and images as files."""
    import numpy as np

    from .large_models import NETWORKS

    net = NETWORKS[name]()
    net.save(folder / "model.onnx")
    x = np.random.default_rng(0).random((images, *net.shape), np.float32)
    np.savez(folder / "images.npz", x=x)
    np.savez(folder / "calibration.npz", x=x[:CALIBRATION])


def nothing() -> None:
    """Imports alone."""
    for name in ("numpy", "numba", "onnx", "onnxruntime"):
        importlib.import_module(name)


def command(name: str, *arguments: str) -> None:
    """Run one of COMMANDS."""
    importlib.import_module(COMMANDS[name]).main(list(arguments), prog_name=name, standalone_mode=False)


def measured(*arguments: str) -> tuple[int, float]:
    """Peak bytes and processor seconds of a process that does as `arguments` say."""
    result = subprocess.run(
        [sys.executable, "-m", __spec__.name, "in-process", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    size, seconds = result.stdout.splitlines()[-1].split()
    return int(size), float(seconds)


def in_process(what: str, *arguments: str) -> None:
    """Do it, and print what it took."""
    if what == "build":
        name, folder, images = arguments
        build(name, Path(folder), int(images))
    elif what == "nothing":
        nothing()
    else:
        command(what, *arguments)
    print(f"\n{peak()} {time.process_time()}", flush=True)


@click.command()
@click.option("--only", default="", metavar="TEXT", help="Networks whose name contains TEXT.")
@click.option("--images", type=click.IntRange(min=1), default=64, show_default=True)
def main(only: str, images: int) -> None:
    from .large_models import NETWORKS

    bare, _ = measured("nothing")
    click.echo(f"imports alone: {bare / 1e6:.0f} MB; {images} images\n{'network':27} file MB   command       peak MB  x file  without imports  CPU s")
    for name in NETWORKS:
        if only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            model, snn, calibration, data = (str(Path(folder) / file) for file in ("model.onnx", "snn.npz", "calibration.npz", "images.npz"))
            measured("build", name, folder, str(images))
            size = Path(model).stat().st_size
            for what, arguments in (
                ("ttfs-convert", (model, "--mode", "exact", "--calibrate", calibration, "--out", snn)),
                ("ttfs-run", (snn, "--data", data)),
            ):
                most, seconds = measured(what, *arguments)
                click.echo(
                    f"{name:27} {size / 1e6:7.0f}   {what:12} {most / 1e6:8.0f}  {most / size:6.2f}  {(most - bare) / size:15.2f}  {seconds:5.1f}"
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["in-process"]:
        in_process(*sys.argv[2:])
    else:
        main()
