"""Walk a normalised graph once, in order, and give every tensor its value in the spiking network."""

from __future__ import annotations

import math

import onnx

from ..errors import ModelError
from ..ir import Input
from .builder import Builder, UnsupportedNode
from .table import NO_REMEDY, OPERATORS, REMEDIES, TAIL_OPERATORS
from .values import Constant, Node, Potential, Spikes, Tail, Unknown, channels_first, flat_index

POSITIONAL = ("Conv", "AveragePool", "MaxPool", "GlobalAveragePool")  # operators that read (batch, channels, *positions)


class UnsupportedModel(ModelError):
    """Some nodes have no spiking equivalent. nodes: (name, operator, reason, remedy) of every one of them."""

    def __init__(self, where: str, nodes: list[tuple[str, str, str, str]]):
        first = nodes[0]
        super().__init__(where, f"{len(nodes)} unsupported node{'s' if len(nodes) > 1 else ''}, first {first[1]} {first[0]!r} ({first[2]})",
                         remedy=first[3])
        self.nodes = nodes


def lower_graph(model: onnx.ModelProto, builder: Builder, where: str) -> str:
    """Fill `builder` from `model` and return the name of the ONNX tensor that the readout's potentials equal.

    Raises UnsupportedModel with all unsupported nodes, ModelError for graphs without one image input and one readout.
    """
    graph = model.graph
    nodes = [Node.of(proto) for proto in graph.node]
    feeds_body = _feeds_body(nodes)
    for tensor in graph.initializer:
        builder.values[tensor.name] = Constant(onnx.numpy_helper.to_array(tensor))
    _lower_input(graph, nodes, builder, where)
    unsupported = []
    for node in nodes:
        problem = _lower_node(node, builder, feeds_body)
        if problem:
            unsupported.append((node.name, node.operator, *problem))
            builder.values.update(dict.fromkeys(node.outputs, Unknown()))
    if unsupported:
        raise UnsupportedModel(where, unsupported)
    return _lower_output(graph, builder, where)


def _feeds_body(nodes: list[Node]) -> set[str]:
    """Tensors from which some operator that needs spikes can be reached."""
    reached: set[str] = set()
    for node in reversed(nodes):
        operator = OPERATORS.get(node.operator)
        if (operator and operator.body) or reached.intersection(node.outputs):
            reached.update(node.inputs)
    return reached


def _lower_input(graph: onnx.GraphProto, nodes: list[Node], builder: Builder, where: str) -> None:
    inputs = [value for value in graph.input if value.name not in builder.values]
    if len(inputs) != 1:
        raise ModelError(where, f"{len(inputs)} inputs ({', '.join(value.name for value in inputs)})", "one input")
    name, tensor = inputs[0].name, inputs[0].type.tensor_type
    shape = tuple(dim.dim_value for dim in tensor.shape.dim)[1:]
    if tensor.elem_type != onnx.TensorProto.FLOAT or not shape or len(shape) > 3:
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
        raise ModelError(f"input {name!r}", f"{kind} with {len(shape) + 1} axes", "FLOAT with 2 to 4 axes, batch first")
    first = len(shape) > 1 and any(node.operator in POSITIONAL and node.inputs[0] == name for node in nodes)
    layer_shape = (*shape[1:], shape[0]) if first else shape
    index = channels_first(layer_shape) if first else flat_index((1, *shape))
    layer = builder.add(Input(name=builder.unique(name), shape=layer_shape, window=0, tensor=None, onnx_name=name, onnx_shape=shape,
                              channels_first=first))
    builder.values[name] = Spikes(layer.name, index)


def _lower_node(node: Node, builder: Builder, feeds_body: set[str]) -> tuple[str, str] | None:
    """Set the values of `node`'s outputs; return (reason, remedy) if it is unsupported."""
    if node.domain not in ("", "ai.onnx"):
        return f"operator of the domain {node.domain}", "export the plain float32 network, not an optimised or quantised one"
    if node.operator == "Constant":
        builder.values[node.outputs[0]] = Constant(onnx.numpy_helper.to_array(node.attributes["value"]))
        return None
    given = [builder.values[name] for name in node.inputs if name]
    operator = OPERATORS.get(node.operator)
    at_the_end = not feeds_body.intersection(node.outputs) and (node.operator in TAIL_OPERATORS or (operator and operator.activation))
    if any(isinstance(value, Unknown) for value in given):
        builder.values.update(dict.fromkeys(node.outputs, Unknown()))
        return None if operator or at_the_end else REMEDIES.get(node.operator, NO_REMEDY)
    tails = [value for value in given if isinstance(value, Tail)]
    if tails and (operator or node.operator in TAIL_OPERATORS) and not (operator and operator.body):
        builder.values.update(dict.fromkeys(node.outputs, tails[0]))
        return None
    changes = isinstance(given[0], (Spikes, Potential)) and (node.operator in TAIL_OPERATORS or not given[0].in_unit_interval)
    if at_the_end and changes:
        builder.values.update(dict.fromkeys(node.outputs, Tail(node.inputs[0])))
        return None
    if operator is None:
        return REMEDIES.get(node.operator, NO_REMEDY)
    try:
        operator.lower(node, builder)
    except UnsupportedNode as error:
        return error.reason, error.remedy
    return None


def _lower_output(graph: onnx.GraphProto, builder: Builder, where: str) -> str:
    roots = []
    for output in graph.output:
        value = builder.values[output.name]
        roots.append(value.root if isinstance(value, Tail) else output.name)
    if len(set(roots)) != 1:
        raise ModelError(where, f"{len(set(roots))} readouts ({', '.join(sorted(set(roots)))})", "outputs that follow from one last layer")
    builder.readout(builder.values[roots[0]], roots[0])
    return roots[0]


def macs(model: onnx.ModelProto) -> int:
    """Multiply-accumulates of the convolutions and matrix products of a normalised (batch 1, shapes inferred) model.

    Convolution: output elements x channels in / groups x kernel size, padded taps included; products: output elements x inner size.
    """
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
              for value in (*model.graph.value_info, *model.graph.output, *model.graph.input)}
    shapes |= {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            total += math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type in ("Gemm", "MatMul"):
            transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
            total += math.prod(shapes[node.output[0]]) * shapes[node.input[0]][0 if transposed else -1]
    return total
