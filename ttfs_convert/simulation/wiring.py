"""Populations without neurons: which spike times they pass on. The same for any array of one value per neuron, batch first."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..kernels.pool import max_pool
from ..network.populations import Concat, MaxPool, Reorder
from ..network.synapses.images import image


def _max_pool(layer: MaxPool, values: Mapping[str, np.ndarray], silent: int) -> np.ndarray:
    times = values[layer.source]
    source, out = image(times, layer.in_shape), np.empty((len(times), *layer.shape), times.dtype)
    max_pool(source, source.dtype.type(silent), *layer.kernel_geometry(), image(out, layer.out_shape))
    return out


def _reorder(layer: Reorder, values: Mapping[str, np.ndarray], silent: int) -> np.ndarray:
    source = values[layer.source]
    return np.take(source.reshape(len(source), -1), layer.index, axis=1).reshape(len(source), *layer.shape)  # twice as fast as indexing


def _concat(layer: Concat, values: Mapping[str, np.ndarray], silent: int) -> np.ndarray:
    return np.concatenate([values[source].reshape(len(values[source]), *layer.shape[:-1], -1) for source in layer.joined], axis=-1)


WIRING: dict[str, Callable] = {"max_pool": _max_pool, "reorder": _reorder, "concat": _concat}  # (layer, spike times by name, that of silence)
