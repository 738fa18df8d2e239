"""Work and energy of a run against single synapses, spikes counted one by one."""

import math

import numpy as np
import pytest

from tests.measurement.test_operation_counts import everything
from tests.models import converted, dataset
from tests.naive_network import connection_weights
from ttfs_convert import evaluate
from ttfs_convert.measurement.cost_table import cost_table
from ttfs_convert.measurement.energy import energy
from ttfs_convert.measurement.hardware_work import HardwareWork, address_bytes, of_ann
from ttfs_convert.network.populations import Input, Readout, Spiking
from ttfs_convert.simulation.engines import simulate

STEPS = 20


@pytest.fixture(scope="module", params=[("gated", (0, 1)), ("reference", (0, 1)), ("gated", None)])
def case(request, tmp_path_factory):
    slope, input_range = request.param
    chain = everything()
    x = chain.images(5)
    net = converted(chain.model(), mode="exact", slope=slope, calibrate=dataset(x), input_range=input_range, steps=STEPS)
    own = tmp_path_factory.mktemp("costs") / "own.toml"
    kinds = ("mac", "synop", "neuronop", "spike", "weight_byte", "state_byte", "spike_byte")
    figures = "".join(f'[{kind}]\npj = {figure}\nsource = "made up"\n' for kind, figure in zip(kinds, (7, 3, 2, 11, 0.5, 0.25, 1.5)))
    own.write_text(f'title = "t"\nleaves_out = "nothing"\n{figures}[step]\nseconds = 1e-3\nsource = "made up"\n')
    return net, x, evaluate(net, x, costs=[own]).report


def counted(net, x):
    """(macs, synops, spikes, bytes of spikes) per image: every existing synapse of every spike that slope or silence lets through, one by one."""
    recording, macs, synops, spikes, moved = simulate(net, x), 0, 0, 0, 0
    layers = {layer.name: layer for layer in net.layers}

    def sent(name, image, only_active):
        layer = layers[name]
        if isinstance(layer, Input) and layer.coding == "direct":
            return np.ones(math.prod(layer.shape), bool)
        active = ~recording.silent(name)[image].reshape(-1)
        return active if only_active else np.ones_like(active)

    for image in range(len(x)):
        for layer in net.layers:
            if isinstance(layer, (Spiking, Input)) and getattr(layer, "coding", "spikes") == "spikes":
                each = sent(layer.name, image, net.slope == "gated").sum()
                spikes, moved = spikes + each, moved + each * (1 if math.prod(layer.shape) <= 256 else 2)
            if not isinstance(layer, (Spiking, Readout)):
                continue
            gated = (layer.slope if isinstance(layer, Spiking) else net.slope) == "gated"
            for connection in layer.connections:
                real, virtual = connection_weights(connection, layer)
                reached = int((real != 0)[:, sent(connection.source, image, gated)].sum())
                if getattr(layers[connection.source], "coding", "spikes") == "direct":
                    macs += reached
                else:
                    synops += reached + (0 if gated else np.count_nonzero(virtual))
            if isinstance(layer, Spiking) and layer.slope == "reference":
                synops += math.prod(layer.shape)
    return [total / len(x) for total in (macs, synops, spikes, moved)]


def test_energy_equals_single_synapses(case):
    """Borders, pools, concatenation, identity and all: joules of every kind, from spikes counted one by one."""
    net, x, report = case
    macs, synops, spikes, moved = counted(net, x)
    updates = STEPS * sum(math.prod(layer.shape) for layer in net.layers if isinstance(layer, (Spiking, Readout)))
    found = report.energy.costs[-1].joules["event"]
    expected = {
        "synapses": 7 * macs + 3 * synops,
        "neurons": 2 * updates,
        "spikes": 11 * spikes,
        "memory": 0.5 * 4 * (macs + synops) + 0.25 * (12 * macs + 8 * synops + 8 * updates) + 1.5 * moved,
    }
    assert synops > 100 and spikes > 10
    for kind, picojoules in expected.items():
        assert getattr(found, kind) == pytest.approx(1e-12 * picojoules), kind
    assert found.total == pytest.approx(1e-12 * sum(expected.values()))


def test_proxies_and_times_follow_from_the_counts(case):
    net, _, report = case
    event, latency, cost = report.energy.event, report.latency, report.energy.costs[-1]
    assert (latency.steps, latency.interval_steps) == (net.latency_steps, STEPS)
    operations = event.synops + 10 * event.neuronops
    assert report.energy.ndns.operations == pytest.approx(operations)
    assert report.energy.ndns.power_proxy_per_step == pytest.approx(operations / STEPS)
    assert report.energy.ndns.latency_product == pytest.approx(operations / STEPS * net.latency_steps)
    assert cost.power_proxy_per_second == pytest.approx(operations / (STEPS * 1e-3))
    assert (cost.latency_seconds, cost.interval_seconds) == pytest.approx((net.latency_steps * 1e-3, STEPS * 1e-3))
    assert cost.first_decision_seconds == pytest.approx(1e-3 * latency.first_decision_mean_steps)
    assert cost.sources["step"] == "made up" and cost.pj["synop"] == 3


def test_what_a_table_does_not_price_is_nothing_and_said():
    ann, spiking = of_ann(1000), HardwareWork(0, 100, 50, 10, 20)
    assert energy(cost_table("loihi"), ann) is None
    found = energy(cost_table("loihi"), spiking)
    assert (found.synapses, found.neurons, found.spikes) == pytest.approx((100 * 23.6e-12, 50 * 81e-12, 10 * 1.7e-12))
    assert found.memory is None and found.total == pytest.approx(1e-12 * (2360 + 4050 + 17))
    assert energy(cost_table("45nm"), ann).total == pytest.approx(4.6e-9)
    assert energy(cost_table("45nm"), HardwareWork(0, 100, None, 10, 20)) is None  # continuous time has no updates to price


def test_addresses_number_the_neurons():
    def layer(count):
        return Input(
            name="x",
            shape=(count,),
            window=0,
            tensor=None,
            onnx_name="x",
            onnx_shape=(count,),
            lo=np.zeros(count, np.float32),
            hi=np.ones(count, np.float32),
        )

    assert [address_bytes(layer(count)) for count in (1, 2, 256, 257, 65536, 65537)] == [1, 1, 1, 2, 2, 3]


def test_continuous_time_has_no_steps_to_count():
    chain = everything()
    x = chain.images(3)
    report = evaluate(converted(chain.model(), mode="exact", calibrate=dataset(x)), x).report
    assert report.latency is None and report.energy.ndns is None
    assert report.energy.traffic["event"].state_bytes is None and report.energy.costs[0].joules["event"] is None
    assert report.energy.costs[0].joules["ann"].total == pytest.approx(4.6e-12 * report.energy.ann_macs)
