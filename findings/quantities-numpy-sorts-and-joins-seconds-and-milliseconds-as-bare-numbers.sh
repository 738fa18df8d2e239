#!/usr/bin/env bash
# One would guess: arrays with units either convert or refuse to mix; a == b, np.maximum and a + b do.
# What happens: np.concatenate, hstack and append of 1 ms and 1 s give [1, 1] without a unit; np.histogram, digitize, isin, interp and
#   array_equal compare the bare numbers: 1 ms and 2 ms do lie in bins of 0..5 s, array_equal(1 ms, 1 s) is True. No warning.
# Version: quantities 0.16.4 (numpy 2.4.6). Seen on 2026-11-29:
#     a == b                 [False, False]
#     np.array_equal(a, b)   True
#     np.concatenate         [1.0, 2.0, 1.0, 2.0] dimensionless
#     np.histogram(1 ms 2 ms, bins 0 s 0.0015 s 0.005 s)   [0, 0]   (both lie in them)
# Why it matters: spike trains of neo are such arrays. Joined or binned with NumPy rather than with the library's own functions they
#   come out a thousand times too early or not at all. Rescale everything to one unit and take .magnitude first.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check quantities==0.16.4 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" - <<'PY'
import numpy as np
import quantities as pq

a, b = np.array([1.0, 2.0]) * pq.ms, np.array([1.0, 2.0]) * pq.s
equal = (a == b).tolist()
same = bool(np.array_equal(a, b))
joined = np.concatenate([a, b])
bins = np.array([0, 0.0015, 0.005]) * pq.s
counts = np.histogram(a, bins)[0].tolist()
right = np.histogram(a.rescale("s").magnitude, bins.magnitude)[0].tolist()
print("a == b               ", equal)
print("np.array_equal(a, b) ", same)
print("np.concatenate       ", joined.magnitude.tolist(), joined.dimensionality)
print("np.histogram         ", counts, " rescaled first", right)
assert equal == [False, False] and same
assert joined.magnitude.tolist() == [1, 2, 1, 2] and joined.dimensionality == pq.dimensionless.dimensionality
assert counts == [0, 0] and right == [1, 1]
PY
