"""Weights outside of the model: in files beside it, or moved out of memory while it is converted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import external_data_helper

from ..errors import ModelError
from .subgraphs import subgraphs

SMALL = 1024  # bytes; larger weights stay on the disk while a model is converted


WEIGHTS = "weights.bin"


def no_external_data(where: str, error: Exception) -> ModelError:
    """The error for a model at `where` whose weights beside it cannot be read, because of `error`."""
    return ModelError(
        where,
        f"external data cannot be read ({error})",
        "the file beside the model, inside its folder",
        "keep both files together, or export with the weights inside",
    )


def external_files(model: onnx.ModelProto, base: Path) -> tuple[Path, ...]:
    """Files that hold weights of `model`, whose folder is `base`."""
    places = {
        entry.value
        for tensor in _tensors(model.graph)
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return tuple(base / place for place in sorted(places))


def has_external_data(model: onnx.ModelProto) -> bool:
    """Whether some of its weights are not inside."""
    return any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors(model.graph))


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """All that may have external data: initializers and attributes, those of subgraphs too."""
    yield from graph.initializer
    for node in graph.node:
        yield from (attribute.t for attribute in node.attribute if attribute.type == onnx.AttributeProto.TENSOR)
        for inner in subgraphs(node):
            yield from _tensors(inner)


def load_weights(model: onnx.ModelProto, base: Path) -> None:
    """Into `model`, from its external data below `base`."""
    for tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            external_data_helper.load_external_data_for_tensor(tensor, str(base))
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]


def move_weights(model: onnx.ModelProto, target: Path, where: str) -> None:
    """Move every large initializer from `model` to the file `target`."""
    with open(target, "wb") as file:
        for tensor in model.graph.initializer:
            if not tensor.HasField("raw_data") or len(tensor.raw_data) <= SMALL:
                continue
            try:
                size = math.prod(tensor.dims) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
            except KeyError as error:
                raise ModelError(where, f"initializer {tensor.name!r} of data type {tensor.data_type}", "a type that ONNX knows") from error
            if len(tensor.raw_data) != size:
                raise ModelError(
                    where,
                    f"initializer {tensor.name!r} holds {len(tensor.raw_data)} bytes",
                    f"{size} for its shape",
                    "export it again; 4-bit weights are not taken",
                )
            offset = file.seek(-file.tell() % 64, 1)
            file.write(tensor.raw_data)
            external_data_helper.set_external_data(tensor, WEIGHTS, offset, len(tensor.raw_data))
            tensor.ClearField("raw_data")
