"""LeakyRelu, PRelu and Abs: two populations, one for either half of the line, that together are exact."""

import numpy as np
import pytest

from tests.models import Chain, assert_equals_onnx_runtime, converted, dataset, exact, layer_errors_of
from ttfs_convert.conversion.refusals import ConstraintError
from ttfs_convert.measurement.operation_counts import spiking_mac_share
from ttfs_convert.network.store import load, save
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.head_and_tail import run
from ttfs_convert.studies.evaluation import evaluate

SAME = {"pads": [1] * 4}
HALVES = ["positive", "negated"]


def start(shape=(3, 8, 8)):
    return Chain(shape).conv(4, **SAME)


def end(chain):
    """A convolution, a ReLU and a readout behind whatever is there."""
    return chain.conv(3, (2, 2)).add("Relu").readout()


def leaky(chain, alpha=0.2):
    return chain.add("LeakyRelu", alpha=alpha)


def prelu(*slopes):
    return lambda chain: chain.add("PRelu", np.float32(slopes).reshape(-1, 1, 1))


def parts(network):
    return [layer.part for layer in network.layers if layer.kind == "spiking"]


ACTIVATIONS = {
    "leaky": leaky,
    "steep": lambda chain: leaky(chain, 3.0),
    "one slope": prelu(0.25),
    "negative": prelu(-0.3),
    "per channel": prelu(0.1, -0.5, 2, 0),
    "abs": lambda chain: chain.add("Abs"),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_two_populations_take_one_window(activation):
    """The convolution behind reads both; each is held against its half of the pre-activation."""
    chain = start()
    network = exact(end(ACTIVATIONS[activation](chain)).model(), chain.images(6))
    assert parts(network) == [*HALVES, "whole"] and network.windows == 3
    assert [len(layer.connections) for layer in network.layers[1:]] == [1, 1, 2, 1]
    assert layer_errors_of(network, end(ACTIVATIONS[activation](start())).model(), chain.images(6)).not_compared() == []


def test_the_halves_are_those_of_the_pre_activation():
    chain = start()
    before = chain.at
    model, x = end(leaky(chain)).model(), chain.images(5)
    network = converted(model, mode="exact", calibrate=dataset(x))
    recording, values = run(network, x), np.moveaxis(Reference(model, [before])(x)[before], 1, -1)
    first, second = network.layers[1:3]
    assert first.tensor == second.tensor == before
    for layer, expected in ((first, np.maximum(values, 0)), (second, np.maximum(-values, 0))):
        np.testing.assert_allclose(layer.lo + (layer.hi - layer.lo) * recording.activations(layer.name), expected, rtol=0, atol=1e-5)
        assert (layer.hi > expected.max((0, 1, 2)) - 1e-6).all() and (layer.hi < 1.2 * expected.max()).all()
    spikes = [recording.activations(layer.name) > 0 for layer in (first, second)]
    assert not (spikes[0] & spikes[1]).any() and (spikes[0] | spikes[1]).mean() > 0.99


def test_an_error_in_either_half_is_seen():
    """Twice the weights of the second population: nothing but its own layer says so first."""
    chain = start()
    model, x = end(leaky(chain)).model(), chain.images(5)
    network = converted(model, mode="exact", calibrate=dataset(x))
    first, second = network.layers[1:3]
    (connection,) = second.connections
    step = connection.path[0].model_copy(update={"weights": connection.path[0].weights * np.float32(0.5)})
    broken = second.model_copy(update={"connections": (connection.model_copy(update={"path": (step,)}),)})
    changed = network.model_copy(update={"layers": (network.layers[0], first, broken, *network.layers[3:])})
    layer_errors = layer_errors_of(changed, model, x)
    assert layer_errors.first_out_of_tolerance() == second.name and layer_errors.layers[first.name].largest_error < 1e-5


@pytest.mark.parametrize(
    "activation, kinds",
    (
        (prelu(1, 1, 1, 1), ["whole", "whole"]),
        (prelu(0), ["whole", "whole"]),
        (lambda chain: chain.add("Relu").add("Abs"), ["whole", "whole"]),
        (lambda chain: chain.add("Relu").add("Neg").add("LeakyRelu"), ["whole", "whole"]),
    ),
)
def test_slopes_that_need_no_second_population(activation, kinds):
    """Slope 1 changes nothing, 0 is a ReLU; a sign that is known is a factor."""
    chain = start()
    assert parts(exact(end(activation(chain)).model(), chain.images(6))) == kinds


@pytest.mark.parametrize("shape", ((4, 8, 8), (1, 8, 8), (8,)))
def test_slopes_by_position(shape):
    chain = start()
    slopes = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    network = exact(end(chain.add("PRelu", slopes)).model(), chain.images(6))
    assert parts(network) == [*HALVES, "whole", "whole"], "a convolution needs one factor per channel"
    chain = Chain((6,)).gemm(8).add("PRelu", slopes.reshape(-1)[:8]).gemm(5).add("Relu").gemm(4)
    assert parts(exact(chain.model(), chain.images(6))) == [*HALVES, "whole"]


MAX = {"kernel_shape": [2, 2], "strides": [2, 2]}


@pytest.mark.parametrize(
    "build, windows, kinds",
    (
        (lambda chain: leaky(chain).add("MaxPool", **MAX), 3, ["positive", "negative", "whole"]),
        (lambda chain: leaky(chain).batch_norm().add("MaxPool", **MAX), 3, ["positive", "negative", "whole"]),
        (lambda chain: leaky(chain).add("MaxPool", kernel_shape=[3, 3], pads=[1] * 4), 3, ["positive", "negative", "whole"]),
        (lambda chain: leaky(chain).add("MaxPool", **MAX).add("MaxPool", kernel_shape=[2, 2]), 3, ["positive", "negative", "whole"]),
        (lambda chain: leaky(chain.add("MaxPool", **MAX)), 3, ["positive", "negative", "whole"]),
        (lambda chain: chain.add("MaxPool", **MAX).add("Abs"), 3, ["positive", "negative", "whole"]),
        (lambda chain: leaky(chain).batch_norm(-1).add("MaxPool", **MAX), 4, ["positive", "negative", "whole", "whole"]),
        (lambda chain: chain.add("Abs").add("MaxPool", **MAX), 4, [*HALVES, "whole", "whole"]),
        (lambda chain: prelu(0.1, -0.1, 2, 1)(chain).add("MaxPool", **MAX), 4, [*HALVES, "whole", "whole"]),
    ),
)
def test_max_pools(build, windows, kinds):
    """An increasing activation commutes with a maximum, and so do both of its halves; else its values are coded anew in front of the pool."""
    chain = start()
    network = exact(end(build(chain)).model(), chain.images(6))
    assert network.windows == windows and parts(network) == kinds


@pytest.mark.parametrize("pooling, kinds", (("synaptic", [*HALVES, "whole"]), ("spiking", [*HALVES, "whole", "whole"])))
@pytest.mark.parametrize("attributes", ({}, {"pads": [1] * 4, "count_include_pad": 1}, {"pads": [1] * 4}))
def test_average_pools(attributes, pooling, kinds):
    chain = start()
    network = exact(end(leaky(chain).add("AveragePool", kernel_shape=[3, 3], **attributes)).model(), chain.images(6), pooling=pooling)
    assert parts(network) == kinds


def test_a_residual_network_of_leaky_relus():
    chain = leaky(start()).add("MaxPool", **MAX)
    shortcut = chain.at
    leaky(leaky(chain.conv(5, **SAME)).conv(4, **SAME).add("Add", shortcut))
    network = exact(leaky(chain.add("Flatten").gemm(9)).gemm(5).model(), chain.images(6))
    assert network.windows == 5 and len(parts(network)) == 8
    joined = network.layers[-5]
    assert joined.part == "positive" and [len(connection.path) for connection in joined.connections] == [1] * 4
    assert spiking_mac_share(network) == 1, "both halves do the multiply-accumulates of one layer"


def branches(chain, *operators):
    """The results of two convolutions of what is there, each behind one of `operators`; the chain goes on from the last."""
    before, found = chain.at, []
    for operator in operators:
        chain.at = before
        found.append(operator(chain.conv(4, **SAME)).at)
    return found


@pytest.mark.parametrize("axis", (1, 2, 3))
@pytest.mark.parametrize("operators", ((leaky, leaky), (leaky, lambda chain: chain.add("Abs")), (leaky, lambda chain: chain.add("Relu"))))
def test_concatenations(operators, axis):
    chain = start().add("Relu")
    first, _ = branches(chain, *operators)
    exact(end(chain.add("Concat", first, axis=axis)).model(), chain.images(6))


def test_halves_side_by_side_take_no_window():
    chain = start().add("Relu")
    first, _ = branches(chain, leaky, leaky)
    network = exact(end(chain.add("Concat", first, axis=1)).model(), chain.images(6))
    assert network.windows == 4 and sum(layer.kind == "concat" for layer in network.layers) == 2


@pytest.mark.parametrize(
    "move, windows",
    (
        (lambda chain: chain.add("Transpose", perm=[0, 1, 3, 2]), 3),
        (lambda chain: chain.add("Slice", np.array([1]), np.array([7]), np.array([2])), 3),
        (lambda chain: chain.add("Resize", None, np.float32([1, 1, 2, 2]), mode="nearest"), 3),
        (lambda chain: chain.add("Pad", np.array([0, 0, 1, 1, 0, 0, 1, 1])), 3),
        (lambda chain: chain.add("Pad", np.array([0, 0, 1, 1, 0, 0, 1, 1]), mode="reflect"), 3),
    ),
)
def test_what_moves_elements_moves_both_halves(move, windows):
    chain = start()
    assert exact(end(move(leaky(chain))).model(), chain.images(6)).windows == windows


@pytest.mark.parametrize("operator", ("Add", "Sub", "Max"))
def test_two_of_them_meet(operator):
    chain = start().add("Relu")
    first, _ = branches(chain, leaky, lambda chain: leaky(chain, 0.5))
    exact(end(chain.add(operator, first)).model(), chain.images(6))


def test_a_sum_of_two_in_different_orders():
    chain = start().add("Relu")
    first, _ = branches(chain, leaky, lambda chain: leaky(chain).add("Transpose", perm=[0, 1, 3, 2]))
    exact(end(chain.add("Add", first)).model(), chain.images(6))


def test_rows_of_a_series_and_transposed_convolutions():
    chain = leaky(Chain((3, 12)).conv(4, (3,))).add("Transpose", perm=[0, 2, 1])
    chain.add("MatMul", chain.rng.normal(size=(4, 5)).astype(np.float32)).add("Relu").readout()
    exact(chain.model(), chain.images(6))
    chain = start()
    leaky(chain).add("ConvTranspose", chain.rng.normal(size=(4, 3, 2, 2)).astype(np.float32), strides=[2, 2])
    exact(chain.add("Relu").readout().model(), chain.images(6))


def test_an_activation_of_the_input():
    """Analog, or of a range that holds both signs."""
    chain = leaky(Chain((3, 6, 6)))
    model, x = chain.conv(4).add("Relu").readout().model(), chain.images(6, -1, 2)
    for bounds, kinds in ((None, ["gated"] * 2), ((-1, 2), ["reference"] * 2)):
        network = converted(model, mode="exact", slope="reference", calibrate=dataset(x), input_range=bounds)
        assert [layer.slope for layer in network.layers[1:3]] == kinds and parts(network)[:2] == HALVES
        exact(model, x, input_range=bounds)


def test_at_the_output_it_is_tail():
    chain = leaky(start().add("Relu").readout())
    network = assert_equals_onnx_runtime(chain.model(), chain.images(6), mode="exact", calibrate=dataset(chain.images(6)))
    assert network.tail is not None and parts(network) == ["whole"]


def residual():
    chain = leaky(start()).add("MaxPool", **MAX)
    shortcut = chain.at
    return leaky(chain.conv(4, **SAME).add("Add", shortcut), -0.4).readout()


@pytest.mark.parametrize("steps", (16, 255, 300))
@pytest.mark.parametrize("slope", ("gated", "reference"))
def test_engines_and_the_quantised_original_agree(steps, slope):
    chain = residual()
    x = dataset(chain.images(8))
    network = converted(chain.model(), mode="exact", slope=slope, calibrate=x, steps=steps)
    report = evaluate(network, x, engine="clock", quantised=True).report
    assert report.engine.differing == 0 and report.quantised_ann.agreement == 1 and report.quantised_ann.spikes_differing < 1e-3
    assert evaluate(network, x, engine="event").report.engine.farthest < 1e-5


def test_counts_tell_of_both():
    """4 x 8 x 8 neurons twice, each fed by every connection of the convolution; what reads them has as many again."""
    chain = start()
    x = dataset(chain.images(8))
    both = evaluate(converted(end(leaky(chain)).model(), mode="exact", calibrate=x, steps=20), x).report
    single = evaluate(converted(end(start().add("Relu")).model(), mode="exact", calibrate=x, steps=20), x).report
    assert both.model.neurons == single.model.neurons + 4 * 8 * 8 and both.model.layers == single.model.layers + 1
    connections = {layer.name: layer.synapses for layer in single.layers}
    assert both.model.synapses == single.model.synapses + connections["conv0"] + connections["conv2"]
    assert both.model.spiking_mac_share == single.model.spiking_mac_share == 1
    assert both.energy.ann_macs == single.energy.ann_macs and both.snn.latency_steps == single.snn.latency_steps


def test_the_files_of_before_have_whole_values(tmp_path):
    chain = start()
    network = converted(end(leaky(chain)).model(), mode="exact", calibrate=dataset(chain.images(4)))
    save(network, tmp_path / "snn.npz")
    assert [layer.part for layer in load(tmp_path / "snn.npz").layers if layer.kind == "spiking"] == [*HALVES, "whole"]
    old = network.layers[0].model_dump(exclude={"part"})
    assert type(network.layers[0])(**old).part == "whole"


def test_the_paper_knows_one_slope():
    """Mode strict names it once; mode unchecked clamps either half at 1 and keeps the weights, and with them their sums."""
    chain = Chain((3, 8, 7)).conv(4)
    model = leaky(chain).conv(3).relu1().readout().model()
    with pytest.raises(ConstraintError) as refusal:
        converted(model)
    found = [(violation.layer, violation.problem, violation.neurons) for violation in refusal.value.violations]
    assert found[0] == ("conv0", "activation is LeakyRelu, not ReLU1", 4 * 6 * 5) and found[1][:2] == ("conv2", "weight sum is not 1")
    network = converted(model, mode="unchecked")
    first, second = network.layers[1:3]
    assert [first.part, second.part] == ["positive", "negative"]
    assert (first.lo.min(), first.hi.max(), second.lo.min(), second.hi.max()) == (0, 1, -1, 0)
    np.testing.assert_array_equal(first.connections[0].path[0].weights, second.connections[0].path[0].weights)
    dim = 0.2 * chain.images()
    assert (
        layer_errors_of(network, model, dim).layers["conv0"].largest_error
        < 1e-5
        > layer_errors_of(network, model, dim).layers["conv0/negative"].largest_error
    )
