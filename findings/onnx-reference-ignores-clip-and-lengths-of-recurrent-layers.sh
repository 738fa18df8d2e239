#!/usr/bin/env bash
# One would guess: attributes and inputs that the evaluator does not implement are refused.
# What happens: onnx.reference accepts a GRU, LSTM or RNN with `clip`, with `activations` (GRU, LSTM) or with the input
#   `sequence_lens`, and computes the layer as if they were not there. ONNX Runtime, given the same model, honours all three.
# Versions: onnx 1.23.2, onnxruntime 1.32.0. Seen on 2026-11-29 (largest change that the option makes, in each of the two):
#     GRU   clip=0.3             reference 0.00   onnxruntime > 0.1
#     GRU   activations=Relu..   reference 0.00   onnxruntime > 0.1
#     GRU   sequence_lens=[2]    reference 0.00   onnxruntime > 0.1
#   and the same three lines for LSTM. Without options both agree to 1e-6.
# Why it matters: speech networks have recurrent heads, batches of utterances have lengths. A comparison "ours against the
#   reference" fails, or passes for the wrong reason, exactly where the padding of short utterances enters the states.
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

STEPS, BATCH, INPUTS, HIDDEN = 4, 1, 5, 3
GATES = {"GRU": 3, "LSTM": 4}
ACTIVATIONS = {"GRU": ["Relu", "Tanh"], "LSTM": ["Relu", "Tanh", "Tanh"]}


def both(op, feed, **attributes):
    names = ["x", "w", "r", "b"] + (["lengths"] if "lengths" in feed else [])
    node = helper.make_node(op, names, ["y"], hidden_size=HIDDEN, **attributes)
    kinds = {np.dtype("f4"): TensorProto.FLOAT, np.dtype("i4"): TensorProto.INT32}
    graph = helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info(n, kinds[feed[n].dtype], feed[n].shape) for n in names],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [STEPS, 1, BATCH, HIDDEN])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    checker.check_model(model, full_check=True)
    return (ReferenceEvaluator(model).run(None, feed)[0],
            ort.InferenceSession(model.SerializeToString()).run(None, feed)[0])


for op, gates in GATES.items():
    rng = np.random.default_rng(0)
    shapes = {"x": (STEPS, BATCH, INPUTS), "w": (1, gates * HIDDEN, INPUTS), "r": (1, gates * HIDDEN, HIDDEN),
              "b": (1, 2 * gates * HIDDEN)}
    feed = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    plain = both(op, feed)
    assert np.allclose(*plain, atol=1e-6)
    cases = {
        "clip=0.3": both(op, feed, clip=0.3),
        "activations=Relu..": both(op, feed, activations=ACTIVATIONS[op]),
        "sequence_lens=[2]": both(op, dict(feed, lengths=np.array([2], np.int32))),
    }
    for case, results in cases.items():
        change = [float(np.abs(a - b).max()) for a, b in zip(results, plain)]
        print(f"{op:5s} {case:20s} reference {change[0]:.2f}   onnxruntime {change[1]:.2f}")
        assert change[0] == 0 and change[1] > 0.1
PY
