import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests import naive
from tests.models import Chain, assert_equals_onnx_runtime, assert_layers_equal_onnx_runtime, converted, dataset, exact
from ttfs_convert.conversion.refusals import ConstraintError
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate

QUICK = settings(derandomize=True, deadline=None, max_examples=40)
POOLING = st.sampled_from(("synaptic", "spiking"))


@st.composite
def pools(draw, average):
    """(input shape, attributes) of a 1-D or 2-D pool."""
    rank = draw(st.integers(1, 2))

    def axes(low, high):
        return draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank))

    kernel = axes(1, 3)
    strides = [min(stride, k) for stride, k in zip(axes(1, 3), kernel)]
    attributes = {"kernel_shape": kernel, "strides": strides, "ceil_mode": draw(st.integers(0, 1))}
    padding = draw(st.sampled_from(("none", "pads", "SAME_UPPER", "SAME_LOWER", "VALID")))
    if padding == "pads":
        attributes["pads"] = [min(pad, k - 1) for pad, k in zip(axes(0, 2) + axes(0, 2), kernel * 2)]
    elif padding != "none":
        attributes["auto_pad"] = padding
    if average:
        attributes["count_include_pad"] = draw(st.integers(0, 1))
    elif not padding.startswith("SAME"):
        attributes["dilations"] = axes(1, 2)
    shape = (3, *axes(7, 9))
    if attributes["ceil_mode"] and not padding.startswith("SAME"):
        assume(not _starts_behind_the_data(shape[1:], attributes))
    return shape, attributes


def _starts_behind_the_data(size, attributes):
    """Whether rounding up gives a last window in the padding: onnx's shape inference keeps it in old opsets, ONNX Runtime does not."""
    rank = len(size)
    pads = attributes.get("pads", [0] * 2 * rank)
    for axis in range(rank):
        extent = attributes.get("dilations", (1, 1))[axis] * (attributes["kernel_shape"][axis] - 1) + 1
        stride, before, after = attributes["strides"][axis], pads[axis], pads[rank + axis]
        if -(-(size[axis] + before + after - extent) // stride) * stride >= size[axis] + before:
            return True
    return False


def padded_conv(shape):
    rank = len(shape) - 1
    return Chain(shape).conv(4, (3,) * rank, pads=[1] * 2 * rank)


def counts_too_much(attributes) -> bool:
    """Whether this ONNX Runtime, unlike the standard and later ones, also divides by taps that a rounded-up pool has beyond its padding."""
    if not (attributes.get("ceil_mode") and attributes.get("count_include_pad")):
        return False
    pool = Chain((1, 3)).add("AveragePool", kernel_shape=[2], strides=[2], ceil_mode=1, count_include_pad=1).model()
    (averages,) = Reference(pool)(np.ones((1, 1, 3), np.float32)).values()
    return averages[0, 0, -1] != 1


@QUICK
@given(pools(average=True), POOLING)
def test_average_of_spikes(pool, pooling):
    shape, attributes = pool
    assume(not counts_too_much(attributes))
    chain = padded_conv(shape).relu1().add("AveragePool", **attributes).conv(3, (1,) * (len(shape) - 1)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images(), pooling=pooling)


@QUICK
@given(pools(average=False))
def test_max_behind_the_activation(pool):
    shape, attributes = pool
    chain = padded_conv(shape).relu1().add("MaxPool", **attributes).readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())
    assert assert_layers_equal_onnx_runtime(chain.model(), chain.images()) == 2


@QUICK
@given(pools(average=False))
def test_max_before_the_activation(pool):
    shape, attributes = pool
    chain = padded_conv(shape).add("MaxPool", **attributes).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


@pytest.mark.parametrize(
    "pooling, windows, kinds", (("synaptic", 2, ["input", "spiking", "readout"]), ("spiking", 3, ["input", "spiking", "spiking", "readout"]))
)
def test_average_has_a_window_only_when_it_spikes(pooling, windows, kinds):
    chain = Chain((3, 8, 8)).conv(4).relu1().add("AveragePool", kernel_shape=[2, 2], strides=[2, 2]).readout()
    network = assert_equals_onnx_runtime(chain.model(), chain.images(), pooling=pooling)
    assert network.windows == windows and [layer.kind for layer in network.layers] == kinds


