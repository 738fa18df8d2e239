#!/usr/bin/env bash
# One would guess: the level ORT_ENABLE_BASIC, described as rewrites that preserve the model's meaning, leaves the outputs of a
#   quantised model alone; only higher levels fuse into other kernels.
# What happens: two QuantizeLinear/DequantizeLinear pairs in a row (a tensor that is requantised to another grid) become one pair
#   with a scale that the model does not contain. A value requantised to steps of 1 comes out in steps of 0.1; a pair that differs
#   in its zero point alone, both scales 0.1, gets the scale 0.0960784. No warning.
# Version: onnxruntime 1.32.0 (onnx 1.23.2 to write the model). Seen on 2026-11-29, input 0.1 0.3 7.7:
#     scale 0.1, then scale 1          all off [0.0, 0.0, 8.0]      basic [0.1, 0.3, 7.7]
#     scale 0.1 zero 0, then zero 10   all off [0.1, 0.3, 7.7]      basic [0.096, 0.288, 7.686], scale in the graph 0.0960784
# Why it matters: "basic" is the level that tools use to normalise a model before they convert it, and the one that a bit-true
#   comparison with hardware would trust. A coarse grid put in on purpose (spike times have few steps) vanishes from the reference.
#   Take the reference of a quantised model with optimisations off.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, checker, helper, numpy_helper

ort.set_default_logger_severity(3)
x = np.array([0.1, 0.3, 7.7], np.float32)


def run(first, second):
    """What both levels give for two (scale, zero point) in a row, and the scales left in the basic graph."""
    nodes, weights, last = [], [], "x"
    for name, (scale, zero) in (("a", first), ("b", second)):
        weights += [numpy_helper.from_array(np.float32(scale), name + "_scale"),
                    numpy_helper.from_array(np.uint8(zero), name + "_zero")]
        grid = [name + "_scale", name + "_zero"]
        nodes += [helper.make_node("QuantizeLinear", [last, *grid], [name + "_q"]),
                  helper.make_node("DequantizeLinear", [name + "_q", *grid], [name])]
        last = name
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, [3])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model, full_check=True)
    outputs = []
    for level in (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_BASIC):
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        options.optimized_model_filepath = "optimised.onnx"
        outputs.append(ort.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0])
    left = [numpy_helper.to_array(w) for w in onnx.load("optimised.onnx").graph.initializer]
    scales = sorted({float(w) for w in left if w.dtype == np.float32})
    print(f"{first} then {second}: all off {outputs[0].round(3).tolist()}   basic {outputs[1].round(3).tolist()}   "
          f"scales left {[round(s, 7) for s in scales]}")
    return *outputs, scales


off, basic, _ = run((0.1, 0), (1.0, 0))
assert np.allclose(off, [0, 0, 8]) and np.allclose(basic, [0.1, 0.3, 7.7])
off, basic, scales = run((0.1, 0), (0.1, 10))
assert np.allclose(off, [0.1, 0.3, 7.7]) and np.allclose(basic, [0.0961, 0.2882, 7.6863], atol=1e-4)
assert len(scales) == 1 and abs(scales[0] - 24.5 / 255) < 1e-6
PY
