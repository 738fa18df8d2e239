"""Names of the classes that a model lists: string constants, and attributes of ONNX's operators for machine learning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import onnx

from .dataflow import needed_nodes


def listed_names(graph: onnx.GraphProto, output: str) -> tuple[str, ...]:
    """Names of class 0, 1, ... that stand before `output`, or else anywhere in the graph; none if there is no list or several differ."""
    lists = set(_lists(graph, needed_nodes(graph, [output])[1])) or set(_lists(graph, None))
    return lists.pop() if len(lists) == 1 else ()


def _lists(graph: onnx.GraphProto, wanted: set[str] | None) -> Iterator[tuple[str, ...]]:
    for tensor in graph.initializer:
        if wanted is None or tensor.name in wanted:
            yield from _named([tensor])
    for node in graph.node:
        if wanted is None or wanted.intersection(node.output):
            given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
            if node.op_type == "LabelEncoder":
                yield from _encoded(given)
            else:
                yield from _named(value for value in given.values() if isinstance(value, onnx.TensorProto))
                yield from _distinct(given.get("classlabels_strings", ()))


def _named(tensors: Iterable[onnx.TensorProto]) -> Iterator[tuple[str, ...]]:
    for tensor in tensors:
        if tensor.data_type == onnx.TensorProto.STRING:
            yield from _distinct(onnx.numpy_helper.to_array(tensor).reshape(-1).tolist())


def _encoded(given: Mapping[str, object]) -> Iterator[tuple[str, ...]]:
    """Of a LabelEncoder from 0, 1, ... to names, in whatever order it lists them."""
    keys, values = (
        next((given[name] for name in names if name in given), ())
        for names in (("keys_tensor", "keys_int64s", "keys_floats"), ("values_tensor", "values_strings"))
    )
    keys, values = (onnx.numpy_helper.to_array(each).reshape(-1).tolist() if isinstance(each, onnx.TensorProto) else each for each in (keys, values))
    if sorted(keys, key=str) == sorted(range(len(values)), key=str):
        yield from _distinct([name for _, name in sorted(zip(keys, values))])


def _distinct(names: Sequence[bytes | str]) -> Iterator[tuple[str, ...]]:
    if len(set(names)) == len(names) > 1:
        yield tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)
