"""The benchmarks' cases build and run; no times."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_quick_cases_run_and_agree():
    result = subprocess.run([sys.executable, "-m", "benchmarks", "--quick", "--check"], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    differences = {line.split("  ")[0]: float(line.rsplit(" ", 1)[1]) for line in result.stdout.splitlines()}
    assert {"Fashion-MNIST example", "VGG-16", "ResNet-20", "autoencoder MLP", "dilated Conv1d stack", "dense 1024x1024"} <= set(differences)
    one_layer = [difference for name, difference in differences.items() if name.startswith(("3x3", "1x1", "depthwise", "dense"))]
    assert max(one_layer) < 0.5 / 50 + 1e-4
