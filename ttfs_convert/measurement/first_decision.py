"""First-decision latency: the step from which on the readout's winner is certain, a bound and no guess.

    V_c = b_c + sum_j w_cj a_j;   a_j = 1 - k_j / N of a spike in step k_j of its window, 0 of a silent neuron

After t steps of a window everything that spiked before is known, and a neuron that has not can still send k_j >= t, so a_j in [0, 1 - t / N]. Class c
leads class i by

    V_c - V_i = b_c - b_i + sum over known j of (w_cj - w_ij) a_j  +  sum over the others of (w_cj - w_ij) a_j

The last sum is linear in each of the a_j, so that over the box of what they can be it is least where a_j = 1 - t / N for w_cj < w_ij and 0 for all
others. Hence c wins whatever is still to come if, for every i other than c,

    b_c - b_i + sum_known (w_cj - w_ij) a_j + (1 - t / N) sum_others min(0, w_cj - w_ij) > 0

and only then, for that corner of the box is itself something that may come (a spike at step t, or silence). The bound uses nothing of what
earlier layers do; with neurons in several windows each has its own t and N. A max-pool's or a concatenation's outputs are taken to be free of one
another, which may decide later, never too early. The first t for which it holds, in steps since the input's window opened, is the sample's
figure. Hardware that would stop there has to compare the bound in every step, which no count of operations holds.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from ..kernels._threads import CALLER
from ..kernels.certain_winner import certain_winner
from ..network.network import Network
from ..network.per_channel import per_neuron
from ..network.populations import Readout, sources
from ..network.synapses.connection import Connection
from ..network.synapses.fan_out import existing_connections
from ..simulation.recording import Recording
from .pipeline_timing import PipelineTiming, pipeline_timing
from .position_labels import PositionRule
from .prediction import NoRule, Rule

LARGEST = 1 << 24  # weights from neurons to classes: beyond it is not measured
KEEP_THE_WINNER = ("Identity", "LogSoftmax", "Sigmoid", "Softmax")  # of a vector; ArgMax is the winner


class FirstDecisions:
    """Added to batch by batch. Make it by `first_decisions`."""

    def __init__(self, readout: Readout, weights: dict[str, np.ndarray], timing: PipelineTiming):
        """weights: (neurons, classes) float64 by source."""
        self._readout, self._names, self._latency = readout, list(weights), timing.latency
        self._weights = np.concatenate(list(weights.values()))
        self._group = np.repeat(np.arange(len(weights), dtype=np.int64), [len(each) for each in weights.values()])
        self._start, end = np.array([timing.windows[name] for name in weights], np.int64).T
        self._steps = end - self._start
        bias = np.zeros(math.prod(readout.shape)) if readout.bias is None else per_neuron(readout.bias, readout.shape)
        self._bias = np.ascontiguousarray(bias[readout.index])
        self.counts = np.zeros(timing.latency + 1, np.int64)  # samples by the step at which they were decided

    def add(self, recording: Recording) -> None:
        """One batch on a grid, of engine `exact` or `clock`."""
        potentials = recording.readouts[self._readout.tensor]
        images = len(potentials)
        times = np.concatenate([recording.spike_times[name].reshape(images, -1) for name in self._names], axis=1)
        winners, decided = potentials.reshape(images, -1).argmax(1).astype(np.int64), np.empty(images, np.int64)
        with CALLER:
            certain_winner(times, self._weights, self._bias, winners, self._group, self._start, self._steps, self._latency, decided)
        self.counts += np.bincount(decided, minlength=self.counts.size)

    @property
    def mean(self) -> float:
        """Steps, over all samples."""
        return float(self.counts @ np.arange(self.counts.size)) / max(1, int(self.counts.sum()))

    @property
    def earliest(self) -> int:
        """Steps, of the sample that was decided first."""
        return int(np.flatnonzero(self.counts)[0])

    @property
    def early_share(self) -> float:
        """Share of samples that are decided before the last step."""
        return 1 - float(self.counts[-1]) / max(1, int(self.counts.sum()))


def first_decisions(network: Network, rule: Rule | NoRule | PositionRule, tail: onnx.ModelProto | None) -> FirstDecisions | None:
    """None where no single vector of potentials has a winner that is the predicted label, in continuous time, and of very large readouts. rule:
    how labels follow from the judged output. tail: what ONNX Runtime makes of the potentials."""
    timing = pipeline_timing(network)
    if timing is None or len(network.readouts) != 1 or not _winner_is_the_label(rule, tail):
        return None
    (readout,) = network.readouts
    shapes = {layer.name: layer.shape for layer in network.layers}
    spiking = all(timing.windows[name][1] > timing.windows[name][0] for name in sources(readout))
    size = math.prod(readout.shape) * sum(math.prod(shapes[name]) for name in set(sources(readout)))
    if not spiking or max(size, sum(existing_connections(each, shapes[each.source]) for each in readout.connections)) > LARGEST:
        return None
    weights: dict[str, np.ndarray] = {}
    for connection in readout.connections:
        found = _matrix(connection, shapes[connection.source])[:, readout.index]
        weights[connection.source] = weights[connection.source] + found if connection.source in weights else found
    return FirstDecisions(readout, weights, timing)


def _winner_is_the_label(rule: Rule | NoRule | PositionRule, tail: onnx.ModelProto | None) -> bool:
    if not isinstance(rule, Rule):
        return False
    if tail is None:
        return rule.kind == "largest"
    operators = [node.op_type for node in tail.graph.node]
    ends_in_winner = operators[-1:] == ["ArgMax"] and rule.kind == "labels"
    kept = operators[:-1] if ends_in_winner else operators
    return set(kept).issubset(KEEP_THE_WINNER) and (ends_in_winner or rule.kind == "largest")


def _matrix(connection: Connection, shape: tuple[int, ...]) -> np.ndarray:
    """(source neurons, target neurons) float64: what the whole path multiplies by."""
    matrix: np.ndarray | None = None
    for step in reversed(connection.path):
        target, source, weight = step.synapses(virtual=False)
        sizes = math.prod(step.in_shape), math.prod(step.out_shape)
        if matrix is None:
            matrix = np.bincount(source * sizes[1] + target, weight, math.prod(sizes)).reshape(sizes)
        else:
            from scipy.sparse import csr_matrix  # many a network needs none of it, and it takes a tenth of a second to import

            matrix = np.asarray(csr_matrix((weight.astype(np.float64), (source, target)), sizes) @ matrix)
    return np.eye(math.prod(shape)) if matrix is None else np.ascontiguousarray(matrix)
