"""Fewer steps: the smallest numbers of time steps that keep the drop of the accuracy within a budget, first uniform, then per layer.

Steps are chosen on one part of the data and judged on the other, so that luck in choosing does not flatter the result.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ..compensation.fitting_notes import fitting_notes
from ..data import Dataset
from ..data.given import GivenData
from ..errors import UsageError
from ..measurement import operation_counts
from ..measurement.accuracy_drift import PairedOutcomes, newcombe_interval
from ..measurement.label_plausibility import Plausibility
from ..measurement.layer_errors import LayerErrors
from ..network.network import Network
from ..network.populations import Input, Readout, Spiking, sources
from ..report.frames import frame
from ..simulation.exact_engine import Simulator
from ..simulation.threads import numba_threads
from .comparison import Comparison
from .setting import StudyOptions, setting_of

if TYPE_CHECKING:
    import pandas
    from typing_extensions import Unpack

Figure = TypeVar("Figure", int, float)
LADDER = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 50, 64, 80, 100, 128, 160, 200, 256, 512, 1024)


@dataclass(frozen=True)
class Variant:
    """One choice of steps, judged on the part of the data that did not choose it."""

    name: str  # "as given", "uniform", "input as given", "per layer"
    steps: dict[str, int]  # N by population
    latency_steps: int  # until the potentials can be read
    event_p_proxy: float  # operations per inference, of the count `event`; they do not depend on the data unless the slope is gated
    synaptic_p_proxy: float  # of the count `synaptic`
    outcomes: PairedOutcomes  # of the original and of the network with these steps
    agreement: float  # share of equal predictions


@dataclass(frozen=True)
class Tuning:
    """The variants found, and the one of least latency (of equal ones, of fewest operations) whose drop is within the budget on the samples
    that had no say."""

    name: str  # of the network as given
    network: Network | None  # of the variant `kept`
    kept: str | None  # its name; None where the drop of none is within the budget
    variants: tuple[Variant, ...]
    chosen_on: int  # samples
    judged_on: int  # samples
    runs: int  # of networks over the part of the data that chooses
    notes: tuple[str, ...]  # what a reader of the figures must know
    rule: str  # how labels follow from the output

    def to_frame(self) -> pandas.DataFrame:
        """One row per variant: `name`, `kept`, `latency_steps`, `event_p_proxy`, `synaptic_p_proxy`, accuracies and agreement as fractions,
        drift and its 95 % interval in percentage points, and N per population as `steps.<name>`. Raises UsageError where pandas is not
        installed."""
        return frame([_row(variant, variant.name == self.kept) for variant in self.variants])


def _row(variant: Variant, kept: bool) -> dict[str, object]:
    low, high = newcombe_interval(variant.outcomes)
    return {
        "name": variant.name,
        "kept": kept,
        "latency_steps": variant.latency_steps,
        "event_p_proxy": variant.event_p_proxy,
        "synaptic_p_proxy": variant.synaptic_p_proxy,
        "ann_accuracy": variant.outcomes.ann_accuracy,
        "snn_accuracy": variant.outcomes.snn_accuracy,
        "drift_pp": 100 * variant.outcomes.drift,
        "ci95_low_pp": 100 * low,
        "ci95_high_pp": 100 * high,
        "agreement": variant.agreement,
        **{f"steps.{name}": steps for name, steps in variant.steps.items()},
    }


def tune(
    network: Network | str | Path,
    data: GivenData,
    max_drop: float = 0.1,
    *,
    share: float = 0.5,
    seed: int = 0,
    progress: Callable[[str], None] = lambda text: None,
    **options: Unpack[StudyOptions],
) -> Tuning:
    """Find the smallest numbers of steps with which a network loses at most `max_drop` percentage points against its original.

    1. Uniform: the smallest N up to the network's own whose drop is within the budget.
       Where the input has steps of its own, also the smallest N of all other layers with these.
    2. Per layer, from whichever of these has less latency: round after round each population in turn, the largest first, goes one rung down
       the ladder if the drop of the whole network stays within the budget, and stays where it is from then on if not. Sources of one
       concatenation keep one N.

    network: as for `evaluate`; its own N is the largest tried.
    data: as for `evaluate`, labelled.
    max_drop: percentage points of accuracy below the original's, on the part of the data that chooses.
    share: of the data, drawn at random, that chooses; the rest judges.
    seed: of that draw.
    progress: called with a line for every run.
    options: see `StudyOptions`.

    Raises as `evaluate`; UsageError for a network in continuous time, data without labels or with too few samples, and where even the
    network's own steps exceed the budget.
    """
    setting = setting_of(network, data, options)
    given, data = setting.network, setting.data
    if given.steps is None:
        raise UsageError("network", "continuous time", "a number of steps to come down from", "convert with --steps N")
    first, second = _split(data, share, seed)
    with numba_threads(setting.threads):
        chooser = _Chooser(setting.comparison(first, labels_needed=True), max_drop, progress)
        networks = chooser.chosen(given)
        judge = setting.comparison(second, labels_needed=True)
        variants = tuple(_judged(name, each, judge) for name, each in networks.items())
    kept = min(
        (each for each in variants if -100 * each.outcomes.drift <= max_drop + 1e-9),
        key=lambda each: (each.latency_steps, each.event_p_proxy),
        default=None,
    )
    plausibility = Plausibility()
    plausibility.add(chooser.original, chooser.truth)
    notes = (*data.notes, *judge.notes, *plausibility.suspicions(), *_fitted(networks, data), *_over_budget(variants, max_drop))
    return Tuning(
        given.name,
        None if kept is None else networks[kept.name],
        kept and kept.name,
        variants,
        len(first),
        len(second),
        chooser.runs,
        notes,
        str(judge.rule),
    )


def _fitted(networks: Mapping[str, Network], data: Dataset) -> list[str]:
    return list(dict.fromkeys(f"{name}: {text}" for name, network in networks.items() for text in fitting_notes(network, data)))


def _over_budget(variants: tuple[Variant, ...], max_drop: float) -> list[str]:
    return [
        f"{each.name}: a drop of {-100 * each.outcomes.drift:.2f} pp on the samples that had no say, over the budget of {max_drop:g} pp"
        for each in variants
        if -100 * each.outcomes.drift > max_drop
    ]


def _split(data: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    order = np.random.default_rng(seed).permutation(len(data))
    size = round(share * len(data))
    if not 0 < size < len(data):
        raise UsageError("share", f"{share:g} of {len(data)} samples", "at least one sample to choose on and one to judge on")
    return data.take(np.sort(order[:size])), data.take(np.sort(order[size:]))


class _Chooser:
    """Runs networks over the part of the data that chooses; equal networks only once."""

    def __init__(self, comparison: Comparison, max_drop: float, progress: Callable[[str], None]):
        self._comparison, self._max_drop, self._progress = comparison, max_drop / 100, progress
        self.original, self.truth = comparison.original_predictions, comparison.true_labels  # of the samples that choose
        self._accuracy = _accuracy(comparison, self.original)
        self._known: dict[tuple, float] = {}

    @property
    def runs(self) -> int:
        """Networks that were run."""
        return len(self._known)

    def within_budget(self, network: Network) -> bool:
        """Whether the accuracy of `network` falls by at most the budget below the original's."""
        key = tuple(sorted(_own_steps(network).items()))
        if key not in self._known:
            self._known[key] = self._accuracy - _accuracy(self._comparison, self._comparison.predictions(Simulator(network)))
            self._progress(f"{' '.join(map(str, _own_steps(network).values()))}: drop {100 * self._known[key]:+.2f} pp")
        return self._known[key] <= self._max_drop + 1e-12

    def chosen(self, network: Network) -> dict[str, Network]:
        """The network as given and those with fewest steps, by the name of the variant. Raises UsageError where even the network's own steps
        exceed the budget."""
        uniform, fine = self.uniform(network), self.input_as_given(network)
        tuned = self.per_layer(min((each for each in (uniform, fine) if each), key=lambda each: _of_grid(each.latency_steps)))
        return {"as given": network, "uniform": uniform, **({"input as given": fine} if fine else {}), "per layer": tuned}

    def uniform(self, network: Network) -> Network:
        """With the smallest N that keeps the budget in every window."""
        given = max(_own_steps(network).values())
        for steps in [*(steps for steps in LADDER if steps < given), given]:
            candidate = network.with_steps(steps)
            if self.within_budget(candidate):
                return candidate
        raise UsageError(
            "max-drop",
            f"a drop of {100 * list(self._known.values())[-1]:.2f} pp with all {given} steps",
            f"at most {100 * self._max_drop:g} pp",
            "convert with more steps, or allow a larger drop",
        )

    def input_as_given(self, network: Network) -> Network | None:
        """With the inputs' own steps, the smallest N of everything else; None where they have none, or no N will do."""
        own = {layer.name: layer.steps for layer in network.inputs if layer.steps}
        if not own:
            return None
        for steps in (rung for rung in LADDER if rung < max(own.values())):
            with contextlib.suppress(ValueError):  # a concatenation joins an input with layers
                candidate = network.with_steps(steps).with_layer_steps(own)
                if self.within_budget(candidate):
                    return candidate
        return None

    def per_layer(self, network: Network) -> Network:
        """From the steps of `network` down the ladder, population by population, until no step down keeps the budget."""
        steps, moving = _own_steps(network), _groups(network)
        while moving:
            for group in list(moving):
                fewer = [rung for rung in LADDER if rung < steps[group[0]]]
                candidate = {**steps, **dict.fromkeys(group, fewer[-1])} if fewer else None
                if candidate and self.within_budget(network.with_layer_steps(candidate)):
                    steps = candidate
                else:
                    moving.remove(group)
        return network.with_layer_steps(steps)


