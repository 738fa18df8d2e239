"""Fewer steps: the smallest numbers of time steps that keep the drop of the accuracy, or of what the task measures, within a budget, first uniform,
then per layer.

Steps are chosen on one part of the data and judged on the other, so that luck in choosing does not flatter the result. Candidates that are
fitted to their own steps, and those within one latency, are found by `step_search`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from ..compensation.fitting_notes import fitting_notes
from ..conversion.pipeline import data_to_fit_to, samples_of
from ..conversion.refits import options_of, refits
from ..data import Dataset
from ..data.given import GivenData
from ..errors import DataError, UsageError
from ..measurement import operation_counts
from ..measurement.accuracy_drift import PairedOutcomes
from ..measurement.label_plausibility import Plausibility
from ..measurement.layer_errors import LayerErrors
from ..network.network import Network
from ..report.frames import frame
from ..simulation.exact_engine import Simulator
from ..simulation.threads import numba_threads
from ..tasks.classification import ACCURACY, outcomes_of
from ..tasks.drop_limit import DropLimit
from ..tasks.measure import Measure
from ..tasks.scores import Score, scored
from .comparison import Comparison, Outcome
from .setting import Setting, StudyOptions, setting_of
from .step_ladder import LADDER, groups, own_steps, rungs_up_to
from .step_search import StepSearch, over_budget

if TYPE_CHECKING:
    import pandas
    from typing_extensions import Unpack

Figure = TypeVar("Figure", int, float)
FEW = 256  # samples that sensitivities are measured on


@dataclass(frozen=True)
class Variant:
    """One choice of steps, judged on the part of the data that did not choose it."""

    name: str  # "as given", "uniform", "input as given", "per layer"
    steps: dict[str, int]  # N by population
    latency_steps: int  # until the potentials can be read
    event_p_proxy: float  # operations per inference, of the count `event`; they do not depend on the data unless the slope is gated
    synaptic_p_proxy: float  # of the count `synaptic`
    scores: dict[str, Score]  # of the original and of the network with these steps, by measure of the task; the budget is of the first
    agreement: float | None  # share of equal predictions; None where no labels follow from the output

    @property
    def outcomes(self) -> PairedOutcomes | None:
        """What both predict rightly; None of other tasks than classification."""
        return outcomes_of(self.scores)

    @property
    def drop(self) -> float | None:
        """By how much the first measure is worse, in its unit of differences."""
        return next(iter(self.scores.values())).drop


@dataclass(frozen=True)
class FittedTo:
    """The data of all fits, and how many these were."""

    data: str  # name of the data set
    sha256: str
    samples: int
    fits: int


@dataclass(frozen=True)
class Tuning:
    """The variants found, and the one of least latency (of equal ones, of fewest operations) whose drop is within the budget on the samples
    that had no say; within a latency the one of most accuracy on those that had."""

    name: str  # of the network as given
    network: Network | None  # of the variant `kept`
    kept: str | None  # its name; None where none is within the budget
    variants: tuple[Variant, ...]
    chosen_on: int  # samples
    judged_on: int  # samples
    runs: int  # of networks over the part of the data that chooses
    notes: tuple[str, ...]  # what a reader of the figures must know
    rule: str  # how labels follow from the output
    max_drop: float | None  # the budget, in the unit of the measure's differences, percentage points of accuracy; None where it was `max_latency`
    max_latency: int | None  # the budget, in steps until the potentials can be read; None where it was `max_drop`
    task: str  # what both networks are judged by
    measure: Measure  # the task's first, which the budget is about
    fitted_to: FittedTo | None  # what all variants but the one as given were fitted to, each for its own steps; None: none was fitted

    def to_frame(self) -> pandas.DataFrame:
        """One row per variant: `name`, `kept`, `latency_steps`, `event_p_proxy`, `synaptic_p_proxy`, accuracies and agreement as fractions, drift and
        its 95 % interval in percentage points (of other tasks such as `ann_psnr`, `psnr_db`, `psnr_ci95_db.low`), and N per population as
        `steps.<name>`. Raises UsageError where pandas is not installed."""
        return frame([_row(variant, variant.name == self.kept) for variant in self.variants])


def _row(variant: Variant, kept: bool) -> dict[str, object]:
    return {
        "name": variant.name,
        "kept": kept,
        "latency_steps": variant.latency_steps,
        "event_p_proxy": variant.event_p_proxy,
        "synaptic_p_proxy": variant.synaptic_p_proxy,
        **{key: value for score in variant.scores.values() for key, value in _columns(score).items()},
        "agreement": variant.agreement,
        **{f"steps.{name}": steps for name, steps in variant.steps.items()},
    }


def _columns(score: Score) -> dict[str, float | None]:
    name, (low, high) = score.measure.name, score.interval or (None, None)
    keys = ("drift_pp", "ci95_low_pp", "ci95_high_pp")
    if score.measure is not ACCURACY:
        keys = (score.measure.drift_key(), *(f"{score.measure.drift_key('ci95')}.{end}" for end in ("low", "high")))
    return {f"ann_{name}": score.ann, f"snn_{name}": score.snn, **dict(zip(keys, (score.drift, low, high)))}


def tune(
    network: Network | str | Path,
    data: GivenData,
    max_drop: float | None = None,
    *,
    max_latency: int | None = None,
    compensate: bool = False,
    calibrate: GivenData | None = None,
    share: float = 0.5,
    seed: int = 0,
    progress: Callable[[str], None] = lambda text: None,
    **options: Unpack[StudyOptions],
) -> Tuning:
    """Find the smallest numbers of steps with which a network loses at most `max_drop` against its original; or, with
    `max_latency`, those of most accuracy within one total latency.

    1. Uniform: the smallest N up to the network's own whose drop is within the budget.
       Where the input has steps of its own, also the smallest N of all other layers with these.
    2. Per layer, from whichever of these has less latency: round after round each population in turn, the largest first, goes one rung down
       the ladder if the drop of the whole network stays within the budget, and stays where it is from then on if not. Sources of one
       concatenation keep one N.

    With `compensate` every candidate is the original converted again, by the options of the first conversion, with ranges and weights fitted to
    its own steps. Each costs a fit, so that there are few: uniform numbers are found by halving, at most five fits for each of the two below 256
    steps, and those per layer among what measured sensitivities allot to one latency (see `step_allocation`), at most seven fits. With
    `max_latency` there are three candidates at most: the largest N, the same beside the input's own steps, and what sensitivities allot.

    network: as for `evaluate`; its own N is the largest tried.
    data: as for `evaluate`, with labels or targets.
    max_drop: by how much the task's first measure may be worse than the original's, on the part of the data that chooses, in the unit of its
        differences: percentage points of accuracy or mean IoU, dB of PSNR, 0.1 by default; of the error itself for regression, without default.
    max_latency: time steps until the output can be read, instead of `max_drop`.
    compensate: whether candidates are fitted to their own steps.
    calibrate: what they are fitted to and their ranges are found on, unlabelled; as for `convert`.
    share: of the data, drawn at random, that chooses; the rest judges.
    seed: of that draw.
    progress: called with a line for every run.
    options: see `StudyOptions`.

    Raises as `evaluate`, with `compensate` as `convert`; UsageError for a network in continuous time, data without labels or with too few
    samples, two budgets, one that even the network's own steps exceed, or a latency of less than one step per window; and with `compensate`
    for a file that does not keep the options of its conversion.
    """
    setting = setting_of(network, data, options)
    _Budget.check(max_drop, max_latency)
    given, data = setting.network, setting.data
    if given.steps is None:
        raise UsageError("network", "continuous time", "a number of steps to come down from", "convert with --steps N")
    to_fit_to = _to_fit_to(given, compensate, calibrate)
    first, second = _split(data, share, seed)
    with numba_threads(setting.threads):
        comparison = setting.comparison(first, limits=[DropLimit("")])
        budget = _Budget.of(max_drop, max_latency, _measure(comparison))
        chooser = _Chooser(comparison, budget, progress)
        found = _chosen(chooser, setting, to_fit_to)
        judge = setting.comparison(second, limits=[DropLimit("")])
        variants = tuple(_judged(name, each, judge) for name, each in found.networks.items())
    kept = budget.kept(variants, found.drops)
    notes = (*data.notes, *judge.notes, *chooser.suspicions(), *_fitted(found.networks, data), *budget.exceeded(variants))
    return Tuning(
        given.name,
        None if kept is None else found.networks[kept.name],
        kept and kept.name,
        variants,
        len(first),
        len(second),
        chooser.runs,
        notes,
        str(judge.rule),
        budget.max_drop,
        budget.max_latency,
        judge.choice.name or "",
        budget.measure,
        None if to_fit_to is None else FittedTo(to_fit_to.name, to_fit_to.sha256, len(to_fit_to), found.fits),
    )


def _to_fit_to(network: Network, compensate: bool, calibrate: GivenData | None) -> Dataset | None:
    """What candidates are fitted to; None where they are not. Raises UsageError before anything is run."""
    if not compensate:
        if calibrate is not None:
            raise UsageError("calibrate", "data to fit to, but no fit", "both or neither", "add --compensate, or leave --calibrate out")
        return None
    options_of(network)
    return data_to_fit_to(None if calibrate is None else samples_of(calibrate, network.input_shapes), network.steps)


@dataclass(frozen=True)
class _Budget:
    """One of both. max_drop: in the unit of the differences of `measure`. max_latency: steps."""

    max_drop: float | None
    max_latency: int | None
    measure: Measure

    @staticmethod
    def check(max_drop: float | None, max_latency: int | None) -> None:
        """Raise UsageError for two budgets, or for one that no network keeps."""
        if max_drop is not None and max_latency is not None:
            raise UsageError("max-latency", "given with max-drop", "one budget", "leave one of them out")
        if max_latency is not None and max_latency < 1:
            raise UsageError("max-latency", f"{max_latency}", "at least 1")

    @classmethod
    def of(cls, max_drop: float | None, max_latency: int | None, measure: Measure) -> _Budget:
        """The one that is given, else the measure's usual one."""
        if max_drop is None and max_latency is None:
            max_drop = measure.usual_drop
            if max_drop is None:
                raise UsageError("max-drop", f"none given for {measure.title}", "how much worse it may get", "name it with --max-drop X")
        return cls(max_drop, max_latency, measure)

    def kept(self, variants: tuple[Variant, ...], drops: Mapping[str, float]) -> Variant | None:
        """The one of least latency within a drop; or of least drop where it was chosen, `drops`, within a latency."""
        if self.max_drop is not None:
            within = [each for each in variants if each.drop is not None and each.drop <= self.max_drop + 1e-9]
            return min(within, key=lambda each: (each.latency_steps, each.event_p_proxy), default=None)
        return min((each for each in variants if each.name in drops), key=lambda each: (drops[each.name], each.latency_steps), default=None)

    def exceeded(self, variants: tuple[Variant, ...]) -> list[str]:
        """What to say of variants that had luck where they were chosen."""
        return [
            f"{each.name}: a drop of {self.measure.amount(each.drop)} on the samples that had no say, over the budget of "
            f"{self.max_drop:g} {self.measure.drift_unit}".rstrip()
            for each in variants
            if self.max_drop is not None and each.drop is not None and each.drop > self.max_drop
        ]


