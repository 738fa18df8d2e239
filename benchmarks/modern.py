"""Time, memory and exactness of full-width MobileNetV3-small, EfficientNet-B0 and ViT-tiny:  python -m benchmarks.modern

Weights are random (`modern_networks.seeded`), images noise of several scales, 8 to calibrate on of which 4 are evaluated, one at a time, in
continuous time: what is measured is the cost of the size, and that the conversion stays exact. Each step is a process of its own, and its peak
that of this process. Needs PyTorch to build the networks.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click

CALIBRATION, EVALUATED = 8, 4  # images
COLUMNS = (
    "network",
    "weights",
    "neurons",
    "windows",
    "spiking MACs",
    "conversion (of processors)",
    "peak",
    "one image",
    "ONNX Runtime",
    "peak",
    "agreement",
    "max output error",
    "out of tolerance",
    "not compared",
)


@dataclass(frozen=True)
class Case:
    """One network on images of one size. blocks: of a transformer, else 0."""

    name: str
    size: int
    blocks: int = 0

    def __str__(self) -> str:
        what = f"{(self.size // 16) ** 2} tokens, {self.blocks} blocks" if self.blocks else f"{self.size} x {self.size}"
        return f"{self.name}, {what}"


def build(case: Case, folder: Path) -> dict:
    """The model and its images as files."""
    import numpy as np

    from .modern_networks import CALIBRATION as CALIBRATION_SEED
    from .modern_networks import VisionTransformer, efficientnet_b0, export, images, mobilenet_v3_small, seeded

    shape = (3, case.size, case.size)
    if case.blocks:
        module = VisionTransformer((case.size // 16) ** 2, blocks=case.blocks)
    else:
        module = {"MobileNetV3-small": mobilenet_v3_small, "EfficientNet-B0": efficientnet_b0}[case.name]()
    export(seeded(module, shape), shape, folder / "model.onnx")
    np.savez(folder / "images.npz", x=images(shape, CALIBRATION, CALIBRATION_SEED))
    return {"weights": sum(parameter.numel() for parameter in module.parameters())}


def conversion(case: Case, folder: Path) -> dict:
    """Converts, and says what came out."""
    from ttfs_convert import convert, save
    from ttfs_convert.network.populations import neurons

    start, used = time.perf_counter(), time.process_time()
    network = convert(folder / "model.onnx", mode="exact", steps=None, calibrate=str(folder / "images.npz"))
    taken = {"seconds": time.perf_counter() - start, "used": time.process_time() - used}
    found = {**taken, "peak": peak(), "neurons": sum(map(neurons, network.layers)), "windows": network.windows}
    save(network, folder / "snn.npz")
    return found


def evaluation(case: Case, folder: Path) -> dict:
    """Runs the network beside ONNX Runtime."""
    from ttfs_convert import evaluate

    evaluated = evaluate(folder / "snn.npz", str(folder / "images.npz"), limit=EVALUATED, batch=1)
    report = evaluated.report
    low, high = report.drift.output_range or (0.0, 1.0)
    return {
        "snn": report.timing.snn_seconds / EVALUATED,
        "ann": report.timing.ann_seconds / EVALUATED,
        "peak": peak(),
        "share": report.model.spiking_mac_share,
        "agreement": report.drift.agreement,
        "error": None if report.drift.max_output_error is None else report.drift.max_output_error / (high - low),
        "beyond": [
            f"{each.name} {each.max_error:.1e} > {each.tolerance:.1e}"
            for each in report.layers
            if each.max_error is not None and each.tolerance is not None and each.max_error > each.tolerance
        ],
        "compared": sum(each.max_error is not None for each in report.layers),
        "apart": evaluated.layer_errors.not_compared(),
    }


STEPS = {"build": build, "conversion": conversion, "evaluation": evaluation}


def peak() -> float:
    """GB, of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def in_process(step: str, case: Case, folder: Path) -> dict:
    """What `step` finds, in a process of its own."""
    arguments = [step, case.name, str(case.size), str(case.blocks), str(folder)]
    command = [sys.executable, "-c", "import sys; from benchmarks.modern import one_step; one_step(sys.argv[1:])", *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def one_step(arguments: list[str]) -> None:
    step, name, size, blocks, folder = arguments
    print(json.dumps(STEPS[step](Case(name, int(size), int(blocks)), Path(folder))))


def row(case: Case) -> list[str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built, converted, found = (in_process(step, case, folder) for step in STEPS)
    for each in (*found["beyond"], *(f"{layer} not compared" for layer in found["apart"])):
        print(f"  {case}: {each}", file=sys.stderr)
    error, agreement = found["error"], found["agreement"]
    return [
        str(case),
        f"{built['weights'] / 1e6:.1f} M",
        f"{converted['neurons']:,}",
        f"{converted['windows']}",
        f"{100 * found['share']:.1f} %",
        f"{converted['seconds']:.0f} s ({converted['used']:.0f} s)",
        f"{converted['peak']:.2f} GB",
        f"{found['snn']:.2f} s",
        f"{found['ann']:.3f} s",
        f"{found['peak']:.2f} GB",
        "-" if agreement is None else f"{100 * agreement:.0f} %",
        "-" if error is None else f"{error:.1e}",
        f"{len(found['beyond'])} of {found['compared']}",
        f"{len(found['apart'])}",
    ]


@click.command()
@click.option("--only", default="", help="Networks whose name holds this, in small letters.")
@click.option("--size", default=224, show_default=True, help="Height and width of the convolutional networks' images.")
@click.option("--tokens", default="16:2,64:2,16:12,64:12", show_default=True, help="Tokens (a square) and blocks of ViT-tiny, separated by commas.")
def main(only: str, size: int, tokens: str) -> None:
    """One row of a table for each network. Errors are shares of the outputs' range."""
    pairs = [tuple(map(int, each.split(":"))) for each in tokens.split(",")]
    cases = [Case("MobileNetV3-small", size), Case("EfficientNet-B0", size)]
    cases += [Case("ViT-tiny", 16 * round(count**0.5), blocks) for count, blocks in pairs]
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for case in cases:
        if only in str(case).lower():
            print(f"| {' | '.join(row(case))} |", flush=True)


if __name__ == "__main__":
    main()
