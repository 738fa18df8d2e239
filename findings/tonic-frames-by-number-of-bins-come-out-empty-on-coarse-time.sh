#!/usr/bin/env bash
# One would guess: ToFrame(n_time_bins=50) spreads a recording over 50 frames and every event lands in one of them.
# What happens: the width of a bin is the whole number (t_last - t_first) // 50. What is left over at the end is dropped: up to half
#   of a recording. Where the recording spans fewer ticks than bins the width is 0 and all 50 frames are empty. No warning;
#   the shape is right.
# Version: tonic 1.7.0. Seen on 2026-11-29, one event in each time step:
#     steps 0..100 -> 100 of 101 events     steps 0..98 -> 50 of 99     steps 0..49 -> 0 of 50, all frames empty
# Why it matters: it is invisible with microseconds (at most 49 of them are lost), and complete with time steps or milliseconds:
#   a simulation of 50 steps, the spikes of a TTFS layer, audio spikes in ms. Scale t up before (t * 1000), or bin by hand.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check tonic==1.7.0 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from tonic import transforms

BINS = 50
seen = {}
for last in (100, 98, 49):
    events = np.zeros(last + 1, dtype=[("x", int), ("y", int), ("t", int), ("p", int)])
    events["t"] = np.arange(last + 1)
    for scale in (1, 1000):
        scaled = events.copy()
        scaled["t"] *= scale
        frames = transforms.ToFrame(sensor_size=(1, 1, 2), n_time_bins=BINS)(scaled)
        assert frames.shape == (BINS, 2, 1, 1)
        seen[last, scale] = int(frames.sum())
    print(f"steps 0..{last}: {seen[last, 1]} of {last + 1} events in {BINS} frames;  times 1000: {seen[last, 1000]}")
assert [seen[last, 1] for last in (100, 98, 49)] == [100, 50, 0]
assert [seen[last, 1000] for last in (100, 98, 49)] == [100, 98, 49]      # the last event is at the open end
PY
