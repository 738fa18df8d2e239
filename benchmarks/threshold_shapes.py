"""How well a spike time carries each function, and the shapes of the thresholds: the table and the figure in docs/activations.md.

    python -m benchmarks.threshold_shapes [--steps 16,32,50,64,255] [--plot FILE]

Each function is a network of its own, converted from ONNX: an analog number, one neuron (or two) under the threshold, a readout. 20,000 numbers,
drawn evenly from the range named, go through engine `clock`, step by step, and through `event`, in continuous time. Errors are shares of the
range of the values.
"""

from __future__ import annotations

import click
import numpy as np
import onnx
from onnx import TensorProto, helper

from ttfs_convert import convert
from ttfs_convert.network.activations.threshold_shape import threshold_at
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Spiking
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate

DRAWN = 20_000
FUNCTIONS: dict[str, tuple[str, dict, float, float]] = {  # operator, attributes, and between which potentials
    "Relu": ("Relu", {}, -4, 4),
    "Sigmoid": ("Sigmoid", {}, -8, 8),
    "Tanh": ("Tanh", {}, -4, 4),
    "Erf": ("Erf", {}, -3, 3),
    "Atan": ("Atan", {}, -6, 6),
    "Softsign": ("Softsign", {}, -8, 8),
    "Softplus": ("Softplus", {}, -8, 4),
    "Elu": ("Elu", {}, -4, 4),
    "Selu": ("Selu", {}, -4, 4),
    "Exp": ("Exp", {}, -6, 1),
    "Log": ("Log", {}, 0.05, 4),
    "Sqrt": ("Sqrt", {}, 0, 4),
    "Reciprocal": ("Reciprocal", {}, 0.25, 4),
    "Gelu": ("Gelu", {}, -4, 4),
    "Swish": ("Swish", {}, -4, 4),
    "HardSwish": ("HardSwish", {}, -4, 4),
    "Mish": ("Mish", {}, -4, 4),
    "x^2": ("Pow", {"exponent": 2.0}, -2, 2),
    "Sin": ("Sin", {}, -10, 10),
}
WRITTEN = {"Swish": ("Sigmoid", "Mul")}  # for opsets that have no operator of that name
OPSET = 20


def model(name: str) -> onnx.ModelProto:
    """x (n, 1) -> y (n, 1), the function between two matrix products with 1."""
    operator, attributes, _, _ = FUNCTIONS[name]
    inputs, constants = ["v"], {"one": np.ones((1, 1), np.float32)}
    if "exponent" in attributes:
        constants["exponent"] = np.float32(attributes["exponent"])
        inputs, attributes = ["v", "exponent"], {}
    nodes = [helper.make_node("MatMul", ["x", "one"], ["v"])]
    if name in WRITTEN:
        gate, product = WRITTEN[name]
        nodes += [helper.make_node(gate, ["v"], ["gate"]), helper.make_node(product, ["v", "gate"], ["f"])]
    else:
        nodes.append(helper.make_node(operator, inputs, ["f"], **attributes))
    graph = helper.make_graph(
        [*nodes, helper.make_node("MatMul", ["f", "one"], ["y"])],
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


def network_of(name: str, steps: int | None) -> tuple[Network, np.ndarray, np.ndarray]:
    """The network, numbers x (n, 1) float32, and f of them under ONNX Runtime."""
    _, _, low, high = FUNCTIONS[name]
    x = np.random.default_rng(0).uniform(low, high, (DRAWN, 1)).astype(np.float32)
    ends = np.array([[low], [high]], np.float32)  # the extremes are among what is calibrated on
    network = convert(model(name), mode="exact", steps=steps, input_range=None, calibrate=np.concatenate([ends, x]), margin=0.0)
    return network, x, Reference(model(name))(x)["y"]


def errors(name: str, steps: int | None) -> tuple[float, float]:
    """Worst and mean |error| of the network, in units of the range of f."""
    network, x, expected = network_of(name, steps)
    found = simulate(network, x, "event" if steps is None else "clock").potentials
    difference = np.abs(found.reshape(-1) - expected.reshape(-1)) / np.ptp(expected)
    return float(difference.max()), float(difference.mean(dtype=np.float64))


def plot(file: str) -> None:
    """The thresholds over the window, each in units of its potentials' range."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes, moments = figure.add_subplot(), np.linspace(0.005, 0.995, 397)
    for name in ("Relu", "Sigmoid", "Softplus", "Elu", "Exp", "Sqrt", "Log", "Gelu"):
        layer = next(layer for layer in network_of(name, None)[0].layers if isinstance(layer, Spiking))
        course = 1 - moments if layer.activation is None else threshold_at(layer.activation, layer.lo, layer.hi, moments)[0]
        label = "clamp (LC-TTFS)" if layer.activation is None else f"{name}{', rising half' if layer.part == 'function' else ''}"
        axes.plot(moments, (course - course.min()) / np.ptp(course), label=label)
    axes.set(xlabel="time in the window τ", ylabel="threshold θ(τ), from its least to its largest", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, fontsize="small")
    figure.savefig(file, metadata={"Date": None} if file.endswith(".svg") else None)


def _percent(worst: float, mean: float) -> str:
    return f"{100 * worst:.2f} / {100 * mean:.2f}"


@click.command()
@click.option("--steps", default="16,32,50,64,255", show_default=True)
@click.option("--plot", "picture", help="Draw the thresholds into FILE.")
def main(steps: str, picture: str | None) -> None:
    """Print a table."""
    counts = [int(each) for each in steps.split(",")]
    print("worst / mean error in % of the range of f\n")
    print(f"| f | continuous | {' | '.join(f'N = {count}' for count in counts)} |\n{'|---' * (len(counts) + 2)}|")
    for name in FUNCTIONS:
        print(f"| {name} | {errors(name, None)[0]:.0e} | {' | '.join(_percent(*errors(name, count)) for count in counts)} |", flush=True)
    print(f"| the grid alone, 1/2N and 1/4N | 0 | {' | '.join(_percent(0.5 / count, 0.25 / count) for count in counts)} |")
    if picture:
        plot(picture)


if __name__ == "__main__":
    main()
