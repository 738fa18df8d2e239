#!/usr/bin/env bash
# One would guess: with units on both, int(1.5 s / 1 ms) is 1500, or an error.
# What happens: the quotient keeps the unit s/ms, and int() and float() take the number in front of it: 1. math.exp, range, np.zeros
#   and indexing go the same way. np.exp refuses. Only .simplified (or .rescale("")) makes 1500 of it.
# Version: quantities 0.16.4 (numpy 2.4.6). Seen on 2026-11-29:
#     1.5 s / 1 ms            1.5 s/ms     int 1     simplified 1500.0
#     math.exp(-1 s / 500 ms)   0.998         (exp(-2) = 0.135)
# Why it matters: neo and elephant hand out times in these units, and "duration / bin" is how one gets the number of steps, "t / tau"
#   how one gets a decay. It works as long as both are in ms; with a recording in s a simulation has 1 step instead of 1500.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check quantities==0.16.4 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import math

import quantities as pq

ratio = 1.5 * pq.s / (1 * pq.ms)
steps, simplified, decay = int(ratio), float(ratio.simplified), math.exp(-1 * pq.s / (500 * pq.ms))
print(f"1.5 s / 1 ms = {ratio}: int {steps}, float {float(ratio)}, simplified {simplified}")
print(f"math.exp(-1 s / 500 ms) = {decay:.3f}, exp(-2) = {math.exp(-2):.3f}")
assert steps == 1 and float(ratio) == 1.5 and simplified == 1500
assert abs(decay - math.exp(-0.002)) < 1e-12
assert int(1500 * pq.ms / (1 * pq.ms)) == 1500
PY
