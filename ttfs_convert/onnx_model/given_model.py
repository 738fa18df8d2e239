"""A model in the forms that people have it in: a file, or a `ModelProto`."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import onnx
from google.protobuf.message import EncodeError

from ..errors import ModelError
from ..files.atomic import writing
from .dataflow import fed_inputs
from .read import parsed
from .unread_inputs import without_unread_inputs

GivenModel: TypeAlias = str | Path | onnx.ModelProto


@dataclass(frozen=True)
class ModelFile:
    """path: of the file. name: what its network is called. where: what errors call it."""

    path: Path
    name: str
    where: str


@contextlib.contextmanager
def model_file(model: GivenModel) -> Iterator[ModelFile]:
    """The file of `model`: itself if it is a path. A `ModelProto` is written to a temporary file, which lasts as long as the context does, with
    equal bytes for equal models; it is called as its graph, or "model". Raises ModelError for a `ModelProto` without a graph, with weights in
    files that were not loaded, or above the 2 GiB that protobuf can write."""
    if not isinstance(model, onnx.ModelProto):
        yield ModelFile(Path(model), Path(model).stem, str(model))
        return
    name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in model.graph.name) or "model"
    where = f"model {name!r}"
    content = _serialised(model, where)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        with writing(path, "free some space, or set TMPDIR to a folder on another disk"):
            path.write_bytes(content)
        del content
        yield ModelFile(path, name, where)


def _serialised(model: onnx.ModelProto, where: str) -> bytes:
    if not model.ir_version or not model.graph.node:
        raise ModelError(where, "a protobuf without an ONNX graph", "an ONNX model")
    outside = [tensor.name for tensor in model.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        raise ModelError(where, f"initializer {outside[0]!r} is in a file that was not loaded", "its weights inside", "give the model's path instead")
    try:
        return model.SerializeToString(deterministic=True)
    except (EncodeError, ValueError) as error:
        raise ModelError(
            where,
            f"cannot be written ({error})",
            "at most 2 GiB",
            "save it with external data, onnx.save(..., save_as_external_data=True), and give its path",
        ) from error


def declared_shapes(model: GivenModel) -> list[tuple[int, ...]]:
    """Shapes of the inputs without the batch, of those that some node reads; 0 for a size that the model leaves open."""
    whole = without_unread_inputs(model if isinstance(model, onnx.ModelProto) else parsed(model))
    return [tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)[1:] for value in fed_inputs(whole.graph)]