@pytest.mark.parametrize("rounding, half", (("nearest", 0.5), ("ceil", 0)))
@pytest.mark.parametrize("include_pad", (0, 1))
def test_spiking_average_is_exact_on_the_grid(include_pad, rounding, half):
    pool = {"kernel_shape": [2, 2], "strides": [2, 1], "pads": [1, 0, 0, 1], "count_include_pad": include_pad}
    chain = Chain((3, 7, 6)).add("AveragePool", **pool).readout()
    network = converted(chain.model(), steps=7, rounding=rounding, pooling="spiking")
    times = simulate(network, chain.images(20)).spike_times
    geometry = (2, 2), (2, 1), (1, 1), (1, 0)
    counts = naive.window_size((7, 6), *geometry, (0, 1), (4, 6), include_pad)
    np.testing.assert_array_equal(times[network.layers[1].name], naive.average_pool_steps(times["x"], counts, *geometry, 7, half))


@pytest.mark.parametrize("shape", ((3, 9), (3, 6, 5)))
@pytest.mark.parametrize("pooling", ("synaptic", "spiking"))
def test_global_average(shape, pooling):
    chain = Chain(shape).conv(8, (3,) * (len(shape) - 1)).relu1().add("GlobalAveragePool").readout()
    assert_equals_onnx_runtime(chain.model(), chain.images(), pooling=pooling)


@pytest.mark.parametrize("pooling", ("synaptic", "spiking"))
def test_global_average_as_the_readout(pooling):
    chain = Chain((3, 6, 5)).conv(8).relu1().add("GlobalAveragePool")
    assert_equals_onnx_runtime(chain.model(), chain.images(), pooling=pooling)


@pytest.mark.parametrize("pooling", ("synaptic", "spiking"))
@pytest.mark.parametrize("keepdims", (0, 1))
@pytest.mark.parametrize("shape,axes", (((3, 6, 5), [2, 3]), ((3, 6, 5), [-1, -2]), ((3, 7), [2])))
def test_reduce_mean_over_positions_is_a_global_average(shape, axes, keepdims, pooling):
    chain = Chain(shape).conv(8, (3,) * (len(shape) - 1)).relu1().add("ReduceMean", axes=axes, keepdims=keepdims).add("Flatten")
    assert_equals_onnx_runtime(chain.readout().model(), chain.images(), pooling=pooling)


def test_reduce_mean_of_channels_last_images():
    chain = Chain((3, 6, 5)).conv(8).relu1().add("Transpose", perm=[0, 2, 3, 1]).add("ReduceMean", axes=[1, 2], keepdims=0).readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_average_of_potentials_as_the_readout():
    chain = Chain((3, 6, 5)).conv(8).relu1().conv(5, (1, 1), total=2.0).add("GlobalAveragePool").add("Flatten")
    assert_equals_onnx_runtime(chain.model(), chain.images())


@pytest.mark.parametrize(
    "attributes",
    ({}, {"strides": [2, 2]}, {"strides": [2, 2], "ceil_mode": 1}, {"strides": [2, 2], "ceil_mode": 1, "count_include_pad": 1}, {"pads": [1] * 4}),
)
def test_average_before_the_activation(attributes):
    if counts_too_much(attributes):
        pytest.skip("this ONNX Runtime counts taps beyond the padding")
    chain = Chain((3, 7, 7)).conv(4, pads=[1] * 4).add("AveragePool", kernel_shape=[2, 2], **attributes).relu1().readout()
    for pooling in ("synaptic", "spiking"):
        assert_equals_onnx_runtime(chain.model(), chain.images(), pooling=pooling)


@pytest.mark.parametrize("pooling", ("synaptic", "spiking"))
@pytest.mark.parametrize("second", ("AveragePool", "MaxPool"))
@pytest.mark.parametrize("first", ("AveragePool", "MaxPool"))
def test_pool_of_a_pool(first, second, pooling):
    chain = Chain((3, 9, 9)).conv(4, pads=[1] * 4).relu1().add(first, kernel_shape=[2, 2], strides=[2, 2], pads=[1, 1, 0, 0])
    chain.add(second, kernel_shape=[3, 2], pads=[1, 0, 1, 1]).conv(3, (2, 2), pads=[1] * 4).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images(), pooling=pooling)


