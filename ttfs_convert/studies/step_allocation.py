"""Steps per layer from measured sensitivities: what the rounding of each population alone does to the outputs, and the steps that spend one
total latency best.

The rounding of a population on N steps adds an error to the outputs that falls with N^2, and errors of different populations add up:

    error(N_1, N_2, ...) = sum over populations of c / N^2

c: N^2 times the variance over samples of what that population's grid alone changes in the readouts' potentials, as a share of their own
variance; a change that all samples have in common is left out, because a fit takes it out by charges. The least error at one latency has N
in proportion to the third root of c along a chain; where paths of a network differ in length, the rungs of a ladder are climbed one by one,
each time where an additional step of latency takes most error away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..network.network import Network
from ..simulation.exact_engine import Simulator
from .step_ladder import rungs_up_to

FINE = 4096  # steps that stand for continuous time
FEWER, MORE = 4, 8  # of the number of steps at which sensitivities were measured: how far from it they are believed
Steps = dict[str, int]  # N by population


def sensitivities(
    network: Network, steps: Mapping[str, int], groups: Sequence[tuple[str, ...]], batches: Sequence[Mapping[str, np.ndarray]]
) -> dict[tuple[str, ...], float]:
    """c of each of the `groups`, whose populations share their N.

    steps: N by population at which each is measured. batches: what the input populations encode, by tensor, of two samples or more in all.
    """
    fine = network.with_steps(FINE)
    exact = _potentials(fine, batches)
    spread = {name: max(float(values.var(0).mean()), 1e-30) for name, values in exact.items()}
    found = {}
    for group in groups:
        rounded = _potentials(fine.with_layer_steps({name: steps[name] for name in group}), batches)
        error = sum(float((rounded[name] - values).var(0).mean()) / spread[name] for name, values in exact.items())
        found[group] = steps[group[0]] ** 2 * error
    return found


def _potentials(network: Network, batches: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """(n, *shape) float64 of every readout that is not an analog part's own, by its tensor."""
    simulate, parts, outer = Simulator(network), [], [layer.tensor for layer in network.readouts]
    for batch in batches:
        recording = simulate(batch)
        parts.append({name: recording.readouts[name].astype(np.float64) for name in outer})
        recording.done()
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def allocations(network: Network, measured_at: int, most: int, costs: Mapping[tuple[str, ...], float], latency: int) -> list[Steps]:
    """Steps of all populations, from the lowest latency up, each with one group a rung higher than the one before; the last leaves no room for
    any rung.

    measured_at: N at which sensitivities were measured. most: N that no population goes beyond. costs: c of each group. latency: in steps,
    that no allocation goes beyond.
    """
    rungs = [rung for rung in rungs_up_to(most) if measured_at / FEWER <= rung <= MORE * measured_at]
    found = [{name: rungs[0] for group in costs for name in group}]
    moving = [*costs]
    while True:
        now, reached = found[-1], network.latency_with(found[-1])
        raised = [(group, {**now, **dict.fromkeys(group, rungs[rungs.index(now[group[0]]) + 1])}) for group in moving if now[group[0]] < rungs[-1]]
        fitting = [(group, steps, length) for group, steps in raised if (length := network.latency_with(steps)) <= latency]
        if not fitting:
            return found
        moving = [group for group, _, _ in fitting]  # latency only grows: what does not fit now never will
        _, best, _ = max(fitting, key=lambda each: _worth(costs[each[0]], now[each[0][0]], each[1][each[0][0]], each[2] - reached))
        found.append(best)


def _worth(cost: float, fewer: int, more: int, longer: int) -> tuple[float, float]:
    """By which rungs are compared: the error taken away by a step of latency; where there is none, by the rung."""
    gain = cost * (1 / fewer**2 - 1 / more**2)
    return (gain / longer if longer else math.inf), gain
