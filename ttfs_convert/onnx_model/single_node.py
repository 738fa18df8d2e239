"""One node of the graph, alone under ONNX Runtime, with the attributes and the opset that it has there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx

from .node import Node
from .session import arrays_of, quiet_options, session


def alone(
    node: Node, opset: int, constants: Mapping[str, np.ndarray], rank: int, computed: int = 0, kind: int = onnx.TensorProto.FLOAT
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """The node's outputs as a function of its input at `computed`, an array of `rank` axes and the ONNX type `kind`.

    constants: its other inputs, by name. Raises, and the function raises, as `session`.
    """
    outputs, entry = [name for name in node.outputs if name], node.inputs[computed]
    model = one_node_model(
        node, [onnx.helper.make_tensor_value_info(entry, kind, [None] * rank)], outputs, [onnx.helper.make_opsetid("", opset)], 8, constants
    )
    ready = session(model, quiet_options(optimised=False))
    return lambda array: arrays_of(ready.run(outputs, {entry: array}))


def one_node_model(
    node: Node,
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[str],
    opsets: Sequence[onnx.OperatorSetIdProto],
    ir_version: int,
    constants: Mapping[str, np.ndarray] | None = None,
) -> onnx.ModelProto:
    """The ONNX model of `node`, from `inputs` and `constants` (by name) to `outputs`."""
    graph = onnx.helper.make_graph(
        [node.proto],
        "node",
        inputs,
        [onnx.helper.make_empty_tensor_value_info(name) for name in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
