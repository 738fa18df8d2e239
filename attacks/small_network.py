"""A small network with one of each: convolutions (depthwise, dilated), pools, residual sums, dense layers."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def small_model() -> onnx.ModelProto:
    """Of input x (n, 2, 8, 8) and output y (n, 4); its weights are the same every time."""
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
