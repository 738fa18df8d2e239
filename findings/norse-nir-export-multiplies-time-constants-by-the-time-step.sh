#!/usr/bin/env bash
# One would guess: norse reads back the network that it wrote.
# What happens: to_nir writes tau = dt / tau_mem_inv, from_nir reads tau_mem_inv = 1 / tau. NIR's tau is in seconds, so the reader
#   is right and the writer off by the factor dt = 0.001: a membrane of 10 ms is stored as 10 microseconds. The network that comes
#   back (or that any other simulator gets) has no memory and, with a step of 1 ms, gains 100 of the input per step.
# Versions: norse 1.1.0, nir 1.0.8, nirtorch 2.6, torch 2.13.0. Seen on 2026-11-29, input 1.5, threshold 1, 40 steps:
#     before          tau 0.01 s    spikes at 11, 22, 33
#     in the file     tau 1e-05 s
#     after           spikes at every step (40)
#   A file with tau = 0.01 written by hand is read as it should be: spikes at 11, 22, 33.
# Why it matters: NIR is how spiking networks travel between simulators and chips. Nothing fails on the way: the round trip only
#   fires more. Whoever reads a file that norse wrote should look at tau before blaming the own neuron model.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check torch==2.13.0 nir==1.0.8 nirtorch==2.6 h5py==3.16.0 numpy==2.4.6
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check --no-deps norse==1.1.0   # without torchvision: not needed here
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import nir
import norse.torch as norse
import numpy as np
import torch
from norse.torch.module.lif_box import LIFBoxCell, LIFBoxParameters
from norse.torch.utils.export_nir import to_nir
from norse.torch.utils.import_nir import from_nir


def spikes(network, steps=40):
    state, out = None, []
    for step in range(1, steps + 1):
        z, state = network(torch.full((1, 1), 1.5), state)
        out += [step] if z.item() else []
    return out


cell = LIFBoxCell(LIFBoxParameters(tau_mem_inv=torch.tensor([100.0]), v_th=torch.tensor([1.0]), v_leak=torch.tensor([0.0])))
network = norse.SequentialState(torch.nn.Linear(1, 1), cell)
with torch.no_grad():
    network[0].weight.fill_(1)
    network[0].bias.zero_()

nir.write("norse.nir", to_nir(network, torch.ones(1, 1)))
graph = nir.read("norse.nir", type_check=False)
(tau,) = (float(np.ravel(node.tau)[0]) for node in graph.nodes.values() if isinstance(node, nir.LIF))
one = np.ones(1, np.float32)
by_hand = nir.NIRGraph.from_list(
    nir.Input(np.array([1])), nir.Affine(np.ones((1, 1), np.float32), 0 * one),
    nir.LIF(tau=0.01 * one, r=one, v_leak=0 * one, v_threshold=one), nir.Output(np.array([1])))

before, after, hand = spikes(network), spikes(from_nir(graph)), spikes(from_nir(by_hand))
print("before          tau 0.01 s    spikes at", before)
print(f"in the file     tau {tau:.0e} s")
print("after           spikes:", len(after), "of 40 steps")
print("tau by hand     tau 0.01 s    spikes at", hand)
assert before == hand == [11, 22, 33]
assert abs(tau - 1e-5) < 1e-9 and after == list(range(1, 41))
PY
