#!/usr/bin/env bash
# One would guess: NIR describes one sample, so Flatten(start_dim=0) of a map of 1 x 4 x 4 makes 16 values of each sample of a batch.
# What happens: norse hands start_dim on to torch as it stands, where 0 is the batch: two samples become one row of 32. sinabs adds one
#   for the batch (SpikingJelly too; the exporters of snnTorch and sinabs take one off).
# Versions: norse 1.1.0 and sinabs 3.1.3 in one environment with nir 1.0.4, nirtorch 2.0.2, torch 2.13.0.
#   Seen on 2026-11-29, a batch of two: norse (32,)   sinabs (2, 16)
# Why it matters: one file, two networks. In a batch the next layer refuses the row; where Flatten comes last, the batch is gone
#   without an error. start_dim=1 is right for norse and wrong for the rest: flatten by hand before the readout, or batch by one.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check torch==2.13.0 sinabs==3.1.3 nir==1.0.4 nirtorch==2.0.2 numpy==2.4.6
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check --no-deps norse==1.1.0   # without torchvision: not needed here
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import nir
import numpy as np
import torch
from norse.torch.utils.import_nir import from_nir as norse
from sinabs.nir import from_nir as sinabs

nir.write("net.nir", nir.NIRGraph.from_list(
    nir.Input(np.array([1, 4, 4])), nir.Flatten(np.array([1, 4, 4]), start_dim=0), nir.Output(np.array([16]))))
graph = nir.read("net.nir")
seen = {}
for name, network in (("norse", norse(graph)), ("sinabs", sinabs(graph, batch_size=2))):
    out = network(torch.ones(2, 1, 4, 4))
    seen[name] = tuple((out[0] if isinstance(out, tuple) else out).shape)
    print(name, seen[name])
assert seen == {"norse": (32,), "sinabs": (2, 16)}
PY