class _Found(NamedTuple):
    networks: dict[str, Network]  # by name of the variant
    drops: dict[str, float]  # of the measure, where it was chosen, of those within a latency; of no other search
    fits: int = 0


def _chosen(chooser: _Chooser, setting: Setting, to_fit_to: Dataset | None) -> _Found:
    """The variants."""
    given, latency = setting.network, chooser.budget.max_latency
    if to_fit_to is None and latency is None:
        return _Found(chooser.chosen(given), {})
    with contextlib.nullcontext() if to_fit_to is None else refits(given, setting.onnx_file, to_fit_to) as refit:
        search = StepSearch(given, given.with_layer_steps if refit is None else refit, chooser.drop, chooser.few(), chooser.budget.measure)
        networks, drops = (search.within_drop(chooser.max_drop), {}) if latency is None else search.within_latency(latency)
        fits = 0 if refit is None else refit.count
    if latency is not None and _of_grid(given.latency_steps) <= latency:
        drops["as given"] = chooser.drop(given)
    return _Found({"as given": given, **networks}, drops, fits)


def _fitted(networks: Mapping[str, Network], data: Dataset) -> list[str]:
    return list(dict.fromkeys(f"{name}: {text}" for name, network in networks.items() for text in fitting_notes(network, data)))


def _split(data: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    order = np.random.default_rng(seed).permutation(len(data))
    size = round(share * len(data))
    if not 0 < size < len(data):
        raise UsageError("share", f"{share:g} of {len(data)} samples", "at least one sample to choose on and one to judge on")
    return data.take(np.sort(order[:size])), data.take(np.sort(order[size:]))


class _Chooser:
    """Runs networks over the part of the data that chooses; equal networks only once."""

    def __init__(self, comparison: Comparison, budget: _Budget, progress: Callable[[str], None]):
        self._comparison, self.budget, self._progress = comparison, budget, progress
        self.max_drop = budget.max_drop or 0.0
        self._known: dict[tuple, float] = {}
        self.runs = 0  # networks that were run

    def drop(self, network: Network) -> float:
        """How much worse the measure of `network` is than the original's, in the unit of differences. Samples without a figure under one of both are
        left out. Raises DataError where all are."""
        self.runs += 1
        measure = self.budget.measure
        found = _scores(self._comparison, self._comparison.outcome(Simulator(network)), (measure,))[measure.name].drop
        if found is None:
            raise DataError(self._comparison.data.name, f"no sample that has a finite {measure.title}", "samples to choose steps on")
        self._progress(f"{' '.join(map(str, own_steps(network).values()))}: drop {measure.drift_text(found)}")
        return found

    def suspicions(self) -> list[str]:
        """Why accuracies may not mean what they seem to."""
        comparison = self._comparison
        labels, plausibility = comparison.original_outcome.labels, Plausibility()
        if self.budget.measure is not ACCURACY or comparison.task is None or labels is None:
            return []
        plausibility.add(labels, comparison.task.references(slice(None), {}))
        return plausibility.suspicions()

    def within_budget(self, network: Network) -> bool:
        """Whether the drop of `network`, one of the same weights and ranges as all others, is within the budget."""
        key = tuple(sorted(own_steps(network).items()))
        if key not in self._known:
            self._known[key] = self.drop(network)
        return self._known[key] <= self.max_drop + 1e-12

    def few(self) -> list[Mapping[str, np.ndarray]]:
        """What the input populations encode, by tensor, of the first samples."""
        found = []
        for rows, x in self._comparison.batches():
            if rows.start >= FEW:
                break
            found.append({name: values[: FEW - rows.start] for name, values in self._comparison.ends.entries(x).items()})
        return found

    def chosen(self, network: Network) -> dict[str, Network]:
        """The network as given and those with fewest steps, by the name of the variant. Raises UsageError where even the network's own steps
        exceed the budget."""
        uniform, fine = self.uniform(network), self.input_as_given(network)
        tuned = self.per_layer(min((each for each in (uniform, fine) if each), key=lambda each: _of_grid(each.latency_steps)))
        return {"as given": network, "uniform": uniform, **({"input as given": fine} if fine else {}), "per layer": tuned}

    def uniform(self, network: Network) -> Network:
        """With the smallest N that keeps the budget in every window."""
        given = max(own_steps(network).values())
        for steps in rungs_up_to(given):
            candidate = network.with_steps(steps)
            if self.within_budget(candidate):
                return candidate
        raise over_budget(list(self._known.values())[-1], given, self.max_drop, self.budget.measure)

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
        steps, moving = own_steps(network), groups(network)
        while moving:
            for group in list(moving):
                fewer = [rung for rung in LADDER if rung < steps[group[0]]]
                candidate = {**steps, **dict.fromkeys(group, fewer[-1])} if fewer else None
                if candidate and self.within_budget(network.with_layer_steps(candidate)):
                    steps = candidate
                else:
                    moving.remove(group)
        return network.with_layer_steps(steps)


def _measure(comparison: Comparison) -> Measure:
    """The one that budgets are about, of a comparison that was asked for one."""
    if comparison.task is None:
        raise ValueError("a comparison without a task")
    return comparison.task.measures[0]


def _scores(comparison: Comparison, found: Outcome, measures: Sequence[Measure]) -> dict[str, Score]:
    return scored(measures, comparison.original_outcome.statistics, found.statistics)


def _of_grid(figure: Figure | None) -> Figure:
    """A figure that networks have unless they are in continuous time, as none is that gets here."""
    if figure is None:
        raise ValueError("a network in continuous time")
    return figure


def _judged(name: str, network: Network, comparison: Comparison) -> Variant:
    layer_errors = LayerErrors(network)
    found = comparison.outcome(Simulator(network), seen=lambda recording: layer_errors.add(recording, {}))
    events = operation_counts.total([operation_counts.event_of_layer(network, layer, layer_errors.active_shares()) for layer in network.layers])
    return Variant(
        name,
        own_steps(network),
        _of_grid(network.latency_steps),
        _of_grid(events.p_proxy),
        _of_grid(operation_counts.synaptic(network).p_proxy),
        _scores(comparison, found, () if comparison.task is None else comparison.task.measures),
        found.agreement(comparison.original_outcome),
    )
