"""A network again for inputs of other sizes, such as recordings of any length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx

from ..compensation.layer_change import Change, with_change
from ..compensation.regression_rows import fitted_steps
from ..errors import UsageError
from ..lowering.ranges.of_layers import Range
from ..network.network import Network
from ..network.populations import Input, Layer, Readout, Spiking
from ..onnx_model.given_model import model_file
from ..onnx_model.input_sizes import chosen_sizes
from ..onnx_model.simplify import simplified
from .pipeline import converted
from .refits import options_of

USUAL_STEPS = 50
SAME = 1e-4  # of a charge's largest value: what rounding makes of one that all positions of a channel share

Sizes = Mapping[str, tuple[int, ...]]  # of each input, without the batch


class OtherSizes:
    """`network` for other sizes of its inputs, those lately asked for kept: the original converted anew, with the ranges and the changes of
    weights and charges that data has shown at one size. model: its original, which leaves these sizes open.

    Raises UsageError for a network that does not say how it was converted, and for one with weights of few bits.
    """

    KEPT = 4

    def __init__(self, network: Network, model: onnx.ModelProto):
        if network.weight_grid is not None:
            raise UsageError(
                "network",
                f"weights of {network.weight_grid.bits} bits",
                "weights of float32, to run it at another size",
                "convert without --weight-bits",
            )
        self._model, self._network = model, network
        self._options = replace(options_of(network), compensate=False, embed=False)
        if network.calibration is not None:  # on a grid, whatever the network is run on now: ranges of clamps may have been measured
            self._options = replace(self._options, method=network.calibration.method, steps=self._options.steps or USUAL_STEPS)
        self._shown = None if network.calibration is None else _ranges(network)
        self._unfitted = None if network.compensation is None else self._converted(network.input_sizes)
        self._found: dict[tuple[tuple[str, tuple[int, ...]], ...], Network] = {}

    def __call__(self, sizes: Sizes) -> Network:
        """Raises as `convert`, and UsageError for a layer whose weights or range belong to one size."""
        key = tuple(sizes.items())
        if key not in self._found:
            if len(self._found) == self.KEPT:
                self._found.pop(next(iter(self._found)))
            network = self._converted(sizes)
            if self._unfitted is not None:
                network = self._fitted(network, self._unfitted)
            own = {layer.name: layer.steps for layer in self._network.layers if isinstance(layer, (Input, Spiking)) and layer.steps}
            same = {name: getattr(self._network, name) for name in ("name", "calibration", "compensation", "onnx", "onnx_sha256")}
            network = network.with_steps(self._network.steps).changed(**same)
            self._found[key] = network.with_layer_steps(own) if own else network
        return self._found[key]

    def _converted(self, sizes: Sizes) -> Network:
        options = replace(self._options, input_shape=dict(sizes))
        with (
            model_file(self._model) as file,
            simplified(file.path, lambda original, where: chosen_sizes(original, where, options.input_shape, None), file.where) as simple,
        ):
            return converted(file, simple, options, None, shown=self._shown)

    def _fitted(self, network: Network, unfitted: Network) -> Network:
        """`network` with the changes that make the fitted one out of `unfitted`."""
        before, after = ({layer.name: layer for layer in each.layers} for each in (unfitted, self._network))
        return network.changed(layers=tuple(_changed(layer, before.get(layer.name), after.get(layer.name)) for layer in network.layers))


def _ranges(network: Network) -> dict[str, Range]:
    """Of every population that has one, by name; of measured inputs by what they encode."""
    found = {layer.name: (layer.lo, layer.hi) for layer in network.layers if isinstance(layer, (Input, Spiking))}
    return {**found, **{layer.onnx_name: (layer.lo, layer.hi) for layer in network.inputs if layer.measured}}


def _changed(layer: Layer, before: Layer | None, after: Layer | None) -> Layer:
    """`layer` with what was fitted to make `after` out of `before`, the same layer at another size. Raises UsageError where weights or charges differ
    from position to position."""
    if not isinstance(layer, (Spiking, Readout)):
        return layer
    if not isinstance(before, (Spiking, Readout)) or not isinstance(after, (Spiking, Readout)):
        raise _of_one_size(layer.name, "no layer of this name at the size it was fitted at")
    here, old, new = (fitted_steps(each) for each in (layer, before, after))
    if not here and not old:
        return layer
    shapes = [[(number, step.weights.shape) for number, step in steps] for steps in (here, old, new)]
    if not shapes[0] == shapes[1] == shapes[2]:
        raise _of_one_size(layer.name, f"weights of shape {shapes[0][0][1] if here else None} here and {shapes[1][0][1] if old else None} there")
    outputs = here[0][1].out_shape[-1]
    charges = (_charges(after) - _charges(before)).reshape(-1, outputs)
    if np.abs(charges - charges[0]).max() > SAME * max(np.abs(charges).max(), np.abs(_charges(after)).max(), 1e-30):
        raise _of_one_size(layer.name, "charges that differ from position to position")
    weights = tuple(one.weights - other.weights for (_, one), (_, other) in zip(new, old))
    return with_change(layer, Change(charges.mean(0), weights))


def _charges(layer: Spiking | Readout) -> np.ndarray:
    return np.zeros(layer.shape) + (0 if layer.bias is None else layer.bias)


def _of_one_size(layer: str, found: str) -> UsageError:
    return UsageError(
        f"layer {layer!r}", found, "weights that all positions share, to run a fitted network at another size", "convert without --compensate"
    )
