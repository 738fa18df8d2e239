"""What a page about a run shows beside its report: spike times of a few samples, distributions, samples whose label changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..measurement.distributions import Distributions
from ..measurement.prediction import Rule
from ..network.network import Network
from ..network.populations import Input, Layer, Spiking
from ..onnx_model.reference import Reference
from ..simulation.recording import Recording
from ..tasks.classification import Classification
from .changed_labels import ChangedLabels, LabelledSample, labelled
from .comparison import Comparison

MOST, FEWEST, SHARE = 256, 16, 40  # samples whose distributions are counted: one of so many, within these bounds
SAMPLES = 4  # whose spikes are shown
ROWS, MOST_ROWS, FEWEST_ROWS = 360, 32, 4  # neurons: of all layers together, of each


@dataclass(frozen=True, eq=False)
class SpikesOfSample:
    """Spikes of some neurons of every layer that makes its own, for one sample. tau: by layer, of the neurons in `Details.neurons`, in the layer's
    own window; NaN where a spike is missing."""

    sample: LabelledSample | None  # None where no label follows from the output
    row: int  # of the data
    tau: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Details:
    """distributions: on `samples` samples from all over the data. neurons: whose spikes are shown, by layer: places in channels-last order."""

    distributions: Distributions
    samples: int
    neurons: Mapping[str, np.ndarray]
    spikes: tuple[SpikesOfSample, ...]
    changed: ChangedLabels | None  # None where no label per sample follows from the output

    @property
    def network(self) -> Network:
        """That ran."""
        return self.distributions.network


def details_of(network: Network, comparison: Comparison, simulate: Callable[[Mapping[str, np.ndarray]], Recording], tapped: Reference) -> Details:
    """Of samples from all over the data; no label has changed yet. tapped: gives the tensors that layers stand for."""
    distributions, spikes, samples = Distributions(network), [], 0
    neurons = _shown(network)
    for rows, x in comparison.spread(min(MOST, max(FEWEST, len(comparison.data) // SHARE))):
        entries = comparison.ends.entries(x)
        recording = simulate(entries)
        distributions.add(recording, entries, {**entries, **tapped(x)})
        if len(spikes) < SAMPLES:
            spikes += _spikes(comparison, recording, neurons, rows[: SAMPLES - len(spikes)], x)
        samples += len(rows)
        recording.done()
    changed = ChangedLabels(comparison.data) if isinstance(comparison.rule, Rule) else None
    return Details(distributions, samples, neurons, tuple(spikes), changed)


def makes_spikes(layer: Layer) -> bool:
    """Whether its spikes are its own: wiring passes on what others send."""
    return isinstance(layer, Spiking) or (isinstance(layer, Input) and layer.coding == "spikes")


def _shown(network: Network) -> dict[str, np.ndarray]:
    """Neurons from all over every layer."""
    layers = [layer for layer in network.layers if makes_spikes(layer)]
    most = min(MOST_ROWS, max(FEWEST_ROWS, ROWS // max(1, len(layers))))
    sizes = {layer.name: int(np.prod(layer.shape)) for layer in layers}
    return {name: np.unique(np.linspace(0, size - 1, min(most, size)).round().astype(int)) for name, size in sizes.items()}


def _spikes(
    comparison: Comparison, recording: Recording, neurons: Mapping[str, np.ndarray], rows: np.ndarray, x: Mapping[str, np.ndarray]
) -> list[SpikesOfSample]:
    """Of the first samples of a batch."""
    task, samples = comparison.task, [None] * len(rows)
    if isinstance(comparison.rule, Rule):
        ann, snn = (comparison.labels(outputs) for outputs in (comparison.original(x), comparison.ends.outputs(recording, x)))
        truth = [task.references(slice(row, row + 1), {})[0] if isinstance(task, Classification) else None for row in rows.tolist()]
        samples = [labelled(comparison.data, int(row), *each) for row, each in zip(rows, zip(ann, snn, truth))]
    return [
        SpikesOfSample(samples[place], int(row), {name: recording.tau(name)[place].reshape(-1)[chosen].copy() for name, chosen in neurons.items()})
        for place, row in enumerate(rows)
    ]
