"""Tables of a report: the layer errors, the operations, and the summary."""

from __future__ import annotations

from rich.table import Table

from ..measurement.engine_agreement import AT_A_TIE
from ..measurement.layer_errors import SAYS_LITTLE
from ..report.schema import DriftPart, EnginePart, ModelPart, OperationsPart, OutputPart, QuantisedPart, Report, TaskPart
from ..studies.tallies import Evaluation
from ..tasks.scores import Score
from .fitting_table import Name
from .histogram import Histogram
from .listed import many, nodes_listed
from .sizes import weights_text
from .style import table, two_columns


def layers_table(report: Report) -> Table:
    """How far each layer is from ONNX Runtime, one row per population."""
    result = table(
        "Layer errors: each layer against ONNX Runtime",
        "layer",
        "mean error",
        "max error",
        "silent",
        "saturated",
        "range",
        "window",
        "neurons",
        "kind",
        "|weight sum - 1|",
        left=("layer", "kind"),
    )
    for layer in report.layers:
        ends = "-" if layer.range is None else "{:.3g} .. {:.3g}".format(*layer.range)
        result.add_row(
            Name(layer.name),
            _small(layer.mean_error),
            _small(layer.max_error),
            _share(layer.silent),
            _share(layer.saturated),
            ends,
            str(layer.window),
            f"{layer.neurons:,}",
            layer.kind,
            _small(layer.weight_sum_max_deviation),
        )
    return result


SENT = {
    "fan_in": "what slope fan_in sends: every neuron, every padded tap",
    "reference": "what slope reference sends: every neuron, every padded tap, one reference neuron per layer",
    "gated": "what slope gated sends: neurons with a > 0 alone",
    "fixed": "spikes that were sent, every padded tap; all neurons at all steps",
}


def energy_table(report: Report, slope: str) -> Table:
    """Operations in four counts, beside the original's. slope: of the network, which says what is sent."""
    result = table("Operations per inference", "count", "P_proxy", "SynOPs", "NeuronOPs", "what it counts", left=("count", "what it counts"))
    rows = (
        ("paper", report.energy.paper, "weight parameters, shared by all positions: flatters convolutions"),
        ("synaptic", report.energy.synaptic, "every existing connection once; all neurons at all steps"),
        ("event", report.energy.event, SENT["fixed" if report.engine.threshold == "fixed" else slope]),
        ("event_if_gated", report.energy.event_if_gated, "if silent neurons sent nothing"),
    )
    for name, part, meaning in rows:
        result.add_row(name, *_operations(part), meaning)
    result.add_row("ANN", "-", f"{report.energy.ann_macs:,}", "-", "multiply-accumulates of the original, padded taps included")
    if report.model.analog:
        result.add_row(
            "analog", "-", f"{report.energy.analog_macs:,}", "-", "of these, what ONNX Runtime computes between windows: in none of the counts above"
        )
    return result


def spike_times_table(report: Report) -> Table:
    """When each layer spikes: shares of its neurons, and a histogram over all windows, each drawn to its own largest bin."""
    bars = "histogram, window by window"
    result = table("Spike times", "layer", bars, "premature", "late", "missing", "at its end", "window", left=("layer", bars))
    result.columns[1].no_wrap = True
    for layer in report.layers:
        times = layer.spike_times
        if times is not None:
            shares = (_share(count / times.neurons) for count in (times.premature, times.late, times.missing, times.at_end))
            histogram = Histogram(times.histogram, times.bins_per_window, report.model.windows)
            result.add_row(Name(layer.name), histogram, *shares, str(layer.window))
    return result


