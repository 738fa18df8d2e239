"""Multiply-accumulates of an ONNX graph for one image."""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx

Sizes = Mapping[str, tuple[int, ...]]


def sizes(model: onnx.ModelProto) -> Sizes:
    """Shapes of the tensors of a model for one image."""
    graph = model.graph
    shapes = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in (*graph.value_info, *graph.output, *graph.input)
        if value.type.tensor_type.HasField("shape")
    }
    return shapes | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}


def macs(model: onnx.ModelProto) -> int:
    """Of the convolutions, matrix products and recurrent layers of a simplified (batch 1, shapes inferred) model."""
    shapes = sizes(model)
    return sum(node_macs(node, shapes) for node in model.graph.node)


def node_macs(node: onnx.NodeProto, shapes: Sizes) -> int:
    """Convolution: output elements x channels in / groups x kernel size, padded taps included; transposed: input elements x channels out /
    groups x kernel size; products: output elements x inner size; recurrent layers: steps x weights, of the state too; Einsum of several factors: the
    product of its labels' sizes; others: 0."""
    if node.op_type == "Conv":
        return math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
    if node.op_type == "ConvTranspose":
        return math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])
    if node.op_type in ("Gemm", "MatMul"):
        transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        return math.prod(shapes[node.output[0]]) * shapes[node.input[0]][0 if transposed else -1]
    if node.op_type in ("GRU", "LSTM", "RNN"):
        batch_first = any(attribute.name == "layout" and attribute.i for attribute in node.attribute)
        return shapes[node.input[0]][1 if batch_first else 0] * sum(math.prod(shapes[name]) for name in node.input[1:3])
    if node.op_type == "Einsum" and len(node.input) > 1:
        (equation,) = (attribute.s.decode() for attribute in node.attribute if attribute.name == "equation")
        factors = equation.split("->")[0].replace(" ", "").split(",")
        return (
            0
            if "." in equation
            else math.prod({label: size for factor, name in zip(factors, node.input) for label, size in zip(factor, shapes[name])}.values())
        )
    return 0
