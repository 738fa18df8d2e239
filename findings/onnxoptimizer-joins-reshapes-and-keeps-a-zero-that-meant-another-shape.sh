#!/usr/bin/env bash
# One would guess: two Reshape nodes in a row can be joined, unless the second one holds a 0 ("keep this dimension of my input"):
#   its input is then another one.
# What happens: the default pass eliminate_consecutive_idempotent_ops joins them and keeps the 0. It now means a dimension of the first reshape's
#   input. The optimised model is valid, has another output shape, and another batch.
# Version: onnxoptimizer 0.4.2 (onnx 1.23.2, onnxruntime 1.32.0 to run it). Seen on 2026-11-29, input of shape (2, 3, 4):
#     before (6, 2, 2)   Reshape to (6, 4), Reshape to (0, 2, -1)
#     after  (2, 2, 6)   Reshape to (0, 2, -1)
# Why it matters: exporters write a 0 for the batch axis, and fold time into the batch and back (6 = 2 samples x 3 time steps is what
#   every time-distributed or spiking layer does). After the optimiser samples and steps are mixed; a test that looks at the number
#   of elements sees nothing.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check onnx==1.23.2 onnxoptimizer==0.4.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import numpy as np
import onnxoptimizer
import onnxruntime as ort
from onnx import TensorProto, checker, helper, numpy_helper

x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
graph = helper.make_graph(
    [helper.make_node("Reshape", ["x", "fold"], ["rows"]), helper.make_node("Reshape", ["rows", "split"], ["y"])], "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 4])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", "pairs", "rest"])],
    [numpy_helper.from_array(np.array([6, 4], np.int64), "fold"),
     numpy_helper.from_array(np.array([0, 2, -1], np.int64), "split")])
before = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
checker.check_model(before, full_check=True)
after = onnxoptimizer.optimize(before)
checker.check_model(after, full_check=True)
shapes = []
for name, model in (("before", before), ("after", after)):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    y = ort.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0]
    print(f"{name:6s} {y.shape}   {len(model.graph.node)} Reshape")
    shapes.append(y.shape)
assert shapes == [(6, 2, 2), (2, 2, 6)] and len(after.graph.node) == 1
PY
