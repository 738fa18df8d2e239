import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.models import Chain, assert_equals_onnx_runtime, converted, dataset, unity
from ttfs_convert.conversion.refusals import ConstraintError
from ttfs_convert.errors import DataError
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.lowering.operators.curves import NO_SHAPE
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.head_and_tail import run
from ttfs_convert.studies.evaluation import evaluate


def test_all_unsupported_nodes_are_listed_at_once():
    chain = Chain((3, 8, 7)).conv(4).add("Elu").conv(4).add("Tanh").conv(4).add("Clip", np.float32(-1), np.float32(1))
    chain.readout().add("Sigmoid").gemm(300)
    with pytest.raises(UnsupportedModel) as refusal:
        converted(chain.model())
    names = [(name, operator) for name, operator, _, _ in refusal.value.nodes]
    assert names == [("elu1", "Elu"), ("tanh3", "Tanh"), ("sigmoid8", "Sigmoid")]
    assert all(node[2:] == NO_SHAPE for node in refusal.value.nodes)
    assert all(reason and remedy for _, _, reason, remedy in refusal.value.nodes)
    assert refusal.value.exit_code == 3 and "3 unsupported nodes" in str(refusal.value) and refusal.value.remedy in str(refusal.value)


def test_attributes_refused_in_parallel_branches_are_listed_at_once():
    chain = Chain((3, 8, 7)).conv(4).add("ReduceMin", axes=[1], keepdims=1)
    first, chain.at = chain.at, "x"
    chain.conv(4).add("Asinh").add("Add", first).readout()
    with pytest.raises(UnsupportedModel) as refusal:
        converted(chain.model())
    assert {node[1] for node in refusal.value.nodes} == {"ReduceMin", "Asinh"}


def violating() -> Chain:
    """Four broken constraints: weight sum 2 with a ReLU, no activation, a clamp at 6."""
    chain = Chain((3, 8, 7))
    chain.add("Conv", unity(chain.rng.normal(size=(4, 3, 3, 3)), total=2.0)).add("Relu")
    chain.add("Conv", unity(chain.rng.normal(size=(5, 4, 3, 3))))
    return chain.add("Conv", unity(chain.rng.normal(size=(2, 5, 1, 1)))).add("Clip", np.float32(0), np.float32(6)).readout()


def test_all_violations_are_listed_at_once():
    with pytest.raises(ConstraintError) as refusal:
        converted(violating().model())
    found = [(violation.layer, violation.problem, violation.neurons) for violation in refusal.value.violations]
    assert found == [
        ("conv0", "activation is ReLU, not ReLU1", 4 * 6 * 5),
        ("conv0", "weight sum is not 1", 4 * 6 * 5),
        ("conv2", "no activation before conv3", 5 * 4 * 3),
        ("conv3", "activation is clamp to [0, 6], not ReLU1", 2 * 4 * 3),
    ]
    worst = [violation.worst for violation in refusal.value.violations]
    assert worst[1] == pytest.approx(1, abs=1e-5) and [worst[k] for k in (0, 2, 3)] == [None] * 3
    assert all(violation.remedy for violation in refusal.value.violations)
    assert refusal.value.exit_code == 3 and "3 layers" in str(refusal.value)


def test_unchecked_lets_violations_pass_and_returns_them():
    chain = violating()
    network = converted(chain.model(), mode="unchecked")
    assert len(network.violations) == 4 and network.mode == "unchecked"
    hidden = [layer for layer in network.layers if layer.kind == "spiking"]
    assert [layer.name for layer in hidden] == ["conv0", "conv2", "conv3"]
    np.testing.assert_allclose(hidden[0].weight_sums, 2, atol=1e-5)
    assert np.isfinite(simulate(network, chain.images()).potentials).all()


def test_only_the_neurons_that_deviate_are_counted():
    chain = Chain((3, 8, 7))
    weights = unity(chain.rng.normal(size=(4, 3, 3, 3)))
    weights[1, 0, 0, 0] += 0.25
    weights[3, 0, 0, 0] -= 0.125
    model = chain.add("Conv", weights).relu1().readout().model()
    with pytest.raises(ConstraintError) as refusal:
        converted(model)
    (violation,) = refusal.value.violations
    assert violation.neurons == 2 * 6 * 5 and violation.worst == pytest.approx(0.25, abs=1e-5)
    assert not converted(model, tolerance=0.3).violations
    assert converted(model, tolerance=0.2, mode="unchecked").violations[0].neurons == 6 * 5


@pytest.mark.parametrize("dimension", (1, 2))
def test_batch_norm_folds_into_the_convolution_before_it(dimension):
    chain = Chain((3, *(8,) * dimension)).conv(4, (3,) * dimension)
    scale = np.array([1.5, 0.5, 0.75, 2], np.float32)
    chain.add("BatchNormalization", scale, np.zeros(4, np.float32), np.zeros(4, np.float32), np.ones(4, np.float32), epsilon=0.0)
    with pytest.raises(ConstraintError) as refusal:
        converted(chain.relu1().readout().model())
    assert refusal.value.violations[0].worst == pytest.approx(1, abs=1e-4)


