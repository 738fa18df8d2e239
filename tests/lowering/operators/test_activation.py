import numpy as np
import pytest

from tests.models import Chain, assert_equals_onnx_runtime, converted, exact, unity
from ttfs_convert.conversion.refusals import ConstraintError
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate


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


@pytest.mark.parametrize(
    "again", (lambda chain: chain.relu1(), lambda chain: chain.add("Relu"), lambda chain: chain.add("Clip", np.float32(-1), np.float32(6)))
)
@pytest.mark.parametrize(
    "between",
    (
        lambda chain: chain,
        lambda chain: chain.add("Flatten"),
        lambda chain: chain.add("AveragePool", kernel_shape=[2, 2]),
        lambda chain: chain.add("MaxPool", kernel_shape=[2, 2]),
    ),
)
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
        (f"activation is {name}, not ReLU1", 4 * 4 * 3, None)
    ]
    x = 1 - chain.images() / 8
    x[:, 0] = 0
    expected = Reference(model, [hidden])(x)[hidden]
    assert (expected > 1).any(), "the clamp has nothing to do"
    found = np.moveaxis(simulate(network, x).activations(network.layers[1].name), -1, 1)
    np.testing.assert_allclose(found, np.minimum(expected, 1), rtol=0, atol=2e-6)


CLAMPS = ((0, None), (0, 6), (-1, 1), (0.5, 2), (0, 0.5), (None, 1), (1, None), (-3, -1))


def spread(low, high):
    """As `clamped`, with pre-activations from about -10 to 10."""
    chain = Chain((3, 6, 5)).conv(4, total=0.0).add("Mul", np.float32(8))
    return chain.add("Clip", None if low is None else np.float32(low), None if high is None else np.float32(high))


@pytest.mark.parametrize("low, high", CLAMPS)
def test_any_clamp_is_a_range(low, high):
    chain = spread(low, high)
    hidden = chain.at
    network = exact(chain.readout().model(), chain.images())
    (values,) = (Reference(chain.model(), [hidden])(chain.images())[hidden],)
    layer = network.layers[1]
    assert [each.kind for each in network.layers] == ["input", "spiking", "readout"] and layer.tensor == hidden
    assert (layer.low, layer.high) == (low, high)
    for end, found, extreme, outward in ((low, layer.lo, values.min((0, 2, 3)), -1), (high, layer.hi, values.max((0, 2, 3)), 1)):
        if end is None:
            assert (outward * (found - extreme) > 0).all() and len(set(found.tolist())) == 4, "not one end per channel"
        else:
            assert found.tolist() == [end] * 4 and (values == end).any()


def test_relu6_of_pytorch_needs_no_calibration():
    chain = spread(0, 6).readout()
    assert exact(chain.model(), chain.images(), calibrate=None).calibration is None


@pytest.mark.parametrize("low, high", [ends for ends in CLAMPS if ends not in ((0, None), (-3, -1))])
def test_strict_mode_takes_relu1_alone(low, high):
    with pytest.raises(ConstraintError) as refusal:
        converted(clamped(low, high).readout().model())
    problem = refusal.value.violations[0].problem
    assert problem == f"activation is clamp to [{-np.inf if low is None else low:g}, {np.inf if high is None else high:g}], not ReLU1"


def test_no_activation_at_all_is_a_violation_and_a_range_with_two_calibrated_ends():
    model = clamped(None, None).readout().model()
    with pytest.raises(ConstraintError, match="no activation before gemm"):
        converted(model)
    network = exact(model, clamped(None, None).images())
    assert (network.layers[1].low, network.layers[1].high) == (None, None) and (network.layers[1].lo < 0).all()


@pytest.mark.parametrize(
    "low, high, unchecked", ((0, 6, (0, 1)), (-1, 1, (-1, 1)), (0.5, 2, (0.5, 1)), (0, 0.5, (0, 0.5)), (0, None, (0, 1)), (None, 1, (0, 1)))
)
def test_unchecked_ends_at_1(low, high, unchecked):
    network = converted(clamped(low, high).readout().model(), mode="unchecked")
    layer = network.layers[1]
    assert (layer.lo.tolist(), layer.hi.tolist()) == ([unchecked[0]] * 4, [unchecked[1]] * 4)


def test_a_clamp_without_width_is_refused():
    with pytest.raises(UnsupportedModel, match="it clamps a constant, or to"):
        converted(clamped(1, 0).readout().model(), mode="unchecked")


def test_a_narrow_clamp_of_spikes_has_neurons_of_its_own():
    chain = spread(0, 1).add("Flatten").add("Clip", np.float32(0.25), np.float32(0.5)).readout()
    network = exact(chain.model(), chain.images())
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "spiking", "readout"]
    with pytest.raises(ConstraintError, match=r"clamp to \[0.25, 0.5\]"):
        converted(clamped(0, 1).add("Flatten").add("Clip", np.float32(0.25), np.float32(0.5)).readout().model())


