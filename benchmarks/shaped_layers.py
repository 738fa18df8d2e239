"""What the shape of a threshold costs in time:  python -m benchmarks.shaped_layers [--images 16]

A network of one convolution under each activation and a mean behind it, engine `exact`, one thread, by the time that it had a processor; all in turn
in one process, medians of rounds. Times are those of the clamp's network, on the same grid or in continuous time, so that 1 is as fast.
"""

from __future__ import annotations

import time

import click
import numba
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ttfs_convert import convert
from ttfs_convert.simulation.exact_engine import Simulator

from .timing import in_turn

SIZE, CHANNELS, OUTPUTS = 32, 64, 64
FUNCTIONS = ("Clip", "Sigmoid", "Tanh", "Softplus", "Elu", "Gelu", "HardSwish", "Mish")
STEPS = (50, None)


def model(function: str) -> onnx.ModelProto:
    """A 3 x 3 convolution, the function, the mean over all positions."""
    weights = np.random.default_rng(0).normal(0, (9 * CHANNELS) ** -0.5, (OUTPUTS, CHANNELS, 3, 3)).astype(np.float32)
    inputs = ["v", "low", "high"] if function == "Clip" else ["v"]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["v"], pads=[1] * 4),
        helper.make_node(function, inputs, ["f"]),
        helper.make_node("GlobalAveragePool", ["f"], ["y"]),
    ]
    arrays = {"w": weights, "low": np.float32(0), "high": np.float32(1)}
    graph = helper.make_graph(
        nodes,
        function,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", CHANNELS, SIZE, SIZE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", OUTPUTS, 1, 1])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@click.command()
@click.option("--images", default=16, show_default=True)
@click.option("--rounds", default=9, show_default=True)
def main(images: int, rounds: int) -> None:
    """Print a table."""
    numba.set_num_threads(1)
    rng = np.random.default_rng(1)
    x = np.where(rng.random((images, CHANNELS, SIZE, SIZE)) < 0.5, 0, rng.random((images, CHANNELS, SIZE, SIZE))).astype(np.float32)
    print(f"| function | {' | '.join('continuous' if steps is None else f'N = {steps}' for steps in STEPS)} |\n|---|---|---|")
    found: dict[str, list[float]] = {name: [] for name in FUNCTIONS}
    for steps in STEPS:
        networks = {name: convert(model(name), mode="exact", steps=steps, input_range=(0, 1), calibrate=x) for name in FUNCTIONS}
        engines = {name: Simulator(network) for name, network in networks.items()}
        taken = in_turn({name: lambda engine=engine: engine(x) for name, engine in engines.items()}, rounds, 0.05, time.process_time)
        for name in FUNCTIONS:
            found[name].append(taken[name] / taken["Clip"])
    for name, ratios in found.items():
        print(f"| {name} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")


if __name__ == "__main__":
    main()