@pytest.mark.parametrize("pooling", ("synaptic", "spiking"))
@pytest.mark.parametrize("operator", ("AveragePool", "MaxPool"))
def test_pool_of_the_input(operator, pooling):
    chain = Chain((3, 8, 8)).add(operator, kernel_shape=[2, 2], strides=[2, 2]).conv(4).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images(), pooling=pooling)


@pytest.mark.parametrize(
    "rearrange", (lambda chain: chain.add("Transpose", perm=[0, 1, 3, 2]), lambda chain: chain.add("Reshape", np.array([0, 2, 8, 4])))
)
@pytest.mark.parametrize("pooling", ("synaptic", "spiking"))
@pytest.mark.parametrize("operator", ("AveragePool", "MaxPool"))
def test_pool_of_rearranged_spikes_and_rearranged_again(operator, pooling, rearrange):
    chain = rearrange(Chain((3, 4, 4)).conv(4, pads=[1] * 4).relu1()).add(operator, kernel_shape=[2, 2])
    chain.add("Transpose", perm=[0, 2, 1, 3]).conv(3, (2, 2)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images(), pooling=pooling)


def test_a_window_that_would_start_behind_the_data_is_dropped():
    chain = Chain((3, 8)).conv(4, (3,), pads=[1, 1]).relu1().add("MaxPool", kernel_shape=[2], strides=[2], pads=[0, 1], ceil_mode=1)
    assert assert_layers_equal_onnx_runtime(chain.model(), chain.images()) == 2
    network = converted(chain.model())
    assert network.layers[2].shape == (4, 4)


def test_two_max_pools_before_the_activation():
    chain = Chain((3, 9, 9)).conv(4, pads=[1] * 4).add("MaxPool", kernel_shape=[2, 2])
    chain.add("MaxPool", kernel_shape=[3, 3], strides=[2, 2]).relu1().conv(3, (2, 2)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


@pytest.mark.parametrize(
    "build",
    (
        lambda chain: chain.conv(4).add("AveragePool", kernel_shape=[2, 2], pads=[1] * 4, count_include_pad=1).add("Relu"),
        lambda chain: chain.conv(4, pads=[1] * 4).add("MaxPool", kernel_shape=[2, 2]).add("AveragePool", kernel_shape=[2, 2]).add("Relu"),
        lambda chain: chain.conv(4).add("Transpose", perm=[0, 1, 3, 2]).add("MaxPool", kernel_shape=[2, 2]).add("Relu"),
    ),
)
def test_pools_that_need_neurons_in_front_of_them(build):
    """Strict mode names them: the paper has no neurons without an activation."""
    chain = build(Chain((3, 8, 4))).readout()
    exact(chain.model(), chain.images())
    with pytest.raises(ConstraintError) as refusal:
        converted(chain.model())
    assert any("no activation before" in violation.problem for violation in refusal.value.violations)


@pytest.mark.parametrize("operator", ("MaxPool", "AveragePool"))
def test_three_dimensional_windows_are_refused(operator):
    chain = Chain((3, 4, 8)).conv(4, pads=[1] * 4).relu1().add("Reshape", np.array([0, 4, 4, 2, 4]))
    with pytest.raises(UnsupportedModel, match="3-D pool"):
        converted(chain.add(operator, kernel_shape=[2, 2, 2]).readout().model())


# Mode exact: values in ranges


def shifted(chain, *signs):
    """Spikes whose silent value is not 0, for channels of negative `signs` the largest one."""
    axes = len(chain.shape) - 1
    return chain.conv(4, (3,) * axes, pads=[1] * 2 * axes).add("Relu").batch_norm(*signs)


@settings(QUICK, max_examples=15)
@given(pools(average=True), POOLING, st.sampled_from(((0, 1), (-1, 1), (0.2, 3))))
def test_average_of_ranges(pool, pooling, input_range):
    """Padded taps that count are values of 0, not silent neurons; those that do not count are not there."""
    shape, attributes = pool
    chain = shifted(Chain(shape), -1)
    chain.add("AveragePool", **attributes).conv(3, (1,) * (len(shape) - 1), pads=[1] * (2 * len(shape) - 2)).add("Relu").readout()
    exact(chain.model(), chain.images(3, *input_range), pooling=pooling, input_range=input_range)


@settings(QUICK, max_examples=15)
@given(pools(average=False), st.sampled_from(((), (-1,), (-1, -1, -1, -1))), st.booleans())
def test_max_of_ranges(pool, signs, negated):
    shape, attributes = pool
    chain = shifted(Chain(shape), *signs)
    if negated:
        chain.add("Neg")
    chain.add("MaxPool", **attributes).conv(3, (1,) * (len(shape) - 1)).add("Relu").readout()
    exact(chain.model(), chain.images())


@pytest.mark.parametrize("signs, encoders", (((), 0), ((1, 1, 1, -1), 1)))
def test_a_negative_factor_between_activation_and_max_pool_costs_neurons(signs, encoders):
    chain = shifted(Chain((3, 7, 6)), *signs).add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).readout()
    network = exact(chain.model(), chain.images())
    kinds = [layer.kind for layer in network.layers]
    assert kinds == ["input", "spiking", *["spiking"] * encoders, "max_pool", "readout"]


