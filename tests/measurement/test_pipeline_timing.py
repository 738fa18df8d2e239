"""Windows on the way through a network, and how often a sample can enter."""

import pytest

from tests.models import Chain, converted, dataset
from ttfs_convert.measurement.pipeline_timing import pipeline_timing


def residual(**options):
    chain = Chain((2, 6, 6)).conv(3, pads=[1] * 4).add("Relu")
    early = chain.at
    chain.conv(3, pads=[1] * 4).add("Relu").conv(3, pads=[1] * 4).add("Add", early).add("Relu").add("MaxPool", kernel_shape=[2, 2]).readout()
    return converted(chain.model(), mode="exact", calibrate=dataset(chain.images(3)), **options)


def test_windows_follow_one_another_and_a_sample_enters_every_window():
    net = residual(steps=10)
    found = pipeline_timing(net)
    assert (found.latency, found.interval, found.interval_with_one_potential) == (40, 10, 20)
    assert [found.windows[layer.name] for layer in net.layers] == [(0, 10), (10, 20), (20, 30), (30, 40), (30, 40), (30, 40)]
    assert net.layers[4].kind == "max_pool"


def test_the_longest_window_is_the_interval():
    net = residual(steps=10)
    first, second = (layer.name for layer in net.layers[1:3])
    found = pipeline_timing(net.with_layer_steps({first: 4, second: 16}))
    assert found.latency == 10 + 4 + 16 + 10
    assert (found.interval, found.interval_with_one_potential) == (16, 26)  # the sum reads a window of 16, then takes 10
    assert found.windows[second] == (14, 30)


def test_analog_inputs_have_no_window_and_continuous_time_no_steps():
    net = residual(steps=10, input_range=None)
    found = pipeline_timing(net)
    assert (found.latency, found.windows[net.layers[0].name], found.windows[net.layers[1].name]) == (30, (0, 0), (0, 10))
    assert pipeline_timing(residual()) is None


@pytest.mark.parametrize("steps", (7, 20))
def test_latency_is_the_networks(steps):
    net = residual(steps=steps, input_steps=33)
    assert pipeline_timing(net).latency == net.latency_steps
