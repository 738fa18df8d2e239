"""Weights outside of the model: in files beside it, or moved out of memory while it is converted."""

from __future__ import annotations

import math
import stat
from collections.abc import Iterator
from pathlib import Path, PurePath, PureWindowsPath

import onnx
from onnx import external_data_helper

from ..errors import ModelError
from ..memory_bound import in_words, memory_bound

SMALL = 1024  # bytes; larger weights stay on the disk while a model is converted
WEIGHTS = "weights.bin"
LARGEST_ITEM = 16  # bytes of one number, a complex one


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
    places = {entry.value for tensor in _external(model) for entry in tensor.external_data if entry.key == "location"}
    return tuple(base / place for place in sorted(places))


def has_external_data(model: onnx.ModelProto) -> bool:
    """Whether some of its weights are not inside."""
    return next(_external(model), None) is not None


def check_external_data(model: onnx.ModelProto, base: Path, where: str) -> None:
    """Raise ModelError, with `where`, before any of the external data of `model` are read, unless they lie in regular files below its folder `base`,
    not behind links, and are no more than their tensors hold, and than memory may take."""
    total = 0
    for tensor in _external(model):
        try:
            place = external_data_helper.ExternalDataInfo(tensor)
            total += _size(tensor, place, _size_of_file(place.location, base))
        except (OSError, ValueError) as error:
            raise no_external_data(where, error) from error
        if total > memory_bound():
            raise ModelError(
                where, f"external data of {in_words(total)} or more", f"at most {in_words(memory_bound())}", "allow more with --max-memory"
            )


def _size_of_file(location: str, base: Path) -> int:
    """Bytes in the file at `location` below `base`. Raises OSError, or ValueError for what is no file of the model's own."""
    parts = PurePath(location).parts
    if not parts or PurePath(location).is_absolute() or PureWindowsPath(location).drive or ".." in parts:
        raise ValueError(f"{location!r} is not inside the folder")
    path = base
    for part in parts:
        path = path / part
        if stat.S_ISLNK(path.lstat().st_mode):
            raise ValueError(f"{location!r} is, or lies behind, a symbolic link")
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{location!r} is no regular file")
    return found.st_size


def _size(tensor: onnx.TensorProto, place: external_data_helper.ExternalDataInfo, available: int) -> int:
    """Bytes that it takes of a file of so many. Raises ValueError where these are not there, or more than its shape has."""
    offset = place.offset or 0
    taken = available - offset if place.length is None else place.length
    if offset < 0 or not 0 <= taken <= available - offset:
        raise ValueError(f"{tensor.name!r} asks for {taken} bytes from {offset} on of {place.location!r}, which has {available}")
    most = LARGEST_ITEM * math.prod(tensor.dims)
    if taken > most:
        raise ValueError(f"{tensor.name!r} of shape {tuple(tensor.dims)} asks for {taken} bytes")
    return taken


def _external(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Tensors that are not inside."""
    return (tensor for tensor in _tensors(model) if tensor.data_location == onnx.TensorProto.EXTERNAL)


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """All that may have external data: initializers and attributes, those of subgraphs and functions too, and the parts of sparse ones."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from _of_node(node)


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        if node.attribute:
            yield from _of_node(node)


def _of_node(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    """Whatever type an attribute says that it has."""
    for attribute in node.attribute:
        yield from (attribute.t, *attribute.tensors) if attribute.HasField("t") else attribute.tensors
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors) if attribute.HasField("sparse_tensor") else attribute.sparse_tensors:
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
            yield from _of_graph(graph)


def load_weights(model: onnx.ModelProto, base: Path) -> None:
    """Into `model`, from its external data below `base`."""
    for tensor in _external(model):
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
