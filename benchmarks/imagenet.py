"""How exact full-width ResNet-50 and VGG-16 at 224 x 224 stay, and how long they take:  python -m benchmarks.imagenet

In continuous time, weights random and images noise, ranges calibrated on the evaluated images too: nothing saturates. Memory: `peak_memory.py`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .large_models import NETWORKS
from .peak_memory import COMMANDS

CALIBRATION, EVALUATION = 8, 4  # images


def main() -> None:
    for name in ("ResNet-50, 224 px", "VGG-16, 224 px"):
        with tempfile.TemporaryDirectory() as folder:
            model, snn, calibration, evaluation = (str(Path(folder) / file) for file in ("model.onnx", "snn.npz", "c.npz", "e.npz"))
            NETWORKS[name]().save(Path(model))
            images = np.random.default_rng(0).random((CALIBRATION, 3, 224, 224), np.float32)
            np.savez(calibration, x=images)
            np.savez(evaluation, x=images[:EVALUATION])
            print(name)
            run("ttfs-convert", model, "--mode", "exact", "--steps", "continuous", "--calibrate", calibration, "--out", snn)
            output = run("ttfs-run", snn, "--data", evaluation)
            print("".join(f"  {line}\n" for line in output.splitlines() if line.strip().startswith(("agreement", "max output", "seconds"))), end="")


def run(command: str, *arguments: str) -> str:
    """What a command prints; says how long it took."""
    start = time.perf_counter()
    code = f"from {COMMANDS[command]} import main; main()"
    output = subprocess.run([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout
    print(f"  {command}: {time.perf_counter() - start:.1f} s")
    return output


if __name__ == "__main__":
    main()
