#!/usr/bin/env bash
# One would guess: NIR describes one sample, so Flatten(start_dim=0) of a map of 1 x 4 x 4 makes 16 values of each sample of a batch.
# What happens: the map of nirtorch and the reader of norse hand start_dim on to torch as it stands, where 0 is the batch: two samples
#   become one row of 32. sinabs adds one for the batch (SpikingJelly too; the exporters of snnTorch and sinabs take one off).
# Versions: nirtorch 2.6 and norse 1.1.0 with nir 1.0.8; sinabs 3.1.3 with nir 1.0.4, nirtorch 2.0.2; torch 2.13.0.
#   Seen on 2026-11-29, a batch of two: nirtorch (32,)   norse (32,)   sinabs (2, 16)
# Why it matters: with one sample at a time all agree up to the missing axis. In a batch the next layer refuses the row;
#   where Flatten comes last, the batch is gone without an error. start_dim=1 is right for these two and wrong for the rest.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/a"
python3 -m venv "$tmp/b"
"$tmp/a/bin/pip" install -qq --disable-pip-version-check torch==2.13.0 nir==1.0.8 nirtorch==2.6 numpy==2.4.6
"$tmp/a/bin/pip" install -qq --disable-pip-version-check --no-deps norse==1.1.0   # without torchvision: not needed here
"$tmp/b/bin/pip" install -qq --disable-pip-version-check torch==2.13.0 sinabs==3.1.3 nir==1.0.4 nirtorch==2.0.2 numpy==2.4.6
cd "$tmp"
cat > read.py <<'PY'
import sys

import nir
import nirtorch
import numpy as np
import torch

graph = nir.NIRGraph.from_list(nir.Input(np.array([1, 4, 4])), nir.Flatten(np.array([1, 4, 4]), start_dim=0),
                               nir.Output(np.array([16])))
readers = {}
if sys.argv[1] == "a":
    from norse.torch.utils.import_nir import from_nir

    readers = {"nirtorch": (lambda: nirtorch.nir_to_torch(graph, {}), (32,)), "norse": (lambda: from_nir(graph), (32,))}
else:
    from sinabs.nir import from_nir

    readers = {"sinabs": (lambda: from_nir(graph, batch_size=2), (2, 16))}
for name, (read, expected) in readers.items():
    out = read()(torch.ones(2, 1, 4, 4))
    shape = tuple((out[0] if isinstance(out, tuple) else out).shape)
    print(name, shape)
    assert shape == expected
PY
"$tmp/a/bin/python" -W ignore read.py a
"$tmp/b/bin/python" -W ignore read.py b
