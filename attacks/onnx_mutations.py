"""ONNX models whose attributes, sizes and wires are others."""

from __future__ import annotations

from random import Random

import onnx
from onnx import AttributeProto, helper

from .mutations import NUMBERS

OPERATORS = (
    "Conv",
    "Relu",
    "Clip",
    "Add",
    "Sub",
    "MaxPool",
    "AveragePool",
    "Flatten",
    "Gemm",
    "MatMul",
    "Reshape",
    "Softmax",
    "Transpose",
    "Concat",
    "Loop",
)
ATTRIBUTES = {
    "pads": [1, 0, 1, 0], "strides": [2, 1], "dilations": [1, 2], "kernel_shape": [2, 2], "group": 2, "axis": 1, "transA": 1, "alpha": 0.5,
    "auto_pad": "SAME_UPPER", "ceil_mode": 1, "count_include_pad": 1, "perm": [0, 2, 1, 3], "storage_order": 1,
}  # fmt: skip
SMALL = tuple(number for number in NUMBERS if -(2**63) <= number < 2**63)  # as many bits as an attribute has


def other_attributes(random: Random, data: bytes) -> bytes:
    """One to three changes."""
    model = onnx.load_from_string(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        random.choice(_CHANGES)(random, model.graph)
    return model.SerializeToString()


def _attribute(random: Random, graph: onnx.GraphProto) -> None:
    node = random.choice([node for node in graph.node if node.attribute] or [*graph.node])
    if not node.attribute:
        return
    attribute = random.choice(node.attribute)
    if attribute.type == AttributeProto.INTS:
        at = random.randrange(len(attribute.ints) or 1)
        values = [*attribute.ints]
        values[at : at + 1] = random.choice(([random.choice(SMALL)], [], [random.choice(SMALL)] * 2))
        del attribute.ints[:]
        attribute.ints.extend(values)
    elif attribute.type == AttributeProto.INT:
        attribute.i = random.choice(SMALL)
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = random.choice((0.0, -1.0, float("nan"), float("inf"), 3e38))
    elif attribute.type == AttributeProto.STRING:
        attribute.s = random.choice((b"", b"VALID", b"\xff", b"x" * 500))


def _new_attribute(random: Random, graph: onnx.GraphProto) -> None:
    name = random.choice([*ATTRIBUTES])
    node = random.choice(graph.node)
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, ATTRIBUTES[name])])


def _no_attribute(random: Random, graph: onnx.GraphProto) -> None:
    node = random.choice(graph.node)
    del node.attribute[:]


def _operator(random: Random, graph: onnx.GraphProto) -> None:
    random.choice(graph.node).op_type = random.choice(OPERATORS)


def _wire(random: Random, graph: onnx.GraphProto) -> None:
    node, other = random.choice(graph.node), random.choice(graph.node)
    if node.input and other.input:
        node.input[random.randrange(len(node.input))] = random.choice([*other.input, *other.output, ""])


def _weights(random: Random, graph: onnx.GraphProto) -> None:
    tensor = random.choice(graph.initializer)
    if not tensor.dims:
        return
    at = random.randrange(len(tensor.dims))
    tensor.dims[at] = random.choice((tensor.dims[at] + 1, 0, *SMALL))


def _input(random: Random, graph: onnx.GraphProto) -> None:
    size = random.choice(graph.input[0].type.tensor_type.shape.dim)
    size.dim_value = random.choice(SMALL)


_CHANGES = (_attribute, _attribute, _attribute, _new_attribute, _no_attribute, _operator, _wire, _weights, _input)