def _accuracy(comparison: Comparison, predicted: np.ndarray) -> float:
    return float((predicted == comparison.true_labels).mean())


def _of_grid(figure: Figure | None) -> Figure:
    """A figure that networks have unless they are in continuous time, as none is that gets here."""
    if figure is None:
        raise ValueError("a network in continuous time")
    return figure


def _own_steps(network: Network) -> dict[str, int]:
    """N of every encoder and every layer of neurons."""
    counts = network.grid()
    return {layer.name: counts[layer.name] for layer in network.layers if isinstance(layer, (Input, Spiking)) and layer.name in counts}


def _groups(network: Network) -> list[tuple[str, ...]]:
    """Populations that must share N, because a concatenation joins their spikes; those with most neurons first."""
    group = {layer.name: {layer.name} for layer in network.layers}
    for layer in network.layers:
        if not isinstance(layer, (Input, Spiking, Readout)):
            together = {layer.name}.union(*(group[source] for source in sources(layer)))
            for name in together:
                group[name] = together
    tunable = _own_steps(network)
    sizes = {layer.name: math.prod(layer.shape) for layer in network.layers}
    found = dict.fromkeys(tuple(name for name in tunable if name in members) for members in group.values())
    return sorted(filter(None, found), key=lambda names: -sum(sizes[name] for name in names))


def _judged(name: str, network: Network, comparison: Comparison) -> Variant:
    layer_errors, predicted = LayerErrors(network), []
    for run in comparison.runs(Simulator(network)):
        layer_errors.add(run.recording, {})
        predicted.append(comparison.labels(run.outputs))
    ann, snn = comparison.original_predictions, np.concatenate(predicted)
    events = operation_counts.total([operation_counts.event_of_layer(network, layer, layer_errors.active_shares()) for layer in network.layers])
    return Variant(
        name,
        _own_steps(network),
        _of_grid(network.latency_steps),
        _of_grid(events.p_proxy),
        _of_grid(operation_counts.synaptic(network).p_proxy),
        PairedOutcomes.of(ann, snn, comparison.true_labels),
        float((ann == snn).mean()),
    )
