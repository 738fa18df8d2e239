"""A small network file with one of each: convolutions (depthwise, dilated), pools, residual sums, dense layers; and data for it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from attacks.network_file import Change, changed
from ttfs_convert.cli.run import main
from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.network.store import save


def small_model() -> onnx.ModelProto:
    rng = np.random.default_rng(7)
    shapes = {"w1": (8, 2, 3, 3), "w2": (8, 1, 3, 3), "w3": (8, 8, 3, 3), "w4": (8, 8, 1, 1), "w5": (8, 8, 3, 3), "w6": (12, 8, 1, 1), "w7": (48, 16)}
    constants = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in {**shapes, "w8": (16, 4)}.items()}
    constants.update(zero=np.float32(0), one=np.float32(1))

    def node(operator, inputs, output, **attributes):
        return helper.make_node(operator, inputs, [output], **attributes)

    def clip(source, output):
        return node("Clip", [source, "zero", "one"], output)

    nodes = [
        node("Conv", ["x", "w1"], "c1", pads=[1] * 4),
        clip("c1", "a1"),
        node("Conv", ["a1", "w2"], "c2", pads=[1] * 4, group=8),
        clip("c2", "a2"),
        node("Conv", ["a2", "w3"], "c3", pads=[1] * 4),
        node("Conv", ["a1", "w4"], "c4"),
        node("Add", ["c3", "c4"], "s1"),
        node("Add", ["s1", "a1"], "s2"),
        clip("s2", "a3"),
        node("MaxPool", ["a3"], "p1", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p1", "w5"], "c5", pads=[2] * 4, dilations=[2, 2]),
        clip("c5", "a5"),
        node("AveragePool", ["a5"], "p2", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p2", "w6"], "c6"),
        clip("c6", "a6"),
        node("Flatten", ["a6"], "f"),
        node("Gemm", ["f", "w7"], "d1"),
        clip("d1", "a7"),
        node("Gemm", ["a7", "w8"], "y0"),
        node("Softmax", ["y0"], "y"),
    ]
    inputs, outputs = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name, shape in (("x", ["n", 2, 8, 8]), ("y", ["n", 4])))
    graph = helper.make_graph(
        nodes, "small", inputs, outputs, [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """A folder with snn.npz, and 40 samples of data for it, d.npz."""
    folder, rng = tmp_path_factory.mktemp("small"), np.random.default_rng(0)
    save(convert(small_model(), mode="unchecked"), folder / "snn.npz")
    np.savez(folder / "d.npz", x=rng.random((40, 2, 8, 8)).astype(np.float32), y=rng.integers(0, 4, 40))
    return folder


@pytest.fixture
def attacked(small, tmp_path):
    """A function: the network file that a change makes."""

    def make(change: Change) -> Path:
        changed(small / "snn.npz", tmp_path / "attacked.npz", change)
        return tmp_path / "attacked.npz"

    return make


def run(*arguments):
    """What ttfs-run makes of its arguments."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_refused(result, code: int, *words: str) -> None:
    """One line, the exit code, no traceback."""
    lines = [line for line in result.output.splitlines() if line]
    assert result.exit_code == code, result.output
    assert len(lines) == 1 and lines[0].startswith("error: ") and len(lines[0]) < 5000
    for word in words:
        assert word in lines[0]
