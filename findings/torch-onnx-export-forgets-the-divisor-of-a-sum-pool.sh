#!/usr/bin/env bash
# One would guess: AvgPool2d(2, divisor_override=1), PyTorch's way to write a sum pool, is exported as average times four, or refused.
# What happens: both exporters (dynamo=True, the default, and dynamo=False) write a plain AveragePool. The exported network is
#   smaller by the size of the window. No warning names the attribute.
# Versions: torch 2.13.0, onnx 1.23.2, onnxscript 0.7.2, onnxruntime 1.32.0. Seen on 2026-11-29, a 2 x 2 window over ones:
#     PyTorch 4.0   dynamo=True 1.0   dynamo=False 1.0
# Why it matters: sum pools are the usual pools of spiking networks (sinabs, NIR's SumPool2d: a pool that adds spikes up), and those
#   who train for them write them so. The converted network gets a quarter of the current, and a comparison against ONNX Runtime
#   finds nothing since both start from the file. Compare the file with PyTorch; write AvgPool2d followed by a multiplication.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import logging

import onnx
import onnxruntime as ort
import torch

logging.disable(logging.WARNING)
pool = torch.nn.AvgPool2d(2, divisor_override=1).eval()
x = torch.ones(1, 1, 4, 4)
truth = float(pool(x).max())
seen = []
for dynamo in (True, False):
    torch.onnx.export(pool, (x,), "pool.onnx", dynamo=dynamo)
    session = ort.InferenceSession("pool.onnx")
    y = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    print(f"PyTorch {truth}   dynamo={dynamo} {float(y.max())}   ({', '.join(n.op_type for n in onnx.load('pool.onnx').graph.node)})")
    seen.append(float(y.max()))
assert truth == 4 and seen == [1, 1]
PY
