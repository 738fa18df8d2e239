#!/usr/bin/env bash
# One would guess: converting an ANN with mode "Max", whose documentation says that it records the maximum of the ANN's activations, scales each
#   layer by the largest activation that the calibration data show.
# What happens: the maximum of each batch enters an exponential moving average of momentum 0.1, that starts at the first batch. Batches whose
#   maxima are 1 and 10 give 1.9 and in the other order 9.1; a later batch of small values makes the "maximum" smaller.
# Version: spikingjelly 2.0.0 (torch 2.13.0). Seen on 2026-11-30:
#     maxima 1, 10          scale 1.9
#     maxima 10, 1          scale 9.1
#     maxima 1, 10, 0.5     scale 1.76
#     one batch of all      scale 10.0
# Why it matters: thresholds, and with them accuracy and spike counts, depend on the order and the size of the calibration batches; activations
#   above the average are cut off although the data showed them. Calibrate with one batch, or set momentum to 1 and keep the maximum yourself.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check torch==2.13.0 numpy==2.4.6 tqdm==4.67.1 loguru==0.7.3 requests==2.32.5
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check --no-deps spikingjelly==2.0.0
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from spikingjelly.activation_based.ann2snn.modules import VoltageHook


def scale(*batches):
    """What the hook has recorded of these activations."""
    hook = VoltageHook(mode="Max")
    for values in batches:
        hook(torch.tensor(values))
    return round(float(hook.scale), 4)


log = {
    "maxima 1, 10": scale([0.2, 1.0], [3.0, 10.0]),
    "maxima 10, 1": scale([3.0, 10.0], [0.2, 1.0]),
    "maxima 1, 10, 0.5": scale([0.2, 1.0], [3.0, 10.0], [0.1, 0.5]),
    "one batch of all": scale([0.2, 1.0, 3.0, 10.0, 0.1, 0.5]),
}
for name, seen in log.items():
    print(f"{name:20s} scale {seen}")
assert list(log.values()) == [1.9, 9.1, 1.76, 10.0]
PY
