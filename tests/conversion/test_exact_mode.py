"""Mode exact as a whole: residual networks, inputs of any range, calibration, and what the other modes say to the same models."""

import numpy as np
import pytest

from tests.models import Chain, assert_equals_onnx_runtime, converted, dataset, exact, outputs_of
from ttfs_convert.conversion.refusals import CalibrationError, ConstraintError
from ttfs_convert.errors import DataError, UsageError
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate

SAME = {"pads": [1] * 4}


def spiking(network):
    return [layer for layer in network.layers if layer.kind == "spiking"]


def kinds(network):
    return [[step.kind for step in connection.path] for layer in spiking(network) for connection in layer.connections]


# Residual networks


def test_identity_shortcuts():
    chain = Chain((3, 6, 6)).conv(4, **SAME).batch_norm().add("Relu")
    for _ in range(2):
        shortcut = chain.at
        chain.conv(4, **SAME).batch_norm(-1).add("Relu").conv(4, **SAME).batch_norm(1, -1).add("Add", shortcut).add("Relu")
    network = exact(chain.readout().model(), chain.images())
    assert len(spiking(network)) == 5 and network.windows == 6
    total = spiking(network)[2]
    assert [connection.source for connection in total.connections] == [spiking(network)[1].name, spiking(network)[0].name]
    assert [step.kind for step in total.connections[1].path] == ["scale"], "one connection per neuron, for the change of range"


def test_projection_shortcuts():
    chain = Chain((3, 8, 7)).conv(4, **SAME).add("Relu")
    block = chain.at
    shortcut = chain.conv(6, (1, 1), strides=[2, 2]).batch_norm(-1).at
    chain.at = block
    chain.conv(5, strides=[2, 2], **SAME).add("Relu").conv(6, **SAME).batch_norm().add("Add", shortcut).add("Relu")
    network = exact(chain.readout().model(), chain.images())
    assert len(spiking(network)) == 3 and kinds(network)[2:] == [["conv"], ["conv"]]
    assert {connection.source for connection in spiking(network)[2].connections} == {layer.name for layer in spiking(network)[:2]}


def preactivation(blocks):
    chain = Chain((3, 6, 6)).conv(4, **SAME)
    streams = []
    for _ in range(blocks):
        streams.append(chain.at)
        chain.batch_norm(-1).add("Relu").conv(5, **SAME).batch_norm().add("Relu").conv(4, **SAME).add("Add", streams[-1])
    return chain.batch_norm().add("Relu").readout(), streams


def test_a_stream_that_a_norm_and_a_sum_read_is_spike_coded_once():
    """Per block: the stream and two activations; behind the last block only an activation reads the sum."""
    chain, streams = preactivation(3)
    network = exact(chain.model(), chain.images())
    assert len(spiking(network)) == 3 * 3 + 1
    coded = [layer for layer in spiking(network) if layer.low is None]
    assert [layer.tensor for layer in coded] == streams
    for layer in coded[1:]:
        assert len(layer.connections) == 2, "it integrates the last branch and the last stream, not all the branches again"


def test_the_papers_constraints_have_no_place_for_a_stream():
    chain, _ = preactivation(1)
    network = converted(chain.model(), mode="unchecked")
    assert not [layer for layer in spiking(network) if layer.low is None]
    with pytest.raises(ConstraintError):
        converted(chain.model())


@pytest.mark.parametrize("operator", ("Add", "Sub"))
@pytest.mark.parametrize("tensor_first", (True, False))
def test_sums_and_differences_of_any_two(operator, tensor_first):
    """Two spike trains; two potentials; a potential and a spike train."""
    for build in (lambda chain: chain.add("Relu"), lambda chain: chain, None):
        chain = Chain((3, 6, 6)).conv(3, **SAME).add("Relu").batch_norm(-1)
        first = chain.at
        chain.conv(3, **SAME)
        if build is None:
            first = "x"
        else:
            build(chain)
        second = chain.at
        chain.at, other = (first, second) if tensor_first else (second, first)
        chain.add(operator, other).add("Relu").conv(2, **SAME).add("Relu").readout()
        exact(chain.model(), chain.images(3, -1, 2), input_range=(-1, 2))


def test_a_sum_of_a_tensor_with_itself():
    chain = Chain((3, 6, 6)).conv(3, **SAME)
    chain.add("Add", chain.at).add("Relu")
    chain.add("Add", chain.at).add("Relu").readout()
    exact(chain.model(), chain.images())


