"""Run a network and its original side by side over a data set and measure the difference."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import onnx

from .datasets import Dataset, fit_to_inputs, load_dataset
from .ends import Ends
from .errors import ModelError, UsageError
from .ir import Coded, Layer, Network, Readout, Spiking, label, neurons, weight_sum_deviation
from .measure import counts
from .measure.certificate import Certificate
from .measure.drift import PairedOutcomes, newcombe_interval
from .onnx_file import check_onnx, load_onnx, sha256_of
from .precision import to_float32
from .prediction import binary_threshold, check_labels, predicted_labels
from .reference import Reference
from .report import AnnPart, DataPart, DriftPart, EnergyPart, LayerPart, ModelPart, OperationsPart, Report, SnnPart, TimingPart
from .simulate.exact import Simulator


@dataclass(frozen=True)
class Evaluation:
    """A report and what its JSON does not hold. outcomes: None without labels. notes: what a reader of the figures must know."""

    report: Report
    certificate: Certificate
    outcomes: PairedOutcomes | None
    slope: str  # case of the network's layers
    notes: tuple[str, ...]


@dataclass
class _Tally:
    """Predictions and times, added batch by batch."""

    samples: int = 0
    agreeing: int = 0
    both: int = 0
    ann_only: int = 0
    snn_only: int = 0
    ann_seconds: float = 0.0
    snn_seconds: float = 0.0

    def add(self, ann: np.ndarray, snn: np.ndarray, labels: np.ndarray | None) -> None:
        self.samples += len(ann)
        self.agreeing += int((ann == snn).sum())
        if labels is not None:
            ann_right, snn_right = ann == labels, snn == labels
            self.both += int((ann_right & snn_right).sum())
            self.ann_only += int((ann_right & ~snn_right).sum())
            self.snn_only += int((~ann_right & snn_right).sum())

    def outcomes(self) -> PairedOutcomes:
        return PairedOutcomes(self.both, self.ann_only, self.snn_only, self.samples - self.both - self.ann_only - self.snn_only)


def evaluate(network: Network, data: Dataset | str, *, onnx_file: str | Path | None = None, batch: int = 64, threads: int | None = None,
             progress: Callable[[int, int], None] = lambda done, of: None) -> Evaluation:
    """Compare `network` on `data` with its original under ONNX Runtime.

    data: a data set, or what `datasets.load_dataset` takes. onnx_file: the original model where none is embedded; its SHA-256 must be
    that of the file that was converted. batch: images at a time; no figure but the times depends on it. threads: for both engines, by
    default all cores. progress: called with images done and images in all. Raises ModelError for a model that does not fit, DataError
    for data that does not, UsageError for options.
    """
    if batch < 1:
        raise UsageError("batch", f"{batch}", "at least 1")
    data = load_dataset(data) if isinstance(data, str) else data
    model = _original(network, onnx_file)
    if network.precision != "float32":
        with tempfile.TemporaryDirectory() as folder:
            to_float32(model, Path(folder))
    with _numba_threads(threads):
        return _compare(network, data, model, batch, threads or 0, progress)


def _compare(network: Network, data: Dataset, model: onnx.ModelProto, batch: int, threads: int,
             progress: Callable[[int, int], None]) -> Evaluation:
    plain, tapped = Reference(model, threads=threads), Reference(model, [layer.tensor for layer in network.layers if layer.tensor], threads)
    output, threshold = model.graph.output[0].name, binary_threshold(None if network.tail is None else onnx.ModelProto.FromString(network.tail.tobytes()))
    bounds = {layer.onnx_name: layer.bounds for layer in network.inputs}
    fitted, ends, simulate = fit_to_inputs(data, plain.inputs, bounds), Ends(network, threads), Simulator(network)
    start = time.perf_counter()
    simulate(ends.entries(fitted(slice(0, 1))))
    compile_seconds = time.perf_counter() - start
    certificate, tally = Certificate(network), _Tally()
    for first in range(0, len(data), batch):
        rows = slice(first, min(first + batch, len(data)))
        x = fitted(rows)
        start = time.perf_counter()
        ann = plain(x)[output]
        between = time.perf_counter()
        entries = ends.entries(x)
        recording = simulate(entries)
        snn = ends.outputs(recording, x)[output]
        tally.ann_seconds += between - start
        tally.snn_seconds += time.perf_counter() - between
        certificate.add(recording, {**entries, **tapped(x)})
        if data.y is not None:
            check_labels(data.y[rows], ann, data.name)
        tally.add(predicted_labels(ann, output, threshold), predicted_labels(snn, output, threshold),
                  None if data.y is None else data.y[rows])
        progress(rows.stop, len(data))
    outcomes = None if data.y is None else tally.outcomes()
    report = _report(network, data, tally, outcomes, certificate, compile_seconds)
    return Evaluation(report, certificate, outcomes, network.slope, (*data.notes, *fitted.notes, *_warnings(network, certificate)))


def _warnings(network: Network, certificate: Certificate) -> list[str]:
    """What a layer's range cost: values that calibration did not see."""
    computed = [f"the original's weights are {network.precision}; it was computed in float32 too"] if network.precision != "float32" else []
    remedy = "; calibrate on more data, or with a larger --margin" if network.calibration else ""
    return computed + [f"layer {name}: {100 * certificate.layers[name].saturated_share:.2f} % of its values lie outside its range and are "
                       f"cut off{remedy}" for name in certificate.saturated()]


