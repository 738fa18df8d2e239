#!/usr/bin/env bash
# One would guess: accuracy_temporal, "the neuron that fires first", takes a neuron that never fires as later than any that does, and
#   a network that never fires at all as having no opinion.
# What happens: a silent neuron counts as one that fires in the last step, and ties go to the lowest index. A class that fires in the
#   last step loses against any silent class before it; a network without a single spike predicts class 0 and scores its share.
#   ce_temporal_loss works on the same times: its value is the same for the class that fired last and for those that did not.
# Version: snntorch 1.0.0 (torch 2.13.0). Seen on 2026-11-29, 10 steps, 3 classes:
#     only class 1 fires, in step 9 (the last), target 1: accuracy 0.0;  in step 8: accuracy 1.0
#     nobody fires, targets 0 1 2 0: accuracy 0.5
# Why it matters: in first-spike codes the smallest activation does fire in the last step. Dead networks look like chance level (10 %
#   on ten balanced classes) and better than that where class 0 is common. Count silent samples apart.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check torch==2.13.0 snntorch==1.0.0 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'PY'
import snntorch.functional as functional
import torch


def lone(step):
    spikes = torch.zeros(10, 1, 3)
    spikes[step, 0, 1] = 1
    return spikes


accuracy = [float(functional.accuracy_temporal(lone(step), torch.tensor([1]))) for step in (8, 9)]
dead = float(functional.accuracy_temporal(torch.zeros(10, 4, 3), torch.tensor([0, 1, 2, 0])))
loss = functional.ce_temporal_loss()
losses = {step: [round(float(loss(lone(step), torch.tensor([target]))), 4) for target in range(3)] for step in (8, 9)}
print("class 1 fires in step 8: accuracy", accuracy[0], "  in step 9:", accuracy[1])
print("nobody fires, two of four targets are 0: accuracy", dead)
print("losses for targets 0 1 2, spike in step 8:", losses[8], "  in step 9:", losses[9])
assert accuracy == [1, 0] and dead == 0.5
assert len(set(losses[9])) == 1 and losses[8][1] < losses[8][0]
PY
