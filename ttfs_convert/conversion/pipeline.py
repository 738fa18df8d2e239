"""From a trained network in ONNX form to a spiking one: load, simplify, lower, and hold it against the paper's constraints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from ..compensation import check_compensation, compensated
from ..data import Dataset, fit_to_inputs, image_size, load_dataset
from ..errors import UsageError
from ..lowering.builder import Builder
from ..lowering.graph_walk import lower_graph
from ..lowering.ranges.observation import measured_ranges, narrow_channels
from ..lowering.ranges.of_inputs import InputRanges, input_ranges
from ..network.network import Network
from ..network.populations import Input, Readout
from ..network.provenance import Calibration, LayerFit
from ..onnx_model.dataflow import fed_inputs
from ..onnx_model.input_sizes import chosen_sizes
from ..onnx_model.macs import macs
from ..onnx_model.read import parsed
from ..onnx_model.reference import Reference
from ..onnx_model.simplify import Simplified, simplified
from ..onnx_model.unread_inputs import without_unread_inputs
from .cut import head_model, tail_model
from .declared_batch import check_body
from .freed_memory import give_back
from .matching import match_tensors
from .options import Keywords, Options
from .refusals import CalibrationError, ConstraintError, broken_network

if TYPE_CHECKING:
    from typing_extensions import Unpack

CALIBRATION_SAMPLES = 1000  # of a named data set or a file


def convert(
    path: str | Path, *, calibrate: Dataset | str | None = None, progress: Callable[[LayerFit], None] = lambda fit: None, **options: Unpack[Keywords]
) -> Network:
    """The spiking network of the ONNX model at `path`.

    calibrate: the data that shows mode exact how large unbounded activations get, and that `compensate` fits to: samples, or the name or
    path of a data set, of which the first 1,000 training samples are taken. progress: told of every layer that `compensate` has fitted.
    options: mode, slope, steps, rounding, pooling, tolerance, input_range, input_shape, method, margin, embed, input_steps and compensate, with
    the meanings and defaults of `Options`.

    Raises ConstraintError where mode strict finds a constraint of the paper broken, other ModelErrors for a model that is broken or
    unsupported, UsageError for options out of range, CalibrationError for missing data, DataError for data that does not fit.
    """
    chosen = Options(**options)
    if isinstance(calibrate, str):
        calibrate = load_dataset(calibrate, split="train", limit=CALIBRATION_SAMPLES, size=model_picture_size(path))
    if chosen.compensate:
        if calibrate is None:
            raise UsageError("compensate", "no data", "samples to fit to", "name some with --calibrate DATA: training images, not test images")
        check_compensation(calibrate, chosen.steps)
    try:
        with simplified(path, lambda model, where: chosen_sizes(model, where, chosen.input_shape, calibrate)) as model:
            network = _converted(path, model, chosen, calibrate)
            return _fitted(network, model, calibrate, progress) if chosen.compensate and calibrate is not None else network
    except ValidationError as error:
        raise broken_network(str(path), error) from error


def _converted(path: str | Path, model: Simplified, options: Options, data: Dataset | None) -> Network:
    where, ranges = str(path), input_ranges(model, options.input_range)
    builder, calibration = _lowered(where, model, options, data, ranges)
    if options.mode == "strict" and builder.violations:
        raise ConstraintError(where, builder.violations)
    give_back()
    inputs = [layer for layer in builder.layers if isinstance(layer, Input)]
    readouts = [layer for layer in builder.layers if isinstance(layer, Readout)]
    check_body(model, inputs, readouts, where)
    narrow = narrow_channels(inputs, model, data, ranges) if data is not None and options.steps is not None else ()
    head, tail = head_model(model, inputs), tail_model(model, readouts)
    network = Network(
        name=Path(path).stem,
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
        onnx=np.frombuffer(model.file(), np.uint8) if options.embed else None,
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


def _lowered(where: str, model: Simplified, options: Options, data: Dataset | None, ranges: InputRanges) -> tuple[Builder, Calibration | None]:
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
    found, notes = measured_ranges(layers, inputs, model, data, options.rule, ranges)
    calibration = Calibration(data=data.name, sha256=data.sha256, samples=len(data), method=options.range_method, margin=options.margin, notes=notes)
    builder = options.builder(found)
    lower_graph(model, builder, where, ranges)
    return builder, calibration


def model_picture_size(path: str | Path) -> tuple[int, int] | None:
    """Height and width of the pictures that the model at `path` takes; None if it takes none, or of any size."""
    model = without_unread_inputs(parsed(path))
    shapes = [[dim.dim_value for dim in value.type.tensor_type.shape.dim][1:] for value in fed_inputs(model.graph)]
    return image_size(tuple(shapes[0])) if len(shapes) == 1 and 0 not in shapes[0] else None
