#!/usr/bin/env bash
# One would guess: spikegen.latency(..., normalize=True), the default (logarithmic) code, gives an image the same spike times in every
#   batch, and tau sets how steep the code is.
# What happens: the times are divided by the latest one in the whole tensor. One dark pixel in another image of the batch moves the
#   spikes of all, here from 50, 37, 30, 16 to 8, 6, 5, 3 of 50 steps. tau cancels out and has no effect at all. linear=True is
#   independent of the batch.
# Version: snntorch 1.0.0 (torch 2.13.0). Seen on 2026-11-29, image 0.3 0.4 0.5 0.9, 51 steps:
#     alone                       [50, 37, 30, 16]
#     beside 0.12 0.2 0.3 0.4     [19, 15, 12, 6]
#     beside 0.05 0.2 0.3 0.4     [8, 6, 5, 3]
#     alone, tau = 5              [50, 37, 30, 16]
# Why it matters: a first-spike network trained and tested with this code sees other inputs for every batch size and shuffle; a single
#   sample at inference is coded unlike any in training, and the code cannot be inverted. Encode sample by sample, or linearly.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check torch==2.13.0 snntorch==1.0.0 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import torch
from snntorch import spikegen

image = torch.tensor([[0.3, 0.4, 0.5, 0.9]])


def times(batch, **options):
    """The steps of the first image's spikes."""
    spikes = spikegen.latency(batch, num_steps=51, normalize=True, **options)
    assert bool((spikes.sum(0) == 1).all())
    return spikes.argmax(0)[0].tolist()


dim = torch.cat([image, torch.tensor([[0.12, 0.2, 0.3, 0.4]])])
dark = torch.cat([image, torch.tensor([[0.05, 0.2, 0.3, 0.4]])])
log = [times(image), times(dim), times(dark), times(image, tau=5)]
for name, seen in zip(("alone", "beside a dim image", "beside a dark image", "alone, tau = 5"), log):
    print(f"{name:20s} {seen}")
linear = [times(batch, linear=True) for batch in (image, dim, dark)]
print(f"{'linear, all three':20s} {linear[0]}")
assert log == [[50, 37, 30, 16], [19, 15, 12, 6], [8, 6, 5, 3], [50, 37, 30, 16]]
assert linear[0] == linear[1] == linear[2]
PY
