"""Compensation of rounding, without training: weights and biases fitted anew to the activations that spike times really carry.

Layer by layer, in topological order, from unlabelled samples:

    minimise over dW, d:   sum over samples and positions |(W + dW) q + b + d + r - z|^2 + strength * scale * |dW|^2

q: what the layer's weights read, decoded from spike times that the layers before, fitted already, have rounded; r: connections without
weights of their own, such as the other branch of a residual sum, rounded too; z: the potential that makes the neuron say what the
original network does, 1 - S (1 - z_ANN), which for a slope S = 1 is the original's pre-activation; scale: the mean variance of the q.
With slope `fan_in` dW leaves every neuron's weight sum, padded taps included, as it is. Layer-wise least squares on quantised networks:
Hubara et al., "Improving post training neural quantization" (ICML 2021); of biases alone: Nagel et al., "Data-free quantization" (ICCV
2019); of rate-coded spiking networks: Li et al., "A free lunch from ANN" (ICML 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..data import Dataset
from ..data.raw_files import SOURCES
from ..errors import DataError, UsageError
from ..network.network import Network
from ..network.populations import Readout, Spiking, has_neurons
from ..network.provenance import Compensation, LayerFit
from ..simulation.head_and_tail import Ends
from .layer_by_layer import fitted_network
from .layer_fit import Fit
from .regression_rows import UNSEEN, fitted_steps


def check_compensation(data: Dataset, steps: int | None) -> None:
    """Raise UsageError in continuous time and for the test images of a named data set, DataError for fewer samples than judge a fit."""
    if steps is None:
        raise UsageError("compensate", "continuous time, where nothing is rounded", "a number of steps", "set --steps N")
    if data.name in SOURCES:
        raise UsageError(
            "compensate",
            f"the test images of {data.name}",
            "samples that judge nothing later",
            'fit to its training images: load_dataset(name, split="train")',
        )
    if len(data) < UNSEEN:
        raise DataError(data.name, f"{len(data)} samples to fit to", f"at least {UNSEEN}, better some hundreds")


def compensated(
    network: Network,
    data: Dataset,
    feeds: Callable[[slice], Mapping[str, np.ndarray]],
    progress: Callable[[LayerFit], None] = lambda fit: None,
    *,
    charges_alone: bool = False,
    bits: int | None = None,
) -> Network:
    """`network`, whose weights are the original's, with weights and biases fitted to its own rounding on `data`.

    feeds: the model's inputs by name, for a slice of the samples. progress: told of every layer that has weights, in order. charges_alone:
    whether weights stay the original's: the mean of what a charge would have to be (Nagel et al.) is all that is fitted. bits: of integers that
    trained weights are rounded to in the same fit (see `integer_rows`). Memory: the
    activations of the layers that are still to be read go to a temporary folder beyond 512 MB; all else is independent of the number of
    samples. Raises as `check_compensation`.
    """
    check_compensation(data, network.steps)
    ends, layers = Ends(network), {layer.name: layer for layer in network.layers if has_neurons(layer)}
    ends.settle_head(feeds(slice(0, UNSEEN)))
    fits: list[LayerFit] = []

    def add(fitted: Spiking | Readout, found: Fit) -> None:
        fits.append(
            LayerFit(
                layer=fitted.name,
                fitted=found.kind,
                strength=found.strength,
                error_before=found.before,
                error_after=found.after,
                weight_change=_relative_change(layers[fitted.name], fitted),
            )
        )
        progress(fits[-1])

    result = fitted_network(network, lambda rows: ends.entries(feeds(rows)), len(data), add, charges_alone, bits)
    notes = getattr(feeds, "notes", ())
    record = Compensation(
        data=data.name,
        sha256=data.sha256,
        samples=len(data),
        unseen=len(data) // UNSEEN,
        steps=network.grid(),
        rounding=network.rounding,
        layers=tuple(fits),
        notes=(*data.notes, *notes),
    )
    return result.changed(compensation=record)


def _relative_change(layer: Spiking | Readout, fitted: Spiking | Readout) -> float:
    pairs = [
        (old.weights.astype(np.float64), new.weights.astype(np.float64)) for (_, old), (_, new) in zip(fitted_steps(layer), fitted_steps(fitted))
    ]
    before = sum(np.square(old).sum() for old, _ in pairs)
    return float(np.sqrt(sum(np.square(new - old).sum() for old, new in pairs) / max(before, 1e-300)))
