"""Time and peak memory of both commands on full-width ResNet-50 and VGG-16 at 224 x 224:  python benchmarks/imagenet.py

Weights are random (He initialised) and images noise: what is measured is the cost of the size, and that the conversion stays exact. So
the ranges are calibrated on the evaluated images too: nothing saturates. Needs PyTorch to build the models.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

CALIBRATION, EVALUATION = 8, 4  # images


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        self.branch = nn.Sequential(
            *conv_bn(inputs, width, 1), nn.ReLU(), *conv_bn(width, width, 3, stride), nn.ReLU(), *conv_bn(width, 4 * width, 1)
        )
        self.shortcut = nn.Sequential(*conv_bn(inputs, 4 * width, 1, stride)) if stride > 1 or inputs != 4 * width else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.branch(x) + self.shortcut(x))


def resnet50() -> nn.Module:
    """He et al. 2015: 25.6 million weights."""
    layers, inputs = [*conv_bn(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            layers.append(Bottleneck(inputs, width, stride if block == 0 else 1))
            inputs = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000))


def vgg16() -> nn.Module:
    """Simonyan and Zisserman 2014, configuration D: 138 million weights."""
    layers, inputs = [], 3
    for width, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convolutions):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000))


def main() -> None:
    for build in (resnet50, vgg16):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            model = folder / f"{build.__name__}.onnx"
            subprocess.run([sys.executable, __file__, build.__name__, str(model)], check=True)  # PyTorch's memory is not ours
            images = np.random.default_rng(0).random((CALIBRATION, 3, 224, 224), np.float32)
            np.savez(folder / "calibration.npz", x=images)
            np.savez(folder / "evaluation.npz", x=images[:EVALUATION])
            size = model.stat().st_size
            print(f"{build.__name__}: model file {size / 1e6:.0f} MB")
            commands = (
                (
                    "ttfs-convert",
                    model,
                    "--mode",
                    "exact",
                    "--steps",
                    "continuous",
                    "--calibrate",
                    folder / "calibration.npz",
                    "--out",
                    folder / "snn.npz",
                ),
                ("ttfs-run", folder / "snn.npz", "--data", folder / "evaluation.npz"),
            )
            for command in commands:
                seconds, peak, output = measured([str(part) for part in command])
                print(f"  {command[0]}: {seconds:.1f} s, peak memory {peak / 1e6:.0f} MB, {peak / size:.1f} x the model file")
            print("".join(f"  {line}\n" for line in output.splitlines() if line.startswith((" agreement", " max output", " seconds"))), end="")


def measured(command: list[str]) -> tuple[float, int, str]:
    """Seconds, peak resident bytes and standard output of a command."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([str(Path(sys.executable).parent / command[0]), *command[1:]], stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{command[0]} exited with {process.returncode}")
        output.seek(0)
        return time.perf_counter() - start, usage.ru_maxrss * 1024, output.read()


def export(name: str, path: str) -> None:
    warnings.simplefilter("ignore")  # the older exporter, which needs a tenth of the time here, says that it is the older one
    torch.manual_seed(0)
    module = {"resnet50": resnet50, "vgg16": vgg16}[name]().eval()
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    torch.onnx.export(
        module,
        torch.zeros(1, 3, 224, 224),
        path,
        dynamo=False,
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
    )


if __name__ == "__main__":
    export(*sys.argv[1:]) if len(sys.argv) > 1 else main()