@contextlib.contextmanager
def _numba_threads(threads: int | None) -> Iterator[None]:
    limit, before = numba.config.NUMBA_NUM_THREADS, numba.get_num_threads()
    if threads is not None and not 1 <= threads <= limit:
        raise UsageError("threads", f"{threads}", f"1 to {limit}, the number of cores")
    numba.set_num_threads(threads or limit)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _original(network: Network, onnx_file: str | Path | None) -> onnx.ModelProto:
    if onnx_file is not None:
        found = sha256_of(onnx_file)
        if found != network.onnx_sha256:
            raise ModelError(str(onnx_file), f"SHA-256 {found[:16]}...", f"{network.onnx_sha256[:16]}..., the model that was converted",
                             "name that file, or convert this one")
        return load_onnx(onnx_file)
    if network.onnx is None:
        raise UsageError("network", "the original model is not inside", remedy="name it with --onnx FILE")
    model = onnx.ModelProto.FromString(network.onnx.tobytes())
    check_onnx(model, "embedded model")
    return model


def _report(network: Network, data: Dataset, tally: _Tally, outcomes: PairedOutcomes | None, certificate: Certificate,
            compile_seconds: float) -> Report:
    active = certificate.active_shares()
    events = {layer.name: counts.event_of_layer(network, layer, active) for layer in network.layers}
    gated = counts.total([counts.gated_of_layer(network, layer, active) for layer in network.layers])
    layers = tuple(_layer(network, layer, certificate, events[layer.name]) for layer in network.layers)
    synaptic = counts.synaptic(network)
    ann_macs = network.ann_macs
    drift = None if outcomes is None else 100 * outcomes.drift
    worst = certificate.worst_readout()
    interval = None if outcomes is None else tuple(100 * bound for bound in newcombe_interval(outcomes))
    return Report(
        model=ModelPart(name=network.name, onnx_sha256=network.onnx_sha256, layers=sum(neurons(layer) > 0 for layer in network.layers),
                        neurons=sum(map(neurons, network.layers)), synapses=int(synaptic.synops), windows=network.windows,
                        steps=network.steps, rounding=network.rounding,
                        spiking_mac_share=counts.spiking_mac_share(network)),
        data=DataPart(name=data.name, sha256=data.sha256, samples=tally.samples),
        ann=AnnPart(accuracy=None if outcomes is None else outcomes.ann_accuracy),
        snn=SnnPart(accuracy=None if outcomes is None else outcomes.snn_accuracy, latency_steps=network.latency_steps,
                    spikes_per_neuron=counts.spikes_per_neuron(network, active)),
        drift=DriftPart(accuracy_pp=drift, ci95_pp=interval, agreement=tally.agreeing / tally.samples,
                        max_output_error=worst and worst.max_error,
                        output_range=worst and (worst.smallest, worst.largest)),
        energy=EnergyPart(paper=_operations(counts.paper(network)), synaptic=_operations(synaptic),
                          event=_operations(counts.total(list(events.values()))), event_if_gated=_operations(gated), ann_macs=ann_macs),
        layers=layers, timing=TimingPart(ann_seconds=tally.ann_seconds, snn_seconds=tally.snn_seconds, compile_seconds=compile_seconds))


def _operations(operations: counts.Operations) -> OperationsPart:
    return OperationsPart(synops=operations.synops, neuronops=operations.neuronops, p_proxy=operations.p_proxy)


def _layer(network: Network, layer: Layer, certificate: Certificate, event: counts.Operations) -> LayerPart:
    errors = certificate.layers[layer.name]
    return LayerPart(name=layer.name, kind="readout" if isinstance(layer, Readout) else label(layer),
                     slope=layer.slope if isinstance(layer, Spiking) else None,
                     tensor=layer.tensor, range=(float(layer.lo.min()), float(layer.hi.max())) if isinstance(layer, Coded) else None, window=layer.window, neurons=neurons(layer),
                     synapses=counts.layer_connections(network.layers, layer)[0],
                     weight_sum_max_deviation=weight_sum_deviation(layer),
                     max_error=errors.largest_error, mean_error=errors.mean_error,
                     saturated=errors.saturated_share,
                     silent=None if isinstance(layer, Readout) else errors.silent_share, synops=event.synops, neuronops=event.neuronops)
