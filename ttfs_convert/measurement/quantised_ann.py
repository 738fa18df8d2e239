"""The quantised ANN: the original network with N + 1 levels where the spiking one has N steps. A spike time can say no more than that.

    level = clip(floor(N a + h + 1e-4), 0, N),  a = (x - lo) / (hi - lo),  x' = lo + (hi - lo) level / N

N - level is the spike step of the same neuron (`kernels.threshold.time_step` of tau = 1 - a). Only ranges, N and h are taken from the
spiking network: ONNX Runtime computes the original graph, with these nodes behind every tensor that spikes carry. Where slopes are 1,
predictions of the two can differ only if float32 sums fall on different sides of a tie, and `QuantisedTally` checks that they did. Of a
network whose weights were fitted to its grid, or rounded to few bits, this is the twin whose weights were not: it shows what the fit gained and
what the bits cost, and differs for these reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from ..network.network import Network
from ..network.populations import Readout, sources
from ..network.tensor_order import in_neuron_order
from ..onnx_model.reference import Reference
from ..simulation.recording import Recording
from .position_labels import PositionRule
from .prediction import NoRule, Rule
from .quantised_graph import ROUNDING, Insertion, Quantiser, quantised_model

__all__ = ["Divergence", "QuantisedAnn", "QuantisedOutcome", "QuantisedTally", "QuantisedValues", "quantised_model", "spiked_levels", "trace"]


@dataclass(frozen=True)
class QuantisedValues:
    """What the quantised ANN computed for one batch.

    outputs: of the model, by name. levels: by layer whose spikes carry them, (n, *shape of the layer) unsigned integers from 0 to N.
    Only if asked for: positions: N a + h + 1e-4 of the same, float32; readouts: by name, the tensors that readouts stand for.
    """

    outputs: dict[str, np.ndarray]
    levels: dict[str, np.ndarray]
    positions: dict[str, np.ndarray]
    readouts: dict[str, np.ndarray]


class QuantisedAnn:
    """The quantised original of `network` under ONNX Runtime. model: the original, in float32, weights inside. session: gives one for a
    model and tensors of it. Raises as `quantised_model`."""

    def __init__(self, network: Network, model: onnx.ModelProto, session: Callable[[onnx.ModelProto, Sequence[str]], Reference] = Reference):
        self._inserted, self._session = Insertion(network, model), session
        self.quantisers = {each.layer.name: each for each in self._inserted.quantisers}
        self._plain = session(self._inserted.model, list(self._inserted.levels.values()))
        self._detailed: Reference | None = None
        self._outputs = [value.name for value in model.graph.output]

    def __call__(self, feeds: Mapping[str, np.ndarray], details: bool = False) -> QuantisedValues:
        """feeds: the model's inputs by name, (n, ...) each. details: positions and readouts too, from a second session."""
        inserted, session = self._inserted, self._plain
        if details:
            if self._detailed is None:
                tensors = [*inserted.levels.values(), *inserted.positions.values(), *inserted.readouts.values()]
                self._detailed = self._session(inserted.model, tensors)
            session = self._detailed
        found, images = session(feeds), len(next(iter(feeds.values())))
        levels, positions = (
            {name: in_neuron_order(found[at], self.quantisers[name].layer, images) for name, at in part.items()}
            for part in (inserted.levels, inserted.positions if details else {})
        )
        readouts = {name: found[tensor] for name, tensor in inserted.readouts.items() if details and tensor in found}
        return QuantisedValues({name: found[name] for name in self._outputs}, levels, positions, readouts)


def spiked_levels(recording: Recording, name: str, steps: int) -> np.ndarray:
    """Levels N - k of the spikes of layer `name`, (n, *shape); of spike times off the grid the nearest ones."""
    times = recording.spike_times[name]
    return times.dtype.type(steps) - times if recording.steps[name] == steps else np.rint(steps * recording.activations(name))


@dataclass(frozen=True)
class Divergence:
    """Where a spiking image leaves its quantised twin: the first layer that differs although all that it reads is equal.

    layer: its name; None where every layer agrees. neurons: how many of it differ. distance: of the farthest of these from a tie, in
    steps; of potentials or outputs the largest difference, as a share of the largest. at_tie: whether rounding explains them.
    """

    image: int
    layer: str | None
    neurons: int
    distance: float
    at_tie: bool


def trace(network: Network, ann: QuantisedAnn, values: QuantisedValues, recording: Recording, image: int) -> Divergence:
    """Where image `image` of a batch diverges: if some layer differs otherwise than at ties, that one, else the first that differs.

    A neuron lies at a tie if N a + h + 1e-4 is within 2e-5 N of an integer, for slope `fan_in` plus N times its weight sum's error,
    and its levels are those on either side. Layers behind one that differs prove nothing and are not judged. values: with details.
    """
    differing: set[str] = set()  # layers, and all behind them
    first = None
    for layer in network.layers:
        if differing.intersection(sources(layer)):
            differing.add(layer.name)
            continue
        if layer.name in values.levels:
            found = _at_ties(ann.quantisers[layer.name], values, recording, image)
        elif isinstance(layer, Readout) and layer.tensor is not None and layer.tensor in values.readouts:
            found = _equal_potentials(layer.name, recording.readouts[layer.tensor], values.readouts[layer.tensor], image)
        else:
            continue
        if found is not None:
            differing.add(layer.name)
            first = first or found
            if not found.at_tie:
                return found
    return first or Divergence(image, None, 0, 0.0, True)


