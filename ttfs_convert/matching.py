"""Find each layer's tensor in the original graph where simplification has renamed it: by its values, on a few random inputs.

1. The original has a tensor of that name    -> that one: ONNX Runtime's rewrites keep the names of what they leave or fuse.
2. A tensor of the original has equal values -> that one, in its own order of channels.
3. None has                                  -> the layer is not compared, and reports say so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .dataflow import data_tensors
from .ir import Input, Layer
from .onnx_file import Simplified
from .reference import Reference

PROBES = 4
CLOSE = 1e-4  # of the tensor's largest value


def match_tensors(layers: Sequence[Layer], model: Simplified) -> list[Layer]:
    """`layers` with the tensor names of the original model instead of the simplified graph's."""
    computed = data_tensors(model.original.graph)
    produced = [name for node in model.original.graph.node for name in node.output if name in computed]
    known = {None, *computed}
    renamed = {layer.name: layer.tensor for layer in layers if layer.tensor not in known}
    if not renamed:
        return list(layers)
    simplified = Reference(model.graph, list(renamed.values()), folder=model.folder, unbatched=model.unbatched)
    x = _probes(layers, simplified)
    original = Reference(model.original, produced, folder=model.folder, unbatched=model.unbatched)
    original.together = original.fixed_batch or 1
    theirs = {name: value for name, value in original(x).items() if value.dtype == np.float32}
    ours = simplified(x)
    return [_renamed(layer, ours[layer.tensor], theirs) if layer.name in renamed else layer for layer in layers]


def _probes(layers: Sequence[Layer], reference: Reference) -> dict[str, np.ndarray]:
    ranges = {layer.onnx_name: layer.bounds for layer in layers if isinstance(layer, Input)}
    rng = np.random.default_rng(0)
    return {name: rng.uniform(*(ranges.get(name) or (0, 255 if np.issubdtype(kind, np.integer) else 1)), (PROBES, *shape)).astype(kind)
            for name, (shape, kind) in reference.inputs.items()}


def _renamed(layer: Layer, values: np.ndarray, originals: dict[str, np.ndarray]) -> Layer:
    rows = values.reshape(PROBES, -1)
    if layer.tensor_index is not None:
        same = next((name for name, other in originals.items() if other.size == rows.size and np.allclose(other.reshape(rows.shape), rows)), None)
        return layer.model_copy(update={"tensor": same})
    channels = values.reshape(PROBES, layer.shape[-1], -1) if layer.channels_first else values.reshape(PROBES, -1, layer.shape[-1])
    swapped = channels.transpose(0, 2, 1).reshape(PROBES, -1)
    limit = CLOSE * max(float(np.abs(rows).max()), 1e-30)
    for name, original in originals.items():
        if original.size == rows.size:
            for first, candidate in ((layer.channels_first, rows), (not layer.channels_first, swapped)):
                if np.abs(original.reshape(PROBES, -1) - candidate).max() <= limit:
                    return layer.model_copy(update={"tensor": name, "channels_first": first})
    return layer.model_copy(update={"tensor": None})
