#!/usr/bin/env bash
# One would guess: ToVoxelGrid weighs ON events with +1 and OFF events with -1, whatever holds the polarity.
# What happens: it writes -1 into the polarity field. Where that field is a bool, as tonic.io makes it (events_struct: AEDAT files and
#   several of its data sets), -1 is True, so OFF events count as +1. With an int the grid is as described; with uint8 it raises.
# Version: tonic 1.7.0. Seen on 2026-11-29, four OFF events (and an ON event at the very end, which the grid leaves out):
#     polarity int    grid [-1.0, -1.0, -1.0, -1.0]
#     polarity bool   grid [1.0, 1.0, 1.0, 1.0]
# Why it matters: the same recording gives another tensor by the reader that loaded it, and networks train on it regardless:
#   direction of contrast is gone. Cast the polarity to int before, and look for negative values after.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check tonic==1.7.0 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from tonic import transforms
from tonic.io import events_struct, make_structured_array

zero = np.zeros(5, int)
events = make_structured_array(zero, zero, np.arange(5) * 10, np.array([0, 0, 0, 0, 1]))
assert events.dtype == events_struct and events.dtype["p"] == np.dtype(bool)
whole = events.astype([("x", int), ("y", int), ("t", int), ("p", int)])
grids = {}
for name, e in (("int", whole), ("bool", events)):
    grids[name] = transforms.ToVoxelGrid(sensor_size=(1, 1, 2), n_time_bins=4)(e).ravel().tolist()
    print(f"polarity {name:5s} grid {grids[name]}")
assert grids == {"int": [-1.0] * 4, "bool": [1.0] * 4}
PY
