"""One node of the graph, alone under ONNX Runtime, attributes, opset and all, its constants inside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime

from .node import Node
from .reference import arrays_of


def alone(
    node: Node, opset: int, constants: dict[str, np.ndarray], rank: int, computed: int = 0, kind: int = onnx.TensorProto.FLOAT
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """The node's outputs as a function of its input at `computed`, an array of `rank` axes and the ONNX type `kind`. Raises, and the function
    raises, whatever ONNX Runtime does: it has one exception class per status, none of them public."""
    outputs, entry = [name for name in node.outputs if name], node.inputs[computed]
    data = onnx.helper.make_tensor_value_info(entry, kind, [None] * rank)
    graph = onnx.helper.make_graph(
        [node.proto],
        "alone",
        [data],
        [onnx.helper.make_empty_tensor_value_info(name) for name in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.graph_optimization_level = 4, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda array: arrays_of(session.run(outputs, {entry: array}))
