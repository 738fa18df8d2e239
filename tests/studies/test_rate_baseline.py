"""The rate-coded baseline: counts against spikes counted one by one, and which number of steps is chosen."""

import numpy as np
import pytest

from tests.models import Chain, converted, dataset
from tests.naive_network import connection_weights
from ttfs_convert import evaluate
from ttfs_convert.errors import UsageError
from ttfs_convert.measurement.cost_table import cost_tables
from ttfs_convert.network.populations import Input, Readout, Spiking
from ttfs_convert.simulation.rate_engine import RateSimulator
from ttfs_convert.studies.rate_baseline import RatePoint, _chosen, rate_baseline, stops_up_to


@pytest.fixture(scope="module")
def case():
    chain = Chain((2, 6, 6)).conv(3, pads=[1] * 4).add("Relu")
    early = chain.at
    chain.conv(3, pads=[1] * 4).add("Add", early).add("Relu").add("AveragePool", kernel_shape=[2, 2], strides=[1, 1]).conv(4).add("Relu").readout()
    x = chain.images(12)
    network = converted(chain.model(), mode="exact", calibrate=dataset(x), steps=10)
    original = evaluate(network, x).report
    labels = np.arange(12) % 4
    return network, x, labels, original


def test_counts_equal_single_spikes_and_synapses(case):
    network, x, labels, _ = case
    found = rate_baseline(network, (x, labels), max_steps=9, batch=5)
    assert [point.steps for point in found.points] == list(range(1, 10)) and found.samples == 12
    point = found.points[-1]
    (recording,) = RateSimulator(network)({"x": x}, 9, (9,))
    synops = 0.0
    for layer in network.layers:
        for connection in layer.connections if isinstance(layer, (Spiking, Readout)) else ():
            real, _ = connection_weights(connection, layer)
            counts = recording.counts.get(connection.source, np.ones((12, real.shape[1])))  # analog: every connection once, whatever the steps
            synops += float((counts @ (real != 0).T).sum()) / 12
    assert point.synops == pytest.approx(synops)
    assert point.spikes == pytest.approx(sum(each.sum() for each in recording.counts.values()) / 12) and point.spikes > 20
    neurons = sum(int(np.prod(layer.shape)) for layer in network.layers if not isinstance(layer, Input))
    assert point.neuronops == 9 * neurons
    assert point.accuracy == pytest.approx((next(iter(recording.readouts.values())).argmax(1) == labels).mean())
    assert point.analog_macs == pytest.approx(np.count_nonzero(connection_weights(network.layers[1].connections[0], network.layers[1])[0]))


def test_beside_a_report(case):
    network, x, labels, _ = case
    data = x, labels
    found = rate_baseline(network, data, max_steps=40, within_pp=100)
    report = found.beside(evaluate(network, data).report, cost_tables())
    assert report.rate_coded.chosen.steps == 1 and report.rate_coded.chosen == report.rate_coded.points[0]
    expected = 4.6 * found.points[-1].analog_macs + 0.9 * (found.points[-1].synops - found.points[-1].analog_macs + found.points[-1].neuronops)
    assert report.rate_coded.points[-1].joules["45nm"] == pytest.approx(1e-12 * expected)
    assert any("within 100 pp of the ANN from step 1 on, tried to 40" in note for note in report.notes)
    assert type(report).model_validate_json(report.model_dump_json()) == report
    assert found.points[-1].agreement > 0.8


def test_a_network_that_never_is_as_good_has_no_choice(case):
    network, x, _, _ = case
    (run,) = RateSimulator(network)({"x": x}, 500, (500,))
    right = next(iter(run.readouts.values())).argmax(1)
    found = rate_baseline(network, (x, right), max_steps=1, within_pp=0)
    assert found.ann_accuracy > found.points[0].accuracy and found.chosen is None
    assert "not within 0 pp of the ANN at the last step, tried to 1" in found.verdict


def test_the_choice_is_where_the_accuracy_stays():
    points = tuple(RatePoint(step, accuracy, 1, 0, 0, 0, 0, 0) for step, accuracy in ((1, 0.2), (2, 0.9), (3, 0.7), (4, 0.85), (5, 0.95)))
    assert _chosen(points, 0.85).steps == 4
    assert _chosen(points, 0.1).steps == 1 and _chosen(points, 0.96) is None


def test_stops_grow_apart():
    stops = stops_up_to(300)
    assert stops[:32] == list(range(1, 33)) and stops[-1] == 300 and stops_up_to(1) == [1]
    assert all(2 <= after - before <= before / 12 for before, after in zip(stops, stops[1:-1]) if before >= 34)


@pytest.mark.parametrize("options, message", (({"max_steps": 0}, "0 steps"), ({"start": 1.0}, "start 1"), ({"within_pp": -1}, "within -1 pp")))
def test_bad_options_are_named(case, options, message):
    network, x, labels, _ = case
    with pytest.raises(UsageError, match=message):
        rate_baseline(network, (x, labels), **options)


def test_data_without_labels_is_refused(case):
    with pytest.raises(UsageError, match="rate coding: images has no labels"):
        rate_baseline(case[0], dataset(case[1]))
