"""What the example is held against besides ONNX Runtime: our own `clock` engine, and SpikingJelly's rate code where it is installed.

SpikingJelly (fangwei123456/spikingjelly, `activation_based.ann2snn`, versions before 2) turns every ReLU into integrate-and-fire neurons and
runs the network once per step. Its module replaces ReLUs only, so it gets the example's weights with ReLU in place of ReLU1: its
time counts here, not its accuracy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from ttfs_convert.network.network import Network
from ttfs_convert.simulation.engines import simulator

STEPS = 50
IMAGES = 16  # of the example: the slowest takes seconds for each


def peers(network: Network, original: onnx.ModelProto, images: np.ndarray) -> dict[str, Callable[[], object]]:
    """By name, what each does with images (n, 1, 28, 28) float32 in [0, 1]."""
    clock = simulator(network, "clock")
    found = {"clock": lambda: clock({network.inputs[0].onnx_name: images})}
    rate = _spikingjelly(original, images)
    return found if rate is None else {**found, f"SpikingJelly, {STEPS} steps": rate}


def _spikingjelly(original: onnx.ModelProto, images: np.ndarray) -> Callable[[], object] | None:
    try:
        import torch
        from spikingjelly.activation_based import ann2snn, functional
    except ImportError:
        return None
    x = torch.from_numpy(images)
    rate = ann2snn.Converter([(x, torch.zeros(len(x)))], mode="max")(_with_relu(original)).eval()

    @torch.no_grad()
    def run():
        functional.reset_net(rate)
        total = rate(x)
        for _ in range(STEPS - 1):
            total = total + rate(x)
        return total / STEPS

    return run


def _with_relu(original: onnx.ModelProto):
    """The example's network in PyTorch, with ReLU modules."""
    import torch

    sys.path.insert(0, str(Path(__file__).parent.parent / "examples" / "fashion_mnist"))
    from train import Net

    from ttfs_convert.training.torch import ReLU1

    model = Net()
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in original.graph.initializer}
    model.load_state_dict({name: torch.from_numpy(weights[name].copy()) for name in model.state_dict()})
    return torch.nn.Sequential(*(torch.nn.ReLU() if isinstance(layer, ReLU1) else layer for layer in model)).eval()
