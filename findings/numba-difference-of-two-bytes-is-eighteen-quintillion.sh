#!/usr/bin/env bash
# One would guess: a[i] - b[i] of two uint8 arrays gives the same inside @njit as outside (3 - 5 = 254), or the plain -2.
# What happens: numba widens the two bytes to unsigned 64-bit integers: 18446744073709551614. a - b of the whole arrays, in the same
#   compiled function, stays uint8 and gives 254; a sum of bytes in a loop, 232 in NumPy, is 1000 in numba. With
#   NUMBA_DISABLE_JIT=1, the usual way to debug, the NumPy answers come back, with a warning that the compiled code never gives.
# Versions: numba 0.68.1, numpy 2.4.6. Seen on 2026-11-29:
#     3 - 5, one element     numpy 254   numba 18446744073709551614
#     3 - 5, as arrays       numpy 254   numba 254
#     10 x 100 in a loop     numpy 232   numba 1000
# Why it matters: spike times are stored as bytes. "Did a fire before b", |ta - tb|, a delay: each takes such a difference, and its
#   three answers depend on how the line is written and whether it is compiled. Convert to a signed type before subtracting.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check numba==0.68.1 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from numba import njit


def element(a, b):
    return a[0] - b[0]


def arrays(a, b):
    return (a - b)[0]


def total(a, b):
    s = a[0]
    for k in range(1, len(a)):
        s = s + a[k]
    return s


three, five, hundreds = (np.array(v, np.uint8) for v in ([3], [5], [100] * 10))
seen = []
for name, function, args in (("3 - 5, one element", element, (three, five)), ("3 - 5, as arrays", arrays, (three, five)),
                             ("10 x 100 in a loop", total, (hundreds, hundreds))):
    seen.append((int(function(*args)), int(njit(function)(*args))))
    print(f"{name:20s} numpy {seen[-1][0]}   numba {seen[-1][1]}")
assert seen == [(254, 2**64 - 2), (254, 254), (232, 1000)]
PY