def test_one_spike_train_read_by_many():
    chain = Chain((3, 6, 6)).conv(4, **SAME).add("Relu")
    hidden = chain.at
    branches = []
    for build in (
        lambda: chain.conv(2, **SAME).add("Relu"),
        lambda: chain.conv(3, (1, 1)).add("Relu"),
        lambda: chain.add("MaxPool", kernel_shape=[3, 3], pads=[1] * 4),
        lambda: chain.batch_norm(-1),
        lambda: chain.add("AveragePool", kernel_shape=[3, 3], pads=[1] * 4),
    ):
        chain.at = hidden
        branches.append(build().at)
    chain.add("Concat", *branches[:-1], axis=1).conv(3).add("Relu").readout()
    network = exact(chain.model(), chain.images())
    assert sum(layer.tensor == hidden for layer in network.layers) == 1


# Inputs


@pytest.mark.parametrize("low, high", ((-1, 1), (0.2, 3), (-5, -2)))
@pytest.mark.parametrize("first", ("conv", "dense", "average", "max", "depthwise"))
def test_inputs_of_any_range(first, low, high):
    chain = Chain((3, 6, 6))
    if first in ("conv", "depthwise"):
        chain.conv(6, groups=3 if first == "depthwise" else 1, **SAME).add("Relu")
    elif first == "dense":
        chain.add("Flatten").gemm(9).add("Relu")
    else:
        counted = {"count_include_pad": 1} if first == "average" else {}
        chain.add(f"{first.title()}Pool", kernel_shape=[3, 3], pads=[1] * 4, **counted)
    network = exact(chain.readout().model(), chain.images(3, low, high), input_range=(low, high))
    assert network.inputs[0].bounds == (np.float32(low), np.float32(high))


@pytest.mark.parametrize("steps", (1, 7))
@pytest.mark.parametrize("low, high", ((-1, 1), (0.2, 3)))
def test_a_padded_tap_is_exactly_0_on_any_grid(low, high, steps):
    """Inputs at the ends of the range are on every grid; 0, which is none of its values, would not be."""
    chain = Chain((2, 4, 5)).conv(3, (5, 3), pads=[2, 1, 2, 1])
    network = converted(chain.model(), mode="exact", steps=steps, input_range=(low, high))
    x = chain.images(6, low, high)
    x = np.where(x > np.median(x), np.float32(high), np.float32(low))
    (expected,) = Reference(chain.model())(x).values()
    np.testing.assert_allclose(simulate(network, x).potentials, expected, rtol=0, atol=1e-5)
    assert network.readouts[0].bias.shape == (4, 5, 3)


def test_values_outside_the_input_range_are_refused():
    network = converted(Chain((4,)).gemm(3).model(), mode="exact", input_range=(-1, 1))
    for value in (-1.01, 1.01, np.nan):
        with pytest.raises(DataError, match="-1 to 1"):
            simulate(network, np.array([[0, 0, 0, value]], np.float32))


def test_calibration_data_outside_the_input_range_is_refused():
    chain = Chain((4,)).gemm(3).add("Relu").readout()
    with pytest.raises(DataError, match="--input-range"):
        converted(chain.model(), mode="exact", calibrate=dataset(2 * chain.images()))


def plain():
    return Chain((3, 6, 6)).conv(4, **SAME).add("Relu").conv(3).add("Relu").readout()


def test_direct_input_sends_no_spikes_and_takes_no_window():
    chain = plain()
    x = 30 * chain.images(4, -1, 1)
    network = exact(chain.model(), x, input_range=None)
    assert (network.inputs[0].coding, network.inputs[0].window, network.layers[1].window) == ("direct", -1, 0)
    recording = simulate(network, x)
    assert set(recording.spike_times) == {layer.name for layer in network.layers[1:-1]}
    coded = converted(chain.model(), mode="exact", calibrate=dataset(x), input_range=(-30, 30), steps=50)
    analog = converted(chain.model(), mode="exact", calibrate=dataset(x), input_range=None, steps=50)
    assert (analog.windows, coded.windows) == (2, 3) and coded.latency_steps - analog.latency_steps == 50
    with pytest.raises(DataError):
        simulate(network, np.full_like(x, np.inf))


def test_direct_input_is_not_rounded():
    """One step, and only the readout: nothing is left to round."""
    chain = Chain((3, 6, 6)).conv(4, **SAME)
    x = chain.images(4, -1, 1)
    network = converted(chain.model(), mode="exact", input_range=None, steps=1)
    np.testing.assert_allclose(simulate(network, x).potentials, Reference(chain.model())(x)[chain.at], rtol=0, atol=1e-5)


def test_layers_on_direct_input_are_gated_in_a_reference_network():
    chain = Chain((4, 6, 6)).conv(4, **SAME).add("Relu").conv(4, **SAME).add("Add", "x").add("Relu").conv(2).add("Relu").readout()
    x = chain.images(3, -1, 1)
    exact(chain.model(), x, input_range=None)
    network = converted(chain.model(), mode="exact", slope="reference", calibrate=dataset(x), input_range=None)
    assert [layer.slope for layer in spiking(network)] == ["gated", "gated", "reference"] and network.slope == "reference"


