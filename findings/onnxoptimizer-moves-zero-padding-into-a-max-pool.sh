#!/usr/bin/env bash
# One would guess: the default passes of an optimiser do not change what a network computes; a Pad of zeros in front of a MaxPool
#   stays, since a pool's own padding never wins the maximum.
# What happens: the pass fuse_pad_into_pool, one of the defaults, drops the Pad and writes its widths into the pool. In a MaxPool
#   padding counts as minus infinity, so wherever all values of a window at the border are negative its result falls below 0.
#   Shapes are unchanged and nothing is said.
# Version: onnxoptimizer 0.4.2 (onnx 1.23.2, onnxruntime 1.32.0 to run it). Seen on 2026-11-29, input -1 -2 -3 -4:
#     before [0.0, -1.0, -2.0, -3.0, 0.0]   (Pad, MaxPool)
#     after  [-1.0, -1.0, -2.0, -3.0, -4.0]   (MaxPool)
# Why it matters: Pad + MaxPool is what TensorFlow and Keras exports of "same" or ZeroPadding2D followed by a pool look like. After
#   a ReLU nothing happens; behind a linear layer, batch normalisation, or on a signed input (and with channels whose scale is
#   negative, where a converter flips the pool to a minimum) the border changes. Compare before and after, on signed data.
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

x = np.array([-1, -2, -3, -4], np.float32).reshape(1, 1, 4)
graph = helper.make_graph(
    [helper.make_node("Pad", ["x", "widths", "zero"], ["padded"]),
     helper.make_node("MaxPool", ["padded"], ["y"], kernel_shape=[2])], "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 5])],
    [numpy_helper.from_array(np.array([0, 0, 1, 0, 0, 1], np.int64), "widths"),
     numpy_helper.from_array(np.float32(0), "zero")])
before = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
checker.check_model(before, full_check=True)
after = onnxoptimizer.optimize(before)
checker.check_model(after, full_check=True)
seen = []
for name, model in (("before", before), ("after", after)):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    y = ort.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0].ravel().tolist()
    print(f"{name:6s} {y}   ({', '.join(node.op_type for node in model.graph.node)})")
    seen.append(y)
assert seen == [[0, -1, -2, -3, 0], [-1, -1, -2, -3, -4]]
assert [node.op_type for node in after.graph.node] == ["MaxPool"]
PY
