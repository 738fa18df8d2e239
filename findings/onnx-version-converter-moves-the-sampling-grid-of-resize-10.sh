#!/usr/bin/env bash
# One would guess: the version converter gives a model with the same outputs, or refuses.
# What happens: a linear Resize (or Upsample) of opset 10 samples at x_out / scale. Opset 11 has an attribute for the sampling
#   grid whose default is half_pixel; the converter does not write "asymmetric", so the upsampled map moves by up to half an input
#   pixel. The same gap elsewhere: Softmax of opset 13 (over one axis) taken down to 12 keeps its attribute and becomes the softmax
#   over all axes behind it. Both convert without a word.
# Versions: onnx 1.23.2, onnxruntime 1.32.0 to run. Seen on 2026-11-29:
#     Resize 0 4 twice as wide:    opset 10 [0.0, 2.0, 4.0, 4.0]   converted to 13 [0.0, 1.0, 3.0, 4.0]
#     sum of a Softmax-13, axis 1, of shape 1 x 3 x 4:    opset 13 4.0   converted to 12 1.0
# Why it matters: people raise the opset of an old model so that their converter takes it. Decoders and segmentation nets then give
#   shifted maps: a small, smooth error that looks like conversion loss. Compare the model before and after.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, checker, helper, numpy_helper, version_converter


def run(model, x):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0]


def build(node, shape, result, opset, weights=()):
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, result)], list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    checker.check_model(model, full_check=True)
    return model


scales = numpy_helper.from_array(np.array([1, 1, 1, 2], np.float32), "scales")
old = build(helper.make_node("Resize", ["x", "scales"], ["y"], mode="linear"), [1, 1, 1, 2], [1, 1, 1, 4], 10, [scales])
x = np.array([0, 4], np.float32).reshape(1, 1, 1, 2)
new = version_converter.convert_version(old, 13)
checker.check_model(new, full_check=True)
before, after = run(old, x).ravel().tolist(), run(new, x).ravel().tolist()
print("Resize   opset 10", before, "  converted to 13", after)
assert before == [0, 2, 4, 4] and after == [0, 1, 3, 4]

soft = build(helper.make_node("Softmax", ["x"], ["y"], axis=1), [1, 3, 4], [1, 3, 4], 13)
x = np.random.default_rng(0).standard_normal((1, 3, 4)).astype(np.float32)
down = version_converter.convert_version(soft, 12)
checker.check_model(down, full_check=True)
before, after = float(run(soft, x).sum()), float(run(down, x).sum())
print(f"Softmax  opset 13 sum {before:.1f}   converted to 12 sum {after:.1f}")
assert abs(before - 4) < 1e-5 and abs(after - 1) < 1e-5
PY
