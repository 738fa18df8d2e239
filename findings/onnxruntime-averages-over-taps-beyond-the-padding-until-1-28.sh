#!/usr/bin/env bash
# One would guess: the padding that count_include_pad=1 counts ends where the model says it ends, so that a last window which
#   ceil_mode=1 lets reach beyond it is divided by the taps that are there; and that a runtime does so in every version.
# What happens: ONNX Runtime 1.28 divides by the whole kernel in models of opset 11, which exporters write; in opset 19 it does not. A
#   window of which one tap of two lies beyond the padding gives half of its value. 1.32 is right in both. Same file, no warning.
# Versions: onnxruntime 1.28.0 and 1.32.0, onnx 1.23.2. Seen on 2026-11-29, ones with one padded position in front:
#     onnxruntime 1.28.0 opset 11 [0.5, 1.0, 0.5] opset 19 [0.5, 1.0, 1.0]
#     onnxruntime 1.32.0 opset 11 [0.5, 1.0, 1.0] opset 19 [0.5, 1.0, 1.0]
# Why it matters: a converter whose average pools are synapses is held against this runtime. On Python 3.10, whose last release is
#   1.23, a right conversion shows an error in the border windows that is the reference's own.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for version in 1.28.0 1.32.0; do
  python3 -m venv "$tmp/$version"
  "$tmp/$version/bin/pip" install -qq --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==$version numpy==2.4.6
  "$tmp/$version/bin/python" - "$version" <<'PY'
import sys

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, checker, helper

seen = []
for opset in (11, 19):
    node = helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2], strides=[2], pads=[1, 0], ceil_mode=1, count_include_pad=1)
    graph = helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    checker.check_model(model, full_check=True)
    seen.append(ort.InferenceSession(model.SerializeToString()).run(None, {"x": np.ones((1, 1, 4), np.float32)})[0].ravel().tolist())
print(f"onnxruntime {sys.argv[1]} opset 11 {seen[0]} opset 19 {seen[1]}")
right = [0.5, 1.0, 1.0]
assert seen == {"1.28.0": [[0.5, 1.0, 0.5], right], "1.32.0": [right, right]}[sys.argv[1]]
PY
done
