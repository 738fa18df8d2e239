"""A matrix product over positions: the kernel, the synapses one by one and the counts against plain NumPy, and a model that mixes tokens."""

import numpy as np
import pytest

from tests.lowering.operators.test_matmul import left
from tests.models import Chain, exact
from ttfs_convert.network.populations import has_neurons
from ttfs_convert.network.synapses.axis_product import AxisProduct
from ttfs_convert.network.synapses.connection import Connection
from ttfs_convert.network.synapses.fan_out import existing_connections
from ttfs_convert.network.synapses.weight_sums import weight_sums


@pytest.fixture(params=((7, 5, 3), (1, 4, 6), (12, 1, 9)), ids=str)
def step(request):
    positions, channels, out = request.param
    weights = np.random.default_rng(0).normal(0, 0.5, (positions, out)).astype(np.float32)
    return AxisProduct(in_shape=(positions, channels), out_shape=(out, channels), weights=weights)


def test_kernel_equals_the_equation(step):
    values = np.random.default_rng(1).uniform(0, 1, (4, *step.in_shape)).astype(np.float32)
    found = np.ones((4, *step.out_shape), np.float32)
    step.add(values, found)
    expected = 1 + np.einsum("po,npc->noc", step.weights.astype(np.float64), values)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.stack([step.apply(each) for each in values]) + 1, expected, rtol=0, atol=1e-12)


def test_its_synapses_one_by_one_are_the_same_map(step):
    target, source, weight = step.synapses(virtual=True)
    whole = np.zeros((np.prod(step.out_shape), np.prod(step.in_shape)))
    np.add.at(whole, (target, source), weight)
    values = np.random.default_rng(2).uniform(0, 1, step.in_shape)
    np.testing.assert_allclose(whole @ values.reshape(-1), step.apply(values).reshape(-1), atol=1e-12)
    connection = Connection(source="x", path=(step,))
    assert existing_connections(connection, step.in_shape) == len(target)
    np.testing.assert_allclose(weight_sums(connection, step.out_shape).reshape(-1), whole.sum(1), atol=1e-6)


def test_a_network_that_mixes_tokens_equals_onnx_runtime():
    """Tokens (6, 4): mixed over tokens, over channels, and over tokens again."""
    chain = Chain((6, 4))
    for rows, columns in ((5, 6), (3, 5)):
        left(chain, chain.rng.normal(0, 0.4, (rows, columns)).astype(np.float32)).add("Relu")
        chain.add("MatMul", chain.rng.normal(0, 0.4, (4, 4)).astype(np.float32)).add("Relu")
    network = exact(chain.readout().model(), chain.images(8))
    kinds = [step.kind for layer in network.layers if has_neurons(layer) for connection in layer.connections for step in connection.path]
    assert kinds.count("axis_product") == 2 and not any(layer.kind == "reorder" for layer in network.layers)
