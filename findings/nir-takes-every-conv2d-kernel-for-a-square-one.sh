#!/usr/bin/env bash
# One would guess: a Conv2d of 3 x 1 without padding makes 6 x 8 out of 8 x 8, and the graph's type check verifies that.
# What happens: nir works out both spatial sizes from the kernel's height. The node's output_type says 6 x 6, the graph that declares
#   6 x 6 is accepted, and the right one is refused ("type mismatch"). A 1 x 3 kernel: 8 x 8 instead of 8 x 6.
# Version: nir 1.0.8 (1.0.4 gives the same output_type, but checks nothing when a graph is built). Seen on 2026-11-29:
#     kernel 3 x 1, output declared 1 6 8: refused
#     kernel 3 x 1, output declared 1 6 6: accepted
# Why it matters: temporal convolutions and factorised kernels are oblong (spectrograms, key words, event streams). A valid network
#   cannot be exchanged unless the check is switched off (type_check=False) on both sides, and shapes in the file that readers use
#   (for Flatten, for neurons) are then wrong. Write such layers as Conv1d, or leave the input shape out and end in no Flatten.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
for version in 1.0.4 1.0.8; do
  "$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check nir==$version numpy==2.4.6
  (cd "$tmp" && "$tmp/venv/bin/python" - $version) <<'PY'
import sys

import nir
import numpy as np


def conv(*kernel):
    return nir.Conv2d(input_shape=(8, 8), weight=np.zeros((1, 1, *kernel), np.float32), stride=1, padding=0, dilation=1, groups=1,
                      bias=np.zeros(1, np.float32))


def accepted(shape):
    try:
        nir.NIRGraph.from_list(nir.Input(np.array([1, 8, 8])), conv(3, 1), nir.Output(np.array(shape)))
    except ValueError:
        return False
    return True


types = [conv(*kernel).output_type["output"].tolist() for kernel in ((3, 1), (1, 3))]
right, wrong = accepted([1, 6, 8]), accepted([1, 6, 6])
print(f"nir {sys.argv[1]}: output_type of 3 x 1 {types[0]}, of 1 x 3 {types[1]}; declared 1 6 8 accepted: {right}, 1 6 6: {wrong}")
assert types == [[1, 6, 6], [1, 8, 8]]
if sys.argv[1] == "1.0.8":
    assert wrong and not right
PY
done