@pytest.mark.parametrize("size", ((6, 6), (7, 5)))
@pytest.mark.parametrize("activation", ("none", "Relu", "Clip"))
def test_max_pool_of_linear_values(size, activation):
    """Where the windows leave out the last row, its values set no range."""
    chain = Chain((3, *size)).conv(4, pads=[1] * 4).add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    if activation != "none":
        chain.add(activation, *(map(np.float32, (-0.25, 0.5)) if activation == "Clip" else ()))
    pooled = chain.at
    network = exact(chain.conv(3, (2, 2), pads=[1] * 4).add("Relu").readout().model(), chain.images(20))
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "max_pool", "spiking", "readout"]
    assert network.layers[2].tensor == pooled


@pytest.mark.parametrize("signs", ((), (-1, -1)))
@pytest.mark.parametrize("activation", ("none", "Relu"))
def test_max_pool_then_norm(activation, signs):
    """The layer before the pool is not the model's tensor before the pool, which has not been normalised."""
    chain = Chain((3, 7, 7)).conv(4, pads=[1] * 4).add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).batch_norm(*signs)
    if activation == "Relu":
        chain.add("Relu")
    exact(chain.conv(3, (2, 2), pads=[1] * 4).add("Relu").readout().model(), chain.images(20))


def test_two_max_pools_of_linear_values():
    chain = Chain((3, 9, 9)).conv(4, pads=[1] * 4).add("MaxPool", kernel_shape=[2, 2])
    chain.add("MaxPool", kernel_shape=[3, 3], strides=[2, 2])
    exact(chain.conv(3, (2, 2)).add("Relu").readout().model(), chain.images())


@pytest.mark.parametrize("pooling, encoders", (("synaptic", 0), ("spiking", 1)))
@pytest.mark.parametrize("include_pad", (0, 1))
def test_an_average_keeps_the_range_of_what_it_averages(include_pad, pooling, encoders):
    chain = shifted(Chain((3, 7, 6))).add("AveragePool", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=include_pad)
    network = exact(chain.conv(3).add("Relu").readout().model(), chain.images(), pooling=pooling)
    spiking = [layer for layer in network.layers if layer.kind == "spiking"]
    assert len(spiking) == 2 + encoders
    if encoders:
        source = shifted(Chain((3, 7, 6))).readout()
        before = exact(source.model(), source.images()).readouts[0].connections[0].source
        assert before == spiking[0].name and len({len(layer.lo) for layer in spiking[:2]}) == 1
        if include_pad:
            assert (spiking[1].lo <= 0).all() and (spiking[1].hi >= 0).all()


@pytest.mark.parametrize("slope", ("gated", "reference"))
def test_a_spiking_average_stays_exact_on_the_grid(slope):
    """Its neurons have the range of their inputs, so that grid values are averaged as whole steps."""
    chain = Chain((3, 6, 6)).add("AveragePool", kernel_shape=[2, 2], strides=[2, 2]).readout()
    network = converted(chain.model(), mode="exact", slope=slope, steps=7, pooling="spiking", input_range=(-1, 3))
    times = simulate(network, chain.images(20, -1, 3)).spike_times
    geometry = (2, 2), (2, 2), (1, 1), (0, 0)
    counts = naive.window_size((6, 6), *geometry, (0, 0), (3, 3), False)
    np.testing.assert_array_equal(times[network.layers[1].name], naive.average_pool_steps(times["x"], counts, *geometry, 7, 0.5))


