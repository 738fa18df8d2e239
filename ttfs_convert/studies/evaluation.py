"""Run a network and its original side by side over a data set and measure the difference."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..compensation.fitting_notes import fitting_notes
from ..data import Dataset
from ..errors import UsageError
from ..figures.figure_folder import check_plots
from ..measurement.distributions import Distributions
from ..measurement.drift import PairedOutcomes
from ..measurement.engine_check import AT_A_TIE, EngineCheck
from ..measurement.layer_errors import LayerErrors
from ..measurement.output_errors import OutputErrors
from ..measurement.plausibility import Plausibility
from ..measurement.quantised_ann import QuantisedTally
from ..measurement.spike_timing import SpikeTiming
from ..network.network import Network
from ..report.build import Judged, Measured, report_of
from ..report.schema import Report
from ..simulation.engines import simulator
from ..simulation.spike_file import SpikeWriter
from ..simulation.threads import numba_threads
from .comparison import Comparison


@dataclass(frozen=True)
class Evaluation:
    """A report and what its JSON does not hold. outcomes: None without labels. notes: what a reader of the figures must know."""

    report: Report
    layer_errors: LayerErrors
    outcomes: PairedOutcomes | None
    slope: str  # case of the network's layers
    has_tail: bool  # whether ONNX Runtime computes the outputs from the potentials
    notes: tuple[str, ...]


def evaluate(
    network: Network,
    data: Dataset | str,
    *,
    onnx_file: str | Path | None = None,
    batch: int = 64,
    threads: int | None = None,
    engine: str = "exact",
    threshold: str = "dynamic",
    histogram: bool = False,
    quantised: bool = False,
    spikes: str | Path | None = None,
    plot: str | Path | None = None,
    output: str | None = None,
    decision_threshold: float | None = None,
    labels_needed: bool = False,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Evaluation:
    """Compare `network` on `data` with its original under ONNX Runtime.

    data: a data set, or what `datasets.load_dataset` takes. onnx_file: the original model where none is embedded; its SHA-256 must be
    that of the file that was converted. batch: images at a time; no figure but the times depends on it. threads: for both engines, by
    default all cores. engine: `exact`, `clock`, or `event`, which runs the network in continuous time; the last two are also held against
    the closed form, layer by layer. threshold: `dynamic` or, with the last two, `fixed`. histogram: count spikes over time; a fixed
    threshold always does. quantised: also run the original rounded to the network's levels, see `quantised`. spikes: file for
    all spike times, see `spike_file`. plot: folder for figures, see `plots.run`. progress: called with images done and images in all.
    output, decision_threshold, labels_needed: see `comparison.Comparison`.
    Raises ModelError for a model that does not fit, DataError for data that does not, UsageError for options.
    """
    if quantised and threshold == "fixed":
        raise UsageError("quantised", "a fixed threshold", "the dynamic one: with a fixed one spikes are no levels")
    if plot is not None:
        check_plots(plot)
    network = network.with_steps(None) if engine == "event" else network
    with numba_threads(threads):
        comparison = Comparison(
            network, data, onnx_file, batch, threads or 0, output=output, decision_threshold=decision_threshold, labels_needed=labels_needed
        )
        simulate = simulator(network, engine, threshold)
        checked = EngineCheck(network) if engine != "exact" and threshold == "dynamic" else None
        rounded = QuantisedTally(network, comparison) if quantised else None
        timing = SpikeTiming(network) if histogram or threshold == "fixed" else None
        distributions = Distributions(network) if plot is not None else None
        about = {"engine": engine, "threshold": threshold, "data": comparison.data.name, "data_sha256": comparison.data.sha256}
        with contextlib.ExitStack() as stack:
            writer = None if spikes is None else stack.enter_context(SpikeWriter(spikes, network, len(comparison.data), about))
            measured = Measured(network, engine, threshold, checked, timing, rounded, distributions)
            evaluation = _compare(network, comparison, simulate, measured, writer, progress)
    if distributions is not None:
        from ..figures.run_figures import write_run

        write_run(distributions, evaluation, plot)
    return evaluation


def _compare(
    network: Network, comparison: Comparison, simulate: Callable, measured: Measured, writer: SpikeWriter | None, progress: Callable[[int, int], None]
) -> Evaluation:
    tapped = comparison.reference(comparison.model, [layer.tensor for layer in network.layers if layer.tensor])
    layer_errors, outcomes, truth = LayerErrors(network), PairedOutcomes(0, 0, 0, 0), comparison.truth
    errors = {name: OutputErrors(rule) for name, rule in comparison.rules.items()}
    plausibility = Plausibility()
    start = time.perf_counter()
    simulate(comparison.ends.entries(comparison.inputs(slice(0, 1))))
    measured.compile_seconds = time.perf_counter() - start
    for rows in comparison.batches():
        x = comparison.inputs(rows)
        start = time.perf_counter()
        original = comparison.original(x)
        between = time.perf_counter()
        entries = comparison.ends.entries(x)
        recording = simulate(entries)
        outputs = comparison.ends.outputs(recording, x)
        measured.ann_seconds += between - start
        measured.snn_seconds += time.perf_counter() - between
        reference = {**entries, **tapped(x)}
        layer_errors.add(recording, reference)
        if measured.checked is not None:
            measured.checked.add(recording, entries)
        if measured.distributions is not None:
            measured.distributions.add(recording, entries, reference)
        for consumer in (measured.timing, writer):
            if consumer is not None:
                consumer.add(recording)
        for name, each in errors.items():
            targets = truth.targets[rows] if truth.targets is not None and name == comparison.output else None
            each.add(outputs[name], original[name], targets)
        labels = None if truth.labels is None else truth.labels[rows]
        if measured.rounded is not None:
            measured.rounded.add(x, recording, outputs[comparison.output], labels)
        if labels is not None:
            ann = comparison.labels(original)
            outcomes += PairedOutcomes.of(ann, comparison.labels(outputs), labels)
            plausibility.add(ann, labels)
        recording.done()
        progress(rows.stop, len(comparison.data))
    outcomes = None if truth.labels is None else outcomes
    notes = (*comparison.data.notes, *comparison.notes, *plausibility.suspicions(), *_warnings(network, comparison.data, layer_errors, measured))
    report = report_of(measured, comparison.data, comparison.treatments, Judged(comparison.output, errors, outcomes), layer_errors, notes)
    return Evaluation(report, layer_errors, outcomes, network.slope, network.tail is not None, notes)


def _warnings(network: Network, data: Dataset, layer_errors: LayerErrors, measured: Measured) -> list[str]:
    """What a layer's range cost: values that calibration did not see. And an engine that is off."""
    found = [f"the original's weights are {network.precision}; it was computed in float32 too"] if network.precision != "float32" else []
    found += fitting_notes(network, data)
    remedy = "; calibrate on more data, or with a larger --margin" if network.calibration else ""
    if measured.threshold == "dynamic":
        found += [
            f"layer {name}: {100 * layer_errors.layers[name].saturated_share:.2f} % of its values lie outside its range and are cut off{remedy}"
            for name in layer_errors.saturated()
        ]
    if measured.rounded is not None:
        found += measured.rounded.outcome().notes
    if measured.checked is not None and measured.checked.farthest > AT_A_TIE:
        found.append(f"engine {measured.engine} and the closed form differ by {measured.checked.farthest:.1e} windows: no rounding error")
    return found
