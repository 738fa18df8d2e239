import numpy as np
import pytest

from tests.models import Chain, assert_equals_onnx_runtime, converted, unity
from ttfs_convert.conversion import ConstraintError
from ttfs_convert.lowering.graph import UnsupportedModel
from ttfs_convert.reference import Reference
from ttfs_convert.simulate.exact import simulate


def clamped(low, high):
    return Chain((3, 6, 5)).conv(4).add("Clip", None if low is None else np.float32(low), None if high is None else np.float32(high))


def test_relu1_is_a_neuron():
    chain = clamped(0, 1).readout()
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "readout"]


def test_relu_before_a_clip_is_one_neuron():
    chain = Chain((3, 6, 5)).conv(4).add("Relu").relu1().readout()
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "readout"]


@pytest.mark.parametrize("again", (lambda chain: chain.relu1(), lambda chain: chain.add("Relu"),
                                   lambda chain: chain.add("Clip", np.float32(-1), np.float32(6))))
@pytest.mark.parametrize("between", (lambda chain: chain, lambda chain: chain.add("Flatten"),
                                     lambda chain: chain.add("AveragePool", kernel_shape=[2, 2]),
                                     lambda chain: chain.add("MaxPool", kernel_shape=[2, 2])))
def test_a_clamp_of_values_between_0_and_1_is_none(between, again):
    chain = again(between(clamped(0, 1))).readout()
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert sum(layer.kind == "spiking" for layer in network.layers) == 1


def test_relu_of_the_input_is_none():
    chain = Chain((3, 6, 5)).add("Relu").conv(4).relu1().readout()
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert sum(layer.kind == "spiking" for layer in network.layers) == 1


@pytest.mark.parametrize("high, name", ((None, "ReLU"), (6, "clamp to [0, 6]")))
def test_other_upper_ends_are_violations_that_unchecked_clamps_at_1(high, name):
    chain = clamped(0, high)
    hidden = chain.at
    model = chain.readout().model()
    with pytest.raises(ConstraintError) as refusal:
        converted(model)
    network = converted(model, mode="unchecked")
    assert list(network.violations) == refusal.value.violations
    assert [(violation.problem, violation.neurons, violation.worst) for violation in network.violations] == [
        (f"activation is {name}, not ReLU1", 4 * 4 * 3, None)]
    x = 1 - chain.images() / 8
    x[:, 0] = 0
    expected = Reference(model, [hidden])(x)[hidden]
    assert (expected > 1).any(), "the clamp has nothing to do"
    found = np.moveaxis(simulate(network, x).activations(network.layers[1].name), -1, 1)
    np.testing.assert_allclose(found, np.minimum(expected, 1), rtol=0, atol=2e-6)


@pytest.mark.parametrize("low, high", ((-1, 1), (0.5, 1), (None, 1), (None, None)))
def test_other_lower_ends_are_refused(low, high):
    with pytest.raises(UnsupportedModel, match="ReLU1") as refusal:
        converted(clamped(low, high).readout().model(), mode="unchecked")
    assert [node[1] for node in refusal.value.nodes] == ["Clip"]


def test_a_narrow_clamp_of_spikes_is_refused():
    with pytest.raises(UnsupportedModel, match=r"\[0, 0.5\]"):
        converted(clamped(0, 1).add("Flatten").add("Clip", np.float32(0), np.float32(0.5)).readout().model())


def test_clip_of_opset_6_has_attributes():
    chain = Chain((12,))
    chain.add("MatMul", unity(chain.rng.normal(0, 0.5, (12, 6)), 1))
    chain.add("Clip", min=0.0, max=1.0).add("MatMul", np.ones((6, 2), np.float32))
    assert_equals_onnx_runtime(chain.model(opset=9), chain.images())


def test_a_pre_activation_used_twice_is_one_population():
    chain = Chain((3, 5, 5)).conv(4, pads=[1] * 4)
    potential = chain.at
    chain.relu1()
    first = chain.at
    chain.at = potential
    chain.relu1().add("Add", first).relu1().readout()
    network = converted(chain.model(), mode="unchecked")
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "spiking", "readout"]


def test_a_layer_without_activation_is_compared_with_its_own_tensor():
    chain = Chain((3, 5, 5)).conv(4)
    bare = chain.at
    network = converted(chain.conv(4, (1, 1)).relu1().readout().model(), mode="unchecked")
    assert network.layers[1].tensor == bare
