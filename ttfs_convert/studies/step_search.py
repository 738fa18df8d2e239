"""Fewest steps where a candidate is dear, because it is fitted to its own steps; and most accuracy within one total latency.

    uniform          one N everywhere
    input as given   the inputs' own steps, one N everywhere else
    per layer        steps that measured sensitivities allot (see `step_allocation`), from the better of these

Candidates of each kind lie on a line from fewer steps to more, which is halved until one is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..errors import UsageError
from ..network.network import Network
from ..tasks.classification import ACCURACY
from ..tasks.measure import Measure
from .step_allocation import Steps, allocations, sensitivities
from .step_ladder import groups, own_steps, rungs_up_to

CLOSER = 1.03  # from one candidate per layer to the next: the least ratio of latencies that is worth a fit


class StepSearch:
    """Variants of `network` by name.

    make: gives the network with N by population. drop: how much worse than the original it is by `measure`, in the unit of its differences, on the
    part of the data that chooses. batches: what the input populations encode, by tensor, for sensitivities.
    """

    def __init__(
        self,
        network: Network,
        make: Callable[[Steps], Network],
        drop: Callable[[Network], float],
        batches: Sequence[Mapping[str, np.ndarray]],
        measure: Measure = ACCURACY,
    ):
        self._network, self._make, self._drop, self._batches, self._measure = network, make, drop, batches, measure
        self._own = own_steps(network)
        self._most = max(self._own.values())
        self._groups = groups(network)

    def within_drop(self, budget: float) -> dict[str, Network]:
        """Those of least latency whose drop is at most `budget`. Raises UsageError where even all steps exceed it."""
        uniform, drop = self._fewest([self._uniform(steps) for steps in rungs_up_to(self._most)], budget)
        if uniform is None:
            raise over_budget(drop, self._most, budget, self._measure)
        few = max(own_steps(uniform).values())
        fine, _ = self._fewest([steps for rung in rungs_up_to(few) if (steps := self._input_as_given(rung))], budget)
        start = min((each for each in (uniform, fine) if each), key=lambda each: each.latency_steps or 0)
        allotted = self._apart(self._allotted(start, (start.latency_steps or 0) - 1))
        found, _ = self._fewest(allotted, budget)
        return {"uniform": uniform, **({"input as given": fine} if fine else {}), "per layer": found or start}

    def within_latency(self, latency: int) -> tuple[dict[str, Network], dict[str, float]]:
        """Those that use a total latency of `latency` steps, and the drop of each. Raises UsageError where even one step per window exceeds it."""
        within = [steps for steps in map(self._uniform, range(1, self._most + 1)) if self._network.latency_with(steps) <= latency]
        if not within:
            shortest = self._network.latency_with(self._uniform(1))
            raise UsageError("max-latency", f"{latency} steps", f"at least {shortest}: one for each of the windows", "allow a longer latency")
        fine = [steps for rung in range(1, self._most + 1) if (steps := self._input_as_given(rung))]
        fine = [steps for steps in fine if self._network.latency_with(steps) <= latency]
        found = {"uniform": self._make(within[-1])}
        if fine and fine[-1] != within[-1]:
            found["input as given"] = self._make(fine[-1])
        drops = {name: self._drop(network) for name, network in found.items()}
        found["per layer"] = self._make(self._allotted(found[min(drops, key=lambda name: drops[name])], latency)[-1])
        return found, {**drops, "per layer": self._drop(found["per layer"])}

    def _uniform(self, steps: int) -> Steps:
        return dict.fromkeys(self._own, steps)

    def _input_as_given(self, steps: int) -> Steps | None:
        """None where inputs have no steps of their own, or share them with layers."""
        own = {layer.name: layer.steps for layer in self._network.inputs if layer.steps}
        if not own or any(set(own).intersection(group) and not set(own).issuperset(group) for group in self._groups):
            return None
        return {**self._uniform(steps), **own}

    def _allotted(self, start: Network, latency: int) -> list[Steps]:
        """From the lowest latency up to `latency`, by sensitivities that are measured with the steps of `start`; none where there are no fewer."""
        steps = own_steps(start)
        others = [count for name, count in steps.items() if name not in {layer.name for layer in start.inputs}]
        costs = sensitivities(start, steps, self._groups, self._batches)
        found = allocations(start, max(others or steps.values()), self._most, costs, latency)
        return [each for each in found if self._network.latency_with(each) <= latency]

    def _apart(self, candidates: Sequence[Steps]) -> list[Steps]:
        """Those whose latencies are worth telling apart, the last among them."""
        kept: list[Steps] = []
        for steps in reversed(candidates):
            if not kept or self._network.latency_with(kept[-1]) >= CLOSER * self._network.latency_with(steps):
                kept.append(steps)
        return kept[::-1]

    def _fewest(self, candidates: Sequence[Steps], budget: float) -> tuple[Network | None, float]:
        """The network of the first that keeps `budget` if all after it do, found by halving, and the drop of the last one tried."""
        first, past, best, drop = 0, len(candidates), None, 0.0
        while first < past:
            middle = (first + past) // 2
            network = self._make(candidates[middle])
            drop = self._drop(network)
            if drop <= budget + 1e-12:
                best, past = network, middle
            else:
                first = middle + 1
        return best, drop


def over_budget(drop: float, steps: int, budget: float, measure: Measure) -> UsageError:
    """Where even the network's own steps lose too much. drop, budget: in the unit of the measure's differences."""
    return UsageError(
        "max-drop",
        f"a drop of {measure.amount(drop)} with all {steps} steps",
        f"at most {budget:g} {measure.drift_unit}".rstrip(),
        "convert with more steps, or allow a larger drop",
    )
