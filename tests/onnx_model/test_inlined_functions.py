"""Operators that ONNX Runtime computes by others are one node of the simplified graph."""

import numpy as np
import onnx

from tests.models import Chain, alone, converted, dataset, save
from ttfs_convert.onnx_model.inlined_functions import MARK
from ttfs_convert.onnx_model.simplify import simplified


def model():
    chain = Chain((3, 5, 5))
    chain.opset = 21
    chain.conv(6).add("GroupNormalization", np.full(6, 1.5, np.float32), np.full(6, 0.2, np.float32), num_groups=3)
    return chain.add("Relu").conv(4).relu1().readout()


def test_it_is_one_node_of_known_shape(tmp_path):
    with simplified(save(model().model(), tmp_path)) as found:
        graph = found.graph.graph
        onnx.checker.check_model(found.graph)
    assert [node.op_type for node in graph.node] == ["Conv", "GroupNormalization", "Relu", "Conv", "Clip", "Flatten", "Gemm"]
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in graph.value_info}
    assert shapes["groupnormalization1_out"] == [1, 6, 3, 3]
    assert not [name for name in shapes if MARK in name]


def test_the_original_is_what_it_was():
    chain = model()
    network = converted(chain.model(), mode="exact", calibrate=dataset(chain.images(8)))
    assert list(alone(chain.model(), network)(chain.images(2)))[:1] == [chain.at]
