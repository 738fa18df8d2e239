#!/usr/bin/env bash
# One would guess: onnx.reference is the executable meaning of the operators, so an AveragePool without padding and with
#   ceil_mode=1 averages the values 0..2, 3..5 and what is left over at the end, as MaxPool does beside it.
# What happens: where two or more values are missing from the last window, the evaluator spreads them over both ends as if they
#   were padding. Every window moves to the left: (1 2 3)(4 5 6)(7) is averaged as (1 2)(3 4 5)(6), the 7 nowhere. MaxPool of
#   the same evaluator, with the same attributes, keeps its windows, and so does ONNX Runtime. No error, same shape.
# Versions: onnx 1.23.2 (onnx.reference), onnxruntime 1.32.0. Seen on 2026-11-29:
#     AveragePool reference [1.5, 4.0, 6.0]   onnxruntime [2.0, 5.0, 7.0]
#     MaxPool     reference [3.0, 6.0, 7.0]   onnxruntime [3.0, 6.0, 7.0]
# Why it matters: someone who checks a converter's pooling (part of the next layer's synapses in a spiking network) against the
#   reference evaluator finds wrong synapses in a right converter, or builds them shifted. Compare with a runtime instead.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, checker, helper
from onnx.reference import ReferenceEvaluator

x = np.arange(1, 8, dtype=np.float32).reshape(1, 1, 7)
seen = {}
for op in ("AveragePool", "MaxPool"):
    node = helper.make_node(op, ["x"], ["y"], kernel_shape=[3], strides=[3], ceil_mode=1)
    graph = helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 7])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    checker.check_model(model, full_check=True)
    reference = ReferenceEvaluator(model).run(None, {"x": x})[0].ravel().tolist()
    runtime = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0].ravel().tolist()
    print(f"{op:11s} reference {reference}   onnxruntime {runtime}")
    seen[op] = reference, runtime
assert seen["AveragePool"] == ([1.5, 4.0, 6.0], [2.0, 5.0, 7.0])
assert seen["MaxPool"] == ([3.0, 6.0, 7.0], [3.0, 6.0, 7.0])
PY