def test_a_deep_network_of_every_kind_of_layer():
    chain = Chain((3, 12, 12)).conv(6, pads=[1] * 4).relu1().add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    shortcut = chain.conv(8, pads=[1] * 4).relu1().at
    chain.conv(8, pads=[1] * 4, total=0.0, groups=2).add("Add", shortcut).relu1()
    chain.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    chain.conv(8, groups=8, pads=[1] * 4).relu1().add("Dropout").add("Flatten").gemm(20).relu1().readout(10).add("Softmax")
    network = assert_equals_onnx_runtime(chain.model(), chain.images(), tolerance=5e-5)
    assert network.windows == 6


def test_batch_splits_change_no_bit():
    chain = Chain((3, 12, 12)).conv(65, pads=[1] * 4).relu1().add("AveragePool", kernel_shape=[3, 3]).readout(10)
    x = chain.images(5)
    for steps in (None, 50):
        network = converted(chain.model(), steps=steps)
        whole = simulate(network, x).potentials
        assert np.concatenate([simulate(network, x[k : k + 2]).potentials for k in (0, 2, 4)]).tobytes() == whole.tobytes()


def test_error_vanishes_with_the_number_of_steps():
    chain = Chain((3, 8, 8)).conv(6).relu1().conv(6).relu1().readout()
    exact = simulate(converted(chain.model()), chain.images()).potentials
    found = [simulate(converted(chain.model(), steps=steps), chain.images()).potentials for steps in (5, 50, 500, 65535)]
    errors = [np.abs(potentials - exact).mean() for potentials in found]
    assert all(later < earlier / 4 for earlier, later in zip(errors, errors[1:])) and errors[-1] < 1e-4


def test_two_inputs_of_different_shapes():
    chain = Chain((3, 8, 7), z=(5,)).conv(4).relu1().add("GlobalAveragePool").add("Flatten").add("Concat", "z", axis=1).gemm(6).relu1().gemm(3)
    model = chain.model()
    feeds = {"x": chain.images(4), "z": np.random.default_rng(2).random((4, 5), np.float32)}
    network = converted(model, mode="exact")
    assert [layer.onnx_name for layer in network.inputs] == ["x", "z"]
    expected = Reference(model)(feeds)
    np.testing.assert_allclose(run(network, feeds).potentials, expected[chain.at], rtol=0, atol=2e-5)
    with pytest.raises(DataError, match="z"):
        run(network, {"x": feeds["x"]})
    with pytest.raises(DataError, match="inputs of"):
        run(network, {**feeds, "z": feeds["z"][:2]})


def test_pixels_enter_through_a_head():
    """uint8 -> float32 is ONNX Runtime's; the model's own rescaling says what range it gives, else it is analog current."""
    x = np.random.default_rng(0).integers(0, 256, (3, 3, 6, 5), np.uint8)
    for divisor, coding in ((255, "spikes"), (100, "direct")):
        chain = Chain((3, 6, 5)).add("Cast", to=TensorProto.FLOAT).add("Div", np.float32(divisor)).conv(4).relu1().readout()
        model = chain.model()
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
        network = converted(model, mode="exact")
        assert network.head is not None and network.inputs[0].coding == coding
        np.testing.assert_allclose(run(network, x).potentials, Reference(model)(x)[chain.at], rtol=0, atol=2e-5)


@pytest.mark.parametrize("kind", (np.float16, np.float64))
def test_other_floats_are_computed_in_float32(kind):
    model = Chain((3, 8, 7)).conv(8).relu1().conv(8).relu1().readout().model()
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(kind), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    network = converted(model, mode="exact")
    assert network.precision == np.dtype(kind).name
    x = Chain((3, 8, 7)).images()
    (expected,) = Reference(Chain((3, 8, 7)).conv(8).relu1().conv(8).relu1().readout().model())(x).values()
    np.testing.assert_allclose(run(network, x).potentials, expected, rtol=0, atol=2e-2 if kind == np.float16 else 2e-5)
    report = evaluate(network, dataset(x)).report
    assert report.drift.agreement == 1 and report.drift.max_output_error < 2e-5


def test_a_network_quantised_by_others_is_recognised():
    chain = Chain((3, 8, 7)).add("QuantizeLinear", np.float32(1 / 255), np.uint8(0)).add("DequantizeLinear", np.float32(1 / 255), np.uint8(0))
    with pytest.raises(UnsupportedModel, match="quantised by others"):
        converted(chain.conv(4).relu1().readout().model())


def test_a_network_optimised_by_onnx_runtime_is_recognised():
    chain = Chain((3, 8, 7)).conv(4, bias=False)
    model = chain.add("Relu").readout().model()
    model.graph.node[0].op_type, model.graph.node[0].domain = "FusedConv", "com.microsoft"
    model.graph.node[0].attribute.append(helper.make_attribute("activation", "Relu"))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(UnsupportedModel, match="domain com.microsoft"):
        converted(model)
