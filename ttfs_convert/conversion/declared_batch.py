"""A model that is exported for several samples at a time may treat them differently: what is to spike must not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from ..errors import ModelError
from ..network.populations import Input, Readout
from ..onnx_model.dataflow import floats
from ..onnx_model.reference import Reference, equal
from ..onnx_model.simplify import Simplified
from .cut import body_model


def check_body(model: Simplified, inputs: Sequence[Input], readouts: Sequence[Readout], where: str) -> None:
    """Raise ModelError, with the node, if the part of `model` between `inputs` and `readouts` mixes or tells apart the samples of the batch
    that it declares, which a spiking network does not have. Any other model is run one sample at a time where its samples mix."""
    sizes = [value.type.tensor_type.shape.dim[0].dim_value for value in model.original.graph.input if value.type.tensor_type.shape.dim]
    batch = 1 if model.unbatched else max(sizes, default=0)
    cut = body_model(model, inputs, readouts) if batch > 1 else None
    if cut is None:
        return
    body, rng = onnx.ModelProto.FromString(cut), np.random.default_rng(0)
    first = {layer.onnx_name: rng.uniform(*(layer.bounds or (-1, 1)), (batch, *layer.onnx_shape)).astype(np.float32) for layer in inputs}
    moved = {name: np.concatenate([rng.permuted(values[-1:], axis=-1), values[:-1]]) for name, values in first.items()}
    reference = Reference(body, floats(body))
    here, there = reference(first), reference(moved)  # each sample but one, at another place and in other company
    tensor = next((name for name in reference.available if len(here[name]) != batch or not equal(here[name][:-1], there[name][1:])), None)
    if tensor is not None:
        node = next(node for node in body.graph.node if tensor in node.output)
        raise ModelError(
            where,
            f"{node.op_type} {node.name or tensor!r} treats the samples of its batch of {batch} differently",
            "independent samples in all that spikes",
            "export the model with a dynamic batch axis, or for one sample",
        )
