"""Cut out what follows the readout, so that ONNX Runtime can run it on the potentials."""

from __future__ import annotations

import onnx

from ..errors import ModelError
from ..onnx_file import Simplified


def tail_model(source: Simplified, root: str, rank: int) -> bytes | None:
    """ONNX model from the tensor `root` (float32 with `rank` axes, the first one the batch) to the model's outputs; None if `root` is the
    only output. It is cut from the original, or from the simplified graph if the original has no such tensor. Raises ModelError when an output depends on more than `root`."""
    model = source.original if any(root in node.output for node in source.original.graph.node) else source.graph
    outputs = list(model.graph.output)
    if [value.name for value in outputs] == [root]:
        return None
    producers = {name: node for node in model.graph.node for name in node.output}
    constants = {tensor.name for tensor in model.graph.initializer}
    needed, wanted = set(), [value.name for value in outputs]
    initialisers = set()
    while wanted:
        name = wanted.pop()
        if name == root or not name:
            continue
        if name in constants:
            initialisers.add(name)
        elif name in producers:
            node = producers[name]
            if id(node) not in needed:
                needed.add(id(node))
                wanted.extend(node.input)
        else:
            raise ModelError(f"output behind {root!r}", f"also depends on {name!r}", "a tail of the readout alone")
    entry = onnx.helper.make_tensor_value_info(root, onnx.TensorProto.FLOAT, [None] * rank)
    graph = onnx.helper.make_graph([node for node in model.graph.node if id(node) in needed], "tail", [entry], outputs,
                                   [onnx.numpy_helper.from_array(source.array(tensor), tensor.name) for tensor in model.graph.initializer
                                    if tensor.name in initialisers])
    return onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version).SerializeToString()
