"""One node of the graph, alone under ONNX Runtime, attributes, opset and all, its constants inside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime

from .builder import Builder, UnsupportedNode
from .values import Constant, Node


def constants_of(node: Node, builder: Builder, computed: int = 0) -> dict[str, np.ndarray]:
    """The node's inputs but the one at `computed`. Raises UnsupportedNode where one of these is computed too."""
    others = {name: builder.values[name] for position, name in enumerate(node.inputs) if name and position != computed}
    if not all(isinstance(value, Constant) for value in others.values()):
        raise UnsupportedNode("its parameters are computed by the network", "make them constants")
    return {name: value.array for name, value in others.items()}


def alone(node: Node, opset: int, constants: dict[str, np.ndarray], rank: int, computed: int = 0, kind: int = onnx.TensorProto.FLOAT
          ) -> Callable[[np.ndarray], list[np.ndarray]]:
    """The node's outputs as a function of its input at `computed`, an array of `rank` axes and the ONNX type `kind`. Raises, and the function
    raises, whatever ONNX Runtime does: it has one exception class per status, none of them public."""
    outputs, entry = [name for name in node.outputs if name], node.inputs[computed]
    data = onnx.helper.make_tensor_value_info(entry, kind, [None] * rank)
    graph = onnx.helper.make_graph([node.proto], "alone", [data], [onnx.helper.make_empty_tensor_value_info(name) for name in outputs],
                                   [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.graph_optimization_level = 4, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda array: session.run(outputs, {entry: array})
