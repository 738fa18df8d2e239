"""Walk a simplified graph once, in order, and give every tensor its value in the spiking network."""

from __future__ import annotations

import functools
import math
from collections import Counter

import numpy as np
import onnx

from ..errors import ModelError
from ..ir import Input
from ..onnx_file import Simplified
from .builder import Builder, UnsupportedNode
from .table import NO_REMEDY, OPERATORS, REMEDIES, TAIL_OPERATORS
from .values import Comparison, Constant, Node, Potential, Spikes, Tail, Unknown, channels_first, flat_index

POSITIONAL = ("Conv", "ConvTranspose", "AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool")  # operators that read (batch, channels, *positions)
ELEMENTWISE = ("Add", "BatchNormalization", "Div", "Identity", "Mul", "Sub")  # those that may stand between them and the input


class UnsupportedModel(ModelError):
    """Some nodes have no spiking equivalent. nodes: (name, operator, reason, remedy) of every one of them."""

    def __init__(self, where: str, nodes: list[tuple[str, str, str, str]]):
        first = nodes[0]
        super().__init__(where, f"{len(nodes)} unsupported node{'s' if len(nodes) > 1 else ''}, first {first[1]} {first[0]!r} ({first[2]})",
                         remedy=first[3])
        self.nodes = nodes


def lower_graph(model: Simplified, builder: Builder, where: str, input_range: tuple[float, float] | None) -> str:
    """Fill `builder` from the simplified graph and return the name of the ONNX tensor that the readout's potentials equal.

    input_range: of the input's values; None: they enter as analog current. Raises UnsupportedModel with all unsupported nodes, ModelError for graphs without one image input and one readout.
    """
    graph = model.graph.graph
    nodes = [Node.of(proto) for proto in graph.node]
    builder.opset = next(entry.version for entry in model.graph.opset_import if entry.domain in ("", "ai.onnx"))
    feeds_body = _feeds_body(nodes)
    readers = Counter(name for node in nodes if feeds_body.intersection(node.outputs) or _is_body(node) for name in set(node.inputs))
    for node in nodes:
        for name in set(node.inputs):
            builder.readers.setdefault(name, []).append(node.operator)
    for name in (value.name for value in graph.output):
        builder.readers.setdefault(name, []).append("output")
    for tensor in graph.initializer:
        builder.values[tensor.name] = Constant(functools.partial(model.array, tensor))
    _lower_input(graph, nodes, builder, where, input_range)
    unsupported = []
    for node in nodes:
        problem = _lower_node(node, builder, feeds_body)
        if problem:
            unsupported.append((node.name, node.operator, *problem))
            builder.values.update(dict.fromkeys(node.outputs, Unknown()))
        elif builder.slope != "fan_in":
            _encode_streams(node, builder, readers)
    if unsupported:
        raise UnsupportedModel(where, unsupported)
    return _lower_output(graph, builder, where)


def _is_body(node: Node) -> bool:
    return node.operator in OPERATORS and OPERATORS[node.operator].body


def _encode_streams(node: Node, builder: Builder, readers: Counter[str]) -> None:
    """A linear value that several nodes read, such as the residual stream of a pre-activation network, is spike-coded once; else each
    reader would integrate all that has been added to it again. The paper's constraints have no place for such neurons."""
    for name in node.outputs:
        value = builder.value(name)
        if isinstance(value, Potential) and not value.pooled_only and readers[name] > 1:
            builder.values[name] = builder.fire(value, name)


def _feeds_body(nodes: list[Node]) -> set[str]:
    """Tensors from which some operator that needs spikes can be reached."""
    reached: set[str] = set()
    for node in reversed(nodes):
        if _is_body(node) or reached.intersection(node.outputs):
            reached.update(node.inputs)
    return reached


