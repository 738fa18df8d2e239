"""From what was measured to the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..data import Dataset
from ..measurement import operation_counts
from ..measurement.accuracy_drift import wilson_interval
from ..measurement.cost_table import CostTable
from ..measurement.engine_agreement import EngineCheck
from ..measurement.first_decision import FirstDecisions
from ..measurement.layer_errors import LayerError, LayerErrors
from ..measurement.mean_interval import interval_of_sum
from ..measurement.original_time import OriginalTime
from ..measurement.output_errors import OutputErrors
from ..measurement.quantised_ann import QuantisedTally
from ..measurement.spike_timing import BINS, SpikeTiming
from ..measurement.weight_memory import weight_bytes
from ..network.network import Network
from ..network.populations import Analog, Coded, Layer, Readout, Spiking, label, neurons, weight_sum_deviation
from ..tasks.classification import ACCURACY
from ..tasks.scores import Score, drift_fields, figures
from ..tasks.task_choice import Choice
from .hardware import hardware_fields, joules_of_layers, latency_part
from .sample_bits import packed
from .schema import (
    AnalogNodePart,
    AnalogPart,
    AnnPart,
    DataPart,
    DriftPart,
    EnergyPart,
    EnginePart,
    LayerPart,
    MeasurePart,
    ModelPart,
    OperationsPart,
    OutputPart,
    QuantisedPart,
    Report,
    SamplesPart,
    SkippedPart,
    SnnPart,
    SpikeTimesPart,
    TaskPart,
    TimingPart,
)


@dataclass
class Measured:
    """One run: what ran and, as it went along, how long. checked: against the closed form, where another engine ran; timing, rounded: where
    asked; decisions: where there is a winner. costs: tables that price it."""

    network: Network
    engine: str
    threshold: str
    checked: EngineCheck | None
    timing: SpikeTiming | None
    rounded: QuantisedTally | None
    decisions: FirstDecisions | None = None
    costs: tuple[CostTable, ...] = ()
    original_time: OriginalTime = field(default_factory=OriginalTime)
    snn_seconds: float = 0.0
    compile_seconds: float = 0.0


@dataclass(frozen=True)
class Judged:
    """What final outputs came to. output: the one that is judged, of errors by name. choice: of the task. scores: by measure of the task."""

    output: str
    errors: Mapping[str, OutputErrors]
    choice: Choice
    scores: Mapping[str, Score]


def report_of(
    run: Measured,
    data: Dataset,
    done: int,
    compared: int,
    treatments: Mapping[str, str],
    judged: Judged,
    layer_errors: LayerErrors,
    notes: Sequence[str],
) -> Report:
    """done: samples of the data that were run. compared: of these, with layers. treatments: what became of them, by input of the model."""
    squares = judged.errors[judged.output].mean_squared_errors or (None, None)
    network, synaptic, active = run.network, operation_counts.synaptic(run.network), layer_errors.active_shares()
    sent = layer_errors.sent_shares() if run.threshold == "fixed" else None
    tolerances = layer_errors.tolerances()  # of all layers at once: each follows from those before it
    events = {layer.name: operation_counts.event_of_layer(network, layer, active, sent) for layer in network.layers}
    gated = operation_counts.total([operation_counts.gated_of_layer(network, layer, active) for layer in network.layers])
    worst = layer_errors.worst_readout()
    event = operation_counts.total(list(events.values()))
    spread, latency = operation_counts.event_spread(network, active, sent), latency_part(network, run.decisions)
    counts = {"synaptic": synaptic, "event": event, "event_if_gated": gated}
    joules = joules_of_layers(network, events, active if network.slope == "gated" else sent, run.costs)
    return Report(
        model=ModelPart(
            name=network.name,
            onnx_sha256=network.onnx_sha256,
            layers=sum(neurons(layer) > 0 for layer in network.layers),
            neurons=sum(map(neurons, network.layers)),
            synapses=int(synaptic.synops),
            windows=network.windows,
            steps=network.steps,
            rounding=network.rounding,
            mode=network.mode,
            slope=network.slope,
            weight_bits=network.weight_grid and network.weight_grid.bits,
            weight_bytes=weight_bytes(network),
            spiking_mac_share=operation_counts.spiking_mac_share(network),
            analog=tuple(_analog(part, network.ann_macs) for part in network.analog),
        ),
        engine=_engine(run),
        data=DataPart(
            name=data.name,
            sha256=data.sha256,
            samples=done,
            wanted=None if done == len(data) else len(data),
            skipped=tuple(SkippedPart(file=each.file, why=each.why) for each in data.skipped),
            treatments=dict(treatments),
        ),
        partial=done < len(data),
        compared_samples=compared,
        ann=AnnPart.model_validate({"accuracy": None, "mean_squared_error": squares[0], **figures(judged.scores, "ann")}),
        snn=SnnPart.model_validate(
            {
                "accuracy": None,
                "mean_squared_error": squares[1],
                **figures(judged.scores, "snn"),
                "latency_steps": network.latency_steps,
                "spikes_per_neuron": operation_counts.spikes_per_neuron(network, active, sent),
            }
        ),
        drift=DriftPart.model_validate(
            {
                "accuracy_pp": None,
                "ci95_pp": None,
                **{key: value for score in judged.scores.values() for key, value in drift_fields(score).items()},
                "agreement": judged.errors[judged.output].agreement,
                "agreement_ci95": _agreement_interval(judged.errors[judged.output]),
                "max_output_error": worst and worst.max_error,
                "output_range": worst and (worst.smallest, worst.largest),
            }
        ),
        task=_task(judged),
        outputs=tuple(_output(name, errors, name == judged.output) for name, errors in judged.errors.items()),
        quantised_ann=_quantised(run),
        energy=EnergyPart.model_validate(
            {
                "paper": _operations(operation_counts.paper(network)),
                **{name: _operations(each) for name, each in counts.items()},
                "event_p_proxy_ci95": None if event.p_proxy is None else interval_of_sum(event.p_proxy, spread, done),
                "ann_macs": network.ann_macs,
                "analog_macs": sum(part.macs for part in network.analog),
                **hardware_fields(network, counts, active, sent, run.costs, latency),
            }
        ),
        latency=latency,
        layers=tuple(
            _layer(network, layer, layer_errors.layers[layer.name], tolerances.get(layer.name), events[layer.name], joules[layer.name], run.timing)
            for layer in network.layers
        ),
        timing=TimingPart(
            ann_seconds=run.original_time.of(done),
            ann_timed_samples=run.original_time.timed,
            snn_seconds=run.snn_seconds,
            compile_seconds=run.compile_seconds,
        ),
        notes=tuple(notes),
        samples=_samples(judged.scores),
    )


def _agreement_interval(errors: OutputErrors) -> tuple[float, float] | None:
    if errors.agreement is None:
        return None
    low, high = wilson_interval(errors.agreeing, errors.samples)
    return min(low, errors.agreement), max(high, errors.agreement)  # at 0 and 1 an end is that, but for rounding


def _samples(scores: Mapping[str, Score]) -> SamplesPart | None:
    score = scores.get(ACCURACY.name)
    return None if score is None else SamplesPart(ann_right=packed(score.ann_values > 0), snn_right=packed(score.snn_values > 0))


def _task(judged: Judged) -> TaskPart | None:
    choice = judged.choice
    if choice.name is None:
        return None
    measures = tuple(
        MeasurePart(
            name=name,
            unit="fraction" if score.measure.share else score.measure.unit,
            drift_unit=score.measure.drift_unit,
            higher_is_better=score.measure.higher_is_better,
            samples=score.samples,
            left_out=len(score.left_out),
            lost=score.lost,
            title=score.measure.title,
        )
        for name, score in judged.scores.items()
    )
    return TaskPart(name=choice.name, why=choice.why, about=None if choice.task is None else choice.task.about, measures=measures)


def _output(name: str, errors: OutputErrors, judged: bool) -> OutputPart:
    return OutputPart(
        name=name,
        shape=errors.shape,
        judged=judged,
        rule=str(errors.rule),
        agreement=errors.agreement,
        max_error=errors.largest_error,
        mean_error=errors.mean_error,
        range=errors.range,
        psnr=errors.psnr,
    )


def _analog(part: Analog, ann_macs: int) -> AnalogPart:
    nodes = tuple(AnalogNodePart(name=node.name, operator=node.operator) for node in part.nodes)
    return AnalogPart(name=part.name, nodes=nodes, macs=part.macs, mac_share=part.macs / ann_macs if ann_macs else 0.0)


def _engine(run: Measured) -> EnginePart:
    check = run.checked
    return EnginePart(
        name=run.engine,
        threshold=run.threshold,
        checked=check and check.by,
        checked_samples=check and check.samples,
        neurons=check and check.neurons,
        differing=check and check.differing,
        farthest=check and check.farthest,
    )


def _quantised(run: Measured) -> QuantisedPart | None:
    if run.rounded is None:
        return None
    outcome = run.rounded.outcome()
    return QuantisedPart(
        accuracy=outcome.accuracy,
        agreement=outcome.agreement,
        mismatches=outcome.mismatches,
        traced_to_ties=outcome.traced_to_ties,
        spikes_differing=outcome.spikes_differing,
    )


def _operations(operations: operation_counts.Operations) -> OperationsPart:
    return OperationsPart(synops=operations.synops, neuronops=operations.neuronops, p_proxy=operations.p_proxy)


def _layer(
    network: Network,
    layer: Layer,
    errors: LayerError,
    tolerance: float | None,
    event: operation_counts.Operations,
    joules: dict[str, float | None],
    timing: SpikeTiming | None,
) -> LayerPart:
    return LayerPart(
        name=layer.name,
        kind="readout" if isinstance(layer, Readout) else label(layer),
        slope=layer.slope if isinstance(layer, Spiking) else None,
        tensor=layer.tensor,
        range=(float(layer.lo.min()), float(layer.hi.max())) if isinstance(layer, Coded) else None,
        window=layer.window,
        steps=network.steps_per_layer()[layer.name],
        neurons=neurons(layer),
        synapses=operation_counts.layer_connections(network.layers, layer)[0],
        weight_sum_max_deviation=weight_sum_deviation(layer),
        max_error=errors.largest_error,
        mean_error=errors.mean_error,
        mean_error_ci95=errors.mean_error_interval,
        tolerance=tolerance,
        saturated=errors.saturated_share,
        silent=None if isinstance(layer, (Analog, Readout)) else errors.silent_share,
        synops=event.synops,
        neuronops=event.neuronops,
        joules=joules,
        spike_times=_spike_times(timing, layer),
    )


def _spike_times(timing: SpikeTiming | None, layer: Layer) -> SpikeTimesPart | None:
    if timing is None or layer.name not in timing.layers:
        return None
    spikes = timing.layers[layer.name]
    return SpikeTimesPart(
        neurons=spikes.neurons,
        premature=spikes.premature,
        late=spikes.late,
        missing=spikes.missing,
        at_end=spikes.at_end,
        bins_per_window=BINS,
        histogram=tuple(map(int, spikes.histogram)),
    )
