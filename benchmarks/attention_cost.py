"""What a transformer's encoder block costs as a spiking network, and what a grid costs it: the tables in docs/products.md.

    python -m benchmarks.attention_cost TOKENS CHANNELS HEADS [--steps 64,255,1023]

The block has random weights: LayerNormalization, attention, a residual sum, LayerNormalization, two layers with Gelu, a residual sum, and a
readout of the mean over the tokens. It is calibrated on 16 random samples and run on them: in continuous time, then on each grid. Errors are
shares of the outputs' range; the peak is that of the whole process, 0.3 GB of which are the program itself.
"""

from __future__ import annotations

import resource
import sys
import time

import click
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ttfs_convert import convert
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.head_and_tail import run

SAMPLES = 16
FEATURES = 8  # of a token, as it enters
OUTPUTS = 10


class _Block:
    """Nodes and weights so far."""

    def __init__(self, tokens: int, channels: int, heads: int):
        self.tokens, self.channels, self.heads = tokens, channels, heads
        self.rng, self.nodes, self.weights = np.random.default_rng(0), [], []

    def add(self, operator: str, *inputs: str | np.ndarray, **attributes) -> str:
        names = [each if isinstance(each, str) else self._weight(each) for each in inputs]
        result = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, names, [result], name=result, **attributes))
        return result

    def _weight(self, array: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(array, f"weight{len(self.weights)}"))
        return self.weights[-1].name

    def linear(self, value: str, inputs: int, outputs: int) -> str:
        return self.add("MatMul", value, (self.rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)).astype(np.float32))

    def normalised(self, value: str) -> str:
        return self.add("LayerNormalization", value, np.ones(self.channels, np.float32), np.zeros(self.channels, np.float32))

    def attention(self, value: str) -> str:
        split = np.array((0, self.tokens, self.heads, self.channels // self.heads))
        queries, keys, values = (
            self.add("Transpose", self.add("Reshape", self.linear(value, self.channels, self.channels), split), perm=perm)
            for perm in ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3))
        )
        scores = self.add("Mul", self.add("MatMul", queries, keys), np.float32((self.channels // self.heads) ** -0.5))
        mixed = self.add("Transpose", self.add("MatMul", self.add("Softmax", scores, axis=-1), values), perm=(0, 2, 1, 3))
        return self.linear(self.add("Reshape", mixed, np.array((0, self.tokens, self.channels))), self.channels, self.channels)

    def model(self) -> onnx.ModelProto:
        stream = self.linear("x", FEATURES, self.channels)
        stream = self.add("Add", stream, self.attention(self.normalised(stream)))
        hidden = self.add("Gelu", self.linear(self.normalised(stream), self.channels, 2 * self.channels))
        stream = self.add("Add", stream, self.linear(hidden, 2 * self.channels, self.channels))
        mean = self.add("ReduceMean", stream, np.array([1]), keepdims=0)
        result = self.linear(mean, self.channels, OUTPUTS)
        entry, exit_ = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])
            for name, shape in (("x", (self.tokens, FEATURES)), (result, (OUTPUTS,)))
        )
        graph = helper.make_graph(self.nodes, "block", [entry], [exit_], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def peak() -> float:
    """GB, of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


@click.command()
@click.argument("tokens", type=int)
@click.argument("channels", type=int)
@click.argument("heads", type=int)
@click.option("--steps", default="64,255,1023", show_default=True, help="Grids, separated by commas.")
def main(tokens: int, channels: int, heads: int, steps: str) -> None:
    """One row for the cost, one for each grid."""
    model = _Block(tokens, channels, heads).model()
    x = np.random.default_rng(1).uniform(0, 1, (SAMPLES, tokens, FEATURES)).astype(np.float32)
    expected = Reference(model)(x)[model.graph.output[0].name]
    start = time.perf_counter()
    network = convert(model, mode="exact", steps=None, calibrate=x)
    converting, converted = time.perf_counter() - start, peak()
    run(network, x[:1])
    start = time.perf_counter()
    run(network, x[:1])
    simulating = time.perf_counter() - start
    populations = [layer for layer in network.layers if layer.kind == "spiking"]
    neurons = sum(int(np.prod(layer.shape)) for layer in populations)
    print(
        f"| {tokens} x {channels}, {heads} heads | {len(populations)} | {network.windows} | {neurons:,} | {converting:.1f} s | {converted:.2f} GB ",
        end="",
    )
    print(f"| {simulating:.2f} s | {peak():.2f} GB |")
    for grid in (None, *map(int, steps.split(","))):
        found = run(network.with_steps(grid), x).potentials.reshape(expected.shape)
        difference = np.abs(found - expected) / np.ptp(expected)
        agreement = (found.argmax(1) == expected.argmax(1)).mean()
        print(f"| {grid or 'continuous'} | {100 * difference.max():.2g} % | {100 * difference.mean():.2g} % | {100 * agreement:.0f} % |")


if __name__ == "__main__":
    main()