def _operations(part: OperationsPart) -> tuple[str, str, str]:
    p_proxy, synops, neuronops = ("-" if value is None else f"{value:,.0f}" for value in (part.p_proxy, part.synops, part.neuronops))
    return p_proxy, synops, neuronops


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _small(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


SILENT = {"gated": "a silent neuron sends nothing", **dict.fromkeys(("fan_in", "reference"), "a silent neuron spikes at its window's end")}


def summary(evaluation: Evaluation) -> Table:
    """Accuracy, drift and cost as two columns."""
    report = evaluation.report
    result = two_columns("Summary")
    samples = f"{report.data.name}, {report.data.samples:,} sample{'' if report.data.samples == 1 else 's'}"
    if report.partial:
        samples += f" of {report.data.wanted:,}: the run was interrupted"
    result.add_row("data", samples)
    if report.task is not None and report.task.name != "classification":
        result.add_row("task", ", ".join(part for part in (report.task.name, report.task.why) if part) + _held_against(report.task))
    for score in evaluation.scores.values():
        result.add_row(f"ANN {score.measure.title}", score.measure.text(score.ann))
        result.add_row(f"SNN {score.measure.title}", score.measure.text(score.snn))
        result.add_row("drift" if len(evaluation.scores) == 1 else f"drift of {score.measure.title}", drift_text(score))
    if report.ann.mean_squared_error is not None:
        result.add_row("mean squared error", f"ANN {report.ann.mean_squared_error:.4g}, SNN {report.snn.mean_squared_error:.4g}")
    judged = next(output for output in report.outputs if output.judged)
    if report.drift.agreement is not None:
        result.add_row("agreement", f"{100 * report.drift.agreement:.2f} % of predictions")
    result.add_row("predictions", f"{judged.rule} (output {judged.name!r})")
    if report.quantised_ann is not None:
        result.add_row("ANN of as many levels", _quantised(report.quantised_ann))
    result.add_row("max output error", _output_error(report.drift))
    if len(report.outputs) > 1 or judged.agreement is None or evaluation.has_tail:
        for output in report.outputs:
            result.add_row(f"output {output.name}", _output(output))
    model, engine = report.model, report.engine
    if engine.name != "exact":
        result.add_row("engine", f"{engine.name}, {engine.threshold} threshold")
    if engine.neurons:
        result.add_row("against the closed form" if engine.name != "exact" else f"verified by {engine.checked}", _engine_check(engine))
    if model.steps is None:
        result.add_row("time", f"continuous, {model.windows} windows")
    else:
        result.add_row(
            "time",
            f"{_steps(report)} steps per window, rounding {model.rounding}; latency {report.snn.latency_steps} steps ({model.windows} windows)",
        )
    result.add_row("spikes per neuron", f"{report.snn.spikes_per_neuron:.2f} ({_silence(evaluation)})")
    if model.weight_bits is not None and model.weight_bytes is not None:
        result.add_row("weights", weights_text(model.weight_bits, model.weight_bytes))
    result.add_row("spiking share of MACs", f"{100 * model.spiking_mac_share:.1f} %")
    if model.analog:
        result.add_row("analog in the middle", _analog(model))
    result.add_row("first layer out of tolerance", _tolerance(evaluation))
    timing = report.timing
    result.add_row(
        "seconds",
        f"ANN {timing.ann_seconds:.2f}, SNN {timing.snn_seconds:.2f} "
        f"({timing.snn_seconds / timing.ann_seconds:.1f} x), compilation {timing.compile_seconds:.2f}",
    )
    return result


def drift_text(score: Score) -> str:
    """The drift, and its interval if it has one."""
    measure = score.measure
    if score.interval is None:
        return measure.drift_text(score.drift) + (f" (too few samples for an interval: {score.samples})" if score.drift is not None else "")
    low, high = score.interval
    return f"{measure.drift_text(score.drift)}, 95 % interval [{low:+{measure.form}}, {high:+{measure.form}}]"


def _held_against(task: TaskPart) -> str:
    return "" if task.about is None else f"; against {task.about}"


def _analog(model: ModelPart) -> str:
    nodes = [(node.name, node.operator) for part in model.analog for node in part.nodes]
    share = 100 * sum(part.mac_share for part in model.analog)
    return f"{many(len(nodes), 'node')} run by ONNX Runtime, {share:.1f} % of the MACs: {nodes_listed(nodes)}"


def _silence(evaluation: Evaluation) -> str:
    if evaluation.report.engine.threshold == "fixed":
        return "fixed threshold: a neuron that never reaches it sends nothing"
    return f"slope {evaluation.slope}: {SILENT[evaluation.slope]}"


def _steps(report: Report) -> str:
    own = {layer.steps for layer in report.layers if layer.steps and layer.kind != "readout"}
    return f"{min(own)} to {max(own)}" if len(own) > 1 else f"{max(own, default=report.model.steps)}"


def _engine_check(engine: EnginePart) -> str:
    on = f" of {many(engine.checked_samples or 0, 'sample')}" if engine.name == "exact" else ""
    if engine.checked == "event":
        return f"{engine.neurons:,} spike times{on}, the worst {engine.farthest:.1e} windows off"
    differing, neurons = engine.differing or 0, engine.neurons or 1
    if engine.name == "exact":
        farthest = engine.farthest or 0.0
        most = "none by more than rounding" if farthest <= AT_A_TIE else f"by up to {farthest:.1e} windows"
        return f"{differing:,} of {neurons:,} neurons{on} in another step, {most}"
    share = f"{differing:,} of {neurons:,} neurons in another step ({100 * differing / neurons:.4f} %)"
    return share + (f", within {engine.farthest:.1e} windows of a tie" if differing else "")


def _quantised(part: QuantisedPart) -> str:
    accuracy = "" if part.accuracy is None else f"{100 * part.accuracy:.2f} %; "
    ties = f"; {part.mismatches} differ, {part.traced_to_ties} of them because of ties" if part.mismatches else ""
    return f"{accuracy}{100 * part.agreement:.2f} % of its predictions are the SNN's{ties}"


def _output_error(drift: DriftPart) -> str:
    if drift.max_output_error is None or drift.output_range is None:
        return "-"
    low, high = drift.output_range
    share = f", {drift.max_output_error / (high - low):.1e} of the outputs' range" if high > low else ""
    return f"{drift.max_output_error:.1e}{share}"


def _output(part: OutputPart) -> str:
    """What the final outputs came to; of one whose labels are judged, agreement stands above."""
    agreement = [] if part.judged or part.agreement is None else [f"{100 * part.agreement:.2f} % of predictions agree"]
    if part.max_error is None:
        return "; ".join(agreement or ["labels"])
    low, high = part.range or (0.0, 0.0)
    share = f", {part.max_error / (high - low):.1e} of its range" if high > low else ""
    psnr = "" if part.psnr is None else f", PSNR {part.psnr:.1f} dB"
    return "; ".join([f"max error {part.max_error:.1e}{share}, mean error {part.mean_error:.1e}{psnr}", *agreement])


def _tolerance(evaluation: Evaluation) -> str:
    if evaluation.report.compared_samples == 0:
        return "not known: no layer was compared"
    layer_errors, (which, limit) = evaluation.layer_errors, evaluation.layer_errors.tolerance()
    missing, cut_off = layer_errors.not_compared(), layer_errors.first_cut_off()
    beyond = f"; {cut_off} is cut off beyond its calibrated range" if cut_off else ""
    vague, judged = layer_errors.hardly_judged(), len(layer_errors.tolerances())
    little = f", which may be over {100 * SAYS_LITTLE:g} % and so says little in {len(vague)} of {judged} layers" if vague else ""
    rounding = f" and rounding{little}" if which == "max" else ""
    unknown = f"; not compared: {', '.join(missing)}" if missing else ""
    return f"{layer_errors.first_out_of_tolerance() or 'none'} ({which} error at most {limit:.2g}{rounding}){beyond}{unknown}"
