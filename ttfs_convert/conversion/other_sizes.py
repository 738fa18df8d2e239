"""A network again for inputs of other sizes, such as recordings of any length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import onnx

from ..errors import UsageError
from ..network.network import Network
from ..network.populations import Input, Spiking
from .pipeline import convert
from .refits import options_of


class OtherSizes:
    """`network` for other sizes of its inputs, those lately asked for kept. model: its original, which leaves these sizes open.

    Raises UsageError for a network with weights or ranges that data has shown at one size.
    """

    KEPT = 4

    def __init__(self, network: Network, model: onnx.ModelProto):
        if network.compensation is not None or network.calibration is not None:
            raise UsageError(
                "network",
                "weights or ranges that were measured at one size",
                "activations whose ranges are known, such as ReLU1, and no --compensate",
            )
        self._model, self._grid = model, network
        self._options = replace(options_of(network), compensate=False, embed=False)
        self._found: dict[tuple[tuple[str, tuple[int, ...]], ...], Network] = {}

    def __call__(self, sizes: Mapping[str, tuple[int, ...]]) -> Network:
        """sizes: of each input, without the batch. Raises as `convert`."""
        key = tuple(sizes.items())
        if key not in self._found:
            if len(self._found) == self.KEPT:
                self._found.pop(next(iter(self._found)))
            options = replace(self._options, input_shape=dict(sizes))
            network = convert(self._model, **{name: getattr(options, name) for name in options.__dataclass_fields__})
            own = {layer.name: layer.steps for layer in self._grid.layers if isinstance(layer, (Input, Spiking)) and layer.steps}
            network = network.with_steps(self._grid.steps)
            self._found[key] = network.with_layer_steps(own) if own else network
        return self._found[key]