@pytest.mark.parametrize(
    "first, second",
    (
        ((0, None), (None, 6)),
        ((None, 2), (-1, None)),
        ((-2, 3), (0, 2)),
        ((0, 1), (-1, 6)),
        ((1, 3), (0, 2)),
        ((None, -1), (0, None)),
        ((2, None), (-1, 1)),
    ),
)
def test_clamps_in_a_row(first, second):
    """Where they have no value in common, the second one's end is the result; refusing that is fine, another value is not."""
    chain = spread(*first)
    chain.add("Clip", *(None if end is None else np.float32(end) for end in second))
    shortcut, chain.at = chain.at, "x"
    chain.conv(4).add("Relu").add("Add", shortcut).add("Relu").readout()
    try:
        exact(chain.model(), chain.images())
    except UnsupportedModel:
        assert (first, second) in (((None, -1), (0, None)), ((2, None), (-1, 1)))


@pytest.mark.parametrize("low, high", ((None, 1), (1, None), (0, None), (-1, 1), (None, 0)))
def test_a_clamp_that_some_channels_lie_wholly_beyond(low, high):
    chain = clamped(0, 1).add("Add", np.array([0, 3, -3, 0.5], np.float32).reshape(4, 1, 1))
    chain.add("Clip", None if low is None else np.float32(low), None if high is None else np.float32(high))
    chain.conv(3, pads=[1] * 4).readout()
    exact(chain.model(), chain.images())


@pytest.mark.parametrize("low, high, bias", ((None, 1, 1), (0, None, 0), (None, None, 1)))
def test_a_channel_that_hardly_varies(low, high, bias):
    """Narrower than what float32 resolves beside the others, at the end of the clamp."""
    weights = unity(np.random.default_rng(0).normal(0, 0.5, (4, 3, 3, 3)), total=0.0)
    weights[1] *= np.float32(1e-6)
    chain = Chain((3, 6, 5)).add("Conv", weights, np.array([0.5, bias, 0.9, 0.6], np.float32))
    chain.add("Clip", None if low is None else np.float32(low), None if high is None else np.float32(high)).readout()
    network = exact(chain.model(), chain.images())
    layer = network.layers[1]
    assert ((layer.hi - layer.lo) >= 9.99e-4 * layer.hi.max()).all() and (layer.hi - layer.lo)[1] < 0.01
    if high is not None:
        assert (layer.hi == high).all()


@pytest.mark.parametrize("operator, ends", (("Relu", (0, 1)), ("Clip", (-0.25, 0.75))))
@pytest.mark.parametrize("input_range", ((-1, 1), None))
def test_an_activation_of_the_input(operator, ends, input_range):
    chain = Chain((3, 6, 5)).add(operator, *(map(np.float32, ends) if operator == "Clip" else ()))
    chain.conv(4, pads=[1] * 4).add("Relu").readout()
    network = exact(chain.model(), chain.images(4, -1, 1), input_range=input_range)
    first = network.layers[1]
    assert first.kind == "spiking" and first.lo[0] == ends[0]
    if input_range or operator == "Clip":
        assert first.hi[0] == ends[1]
    else:
        assert (first.hi > 1).all()  # calibrated, with a margin


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


def test_in_mode_exact_a_pre_activation_used_twice_is_coded_once():
    chain = Chain((3, 5, 5)).conv(4, pads=[1] * 4)
    potential = chain.at
    chain.add("Relu")
    first, chain.at = chain.at, potential
    chain.add("Clip", np.float32(-1), np.float32(0.5)).add("Add", first).add("Relu").readout()
    network = exact(chain.model(), chain.images())
    coded = next(layer for layer in network.layers if layer.tensor == potential)
    assert [connection.source for layer in network.layers[2:4] for connection in layer.connections] == [coded.name] * 2
    assert sum(layer.kind == "spiking" for layer in network.layers) == 4


@pytest.mark.parametrize("branches", ("constant first", "constant second", "both computed"))
@pytest.mark.parametrize("activation", ("Relu", None))
def test_where_of_a_constant_condition_chooses_elements(branches, activation):
    chain = Chain((3, 4, 5)).conv(3, pads=[1] * 4)
    chain = chain.add(activation) if activation else chain
    first, condition = chain.at, chain.constant(np.random.default_rng(3).random((1, 3, 4, 5)) < 0.5)
    second = chain.conv(3, pads=[1] * 4).at if branches == "both computed" else chain.constant(np.float32(0.5))
    chain.at = condition
    chain.add("Where", *((second, first) if branches == "constant first" else (first, second)))
    exact(chain.add("Clip", np.float32(-1), np.float32(1)).readout().model(), chain.images())
