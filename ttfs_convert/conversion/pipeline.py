"""From a trained network in ONNX form to a spiking one: load, simplify, lower, and hold it against the paper's constraints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from ..compensation import check_compensation, compensated
from ..compensation.weight_rounding import with_nearest_weights
from ..data import Dataset, fit_to_inputs
from ..data.given import GivenData, dataset_of
from ..errors import UsageError
from ..freed_memory import give_back
from ..lowering.builder import Builder
from ..lowering.graph_walk import lowered
from ..lowering.ranges.observed_on_data import measured_extremes, measured_ranges, narrow_channels
from ..lowering.ranges.of_inputs import InputRanges, input_ranges
from ..lowering.ranges.of_layers import Range
from ..network.network import Network
from ..network.populations import Input, Readout
from ..network.provenance import Calibration, LayerFit
from ..onnx_model.derived import with_derived
from ..onnx_model.given_model import GivenModel, ModelFile, declared_shapes, model_file
from ..onnx_model.input_sizes import chosen_sizes
from ..onnx_model.macs import macs
from ..onnx_model.reference import Reference
from ..onnx_model.simplify import Simplified, simplified
from .cut import head_model, tail_model, with_analog_models
from .declared_batch import check_body
from .matching import match_tensors
from .options import ConversionOptions, Keywords
from .refusals import CalibrationError, ConstraintError, broken_network

if TYPE_CHECKING:
    from typing_extensions import Unpack

CALIBRATION_SAMPLES = 1000  # of a named data set or a file


def convert(
    model: GivenModel, *, calibrate: GivenData | None = None, progress: Callable[[LayerFit], None] = lambda fit: None, **options: Unpack[Keywords]
) -> Network:
    """The spiking network of an ONNX model.

    model: path of the file, or an onnx.ModelProto with its weights inside, whose network is called as its graph and whose SHA-256 is that of
        its serialised bytes.
    calibrate: the data that shows mode exact how large unbounded activations get, and that `compensate` fits to, in any form that `evaluate`
        takes; of a name or a path the first 1,000 training samples.
    progress: told of every layer that `compensate` has fitted.
    options: mode, slope, steps, rounding, pooling, tolerance, input_range, input_shape, method, margin, embed, input_steps, compensate,
        allow_analog and weight_bits, with the meanings and defaults of `ConversionOptions`.

    Raises ConstraintError where mode strict finds a constraint of the paper broken, other ModelErrors for a model that is broken or
    unsupported, UsageError for options out of range, CalibrationError for missing data, DataError for data that does not fit.
    """
    chosen = ConversionOptions(**options)
    data = None if calibrate is None else samples_of(calibrate, declared_shapes(model) if isinstance(calibrate, (str, Path)) else ())
    if chosen.compensate:
        data = data_to_fit_to(data, chosen.steps)
    with model_file(model) as file:
        try:
            with simplified(file.path, lambda original, where: chosen_sizes(original, where, chosen.input_shape, data), file.where) as simple:
                network = converted(file, simple, chosen, data)
                if data is not None and chosen.compensate:
                    return fitted(network, simple, data, chosen, progress)
                return network if chosen.weight_bits is None else with_nearest_weights(network, chosen.weight_bits)
        except ValidationError as error:
            raise broken_network(file.where, error) from error


def samples_of(given: GivenData, input_shapes: Sequence[tuple[int, ...]]) -> Dataset:
    """To calibrate on; of a name or a path the first training samples. input_shapes: see `dataset_of`."""
    return dataset_of(given, input_shapes, limit=CALIBRATION_SAMPLES if isinstance(given, (str, Path)) else None, split="train")


def data_to_fit_to(data: Dataset | None, steps: int | None) -> Dataset:
    """`data`, if it may be fitted to. Raises UsageError where there is none, else as `check_compensation`."""
    if data is None:
        raise UsageError("compensate", "no data", "samples to fit to", "name some with --calibrate DATA: training images, not test images")
    check_compensation(data, steps)
    return data


def converted(
    file: ModelFile,
    model: Simplified,
    options: ConversionOptions,
    data: Dataset | None,
    layer_steps: Mapping[str, int] = MappingProxyType({}),
    shown: Mapping[str, Range] | None = None,
) -> Network:
    """Without any fit, weights not rounded. model: of `file`. layer_steps: N of populations that have one of their own, by name; their ranges
    follow from it. shown: ranges of populations, by name, that take the place of data. Raises as `convert`, and as `Network.with_layer_steps`."""
    where, ranges = file.where, input_ranges(model, options.input_range)
    if shown is None:
        builder, calibration = _lowered(where, model, options, data, ranges, layer_steps)
    else:
        builder, calibration = _lowered_as_shown(where, model, options, ranges, shown), None
    if options.mode == "strict" and builder.violations:
        raise ConstraintError(where, builder.violations)
    give_back()
    inputs = [layer for layer in builder.layers if isinstance(layer, Input) and layer.source is None]
    readouts = [layer for layer in builder.layers if isinstance(layer, Readout) and not layer.inner]
    check_body(model, inputs, readouts, where)
    narrow = narrow_channels(inputs, model, data, ranges) if data is not None and options.steps is not None else ()
    extended = with_derived_tensors(model, builder)
    head, tail = head_model(extended, inputs), tail_model(extended, readouts)
    layers, derived = match_tensors(with_analog_models(extended, builder.layers), model, ranges.known, builder.derived)
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
        conversion=options.kept,
        ann_macs=macs(model.graph),
        layers=tuple(layers),
        onnx=np.frombuffer(model.file(), np.uint8) if options.embed else None,
        unbatched=model.unbatched,
        head=None if head is None else np.frombuffer(head, np.uint8),
        tail=None if tail is None else np.frombuffer(tail, np.uint8),
        derived=None if derived is None else np.frombuffer(derived.SerializeToString(), np.uint8),
        precision=model.precision,
        input_ranges=dict(ranges.known),
        input_sizes=dict(model.sizes),
        notes=(*ranges.notes, *narrow),
    )
    if options.input_steps is not None:
        network = network.with_input_steps(options.input_steps)
    return network.with_layer_steps(layer_steps) if layer_steps else network


def with_derived_tensors(model: Simplified, builder: Builder) -> Simplified:
    """`model`, whose simplified graph also gives what the layers of rewritten nodes stand for."""
    return replace(model, graph=with_derived(model.graph, builder.derived))


def fitted(
    network: Network, model: Simplified, data: Dataset, options: ConversionOptions, progress: Callable[[LayerFit], None] = lambda fit: None
) -> Network:
    """`network`, which is `converted`, with weights and biases fitted to its grid. progress: told of every layer."""
    inputs = Reference(model.graph, folder=model.folder, unbatched=model.unbatched).inputs
    bounds = {layer.onnx_name: layer.bounds for layer in network.inputs}
    feeds = fit_to_inputs(data, inputs, bounds, {**bounds, **network.input_ranges})
    return compensated(network, data, feeds, progress, charges_alone=options.compensate == "bias", bits=options.weight_bits)


def _lowered(
    where: str, model: Simplified, options: ConversionOptions, data: Dataset | None, ranges: InputRanges, layer_steps: Mapping[str, int]
) -> tuple[Builder, Calibration | None]:
    """The layers; twice or more if data has to show ranges, the first time to find out which; before that, once to find out which factors
    of products have to be as large as each other."""
    found, extremes, notes = {}, {}, {}
    analog: set[str] | None = set() if options.allow_analog else None

    def with_what_is_known() -> Builder:
        return lowered(model, lambda: options.builder(found, extremes, measures=data is not None), where, ranges, analog)

    builder = with_what_is_known()
    while data is not None and (unseen := [name for name in builder.ranges.factors if name not in extremes]):
        extremes = {**extremes, **measured_extremes(unseen, with_derived_tensors(model, builder), data, ranges)}
        builder = with_what_is_known()
    while layers := [*builder.ranges.unbounded.values(), *builder.ranges.unseen.values()]:
        if data is None:
            if not builder.ranges.unbounded:
                raise UsageError("--input-range", "data", "data to take it from", "name some with --calibrate DATA")
            raise CalibrationError(where, list(builder.ranges.unbounded.values()))
        inputs, extended = list(builder.ranges.unseen.values()), with_derived_tensors(model, builder)
        steps = {key: layer_steps[name] for name, key in builder.measured.items() if name in layer_steps}
        layers, builder = layers[: len(layers) - len(inputs)], None  # its weights are not needed any more
        give_back()
        shown, said = measured_ranges(layers, inputs, extended, data, options.rule, ranges, steps)
        found, notes = {**found, **shown}, {**notes, **dict.fromkeys(said)}
        builder = with_what_is_known()  # whose ranges may show that others are needed, of values that seemed to have one sign
    if data is None or not found:
        return builder, None
    return builder, Calibration(
        data=data.name, sha256=data.sha256, samples=len(data), method=options.range_method, margin=options.margin, notes=(*data.left_out, *notes)
    )


def _lowered_as_shown(where: str, model: Simplified, options: ConversionOptions, ranges: InputRanges, shown: Mapping[str, Range]) -> Builder:
    """The layers, with ranges that data has shown before. Raises UsageError for a population whose range is not among them."""
    found: dict[str, Range] = {}
    analog: set[str] | None = set() if options.allow_analog else None

    def with_what_is_known() -> Builder:
        return lowered(model, lambda: options.builder(found, measures=True), where, ranges, analog)

    builder = with_what_is_known()
    while wanted := {*builder.ranges.unbounded, *builder.ranges.unseen, *builder.ranges.factors}:
        known: dict[str, Range] = {builder.measured.get(name, name): ends for name, ends in shown.items()}
        if missing := wanted - known.keys():
            raise UsageError(
                "network",
                f"a range of {min(missing)!r} that data has shown at one size alone",
                "ranges that layers of neurons keep",
                "run it at the size of that data",
            )
        found.update(known)
        builder = with_what_is_known()
    return builder
