"""Nodes whose results are not those of inference: random ones, and those in training mode. No figure can be held against them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import onnx

from ..errors import ModelError
from .dataflow import constants_of, needed_nodes

RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
EVALUATION = "export in evaluation mode (PyTorch: model.eval(), and no training=TrainingMode.TRAINING)"
TRAINING_MODE = 2  # input of Dropout


def refuse_random(model: onnx.ModelProto, where: str) -> None:
    """Raises ModelError that names every node of `model`, subgraphs included, which draws random numbers or is in training mode, if some
    output depends on it."""
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    found = list(_found(model.graph, [value.name for value in model.graph.output], opset, {}))
    if found:
        node, reason, remedy = found[0]
        others = f", and {len(found) - 1} more: " + ", ".join(repr(_name(node)) for node, _, _ in found[1:6]) if len(found) > 1 else ""
        raise ModelError(where, f"{node.op_type} {_name(node)!r} {reason}{others}", "nodes that give the same results every time", remedy)


def _name(node: onnx.NodeProto) -> str:
    return node.name or next(filter(None, node.output), "")


def _found(
    graph: onnx.GraphProto, wanted: Sequence[str], opset: int, outer: Mapping[str, onnx.TensorProto]
) -> Iterator[tuple[onnx.NodeProto, str, str]]:
    """(node, why it is refused, what to do). outer: constants of the graphs around this one."""
    constants = {**outer, **constants_of(graph)}
    for node in needed_nodes(graph, wanted)[0]:
        problem = _problem(node, opset, constants) if node.domain in ("", "ai.onnx") else None
        if problem is not None:
            yield node, *problem
        for inner in (attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH):
            yield from _found(inner, [value.name for value in inner.output], opset, constants)


def _problem(node: onnx.NodeProto, opset: int, constants: Mapping[str, onnx.TensorProto]) -> tuple[str, str] | None:
    if node.op_type in RANDOM:
        return "draws random numbers", "export the network without it, as inference runs it"
    if node.op_type == "Dropout":
        return _dropout(node, opset, constants)
    if node.op_type == "BatchNormalization" and _normalises_by_batch(node, opset):
        return "is in training mode: it takes mean and variance from the samples of a batch", EVALUATION
    return None


def _dropout(node: onnx.NodeProto, opset: int, constants: Mapping[str, onnx.TensorProto]) -> tuple[str, str] | None:
    if opset < 7:
        return None if _attribute(node, "is_test", 0) else ("is in training mode", EVALUATION)
    mode = node.input[TRAINING_MODE] if len(node.input) > TRAINING_MODE else ""
    if not mode:
        return None
    if mode not in constants:
        return f"has a training mode that is not constant ({mode!r})", EVALUATION
    return ("is in training mode", EVALUATION) if onnx.numpy_helper.to_array(constants[mode]).any() else None


def _normalises_by_batch(node: onnx.NodeProto, opset: int) -> bool:
    if opset < 7:
        return not _attribute(node, "is_test", 0)
    if opset < 14:
        return any(node.output[1:])  # the statistics of the batch, which only training gives
    return bool(_attribute(node, "training_mode", 0))


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == name), default)
