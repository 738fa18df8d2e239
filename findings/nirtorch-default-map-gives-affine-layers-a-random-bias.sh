#!/usr/bin/env bash
# One would guess: nirtorch.nir_to_torch, with its own map for standard nodes, computes w x + b for an Affine node.
# What happens: it makes a torch Linear with a bias, copies the weight, and leaves the bias as torch initialised it: at random, anew
#   in each call. The bias of the file is not looked at. Convolutions of the same map get theirs.
# Versions: nirtorch 2.6, nir 1.0.8, torch 2.13.0. Seen on 2026-11-29, weight 1, bias 7, input 0:
#     three readings of one graph give three values within -1..1; with the same seed twice the same one; a Conv2d gives 7
# Why it matters: readers built on nirtorch bring a map for their neurons and take the standard nodes from it. Networks come out
#   nearly right, and differently every time, which looks like a stochastic neuron. Map nir.Affine yourself.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check torch==2.13.0 nir==1.0.8 nirtorch==2.6 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import nir
import nirtorch
import numpy as np
import torch


def read(node, shape):
    graph = nir.NIRGraph.from_list(nir.Input(np.array(shape)), node, nir.Output(np.array(shape)))
    out = nirtorch.nir_to_torch(graph, {})(torch.zeros(1, *shape))
    return float((out[0] if isinstance(out, tuple) else out).flatten()[0])


bias = np.array([7.0], np.float32)
affine = nir.Affine(np.ones((1, 1), np.float32), bias)
conv = nir.Conv2d(input_shape=(1, 1), weight=np.ones((1, 1, 1, 1), np.float32), stride=1, padding=0, dilation=1, groups=1, bias=bias)
seen = []
for seed in (0, 1, 2, 0):
    torch.manual_seed(seed)
    seen.append(read(affine, [1]))
print("Affine, bias 7, read four times (seeds 0 1 2 0):", [round(v, 3) for v in seen])
print("Conv2d, bias 7:", read(conv, [1, 1, 1]))
assert len(set(seen[:3])) == 3 and seen[3] == seen[0] and all(abs(v) <= 1 for v in seen)
assert read(conv, [1, 1, 1]) == 7
PY
