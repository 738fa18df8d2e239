#!/usr/bin/env bash
# One would guess: a float32 Sigmoid is off by some units in its last place, so that Sigmoid(-20) is about 2.1e-9 and its logarithm about -20,
#   as the same runtime's own Softplus says.
# What happens: ONNX Runtime's Sigmoid on the CPU is exactly 0 from about -18 down, twice its true value at -17, and an eighth too large
#   at -15.5: it is one less than something, to seven digits of 1. Log(Sigmoid(x)) is -infinity where -Softplus(-x) is right to the last digits.
# Versions: onnxruntime 1.32.0 (CPU), onnx 1.23.2, numpy 2.4.6. Seen on 2026-11-30:
#     x        Sigmoid        true           Log(Sigmoid)  -Softplus(-x)
#     -20      0              2.06115e-09    -inf          -20
# Why it matters: a function held against this runtime is held against that 0; relative errors of small gates, and likelihoods, are the
#   runtime's own. Layer errors in shares of the function's range, 0 to 1, do not see it.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, checker, helper

nodes = [
    helper.make_node("Sigmoid", ["x"], ["s"]),
    helper.make_node("Log", ["s"], ["log"]),
    helper.make_node("Neg", ["x"], ["minus"]),
    helper.make_node("Softplus", ["minus"], ["soft"]),
    helper.make_node("Neg", ["soft"], ["right"]),
]
names = ("s", "log", "right")
graph = helper.make_graph(
    nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])], [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in names]
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
checker.check_model(model, full_check=True)
x = np.float32([-20, -18.5, -17, -15.5, -10])
sigmoid, log, right = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(names, {"x": x})
true = 1 / (1 + np.exp(-x.astype(np.float64)))
print("x        Sigmoid        true           Log(Sigmoid)  -Softplus(-x)")
for row in zip(x, sigmoid, true, log, right):
    print("{:<8g} {:<14.6g} {:<14.6g} {:<13.6g} {:.6g}".format(*row))
assert (sigmoid[:2] == 0).all() and np.isneginf(log[:2]).all() and np.allclose(right, np.log(true), rtol=1e-5)
assert 1.5 < sigmoid[2] / true[2] < 3 and abs(sigmoid[4] / true[4] - 1) < 0.01
PY