def _at_ties(quantiser: Quantiser, values: QuantisedValues, recording: Recording, image: int) -> Divergence | None:
    name = quantiser.layer.name
    difference = values.levels[name][image].astype(np.int64) - spiked_levels(recording, name, quantiser.steps)[image]
    position = values.positions[name][image][difference != 0]
    if not position.size:
        return None
    distance = float(np.abs(position - np.rint(position)).max())
    return Divergence(image, name, position.size, distance, bool(np.abs(difference).max() == 1 and distance <= quantiser.tolerance))


def _equal_potentials(name: str, ours: np.ndarray, theirs: np.ndarray, image: int) -> Divergence | None:
    share = _difference(ours[image], theirs.reshape(ours.shape)[image])
    return None if share <= ROUNDING else Divergence(image, name, ours[image].size, share, False)


def _difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest one, as a share of the largest value."""
    return float(np.abs(ours - theirs).max() / max(float(np.abs(theirs).max()), 1e-30))


@dataclass(frozen=True)
class QuantisedOutcome:
    """accuracy: None without labels. agreement: share of predictions that are the spiking network's; mismatches: how many are not;
    traced_to_ties: how many of these rounding explains; unexplained: the first that it does not. spikes_differing: share of all spike
    times, behind ties too, that stand for another level."""

    samples: int
    accuracy: float | None
    agreement: float
    mismatches: int
    traced_to_ties: int
    spikes_differing: float
    unexplained: Divergence | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures must know."""
        first, others = self.unexplained, self.mismatches - self.traced_to_ties
        return (
            ()
            if first is None
            else (
                f"{others:,} predictions differ from the quantised ANN's for other reasons than ties, first "
                f"that of image {first.image}, from {first.layer or 'the output'} on",
            )
        )


class QuantisedTally:
    """Holds a spiking network's outputs against those of its quantised original, batch by batch.

    model, session: see `QuantisedAnn`. output: the one that is judged. rule: how labels follow from it. Raises as `quantised_model`; UsageError
    where none do.
    """

    def __init__(
        self,
        network: Network,
        model: onnx.ModelProto,
        output: str,
        rule: Rule | NoRule | PositionRule,
        session: Callable[[onnx.ModelProto, Sequence[str]], Reference] = Reference,
    ):
        if not isinstance(rule, Rule):
            raise rule.refusal()
        self._network, self._ann = network, QuantisedAnn(network, model, session)
        self._output, self._rule = output, rule
        self._samples = self._right = self._mismatches = self._traced = self._differing = self._compared = 0
        self._labelled, self._unexplained = True, None

    def add(self, feeds: Mapping[str, np.ndarray], recording: Recording, output: np.ndarray, labels: np.ndarray | None = None) -> None:
        """feeds: the model's inputs, by name. recording, output: of the spiking network, the latter its judged output, (n, ...).
        labels: (n,), if there are some."""
        values = self._ann(feeds)
        ann, snn = (self._rule.labels(each) for each in (values.outputs[self._output], output))
        for name, levels in values.levels.items():
            self._differing += int(np.count_nonzero(levels != spiked_levels(recording, name, self._ann.quantisers[name].steps)))
            self._compared += levels.size
        mismatches = np.flatnonzero(ann != snn)
        if mismatches.size and self._network.has_original_weights:
            detailed = self._ann(feeds, details=True)
            for image in mismatches:
                self._judge(trace(self._network, self._ann, detailed, recording, int(image)), detailed, output)
        self._samples += len(ann)
        self._mismatches += len(mismatches)
        self._labelled = self._labelled and labels is not None
        self._right += 0 if labels is None else int((ann == labels).sum())

    def _judge(self, found: Divergence, values: QuantisedValues, output: np.ndarray) -> None:
        if found.layer is None and output.dtype.kind == "f":  # equal up to here: so must the outputs be
            share = _difference(output[found.image], values.outputs[self._output].reshape(output.shape)[found.image])
            found = replace(found, distance=share, at_tie=share <= ROUNDING)
        self._traced += found.at_tie
        if not found.at_tie and self._unexplained is None:
            self._unexplained = replace(found, image=self._samples + found.image)

    def outcome(self) -> QuantisedOutcome:
        """Of all batches so far, at least one."""
        samples, accuracy = self._samples, self._right / self._samples if self._labelled else None
        return QuantisedOutcome(
            samples,
            accuracy,
            1 - self._mismatches / samples,
            self._mismatches,
            self._traced,
            self._differing / max(self._compared, 1),
            self._unexplained,
        )
