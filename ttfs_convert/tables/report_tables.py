"""Tables of a report: the layer errors, the operations, and the summary."""

from __future__ import annotations

from rich.table import Table

from ..measurement.layer_errors import SAYS_LITTLE
from ..report.schema import DriftPart, EnginePart, OperationsPart, OutputPart, QuantisedPart, Report
from ..studies.evaluation import Evaluation
from . import widths
from .style import table


def layers_table(report: Report) -> Table:
    """How far each layer is from ONNX Runtime, one row per population."""
    result = table(
        "Layer errors: each layer against ONNX Runtime",
        "layer",
        "kind",
        "window",
        "neurons",
        "range",
        "silent",
        "saturated",
        "mean error",
        "max error",
        "|weight sum - 1|",
        left=("layer", "kind"),
    )
    for layer in report.layers:
        ends = "-" if layer.range is None else "{:.3g} .. {:.3g}".format(*layer.range)
        result.add_row(
            layer.name,
            layer.kind,
            str(layer.window),
            f"{layer.neurons:,}",
            ends,
            _share(layer.silent),
            _share(layer.saturated),
            _small(layer.mean_error),
            _small(layer.max_error),
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
    result = table("Operations per inference", "count", "SynOPs", "NeuronOPs", "P_proxy", "what it counts", left=("count", "what it counts"))
    rows = (
        ("paper", report.energy.paper, "weight parameters, shared by all positions: flatters convolutions"),
        ("synaptic", report.energy.synaptic, "every existing connection once; all neurons at all steps"),
        ("event", report.energy.event, SENT["fixed" if report.engine.threshold == "fixed" else slope]),
        ("event_if_gated", report.energy.event_if_gated, "if silent neurons sent nothing"),
    )
    for name, part, meaning in rows:
        result.add_row(name, *_operations(part), meaning)
    result.add_row("ANN", f"{report.energy.ann_macs:,}", "-", "-", "multiply-accumulates of the original, padded taps included")
    return result


BARS = " ▁▂▃▄▅▆▇█"


def spike_times_table(report: Report) -> Table:
    """When each layer spikes: shares of its neurons, and a histogram over all windows, each drawn to its own largest bin."""
    result = table(
        "Spike times",
        "layer",
        "window",
        "premature",
        "late",
        "missing",
        "at its end",
        "histogram, window by window",
        left=("layer", "histogram, window by window"),
    )
    result.columns[-1].no_wrap = True
    for layer in report.layers:
        times = layer.spike_times
        if times is not None:
            shares = (_share(count / times.neurons) for count in (times.premature, times.late, times.missing, times.at_end))
            result.add_row(layer.name, str(layer.window), *shares, _bars(times.histogram, times.bins_per_window, report.model.windows))
    return result


def _bars(histogram: tuple[int, ...], per_window: int, windows: int) -> str:
    joined = next(size for size in (1, 2, 5, 10) if windows * per_window / size <= widths.HISTOGRAM or size == 10)  # deep networks: wider bins
    counts = [sum(histogram[i : i + joined]) for i in range(0, len(histogram), joined)]
    bars = "".join(BARS[-(-count * (len(BARS) - 1) // max(1, *counts))] for count in counts)
    width = per_window // joined
    return bars if width == 1 else "|".join(bars[i : i + width] for i in range(0, len(bars), width))


def _operations(part: OperationsPart) -> tuple[str, str, str]:
    synops, neuronops, p_proxy = ("-" if value is None else f"{value:,.0f}" for value in (part.synops, part.neuronops, part.p_proxy))
    return synops, neuronops, p_proxy


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _small(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


SILENT = {"gated": "a silent neuron sends nothing", **dict.fromkeys(("fan_in", "reference"), "a silent neuron spikes at its window's end")}


def summary(evaluation: Evaluation) -> Table:
    """Accuracy, drift and cost as two columns."""
    report = evaluation.report
    result = table("Summary", "", " ", left=("", " "))
    result.show_header = False
    samples = f"{report.data.name}, {report.data.samples:,} sample{'' if report.data.samples == 1 else 's'}"
    result.add_row("data", samples)
    ann, snn, interval = report.ann.accuracy, report.snn.accuracy, report.drift.ci95_pp
    if evaluation.outcomes is not None and ann is not None and snn is not None and interval is not None:
        low, high = interval
        result.add_row("ANN accuracy", f"{100 * ann:.2f} %")
        result.add_row("SNN accuracy", f"{100 * snn:.2f} %")
        result.add_row("drift", f"{report.drift.accuracy_pp:+.2f} pp, 95 % interval [{low:+.2f}, {high:+.2f}]")
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
        result.add_row("against the closed form", _engine_check(engine))
    if model.steps is None:
        result.add_row("time", f"continuous, {model.windows} windows")
    else:
        result.add_row(
            "time",
            f"{_steps(report)} steps per window, rounding {model.rounding}; latency {report.snn.latency_steps} steps ({model.windows} windows)",
        )
    result.add_row("spikes per neuron", f"{report.snn.spikes_per_neuron:.2f} ({_silence(evaluation)})")
    result.add_row("spiking share of MACs", f"{100 * model.spiking_mac_share:.1f} %")
    result.add_row("first layer out of tolerance", _tolerance(evaluation))
    timing = report.timing
    result.add_row(
        "seconds",
        f"ANN {timing.ann_seconds:.2f}, SNN {timing.snn_seconds:.2f} "
        f"({timing.snn_seconds / timing.ann_seconds:.1f} x), compilation {timing.compile_seconds:.2f}",
    )
    return result


def _silence(evaluation: Evaluation) -> str:
    if evaluation.report.engine.threshold == "fixed":
        return "fixed threshold: a neuron that never reaches it sends nothing"
    return f"slope {evaluation.slope}: {SILENT[evaluation.slope]}"


def _steps(report: Report) -> str:
    own = {layer.steps for layer in report.layers if layer.steps and layer.kind != "readout"}
    return f"{min(own)} to {max(own)}" if len(own) > 1 else f"{max(own, default=report.model.steps)}"


def _engine_check(engine: EnginePart) -> str:
    if engine.name == "event":
        return f"{engine.neurons:,} spike times, the worst {engine.farthest:.1e} windows off"
    differing, neurons = engine.differing or 0, engine.neurons or 1
    share = f"{differing:,} of {neurons:,} neurons one step apart or more ({100 * differing / neurons:.4f} %)"
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
    layer_errors, (which, limit) = evaluation.layer_errors, evaluation.layer_errors.tolerance()
    missing, cut_off = layer_errors.not_compared(), layer_errors.first_cut_off()
    beyond = f"; {cut_off} is cut off beyond its calibrated range" if cut_off else ""
    vague, judged = layer_errors.hardly_judged(), len(layer_errors.tolerances())
    little = f", which may be over {100 * SAYS_LITTLE:g} % and so says little in {len(vague)} of {judged} layers" if vague else ""
    rounding = f" and rounding{little}" if which == "max" else ""
    unknown = f"; not compared: {', '.join(missing)}" if missing else ""
    return f"{layer_errors.first_out_of_tolerance() or 'none'} ({which} error at most {limit:.2g}{rounding}){beyond}{unknown}"