def test_strict_mode_names_direct_input():
    chain = Chain((3, 6, 6)).conv(4, **SAME).relu1().readout()
    with pytest.raises(ConstraintError, match="analog input: no spikes") as refusal:
        converted(chain.model(), input_range=None)
    (violation,) = refusal.value.violations
    assert violation.neurons == 4 * 36 and violation.worst is None and "--input-range" in violation.remedy
    network = assert_equals_onnx_runtime(chain.model(), chain.images(3, -1, 1), mode="unchecked", input_range=None)
    assert network.layers[1].slope == "gated" and network.slope == "fan_in"


def test_a_pool_right_behind_direct_input_gets_encoders():
    chain = Chain((3, 6, 6)).add("MaxPool", kernel_shape=[2, 2]).conv(4).add("Relu").readout()
    network = exact(chain.model(), chain.images(3, -2, 2), input_range=None)
    encoder = network.layers[1]
    assert encoder.name == "x/encoder" and encoder.kind == "spiking" and encoder.window == 0
    assert (encoder.lo < -1).all() and (encoder.hi > 1).all()
    with pytest.raises(ConstraintError, match="analog input before"):
        converted(chain.model(), input_range=None)


@pytest.mark.parametrize("axis", (1, 2))
def test_direct_input_is_joined_without_neurons(axis):
    chain = Chain((3, 6, 6)).add("Concat", "x", axis=axis).conv(4).add("Relu").readout()
    network = exact(chain.model(), chain.images(3, -2, 2), input_range=None)
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "readout"] and network.head is not None
    with pytest.raises(ConstraintError) as refusal:
        converted(chain.model(), input_range=None)
    assert any("analog input" in violation.problem for violation in refusal.value.violations)


@pytest.mark.parametrize(
    "build",
    (
        lambda chain: chain.add("Flatten").gemm(5).add("Relu"),
        lambda chain: chain.add("AveragePool", kernel_shape=[2, 2]).conv(3).add("Relu"),
        lambda chain: chain.batch_norm(-1).conv(4, **SAME).add("Relu"),
        lambda chain: chain.add("Neg").conv(4, **SAME).add("Relu"),
        lambda chain: chain.add("Relu").conv(4, **SAME).add("Relu"),
        lambda chain: chain.add("GlobalAveragePool").add("Flatten").gemm(5).add("Relu"),
    ),
)
@pytest.mark.parametrize("pooling", ("synaptic", "spiking"))
def test_what_reads_direct_input(build, pooling):
    chain = build(Chain((3, 6, 6))).readout()
    x = chain.images(4, -2, 2) * np.linspace(0.25, 1, 4, dtype=np.float32).reshape(4, 1, 1, 1)
    exact(chain.model(), x, input_range=None, pooling=pooling)


# Strict mode with an input range and over a graph


@pytest.mark.parametrize("low, high, total", ((-1, 1, 0.5), (0.2, 3, 1 / 2.8), (0, 0.25, 4)))
def test_weight_sums_are_judged_after_the_input_range_is_folded(low, high, total):
    chain = Chain((3, 6, 6)).conv(4, total=total, **SAME).relu1().conv(3, **SAME).relu1().readout()
    network = assert_equals_onnx_runtime(chain.model(), chain.images(3, low, high), input_range=(low, high))
    np.testing.assert_allclose(network.layers[1].weight_sums, 1, atol=1e-5)
    with pytest.raises(ConstraintError) as refusal:
        converted(chain.model())
    assert [violation.worst for violation in refusal.value.violations] == [pytest.approx(abs(total - 1), abs=1e-4)]


@pytest.mark.parametrize("low, high, total", ((0, 1, 0), (-1, 1, -0.5)))
def test_an_identity_beside_a_convolution_counts_in_its_weight_sum(low, high, total):
    """The total over all fan-ins is 1; a range of width 2 gives the identity a weight of 2."""
    chain = Chain((4, 6, 6)).conv(4, total=total, **SAME).add("Add", "x").relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images(3, low, high), input_range=(low, high))
    wrong = Chain((4, 6, 6)).conv(4, total=total + 0.25, **SAME).add("Add", "x").relu1().readout()
    with pytest.raises(ConstraintError, match="weight sum is not 1") as refusal:
        converted(wrong.model(), input_range=(low, high))
    assert refusal.value.violations[0].worst == pytest.approx(0.25 * (high - low), abs=1e-4)


def test_the_weight_sum_is_that_of_all_fan_ins():
    chain = Chain((4, 6, 6)).conv(4, **SAME).relu1()
    hidden, total = chain.at, []
    for share in (0.3, -0.3):
        chain.at = hidden
        total.append(chain.conv(4, total=share, **SAME).at)
    chain.add("Add", total[0]).add("Add", hidden).relu1().readout()
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert len(network.layers[2].connections) == 3 and not network.violations


