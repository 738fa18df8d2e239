#!/usr/bin/env bash
# One would guess: a LIF neuron with tau = 0.01 s, as NIR defines it (tau dv/dt = v_leak - v + r i), integrates over some 10 ms in
#   every simulator; the reader asks for the time step, as norse (dt=0.001) and SpikingJelly (dt=1e-4) do.
# What happens: sinabs has no time step. Its tau_mem counts steps, and from_nir copies the file's seconds into it: 0.01 of a step.
#   The neuron forgets everything between two steps. No error, no argument that would help; the r of the file is not looked at.
# Versions: sinabs 3.1.3 with nir 1.0.4 and nirtorch 2.0.2 (what it asks for), torch 2.13.0. Seen on 2026-11-29, constant input:
#     input 1.5, threshold 1: first spike expected after tau ln 3 = 11 ms, sinabs in step 1 (of 1 ms or whatever)
#     spikes in 40 steps:     expected 3, sinabs 40
#     LI with tau = 0.01:     output after the input has ended: expected to fall by a tenth per ms, sinabs 0
# Why it matters: the same file gives different networks in norse and sinabs, each sure of itself. An exporter has no way to please
#   both; integrate-and-fire nodes (no tau) are safe, everything leaky needs its step written in the metadata and scaled by hand.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check torch==2.13.0 sinabs==3.1.3 nir==1.0.4 nirtorch==2.0.2 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import math

import nir
import numpy as np
import torch
from sinabs.nir import from_nir

one = np.ones(1, np.float32)
TAU, STEP, CURRENT = 0.01, 0.001, 1.5


def run(node, current):
    graph = nir.NIRGraph.from_list(
        nir.Input(np.array([1])), nir.Affine(np.ones((1, 1), np.float32), 0 * one), node, nir.Output(np.array([1])))
    nir.write("net.nir", graph)
    out = from_nir(nir.read("net.nir"), batch_size=1)(torch.tensor(current).reshape(-1, 1))
    return (out[0] if isinstance(out, tuple) else out).flatten().tolist()


spikes = run(nir.LIF(tau=TAU * one, r=one, v_leak=0 * one, v_threshold=one), [CURRENT] * 40)
first = TAU * math.log(CURRENT / (CURRENT - 1)) / STEP
print(f"first spike: expected at step {first:.1f}, sinabs {spikes.index(1) + 1}")
print(f"spikes in 40 steps: expected {int(40 // first)}, sinabs {int(sum(spikes))}")
assert 10 < first < 12 and spikes == [1.0] * 40

graph_li = nir.LI(tau=torch.tensor([TAU]), r=torch.ones(1), v_leak=torch.zeros(1))
leaky = from_nir(nir.NIRGraph.from_list(nir.Input(np.array([1])), nir.Affine(np.ones((1, 1), np.float32), 0 * one), graph_li,
                                        nir.Output(np.array([1]))), batch_size=1)
out = leaky(torch.tensor([1.0] * 20 + [0.0] * 3).reshape(-1, 1))
out = (out[0] if isinstance(out, tuple) else out).flatten().tolist()
print(f"LI, one step after the input ended: expected {math.exp(-STEP / TAU):.2f} of its value, sinabs {out[20] / out[19]:.2g}")
assert abs(out[20] / out[19]) < 1e-30
PY
