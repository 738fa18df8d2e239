#!/usr/bin/env bash
# One would guess: np.mean and np.sum inside @njit give what NumPy gives, up to the last digits.
# What happens: NumPy adds float32 in pairs; numba adds one after the other into a float32. From some ten million values on the sum
#   is so large that what is added is rounded away. No fastmath, no threads.
# Versions: numba 0.68.1, numpy 2.4.6. Seen on 2026-11-29, mean of n times 0.1 in float32:
#     n = 1,000,000     numpy 0.100000   numba 0.100958
#     n = 10,000,000    numpy 0.100000   numba 0.108794
#     n = 30,000,000    numpy 0.100000   numba 0.069905
# Why it matters: mean activations, spike rates and mean errors of a test set are such sums (10,000 images x 1,000 neurons), and moving
#   them into a kernel for speed changes them in the second digit, the more the more data. Add up in float64 by hand.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check numba==0.68.1 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import numpy as np
from numba import njit


def mean(a):
    return np.mean(a)


compiled = njit(mean)
seen = {}
for n in (1_000_000, 10_000_000, 30_000_000):
    a = np.full(n, 0.1, np.float32)
    seen[n] = float(mean(a)), float(compiled(a))
    print(f"n = {n:<12,} numpy {seen[n][0]:.6f}   numba {seen[n][1]:.6f}")
assert all(abs(numpy - 0.1) < 1e-6 for numpy, _ in seen.values())
assert abs(seen[10_000_000][1] - 0.1088) < 1e-3 and abs(seen[30_000_000][1] - 0.0699) < 1e-3
PY
