"""A model with its nodes rewritten as the walk does, under ONNX Runtime beside the model itself."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import onnx

from tests.models import Chain, save
from ttfs_convert.conversion.options import ConversionOptions
from ttfs_convert.lowering.graph_walk import _Walk
from ttfs_convert.lowering.ranges.of_inputs import input_ranges
from ttfs_convert.onnx_model.node import Node
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.onnx_model.simplify import simplified

CLOSE = 1e-5  # of the outputs' range: float32 sums in another order


def divided_by_deviation(chain: Chain) -> Chain:
    """LayerNormalization over the last axis as exporters write it out, without its scale and shift."""
    value = chain.at
    mean = chain.add("ReduceMean", axes=[-1]).at
    chain.at = value
    centred = chain.add("Sub", mean).at
    root = chain.add("Pow", np.float32(2)).add("ReduceMean", axes=[-1]).add("Add", np.float32(1e-5)).add("Sqrt").at
    chain.at = centred
    return chain.add("Div", root)


def rewritten(model: onnx.ModelProto, extremes: dict[str, tuple[float, float]] | None = None) -> tuple[onnx.ModelProto, list[Node]]:
    """The simplified model with its nodes replaced, and these. extremes: of factors, which else are -1 and 1. Functions of one tensor, written out in
    operators of ONNX, stay so: ONNX Runtime does not know the node that they become."""
    as_written = mock.patch("ttfs_convert.lowering.graph_walk.with_functions", lambda nodes, *rest: nodes)
    with tempfile.TemporaryDirectory() as folder, simplified(save(model, Path(folder))) as simple, as_written:
        walk = _Walk(simple, ConversionOptions(mode="exact", steps=None).builder({}, extremes or {}), input_ranges(simple, "auto"))
        found = onnx.ModelProto()
        found.CopyFrom(simple.graph)
        for tensor in found.graph.initializer:
            tensor.CopyFrom(onnx.numpy_helper.from_array(simple.array(tensor), tensor.name))
        assert walk.parts.refused == {}
    del found.graph.node[:], found.graph.value_info[:]
    found.graph.node.extend(node.proto for node in walk.nodes)
    found.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in walk.parts.constants.items())
    onnx.checker.check_model(found)
    return found, walk.nodes


def same(model: onnx.ModelProto, x: np.ndarray, gone: str | None = None, **options) -> list[Node]:
    """The rewritten model gives, sample by sample, what the model gives; no node `gone` is left. Returns its nodes."""
    found, nodes = rewritten(model, **options)
    expected, ours = (Reference(each)(x) for each in (model, found))
    for name, theirs in expected.items():
        span = float(np.ptp(theirs))
        assert span > 1e-2, "the output hardly varies: the comparison proves nothing"
        np.testing.assert_allclose(ours[name], theirs, rtol=0, atol=CLOSE * span)
    assert gone is None or gone not in {node.operator for node in nodes}
    return nodes
