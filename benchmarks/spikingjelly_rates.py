"""Our rate-coded neurons beside SpikingJelly's conversion of the same network: spikes by layer.

    python -m benchmarks.spikingjelly_rates [--images 100] [--steps 64] [--data-dir DIR]

Needs torch and spikingjelly (2.0.0 was tried). The network is examples/fashion_mnist/resnet.onnx; both are calibrated on the first 1,000 training
images, SpikingJelly in one batch: over several, its mode "Max" is no maximum but a moving average of each batch's.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import onnx

from ttfs_convert import convert, load_dataset
from ttfs_convert.network.populations import Spiking
from ttfs_convert.simulation.rate_engine import RateSimulator

MODEL = Path(__file__).parent.parent / "examples" / "fashion_mnist" / "resnet.onnx"
BLOCKS = (("4", 16, 16, 1), ("5", 16, 16, 1), ("6", 16, 32, 2), ("7", 32, 64, 2))  # name in the file, channels in and out, stride


def torch_twin():
    """The network of `MODEL` as PyTorch modules, BatchNorm folded as in the file."""
    import torch
    from torch import nn

    weights = {each.name: torch.from_numpy(onnx.numpy_helper.to_array(each).copy()) for each in onnx.load(MODEL).graph.initializer}

    def filled(module: nn.Module, name: str, bias: str) -> nn.Module:
        module.weight.data, module.bias.data = weights[name], weights[bias]
        return module

    def conv(name: str, inputs: int, outputs: int, kernel: int, stride: int, bias: str = "_bias") -> nn.Module:
        return filled(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), f"{name}.weight", f"{name}.weight{bias}")

    class Block(nn.Module):
        def __init__(self, name: str, inputs: int, outputs: int, stride: int):
            super().__init__()
            self.first, self.second = conv(f"{name}.branch.0", inputs, outputs, 3, stride), conv(f"{name}.branch.3", outputs, outputs, 3, 1)
            self.shortcut = nn.Identity() if inputs == outputs else conv(f"{name}.shortcut.0", inputs, outputs, 1, stride)
            self.inner, self.outer = nn.ReLU(), nn.ReLU()

        def forward(self, x):
            return self.outer(self.second(self.inner(self.first(x))) + self.shortcut(x))

    stem = filled(nn.Conv2d(1, 16, 3, 1, 1), "1.weight", "1.bias")
    head = filled(nn.Linear(64, 10), "10.weight", "10.bias")
    return nn.Sequential(stem, nn.ReLU(), *(Block(*block) for block in BLOCKS), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval()


def theirs(calibration: np.ndarray, x: np.ndarray, steps: int) -> tuple[list[float], np.ndarray]:
    """(spikes per image of each layer, labels) of SpikingJelly's network. Inputs as the original's, (n, 1, 28, 28) in [0, 1]."""
    import torch
    from spikingjelly.activation_based import ann2snn, functional, neuron

    calibration, x = (torch.from_numpy((each - np.float32(0.286)) / np.float32(0.353)) for each in (calibration, x))
    recipe = ann2snn.RateCodingRecipe(dataloader=[(calibration, None)], mode="Max")
    net = ann2snn.FXConverter(recipe=recipe).convert(torch_twin())
    counts: dict[int, float] = {}
    layers = [module for module in net.modules() if isinstance(module, neuron.IFNode)]
    for number, layer in enumerate(layers):
        layer.register_forward_hook(
            lambda _module, _inputs, output, number=number: counts.update({number: counts.get(number, 0) + output.sum().item()})
        )
    functional.reset_net(net)
    with torch.no_grad():
        total = sum(net(x) for _ in range(steps))
    return [count / len(x) for count in counts.values()], total.argmax(1).numpy()  # in the order in which layers were called first


def ours(calibration: np.ndarray, x: np.ndarray, steps: int) -> tuple[list[float], np.ndarray]:
    """As `theirs`, of the converted network with rate-coded neurons."""
    network = convert(MODEL, mode="exact", calibrate=calibration)
    (found,) = RateSimulator(network)({network.inputs[0].onnx_name: x}, steps, (steps,))
    spikes = [found.counts[layer.name].sum() / len(x) for layer in network.layers if isinstance(layer, Spiking)]
    return spikes, next(iter(found.readouts.values())).argmax(1)


@click.command()
@click.option("--images", default=100, show_default=True, help="Of the test images, the first N.")
@click.option("--steps", default=64, show_default=True)
@click.option("--data-dir", help="Where Fashion-MNIST's raw files are.")
def main(images: int, steps: int, data_dir: str | None) -> None:
    """Print spikes per image, layer by layer."""
    sets = (load_dataset("fashion-mnist", data_dir=data_dir, limit=count, split=split) for count, split in ((1000, "train"), (images, "test")))
    calibration, x = (np.ascontiguousarray(each.x.reshape(-1, 1, 28, 28) / np.float32(255), np.float32) for each in sets)
    (ours_counts, ours_labels), (theirs_counts, theirs_labels) = ours(calibration, x, steps), theirs(calibration, x, steps)
    print("| layer | ours | SpikingJelly | difference |\n|---|---|---|---|")
    for number, (a, b) in enumerate(zip(ours_counts, theirs_counts, strict=True), 1):
        print(f"| {number} | {a:,.1f} | {b:,.1f} | {100 * (a / b - 1):+.3f} % |")
    a, b = sum(ours_counts), sum(theirs_counts)
    print(f"| all | {a:,.1f} | {b:,.1f} | {100 * (a / b - 1):+.3f} % |")
    print(f"\nEqual labels: {np.count_nonzero(ours_labels == theirs_labels)} of {len(x)}")


if __name__ == "__main__":
    main()
