#!/usr/bin/env bash
# One would guess: as NIR stores no time step, a reader asks for it.
# What happens: Rockpool solves for it: dt = tau_mem / (1 + r), since its own export writes r = tau / dt * exp(-dt / tau). The inverse
#   is an approximation, so its own files come back with another step, another one for each tau; a file with r = 1, as NIR's equations
#   suggest and other tools write, is simulated in steps of half a time constant. There is no argument to set it.
# Versions: rockpool 3.1.0, nir 1.0.4, nirtorch 2.0.2, torch 2.13.0. Seen on 2026-11-29:
#     own export, dt 1 ms, tau 10 ms   read back with dt 0.995 ms
#     own export, dt 1 ms, tau 2 ms    read back with dt 0.904 ms
#     r = 1, tau 10 ms                 read with dt 5 ms
# Why it matters: two layers of one network then run on two clocks, and spikes pass between them step by step all the same. Latencies
#   in seconds are off by 10 %, or by the factor 5. Set .dt of every module after reading.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check torch==2.13.0 rockpool==3.1.0 nir==1.0.4 nirtorch==2.0.2 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import nir
import numpy as np
import torch
from rockpool.nn.combinators import Sequential
from rockpool.nn.modules.torch import LIFTorch, LinearTorch
from rockpool.nn.modules.torch.nir import from_nir, to_nir


def steps(graph):
    nir.write("net.nir", graph)
    return [m.dt * 1000 for m in torch.nn.Module.modules(from_nir(nir.read("net.nir"))) if isinstance(m, LIFTorch)]


def layer(tau):
    return LIFTorch(1, tau_mem=torch.tensor(tau), tau_syn=torch.tensor(tau), threshold=torch.tensor([1.0]), dt=0.001)


weight = torch.ones(1, 1)
own = steps(to_nir(Sequential(LinearTorch((1, 1), has_bias=False, weight=weight), layer(0.01),
                              LinearTorch((1, 1), has_bias=False, weight=weight), layer(0.002))))
one = np.ones(1, np.float32)
(plain,) = steps(nir.NIRGraph.from_list(
    nir.Input(np.array([1])), nir.Affine(np.ones((1, 1), np.float32), 0 * one),
    nir.CubaLIF(tau_syn=0.01 * one, tau_mem=0.01 * one, r=one, v_leak=0 * one, v_threshold=one), nir.Output(np.array([1]))))
print("own export, dt 1 ms, tau 10 and 2 ms: read back with dt", [round(v, 3) for v in own], "ms")
print(f"r = 1, tau 10 ms: read with dt {plain:.3f} ms")
assert sorted(round(v, 3) for v in own) == [0.904, 0.995] and abs(plain - 5) < 1e-3
PY
