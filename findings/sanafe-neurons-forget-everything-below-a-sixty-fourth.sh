#!/usr/bin/env bash
# One would guess: SANA-FE, which takes weights, thresholds and potentials as floating-point numbers, adds them up as such; an input of
#   0.01 in each of 200 steps fires a neuron with threshold 0.5 and without leak (leak_decay 1, the default) at the 51st.
# What happens: in its model leaky_integrate_fire (the soma of the bundled Loihi, and of the bundled example chip) the potential is cut
#   down to a multiple of 1/64 at the beginning of each step, towards zero. 0.01 per step never adds up; 0.03 counts as 1/64. What arrives
#   within one step is not cut. Nothing reports it; energy and latency are computed from the spikes that are left.
# Version: sanafe 2.2.9. Seen on 2026-11-29, 200 steps, one input spike in each, threshold 0.5:
#     weight 0.01   fires 0 times, expected 3      potential at the end 0.01
#     weight 0.03   fires 6 times, expected 11
#     the same times 64 (weights 0.64, 1.92, threshold 32): 3 and 11
# Why it matters: converted networks are normalised: thresholds at 1, weights of a few hundredths. The chip's energy comes out low and
#   its spikes late, for no reason that the hardware has. Scale weights and threshold up (by 2^16, say): ratios stay, the cut does not.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile --disable-pip-version-check sanafe==2.2.9 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" - > out.txt <<'PY'
import sanafe

STEPS = 200


def run(weight, threshold):
    """How often the neuron fires, and its last potential."""
    chip = sanafe.load_loihi()
    core = chip.tiles[0].cores[0]
    network = sanafe.Network()
    source = network.create_neuron_group("source", 1, model_attributes={"bias": 1.0, "threshold": 0.5}, log_spikes=True,
                                         log_potential=True)
    neuron = network.create_neuron_group("neuron", 1, model_attributes={"threshold": threshold, "leak_decay": 1.0},
                                         log_spikes=True, log_potential=True)
    source[0].connect_to_neuron(neuron[0], {"weight": weight})
    source[0].map_to_core(core)
    neuron[0].map_to_core(core)
    simulator = sanafe.SpikingChip(chip)
    simulator.load(network)
    trace = simulator.sim(STEPS, spike_trace=True, potential_trace=True)
    names = [[str(address) for address in step] for step in trace["spike_trace"]]
    return sum("neuron.0" in step for step in names), max(trace["potential_trace"][-1])


def expected(weight, threshold):
    potential, spikes = 0.0, 0
    for _ in range(STEPS - 1):            # what is sent in the last step does not arrive
        potential += weight
        if potential > threshold:
            potential, spikes = 0.0, spikes + 1
    return spikes


seen = []
for scale in (1, 64):
    for weight in (0.01, 0.03):
        spikes, potential = run(weight * scale, 0.5 * scale)
        seen.append((spikes, expected(weight * scale, 0.5 * scale)))
        print(f"RESULT {weight * scale} {0.5 * scale} {spikes} {seen[-1][1]} {potential:.4f}")
assert seen == [(0, 3), (6, 11), (3, 3), (11, 11)]
PY
grep RESULT out.txt | while read -r _ weight threshold spikes expected potential; do
  echo "weight $weight, threshold $threshold: fires $spikes times, expected $expected; last potential $potential"
done
