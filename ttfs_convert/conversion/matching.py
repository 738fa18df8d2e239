"""Find each layer's tensor in the original graph where simplification has renamed it: by its values, on a few random inputs.

1. The original has a tensor of that name    -> that one: ONNX Runtime's rewrites keep the names of what they leave or fuse.
2. A tensor of the original has equal values -> that one, in its own order of channels.
3. None has                                  -> the layer is not compared, and reports say so.
A readout keeps its name: it is what the tail, cut out of the graph that has it, reads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import onnx

from ..data.casting import is_float
from ..network.populations import Input, Layer, Readout
from ..onnx_model.dataflow import data_tensors
from ..onnx_model.derived import part_of_derived, read_by, tensors_of
from ..onnx_model.reference import Reference, equal
from ..onnx_model.simplify import Simplified

PROBES = 4
CLOSE = 1e-4  # of the tensor's largest value
LARGEST_PROBES = (255, 15, 1, 0)  # of integers whose range nobody knows, such as indices of a table


def match_tensors(
    layers: Sequence[Layer],
    model: Simplified,
    known: Mapping[str, tuple[float, float]] = MappingProxyType({}),
    derived: onnx.ModelProto | None = None,
) -> tuple[list[Layer], onnx.ModelProto | None]:
    """`layers` with the tensor names of the original model instead of the simplified graph's, and the part of `derived` that gives tensors of
    layers, as a function of the original's. known: ranges of inputs. derived: what gives tensors that neither has."""
    computed = data_tensors(model.original.graph)
    own = set() if derived is None else set(tensors_of(derived))
    renamed = {
        layer.name: layer.tensor
        for layer in layers
        if layer.tensor is not None and layer.tensor not in computed | own and not isinstance(layer, Readout)
    }
    roots = [] if derived is None else [name for name in read_by(derived) if name not in computed]
    found, same = _compared(layers, model, known, renamed, roots) if renamed or roots else (list(layers), {})
    if derived is None:
        return found, None
    part = part_of_derived(derived, {layer.tensor for layer in found if layer.tensor is not None} & own, same, computed)
    given = own & set() if part is None else set(tensors_of(part))
    return [layer.changed(tensor=None) if layer.tensor in own - given and not isinstance(layer, Readout) else layer for layer in found], part


def _compared(
    layers: Sequence[Layer], model: Simplified, known: Mapping[str, tuple[float, float]], renamed: Mapping[str, str], roots: Sequence[str]
) -> tuple[list[Layer], dict[str, str]]:
    """`layers` with the tensors of those that are `renamed`, by layer, called as the original has them; and the original's tensors that equal
    `roots`, by these, in shape too."""
    computed = data_tensors(model.original.graph)
    produced = [name for name in _produced(model.original) if name in computed]
    original, simplified = (
        Reference(graph, names, folder=model.folder, unbatched=model.unbatched)
        for graph, names in ((model.original, produced), (model.graph, [*renamed.values(), *roots]))
    )
    original.together = original.fixed_batch or 1
    for highest in LARGEST_PROBES:
        x = _probes(layers, original, known, highest)
        try:
            theirs, ours = original(x), simplified(x)
            break
        except Exception:  # ONNX Runtime has one exception class per status, none of them public: an index that a table does not have
            continue
    else:
        return [layer.changed(tensor=None) if layer.name in renamed else layer for layer in layers], {}
    theirs = {name: value for name, value in theirs.items() if value.dtype == np.float32}
    same = {root: next((name for name, other in theirs.items() if equal(other, ours[root])), root) for root in roots}
    return [_renamed(layer, ours[renamed[layer.name]], theirs) if layer.name in renamed else layer for layer in layers], same


def _produced(model: onnx.ModelProto) -> list[str]:
    return [name for node in model.graph.node for name in node.output]


def _probes(layers: Sequence[Layer], reference: Reference, known: Mapping[str, tuple[float, float]], highest: int) -> dict[str, np.ndarray]:
    """Random values of each input's type, in its range as far as that is known; integers of unknown range up to `highest`."""
    ranges = {**known, **{layer.onnx_name: (layer.lo.min(), layer.hi.max()) for layer in layers if isinstance(layer, Input)}}
    rng = np.random.default_rng(0)
    return {
        name: _random(rng, ranges.get(name, (0, 1 if is_float(kind) else highest)), (PROBES, *shape), kind)
        for name, (shape, kind) in reference.inputs.items()
    }


def _random(rng: np.random.Generator, ends: tuple[float, float], shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    low, high = ends
    if is_float(kind):
        return rng.uniform(low, high, shape).astype(kind)
    smallest, largest = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
    return rng.integers(
        max(math.ceil(low), smallest), min(math.floor(high), largest), shape, kind if kind.kind != "b" else np.int64, endpoint=True
    ).astype(kind)


def _renamed(layer: Layer, values: np.ndarray, originals: dict[str, np.ndarray]) -> Layer:
    rows = values.reshape(PROBES, -1)
    limit = CLOSE * max(float(np.abs(rows).max()), 1e-30)
    if layer.tensor_index is not None:
        alike = {name: other.reshape(rows.shape) for name, other in originals.items() if other.size == rows.size}
        return layer.changed(tensor=next((name for name, other in alike.items() if np.abs(other - rows).max() <= limit), None))
    channels = values.reshape(PROBES, layer.shape[-1], -1) if layer.channels_first else values.reshape(PROBES, -1, layer.shape[-1])
    swapped = channels.transpose(0, 2, 1).reshape(PROBES, -1)
    for name, original in originals.items():
        if original.size == rows.size:
            for first, candidate in ((layer.channels_first, rows), (not layer.channels_first, swapped)):
                if np.abs(original.reshape(PROBES, -1) - candidate).max() <= limit:
                    return layer.changed(tensor=name, channels_first=first)
    return layer.changed(tensor=None)
