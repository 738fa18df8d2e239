"""Sizes of inputs that a model leaves open beyond the batch: as the user says, or as the samples at hand are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from ..errors import DataError, ModelError, UsageError
from .dataflow import fed_inputs
from .read import parsed
from .unread_inputs import without_unread_inputs

if TYPE_CHECKING:
    from ..data import Dataset

OPTION = "--input-shape"
Sizes = Mapping[str, Sequence[int]]  # by input, "" for the only one; with the batch (1) or without


def _declared(model: onnx.ModelProto) -> dict[str, list[int | None]]:
    """Sizes of each input without the batch, None where the model leaves one open."""
    return {
        value.name: [dim.dim_value if dim.dim_value > 0 else None for dim in value.type.tensor_type.shape.dim][1:]
        for value in fed_inputs(model.graph)
    }


def chosen_sizes(model: onnx.ModelProto, where: str, given: Sizes | Sequence[int] | None, data: Dataset | None) -> dict[str, tuple[int, ...]]:
    """Sizes without the batch of every input that leaves some open: those `given`, else of `data`'s samples.

    Raises UsageError for sizes that do not fit the model, ModelError for an input that nothing gives sizes to, DataError for samples of
    other sizes than the model's.
    """
    given = given if isinstance(given, Mapping) or given is None else {"": given}
    declared = _declared(model)
    unset = [name for name, sizes in declared.items() if None in sizes]
    chosen = {name: _checked(sizes, declared[name], name) for name, sizes in _by_name(dict(given or {}), list(declared), unset).items()}
    for name in unset:
        if name not in chosen:
            if data is None:
                raise _left_open(where, name, declared[name])
            chosen[name] = _of_samples(model, name, declared[name], data, len(declared) == 1)
    return {name: sizes for name, sizes in chosen.items() if name in unset}


def set_sizes(model: onnx.ModelProto, sizes: Mapping[str, Sequence[int]]) -> None:
    """Write the sizes without the batch into the inputs of `model`."""
    for value in model.graph.input:
        if value.name in sizes:
            shape = value.type.tensor_type.shape
            batch = list(shape.dim)[:1] or [onnx.TensorShapeProto.Dimension(dim_param="batch")]
            dims = [*batch, *(onnx.TensorShapeProto.Dimension(dim_value=size) for size in sizes[value.name])]
            shape.CopyFrom(onnx.TensorShapeProto(dim=dims))


def parsed_sizes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Of "NAME:1x3x224x224" or "3x224x224". Raises UsageError."""
    found = {}
    for text in texts:
        name, _, sizes = text.rpartition(":")
        try:
            found[name] = tuple(int(size) for size in sizes.lower().split("x"))
        except ValueError:
            raise UsageError(OPTION, f"{text!r}", "sizes such as 3x224x224, or NAME:3x224x224") from None
    return found


def sizes_texts(path: str | Path, texts: Sequence[str], data: Dataset) -> list[str]:
    """As --input-shape has them, the sizes of `chosen_sizes` for the file at `path`, which nothing has checked yet. texts: of that option."""
    return [
        f"{name}:{_text(sizes)}" for name, sizes in chosen_sizes(without_unread_inputs(parsed(path)), str(path), parsed_sizes(texts), data).items()
    ]


def _by_name(given: dict[str, Sequence[int]], inputs: list[str], unset: list[str]) -> dict[str, Sequence[int]]:
    if "" in given:
        lone = inputs if len(inputs) == 1 else unset
        if len(lone) != 1:
            raise UsageError(OPTION, "sizes without the name of an input", f"NAME:SIZES, NAME one of {', '.join(inputs)}")
        given = {lone[0]: given[""], **{name: sizes for name, sizes in given.items() if name}}
    unknown = sorted(set(given) - set(inputs))
    if unknown:
        raise UsageError(OPTION, f"{', '.join(unknown)}", f"inputs that the model has: {', '.join(inputs)}")
    return given


def _checked(sizes: Sequence[int], declared: list[int | None], name: str) -> tuple[int, ...]:
    """Without the batch."""
    sizes = tuple(sizes)
    if len(sizes) == len(declared) + 1 and sizes[0] == 1:
        sizes = sizes[1:]
    if min(sizes, default=1) < 1 or not _fits(sizes, declared):
        raise UsageError(OPTION, f"{_text(sizes)} for input {name!r}", f"sizes of at least 1 that fit the model's, {_text(declared)}")
    return sizes


def _fits(sizes: Sequence[int], declared: Sequence[int | None]) -> bool:
    return len(sizes) == len(declared) and all(size in (None, own) for own, size in zip(sizes, declared))


def _of_samples(model: onnx.ModelProto, name: str, declared: list[int | None], data: Dataset, lone: bool) -> tuple[int, ...]:
    from ..data.model_inputs import shapes_of_samples  # here, so that what reads models alone starts quickly

    array = data.x if lone and (data.x_name == "x" or name not in data.inputs) else data.inputs.get(name)
    if array is None:
        raise DataError(
            data.name,
            f"no array for the input {name!r}",
            f"samples that show its sizes, {_text(declared)}",
            f"or name them with {OPTION} {name}:SIZES",
        )
    shapes = [shape for shape in shapes_of_samples(array.shape[1:], len(declared), data.image) if _fits(shape, declared)]
    if not shapes:
        raise DataError(
            data.name,
            f"samples of shape {array.shape[1:]}",
            f"{_text(declared)} as the model's input {name!r}",
            f"name its sizes with {OPTION} {name}:SIZES, or give samples of such a shape",
        )
    channels = _channels(model, name)
    return next((shape for shape in shapes if channels in (None, shape[0])), shapes[0])


def _channels(model: onnx.ModelProto, name: str) -> int | None:
    """Channels that a convolution which reads the input has weights for."""
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[0] == name and node.input[1] in weights:
            groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
            return weights[node.input[1]][1] * groups
    return None


def _left_open(where: str, name: str, sizes: list[int | None]) -> ModelError:
    return ModelError(
        where,
        f"axis {sizes.index(None) + 1} of input {name!r} has no fixed size",
        "only the batch (axis 0) to be dynamic",
        f"name the sizes, ttfs-convert {OPTION} {name}:{_text(sizes)}, or give ttfs-convert --calibrate data of that size",
    )


def _text(sizes: Sequence[int | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in sizes)