def _lower_input(graph: onnx.GraphProto, nodes: list[Node], builder: Builder, where: str,
                 input_range: tuple[float, float] | None) -> None:
    inputs = [value for value in graph.input if value.name not in builder.values]
    if len(inputs) != 1:
        raise ModelError(where, f"{len(inputs)} inputs ({', '.join(value.name for value in inputs)})", "one input")
    name, tensor = inputs[0].name, inputs[0].type.tensor_type
    shape = tuple(dim.dim_value for dim in tensor.shape.dim)[1:]
    if tensor.elem_type != onnx.TensorProto.FLOAT or not shape or len(shape) > 3:
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
        raise ModelError(f"input {name!r}", f"{kind} with {len(shape) + 1} axes", "FLOAT with 2 to 4 axes, batch first")
    first = len(shape) > 1 and _read_by_position(name, nodes)
    layer_shape = (*shape[1:], shape[0]) if first else shape
    index = channels_first(layer_shape) if first else flat_index((1, *shape))
    direct, (lo, hi) = input_range is None, input_range or (0.0, 1.0)
    ends = {"lo": np.full(layer_shape[-1], lo, np.float32), "hi": np.full(layer_shape[-1], hi, np.float32)}
    layer = builder.add(Input(name=builder.unique(name), shape=layer_shape, window=-1 if direct else 0, tensor=None, onnx_name=name,
                              onnx_shape=shape, channels_first=first, coding="direct" if direct else "spikes", **ends))
    offset = ends["lo"].astype(np.float64)
    builder.values[name] = Spikes(layer.name, index, layer_shape, ends["hi"] - offset, offset, direct)


def _read_by_position(name: str, nodes: list[Node]) -> bool:
    """Whether the input is an image with its channels first."""
    same = {name}
    for node in nodes:
        if same.intersection(node.inputs) and node.operator in ELEMENTWISE:
            same.update(node.outputs)
    return any(node.operator in POSITIONAL and node.inputs[0] in same for node in nodes)


def _lower_node(node: Node, builder: Builder, feeds_body: set[str]) -> tuple[str, str] | None:
    """Set the values of `node`'s outputs; return (reason, remedy) if it is unsupported."""
    if node.domain not in ("", "ai.onnx"):
        return f"operator of the domain {node.domain}", "export the plain float32 network, not an optimised or quantised one"
    if node.operator == "Constant":
        builder.values[node.outputs[0]] = Constant(functools.partial(onnx.numpy_helper.to_array, node.attributes["value"]))
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
    changes = isinstance(given[0], (Spikes, Potential)) and (node.operator in TAIL_OPERATORS or not _in_unit_interval(given[0]))
    if at_the_end and changes:
        builder.values.update(dict.fromkeys(node.outputs, Tail(node.inputs[0])))
        return None
    if operator is None:
        return REMEDIES.get(node.operator, NO_REMEDY)
    if any(isinstance(value, Comparison) for value in given) and node.operator != "Where":
        return "it computes with a comparison", "use Clip for a clamp"
    try:
        operator.lower(node, builder)
    except UnsupportedNode as error:
        return error.reason, error.remedy
    return None


def _in_unit_interval(value: Spikes | Potential) -> bool:
    """Whether a ReLU or ReLU1 changes nothing."""
    lowest, highest = value.bounds
    return bool(lowest.min() >= 0 and highest.max() <= 1)


def _lower_output(graph: onnx.GraphProto, builder: Builder, where: str) -> str:
    roots = []
    for output in graph.output:
        value = builder.values[output.name]
        roots.append(value.root if isinstance(value, Tail) else output.name)
    if len(set(roots)) != 1:
        raise ModelError(where, f"{len(set(roots))} readouts ({', '.join(sorted(set(roots)))})", "outputs that follow from one last layer")
    try:
        builder.readout(builder.values[roots[0]], roots[0])
    except UnsupportedNode as error:
        raise ModelError(f"output {roots[0]!r}", error.reason, remedy=error.remedy) from None
    builder.forget_values()
    return roots[0]


def macs(model: onnx.ModelProto) -> int:
    """Multiply-accumulates of the convolutions and matrix products of a simplified (batch 1, shapes inferred) model.

    Convolution: output elements x channels in / groups x kernel size, padded taps included; transposed: input elements x channels out /
    groups x kernel size; products: output elements x inner size.
    """
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
              for value in (*model.graph.value_info, *model.graph.output, *model.graph.input)}
    shapes |= {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            total += math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type == "ConvTranspose":
            total += math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type in ("Gemm", "MatMul"):
            transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
            total += math.prod(shapes[node.output[0]]) * shapes[node.input[0]][0 if transposed else -1]
    return total