# Calibration


def test_without_data_the_layers_that_need_it_are_named():
    with pytest.raises(CalibrationError) as refusal:
        converted(plain().model(), mode="exact")
    assert refusal.value.exit_code == 2 and "2 layers have unbounded activations, first 'conv0'" in str(refusal.value)
    assert [layer.layer for layer in refusal.value.layers] == ["conv0", "conv2"]
    assert [(layer.low, layer.high) for layer in refusal.value.layers] == [(0, np.inf)] * 2
    assert "--calibrate" in refusal.value.remedy


@pytest.mark.parametrize("mode", ("strict", "unchecked"))
def test_the_other_modes_need_none(mode):
    try:
        converted(plain().model(), mode=mode)
    except ConstraintError:
        assert mode == "strict"


def test_networks_whose_ranges_are_known_need_none():
    chain = Chain((3, 6, 6)).conv(4).add("Clip", np.float32(0), np.float32(6)).add("AveragePool", kernel_shape=[2, 2]).batch_norm(-1)
    network = exact(chain.add("MaxPool", kernel_shape=[2, 2]).readout().model(), chain.images(), calibrate=None)
    assert network.calibration is None


def test_the_network_says_what_it_was_calibrated_on():
    data = dataset(plain().images(5))
    for method, margin in (("maximum", 0.2), ("mse", 0.0), ("99.9", 0.0)):
        found = converted(plain().model(), mode="exact", calibrate=data, method=method, margin=margin).calibration
        assert (found.data, found.sha256, found.samples, found.method, found.margin) == ("images", data.sha256, 5, method, margin)


def test_data_may_be_a_file(tmp_path):
    x = plain().images(5)
    np.savez(tmp_path / "train.npz", x=x)
    network = converted(plain().model(), mode="exact", calibrate=str(tmp_path / "train.npz"))
    expected = converted(plain().model(), mode="exact", calibrate=dataset(x))
    assert network.calibration.data == "train.npz" and network.calibration.samples == 5
    for layer, other in zip(network.layers[1:-1], expected.layers[1:-1]):
        np.testing.assert_array_equal(layer.hi, other.hi)


def test_methods_differ():
    x = plain().images(20)
    highs = [
        converted(plain().model(), mode="exact", calibrate=dataset(x), method=method, margin=margin, steps=4).layers[1].hi.sum()
        for method, margin in (("maximum", 0.5), ("maximum", 0.0), ("mse", 0.0), ("80", 0.0))
    ]
    assert highs == sorted(highs, reverse=True) and len(set(highs)) == 4


@pytest.mark.parametrize(
    "options",
    (
        {"slope": "fan_in"},
        {"slope": "steep"},
        {"method": "median"},
        {"method": "30"},
        {"margin": -0.1},
        {"input_range": (1, 1)},
        {"input_range": (2, 1)},
        {"input_range": (0, np.inf)},
        {"mode": "loose"},
    ),
)
def test_options_out_of_range_are_usage_errors(options):
    with pytest.raises(UsageError):
        converted(plain().model(), **{"mode": "exact", "calibrate": dataset(plain().images()), **options})


# On the grid


def test_gated_and_reference_networks_send_the_same_spikes():
    chain, _ = preactivation(2)
    x = chain.images(3, -1, 1)
    runs = [
        simulate(converted(chain.model(), mode="exact", slope=slope, steps=20, calibrate=dataset(x), input_range=(-1, 1)), x)
        for slope in ("gated", "reference")
    ]
    assert runs[0].spike_times.keys() == runs[1].spike_times.keys()
    for name, times in runs[0].spike_times.items():
        np.testing.assert_array_equal(times, runs[1].spike_times[name])


@pytest.mark.parametrize("input_range", ((-1, 1), None))
def test_error_vanishes_with_the_number_of_steps(input_range):
    chain, _ = preactivation(1)
    x = chain.images(3, -1, 1)
    (expected,) = Reference(chain.model())(x).values()
    errors = []
    for steps in (5, 50, 500, 65535):
        network = converted(chain.model(), mode="exact", steps=steps, calibrate=dataset(x), input_range=input_range)
        errors.append(np.abs(outputs_of(network, simulate(network, x))[0] - expected).mean() / np.ptp(expected))
    assert all(later < earlier / 4 for earlier, later in zip(errors, errors[1:])) and errors[-1] < 1e-4


def test_batch_splits_change_no_bit():
    chain, _ = preactivation(1)
    x = chain.images(5, -1, 1)
    for input_range in ((-1, 1), None):
        network = converted(chain.model(), mode="exact", steps=30, calibrate=dataset(x), input_range=input_range)
        whole = simulate(network, x).potentials
        assert np.concatenate([simulate(network, x[k : k + 2]).potentials for k in (0, 2, 4)]).tobytes() == whole.tobytes()
