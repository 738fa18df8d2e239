#!/usr/bin/env bash
# One would guess: shape inference and the reference evaluator of one package agree about the shape of a pool's output.
# What happens: with ceil_mode=1 and padding, a last window that would start inside the padding at the end is counted by shape
#   inference for opsets up to 21 and not for opset 22. The reference evaluator and ONNX Runtime leave it out in every opset.
#   check_model(full_check=True) accepts a model that declares the wrong shape, and rejects the right one.
# Versions: onnx 1.23.2, onnxruntime 1.32.0. Seen on 2026-11-29, MaxPool, kernel 2, stride 2, padding 1, on five values:
#     opset 21   inferred 4   reference 3   onnxruntime 3   declaring 3: refused by the checker
#     opset 22   inferred 3   reference 3   onnxruntime 3   declaring 3: accepted
#   AveragePool does the same. ONNX Runtime infers 4 when it loads the file, too: MaxPool, Flatten and a Gemm for 3 values, as PyTorch
#   computes and exports them, is refused under opset 21 and runs under 22.
# Why it matters: exporters write opset 17 to 20 today. A tool that plans neurons, buffers or the next layer's fan-in from the
#   inferred shape has one row too many, which no runtime ever fills; and a correct export may not load. Raise the opset to 22.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, checker, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

ort.set_default_logger_severity(3)
x = np.arange(1, 6, dtype=np.float32).reshape(1, 1, 5)


def build(op, opset, length):
    node = helper.make_node(op, ["x"], ["y"], kernel_shape=[2], strides=[2], pads=[1, 1], ceil_mode=1)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 5])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, length])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def accepted(model):
    try:
        checker.check_model(model, full_check=True)
    except shape_inference.InferenceError:
        return False
    return True


for op in ("MaxPool", "AveragePool"):
    for opset, expected in ((21, (4, False)), (22, (3, True))):
        open_model = build(op, opset, "n")
        shape = shape_inference.infer_shapes(open_model).graph.output[0].type.tensor_type.shape
        inferred = shape.dim[2].dim_value
        reference = ReferenceEvaluator(open_model).run(None, {"x": x})[0].shape[2]
        runtime = ort.InferenceSession(open_model.SerializeToString()).run(None, {"x": x})[0].shape[2]
        fits, longer = accepted(build(op, opset, 3)), accepted(build(op, opset, 4))
        print(f"{op:11s} opset {opset}   inferred {inferred}   reference {reference}   onnxruntime {runtime}   "
              f"declaring 3: {'accepted' if fits else 'refused by the checker'}")
        assert (inferred, fits) == expected and longer is not fits and reference == runtime == 3

for opset, runs in ((21, False), (22, True)):
    net = build("MaxPool", opset, "n")
    net.graph.node.extend([helper.make_node("Flatten", ["y"], ["row"]), helper.make_node("Gemm", ["row", "w"], ["z"])])
    net.graph.initializer.append(numpy_helper.from_array(np.ones((3, 1), np.float32), "w"))
    net.graph.output[0].CopyFrom(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 1]))
    try:
        ort.InferenceSession(net.SerializeToString())
        loaded = True
    except ort_state.Fail as error:
        assert "Dimension mismatch" in str(error)
        loaded = False
    print(f"MaxPool, Flatten, Gemm for 3 values, opset {opset}: {'runs' if loaded else 'refused by onnxruntime'}")
    assert loaded is runs
PY
