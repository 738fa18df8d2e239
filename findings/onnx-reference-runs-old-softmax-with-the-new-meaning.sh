#!/usr/bin/env bash
# One would guess: a model that imports opset 11 is evaluated by the rules of opset 11. There Softmax flattens its input to
#   two dimensions at `axis` and normalises over everything behind it; from opset 13 on it normalises over that one axis.
# What happens: onnx.reference has the new Softmax only and uses it for old models too. Nothing is said; the result has the right
#   shape, values in [0, 1] and another sum. LogSoftmax and Hardmax of old models go the same way. The version converter of the
#   same package knows the difference: the model it makes for opset 13 gives what ONNX Runtime gives for opset 11.
# Versions: onnx 1.23.2, onnxruntime 1.32.0. Seen on 2026-11-29, Softmax-11, axis 1, on a 1 x 3 x 4 tensor (sum over everything):
#     onnxruntime, opset 11                1.0
#     onnx.reference, opset 11             4.0
#     onnx.reference, converted to 13      1.0
# Why it matters: attention maps and class heads of exported networks that are a few years old come out too large; a tool that
#   takes the reference evaluator for the truth will call the runtime, or a faithful conversion, wrong.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, checker, helper, version_converter
from onnx.reference import ReferenceEvaluator

x = np.random.default_rng(0).standard_normal((1, 3, 4)).astype(np.float32)
graph = helper.make_graph(
    [helper.make_node("Softmax", ["x"], ["y"], axis=1)], "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 4])],
)
old = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
checker.check_model(old, full_check=True)
new = version_converter.convert_version(old, 13)
runtime = ort.InferenceSession(old.SerializeToString()).run(None, {"x": x})[0]
reference = ReferenceEvaluator(old).run(None, {"x": x})[0]
converted = ReferenceEvaluator(new).run(None, {"x": x})[0]
for name, y in (("onnxruntime, opset 11", runtime), ("onnx.reference, opset 11", reference),
                ("onnx.reference, converted to 13", converted)):
    print(f"{name:36s} {float(y.sum()):.1f}")
assert abs(runtime.sum() - 1) < 1e-5 and np.allclose(runtime, converted, atol=1e-6)
assert abs(reference.sum() - 4) < 1e-5
PY