def average_of_linear_values(**attributes):
    chain = Chain((3, 7, 7)).conv(4, pads=[1] * 4).add("AveragePool", kernel_shape=[3, 3], **attributes)
    return chain.conv(3, (2, 2), pads=[1] * 4).add("Relu").readout()


@pytest.mark.parametrize("attributes", ({}, {"strides": [2, 2]}, {"pads": [1] * 4}, {"pads": [1] * 4, "strides": [2, 2], "ceil_mode": 1}))
def test_average_of_linear_values(attributes):
    chain = average_of_linear_values(**attributes)
    network = exact(chain.model(), chain.images())
    assert sum(layer.kind == "spiking" for layer in network.layers) == 2


def test_average_of_linear_values_whose_padding_counts():
    """A padded tap stands for neurons that compute nothing: with slope reference, whose weight sums they are part of, neurons come first."""
    chain = average_of_linear_values(pads=[1, 0, 0, 1], count_include_pad=1)
    x = chain.images()
    exact(chain.model(), x)
    gated, reference = (converted(chain.model(), mode="exact", slope=slope, calibrate=dataset(x)) for slope in ("gated", "reference"))
    assert [[step.kind for step in network.layers[1].connections[0].path] for network in (gated, reference)] == [
        ["conv", "average_pool", "scale"],
        ["conv"],
    ]


def test_average_of_a_residual_sum():
    chain = Chain((3, 6, 6)).conv(3, pads=[1] * 4)
    chain.add("Add", "x").add("AveragePool", kernel_shape=[2, 2], strides=[2, 2]).add("Relu").readout()
    network = exact(chain.model(), chain.images())
    assert [[step.kind for step in connection.path] for connection in network.layers[1].connections] == [
        ["conv", "average_pool", "scale"],
        ["average_pool", "scale"],
    ]


def test_average_of_a_residual_sum_with_its_own_shift():
    chain = Chain((3, 6, 6)).conv(3, pads=[1] * 4).add("Add", "x").batch_norm(-1)
    chain.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2], pads=[1] * 4).add("Relu").readout()
    exact(chain.model(), chain.images(4, -1, 1), input_range=(-1, 1))


def test_strict_mode_names_a_max_pool_that_is_turned_round():
    chain = Chain((3, 7, 6)).conv(4).relu1().add("Neg").add("MaxPool", kernel_shape=[2, 2]).conv(2, (2, 2)).relu1().readout()
    with pytest.raises(ConstraintError, match="no activation before conv"):
        converted(chain.model())


# As exporters write pools of any size


def windows_of(size, out):
    """PyTorch's adaptive windows: (first, past) of each."""
    return [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]


@pytest.mark.parametrize("values", ("spikes", "potential"))
@pytest.mark.parametrize("size, out", ((7, 3), (7, 4), (10, 4)))
def test_an_adaptive_average_as_pytorch_exports_it(values, size, out):
    """Windows gathered element by element behind a Transpose that moves the batch; where they differ in size, a mask and sums of slices."""
    windows = windows_of(size, out)
    width = max(past - first for first, past in windows)
    index = np.array([[min(first + k, size - 1) for k in range(width)] for first, _ in windows])
    outside = np.array([[first + k >= past for k in range(width)] for first, past in windows])
    chain = Chain((3, size)).conv(4, (3,), pads=[1, 1])
    chain = chain.add("Relu") if values == "spikes" else chain
    chain.add("Transpose", perm=[2, 0, 1]).add("Gather", index, axis=0).add("Transpose", perm=[2, 3, 0, 1])  # (batch, channels, out, width)
    if outside.any():
        masked = chain.at
        condition, zero = chain.constant(outside), chain.constant(np.float32(0))
        chain.at = condition
        masked = chain.add("Where", zero, masked).at
        parts = []
        for k in range(width):
            chain.at = masked
            parts.append(chain.add("Gather", np.array(k), axis=3).at)
        chain.at = parts[0]
        for part in parts[1:]:
            chain.add("Add", part)
        chain.add("Div", np.float32([past - first for first, past in windows]))
    else:
        chain.add("ReduceMean", axes=[3], keepdims=0)
    exact(chain.add("Relu").readout().model(), chain.images(4))
