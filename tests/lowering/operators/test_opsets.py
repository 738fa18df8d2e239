"""One network of common layers in every opset that the onnx at hand knows and ONNX Runtime runs."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from tests.models import exact

FIRST = 9  # PyTorch's and Keras's exporters write later ones
RNG = np.random.default_rng(0)
WEIGHTS = {
    "conv": RNG.normal(0, 0.3, (6, 3, 3, 3)),
    "gemm": RNG.normal(0, 0.5, (6, 4)),
    "bias": RNG.normal(0, 0.1, 4),
    "scale": np.array([1, -0.5, 0.75, 2, 1, 0.5]),
    "shift": RNG.normal(0, 0.3, 6),
    "mean": RNG.normal(0, 0.3, 6),
    "var": np.ones(6),
}


def network(opset: int) -> onnx.ModelProto:
    """Convolution, BatchNorm, clamp at 6, max-pool, global average, linear layer; one weight is a Constant node."""
    constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in WEIGHTS.items()]
    clip = [helper.make_node("Clip", ["b"], ["c"], min=0.0, max=6.0)] if opset < 11 else [helper.make_node("Clip", ["b", "low", "high"], ["c"])]
    nodes = [
        helper.make_node("Constant", [], ["conv"], value=constants[0]),
        helper.make_node("Conv", ["x", "conv"], ["a"], pads=[1] * 4),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "var"], ["b"]),
        *clip,
        helper.make_node("MaxPool", ["c"], ["d"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("Gemm", ["f", "gemm", "bias"], ["y"]),
    ]
    ends = [numpy_helper.from_array(np.float32(value), name) for name, value in (("low", 0), ("high", 6))] if opset >= 11 else []
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", *shape]) for name, shape in (("x", (3, 8, 8)), ("y", (4,))))
    graph = helper.make_graph(nodes, "net", [x], [y], constants[1:] + ends)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize("opset", range(FIRST, onnx.defs.onnx_opset_version() + 1))
def test_opset(opset):
    model = network(opset)
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception:
        pytest.skip(f"ONNX Runtime {onnxruntime.__version__} does not run opset {opset}")
    result = exact(model, np.random.default_rng(1).random((6, 3, 8, 8), np.float32))
    assert [layer.kind for layer in result.layers] == ["input", "spiking", "max_pool", "readout"]
