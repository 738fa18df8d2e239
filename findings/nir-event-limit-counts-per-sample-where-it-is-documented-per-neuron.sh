#!/usr/bin/env bash
# One would guess: TimeGriddedData.to_event(n_events), documented as "maximum number of events stored for each neuron", keeps two
#   events of each neuron for n_events=2, and that for a first-spike code n_events=1 is enough.
# What happens: the limit holds for all neurons of a sample together. Whatever comes later in the window is dropped in silence, and
#   the neurons that fired it look silent.
# Version: nir 1.0.8. Seen on 2026-11-29, five neurons that fire once each, in steps 0 to 4:
#     n_events=1: neurons [0]          n_events=3: neurons [0, 1, 2]          n_events=5: all
# Why it matters: in a time-to-first-spike network late spikes are small values, so what is lost looks like pruning: the output is
#   nearly right. Ask for as many events as the whole layer can make (neurons x spikes each).
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check nir==1.0.8 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import nir
import numpy as np

spikes = np.eye(5, dtype=bool)[None]          # (sample, step, neuron): neuron k fires in step k
text = " ".join((nir.TimeGriddedData.to_event.__doc__ or "").split())
assert "Maximum number of events stored for each neuron" in text
kept = {}
for limit in (1, 3, 5):
    events = nir.TimeGriddedData(spikes, dt=1.0).to_event(limit)
    kept[limit] = events.idx[events.idx >= 0].tolist()
    print(f"n_events={limit}: neurons {kept[limit]}")
assert kept == {1: [0], 3: [0, 1, 2], 5: [0, 1, 2, 3, 4]}
PY
