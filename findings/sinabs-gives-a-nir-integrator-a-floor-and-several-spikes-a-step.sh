#!/usr/bin/env bash
# One would guess: NIR's simplest neuron, IF (dv/dt = r i, a spike where v > v_threshold, then v = v_reset), is the same in every
#   simulator: no leak, no units of time.
# What happens: from_nir of sinabs builds it with a floor, min_v_mem = -v_threshold, that the file does not contain, and with sinabs'
#   own rule for spikes: as many in a step as thresholds fit into the potential, the rest stays (subtraction, not v_reset).
# Versions: sinabs 3.1.3 with nir 1.0.4 and nirtorch 2.0.2 (what it asks for), torch 2.13.0. Seen on 2026-11-29, threshold 1:
#     input -6, then 7 x 1.01: file [0, 0, 0, 0, 0, 0, 0, 1]   sinabs [0, 0, 1, 1, 1, 1, 1, 1]
#     input 3.5 0 0.75 0:       file [1, 0, 0, 0]               sinabs [3, 0, 1, 0]
# Why it matters: where an early inhibition must hold until the excitation arrives (first-spike codes with signed weights, converted
#   networks) the floor forgets most of it, and the wrong class may fire. Counts of spikes and energy differ without any warning.
#   Writing for sinabs: keep potentials above -threshold, or set min_v_mem = None on every layer after reading.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check torch==2.13.0 sinabs==3.1.3 nir==1.0.4 nirtorch==2.0.2 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import nir
import numpy as np
import torch
from sinabs.nir import from_nir

one = np.ones(1, np.float32)
graph = nir.NIRGraph.from_list(
    nir.Input(np.array([1])), nir.Affine(np.ones((1, 1), np.float32), 0 * one), nir.IF(r=one, v_threshold=one),
    nir.Output(np.array([1])))
nir.write("net.nir", graph)


def as_written(current):
    v, out = 0.0, []
    for i in current:
        v += i
        out.append(int(v > 1))
        v = 0.0 if out[-1] else v
    return out


def sinabs(current):
    out = from_nir(nir.read("net.nir"), batch_size=1)(torch.tensor(current).reshape(-1, 1))
    return [int(z) for z in (out[0] if isinstance(out, tuple) else out).flatten()]


# 1.01 instead of 1, so that a spike does not hang on > or >=
for current, file, seen in (([-6.0] + [1.01] * 7, [0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 1, 1, 1, 1, 1, 1]),
                            ([3.5, 0.0, 0.75, 0.0], [1, 0, 0, 0], [3, 0, 1, 0])):
    a, b = as_written(current), sinabs(current)
    print("input", current, "  as written", a, "  sinabs", b)
    assert a == file and b == seen
PY
