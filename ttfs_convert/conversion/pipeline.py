"""From a trained network in ONNX form to a spiking one: load, simplify, lower, and hold it against the paper's constraints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from ..compensation import check_compensation, compensated
from ..data import Dataset, fit_to_inputs
from ..data.given import GivenData, dataset_of
from ..errors import UsageError
from ..lowering.builder import Builder
from ..lowering.graph_walk import lower_graph
from ..lowering.ranges.calibration import Rule
from ..lowering.ranges.observation import measured_ranges, narrow_channels
from ..lowering.ranges.of_inputs import InputRange, InputRanges, input_ranges
from ..network.network import Network
from ..network.populations import Input, Readout
from ..network.provenance import Calibration, LayerFit
from ..onnx_model.given_model import GivenModel, ModelFile, declared_shapes, model_file
from ..onnx_model.input_sizes import Sizes, chosen_sizes
from ..onnx_model.macs import macs
from ..onnx_model.reference import Reference
from ..onnx_model.simplify import Simplified, simplified
from .cut import head_model, tail_model
from .declared_batch import check_body
from .freed_memory import give_back
from .matching import match_tensors
from .options import Options
from .refusals import CalibrationError, ConstraintError, broken_network

CALIBRATION_SAMPLES = 1000  # of a named data set or a file


def convert(
    model: GivenModel,
    *,
    mode: str = "strict",
    slope: str = "gated",
    steps: int | None = 50,
    rounding: str = "nearest",
    pooling: str = "synaptic",
    tolerance: float = 1e-4,
    input_range: InputRange = "auto",
    input_shape: Sizes | Sequence[int] | None = None,
    calibrate: GivenData | None = None,
    method: str | None = None,
    margin: float = 0.1,
    embed: bool = True,
    input_steps: int | None = None,
    compensate: bool = False,
    progress: Callable[[LayerFit], None] = lambda fit: None,
) -> Network:
    """The spiking network of an ONNX model.

    model: path of the file, or an onnx.ModelProto with its weights inside, whose network is called as its graph and whose SHA-256 is that of
        its serialised bytes.
    mode: `strict` demands ReLU1 and unity weight sums (LC-TTFS, section III) and raises ConstraintError otherwise; `exact` takes any ReLU
        network; `unchecked` clamps any ReLU at 1, keeps whatever weight sums there are, and lists them in `network.violations`.
    slope: of mode exact, `gated` or `reference` (see `network.populations.Spiking`).
    steps: N per window, 1 to 65535, or None for continuous time.
    rounding: `nearest` or `ceil` (see `kernels.threshold.time_step`).
    pooling: average pools as `synaptic` weights of the next layer or as `spiking` neurons.
    tolerance: on |weight sum - 1|.
    input_range: smallest and largest input value; None for inputs without bounds, which then enter as analog current; "data" for those that
        `calibrate` shows, feature by feature (of two axes) or channel by channel, and `margin`; "auto": 0 to 255 where the model rescales
        pixels itself, else 0 to 1; or one of these by input name.
    input_shape: sizes, with or without the batch, of an input that leaves some open, or several by name; else they are those of
        `calibrate`'s samples.
    calibrate: the data that shows mode exact how large unbounded activations get, in any form that `evaluate` takes; of a name or a path the
        first 1,000 training samples.
    method, margin: the rule for the ends of a range (see `lowering.ranges.calibration.Rule`); by default `maximum`, with compensate `mse`.
    embed: keep the ONNX file inside the network.
    input_steps: N of the input's window, by default that of all others.
    compensate: fit weights, biases and, in mode exact, ranges anew to the rounding of N steps, on the data of `calibrate` (see
        `compensation`).
    progress: told of every layer so fitted.

    Raises ModelError for a model that is broken or unsupported, UsageError for options out of range, CalibrationError for missing data,
    DataError for data that does not fit.
    """
    options = Options(mode, slope, steps, rounding, pooling, tolerance, input_range, input_steps, compensate)
    options.check()
    method = method or ("mse" if compensate else "maximum")
    rule = _rule(method, margin, steps)
    data = None if calibrate is None else _samples(calibrate, model)
    if compensate:
        if data is None:
            raise UsageError("compensate", "no data", "samples to fit to", "name some with --calibrate DATA: training images, not test images")
        check_compensation(data, steps)
    sizes = input_shape if isinstance(input_shape, Mapping) or input_shape is None else {"": input_shape}
    with model_file(model) as file:
        try:
            with simplified(file.path, lambda model, where: chosen_sizes(model, where, sizes, data), file.where) as simple:
                network = _converted(file, simple, options, data, rule, method, embed)
                return _fitted(network, simple, data, progress) if compensate else network
        except ValidationError as error:
            raise broken_network(file.where, error) from error


def _samples(given: GivenData, model: GivenModel) -> Dataset:
    """To calibrate on; of a name or a path the first training samples."""
    named = isinstance(given, (str, Path))
    return dataset_of(given, declared_shapes(model) if named else (), limit=CALIBRATION_SAMPLES if named else None, split="train")


def _converted(file: ModelFile, model: Simplified, options: Options, data: Dataset | None, rule: Rule, method: str, embed: bool) -> Network:
    where, ranges = file.where, input_ranges(model, options.input_range)
    builder, calibration = _lowered(where, model, options, data, rule, method, ranges)
    if options.mode == "strict" and builder.violations:
        raise ConstraintError(where, builder.violations)
    give_back()
    inputs, readouts = ([layer for layer in builder.layers if isinstance(layer, kind)] for kind in (Input, Readout))
    check_body(model, inputs, readouts, where)
    narrow = narrow_channels(inputs, model, data, ranges) if data is not None and options.steps is not None else ()
    head, tail = head_model(model, inputs), tail_model(model, readouts)
    network = Network(
        name=file.name,
        mode=options.mode,
        slope=options.network_slope,
        steps=options.steps,
        rounding=options.rounding,
        pooling=options.pooling,
        onnx_sha256=model.sha256,
        violations=tuple(builder.violations),
        calibration=calibration,
        ann_macs=macs(model.graph),
        layers=tuple(match_tensors(builder.layers, model, ranges.known)),
        onnx=np.frombuffer(model.file(), np.uint8) if embed else None,
        unbatched=model.unbatched,
        head=None if head is None else np.frombuffer(head, np.uint8),
        tail=None if tail is None else np.frombuffer(tail, np.uint8),
        precision=model.precision,
        input_ranges=dict(ranges.known),
        input_sizes=dict(model.sizes),
        notes=(*ranges.notes, *narrow),
    )
    return network if options.input_steps is None else network.with_input_steps(options.input_steps)


def _fitted(network: Network, model: Simplified, data: Dataset, progress: Callable[[LayerFit], None]) -> Network:
    inputs = Reference(model.graph, folder=model.folder, unbatched=model.unbatched).inputs
    bounds = {layer.onnx_name: layer.bounds for layer in network.inputs}
    return compensated(network, data, fit_to_inputs(data, inputs, bounds, {**bounds, **network.input_ranges}), progress)


def _lowered(
    where: str, model: Simplified, options: Options, data: Dataset | None, rule: Rule, method: str, ranges: InputRanges
) -> tuple[Builder, Calibration | None]:
    """The layers; twice if data has to show ranges, the first time to find out which."""
    builder = options.builder({})
    lower_graph(model, builder, where, ranges)
    layers, inputs = list(builder.ranges.unbounded.values()), list(builder.ranges.unseen.values())
    if not layers and not inputs:
        return builder, None
    if data is None:
        if not layers:
            raise UsageError("--input-range", "data", "data to take it from", "name some with --calibrate DATA")
        raise CalibrationError(where, layers)
    builder = None  # its weights are not needed any more
    give_back()
    found, notes = measured_ranges(layers, inputs, model, data, rule, ranges)
    calibration = Calibration(data=data.name, sha256=data.sha256, samples=len(data), method=method, margin=rule.margin, notes=notes)
    builder = options.builder(found)
    lower_graph(model, builder, where, ranges)
    return builder, calibration


def _rule(method: str, margin: float, steps: int | None) -> Rule:
    """method: `maximum`, `mse`, or a percentile such as "99.9"."""
    try:
        return Rule("percentile", float(method), margin, steps)
    except ValueError:
        if method not in ("maximum", "mse"):
            raise UsageError("method", f"{method!r}", "maximum, mse, or a percentile such as 99.9") from None
        return Rule(method, None, margin, steps)
