"""First decisions of whole networks: what happens to the spikes that come later changes no winner."""

import numpy as np
import pytest

from tests.models import Chain, converted, dataset
from tests.naive_network import connection_weights
from ttfs_convert import evaluate
from ttfs_convert.measurement.first_decision import first_decisions
from ttfs_convert.measurement.pipeline_timing import pipeline_timing
from ttfs_convert.measurement.prediction import Rule
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.recording import Recording

LARGEST = Rule("y", "largest", 3)


def two_sources():
    """A readout that pools the sum of a convolution and an identity, of two layers in different windows."""
    chain = Chain((2, 4, 4)).conv(3, pads=[1] * 4).add("Relu")
    early = chain.at
    chain.conv(3, pads=[1] * 4).add("Relu").conv(3, pads=[1] * 4).add("Add", early)
    return chain.add("AveragePool", kernel_shape=[4, 4]).add("Flatten")


@pytest.fixture(scope="module")
def case():
    chain = two_sources()
    x = chain.images(12)
    return chain, x, converted(chain.model(), mode="exact", calibrate=dataset(x), steps=100)


def test_no_later_spike_changes_the_winner(case):
    """Worst and random completions of what has not arrived by then; one step earlier the worst change it."""
    _, x, net = case
    (readout,) = net.readouts
    recording, timing, rng = simulate(net, x), pipeline_timing(net), np.random.default_rng(0)
    matrices = {each.source: connection_weights(each, readout)[0].T[:, readout.index] for each in readout.connections}
    assert len(matrices) == 2
    bias = 0 if readout.bias is None else np.broadcast_to(readout.bias, readout.shape).reshape(-1)[readout.index]
    decisions = first_decisions(net, LARGEST, None)

    def completed(n, t, still_to_come):
        """Potentials of sample n if every spike that has not come by t is another; still_to_come: (matrix, largest a that may come) -> a."""
        potential = np.zeros(3) + bias
        for name, matrix in matrices.items():
            start, end = timing.windows[name]
            passed = max(0, t - start)
            known = recording.spike_times[name][n].reshape(-1) < passed
            others = still_to_come(matrix, max(0.0, 1 - passed / (end - start)))
            potential += np.where(known, recording.activations(name)[n].reshape(-1), others) @ matrix
        return potential

    def at_worst(rival, winner):
        return lambda matrix, most: (matrix[:, rival] > matrix[:, winner]) * most

    for n in range(len(x)):
        single = first_decisions(net, LARGEST, None)
        one = ({name: each[n : n + 1] for name, each in part.items()} for part in (recording.spike_times, recording.readouts))
        single.add(Recording(*one, recording.steps))
        (decided,) = np.flatnonzero(single.counts)
        winner = recording.potentials[n].argmax()
        worst = [at_worst(rival, winner) for rival in range(3) if rival != winner]
        if decided < timing.latency:
            for other in (*worst, *[lambda matrix, most: rng.uniform(0, most, len(matrix))] * 20):
                assert completed(n, decided, other).argmax() == winner
        assert any(completed(n, decided - 1, other).argmax() != winner for other in worst)
    decisions.add(recording)
    assert decisions.counts.sum() == len(x) and decisions.early_share > 0.3
    assert decisions.earliest <= decisions.mean <= timing.latency


def test_what_the_report_says(case):
    _, x, net = case
    latency = evaluate(net, x).report.latency
    decisions = first_decisions(net, LARGEST, None)
    decisions.add(simulate(net, x))
    assert latency.first_decision_mean_steps == pytest.approx(decisions.counts @ np.arange(len(decisions.counts)) / len(x))
    assert latency.first_decision_earliest_steps == np.flatnonzero(decisions.counts)[0]
    assert latency.first_decision_early_share == pytest.approx(decisions.early_share)
    clock = evaluate(net, x, engine="clock").report.latency
    assert clock.first_decision_mean_steps == latency.first_decision_mean_steps


@pytest.mark.parametrize("end, measured", (("Softmax", True), ("LogSoftmax", True), ("ArgMax", True), ("Erf", False), ("TopK", False)))
def test_a_tail_that_keeps_the_winner_keeps_the_measure(end, measured):
    chain = Chain((6,)).gemm(5).add("Relu").readout(3)
    attributes = {"ArgMax": {"axis": 1, "keepdims": 0}, "Softmax": {"axis": -1}, "LogSoftmax": {"axis": -1}}.get(end, {})
    extra = (np.array([2], np.int64),) if end == "TopK" else ()
    if end == "Erf":
        chain.add("Softmax", axis=-1)
    chain.add(end, *extra, **attributes, outputs=2 if end == "TopK" else 1)
    x = chain.images(5)
    net = converted(chain.model(), mode="exact", calibrate=dataset(x), steps=8)
    assert net.tail is not None
    assert (evaluate(net, x).report.latency.first_decision_mean_steps is not None) == measured


def test_fixed_thresholds_and_continuous_time_have_none():
    chain = Chain((6,)).gemm(5).relu1().readout(3)
    x, net = chain.images(4), converted(chain.model(), steps=10)
    fixed = evaluate(net, x, engine="clock", threshold="fixed").report
    assert fixed.latency.first_decision_mean_steps is None and fixed.latency.steps == 20
    assert evaluate(net, x, steps=None).report.latency is None
