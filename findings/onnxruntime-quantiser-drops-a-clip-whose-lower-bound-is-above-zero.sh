#!/usr/bin/env bash
# One would guess: static quantisation removes a Clip behind a convolution only where the 8-bit grid clips just as well, as its
#   test for ReLU (zero point at the bottom of the range) suggests.
# What happens: the grid always contains 0, so for Clip(0.25, 1) its zero point is at the bottom too and the Clip goes. Values that
#   the network holds at 0.25 come out as 0. The calibration saw nothing below 0.25; nothing is reported.
# Version: onnxruntime 1.32.0 (onnx 1.23.2). Seen on 2026-11-29, default options, input 0 0.5 2 2 into Conv 1 x 1 with weight 1:
#     float     [0.25, 0.5, 1.0, 1.0]   Conv, Clip, Conv
#     quantised [0.0, 0.5, 1.0, 1.0]   no Clip left
# Why it matters: lower bounds above zero keep a mask or a variance away from 0 (Clip(eps, 1) before Log, Div or Sqrt, as in speech
#   enhancement): after quantisation Log gives -inf. Whoever compares integer networks of two tools has a ghost to explain.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import logging

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, checker, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static

logging.disable(logging.WARNING)
x = np.array([0, 0.5, 2, 2], np.float32).reshape(1, 1, 2, 2)
weights = {"w": np.ones((1, 1, 1, 1), np.float32), "v": np.ones((1, 1, 1, 1), np.float32),
           "low": np.float32(0.25), "high": np.float32(1)}
graph = helper.make_graph(
    [helper.make_node("Conv", ["x", "w"], ["a"]), helper.make_node("Clip", ["a", "low", "high"], ["b"]),
     helper.make_node("Conv", ["b", "v"], ["y"])], "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2, 2])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 2, 2])],
    [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
checker.check_model(model, full_check=True)
onnx.save(model, "float.onnx")


class Samples(CalibrationDataReader):
    def __init__(self):
        self.left = [{"x": x}] * 4

    def get_next(self):
        return self.left.pop() if self.left else None


quantize_static("float.onnx", "quantised.onnx", Samples())
seen = {}
for name in ("float", "quantised"):
    y = ort.InferenceSession(name + ".onnx").run(None, {"x": x})[0].ravel()
    ops = [node.op_type for node in onnx.load(name + ".onnx").graph.node]
    print(f"{name:9s} {y.round(2).tolist()}   Clip left: {'Clip' in ops}")
    seen[name] = y, "Clip" in ops
assert np.allclose(seen["float"][0], [0.25, 0.5, 1, 1]) and seen["float"][1]
assert np.allclose(seen["quantised"][0], [0, 0.5, 1, 1], atol=0.01) and not seen["quantised"][1]
PY
