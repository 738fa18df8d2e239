import numpy as np
import onnx
import pytest

from tests.models import Chain, assert_equals_onnx_runtime, converted, dataset
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.measurement.operation_counts import spiking_mac_share


def logits() -> Chain:
    return Chain((3, 6, 5)).conv(4).relu1().readout(5)


@pytest.mark.parametrize("operator", ("Softmax", "LogSoftmax", "Sigmoid", "Relu"))
def test_tail_runs_on_the_potentials(operator):
    chain = logits()
    root = chain.at
    chain.add(operator)
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert network.readouts[0].tensor == root
    tail = onnx.ModelProto.FromString(network.tail.tobytes())
    assert [node.op_type for node in tail.graph.node] == [operator]
    assert not tail.graph.initializer, "the tail carries weights it does not need"


def test_argmax_gives_labels():
    chain = logits().add("ArgMax", axis=1, keepdims=0)
    assert_equals_onnx_runtime(chain.model(), chain.images(20))


def test_clamp_at_the_output_is_a_tail_with_its_constants():
    chain = logits().relu1()
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert len(onnx.ModelProto.FromString(network.tail.tobytes()).graph.initializer) == 2


def test_several_nodes():
    chain = logits().add("Softmax", axis=1).add("Reshape", np.array([0, 5, 1])).add("ArgMax", axis=1, keepdims=0)
    assert_equals_onnx_runtime(chain.model(), chain.images(20))


@pytest.mark.parametrize("logits_first", (True, False))
def test_logits_as_well_as_probabilities(logits_first):
    chain = logits()
    root = chain.at
    outputs = (root, chain.add("Softmax").at)
    network = assert_equals_onnx_runtime(chain.model(*(outputs if logits_first else outputs[::-1])), chain.images())
    assert network.readouts[0].tensor == root and network.tail is not None


def test_probabilities_and_labels_without_logits():
    chain = logits()
    root = chain.at
    probabilities = chain.add("Softmax").at
    chain.at = root
    label = chain.add("ArgMax", axis=1).at
    assert_equals_onnx_runtime(chain.model(probabilities, label), chain.images(20))


def test_softmax_over_channels_of_a_convolution():
    chain = Chain((3, 6, 5)).conv(4).relu1().conv(5).add("Softmax", axis=1)
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_softmax_of_pooled_spikes():
    chain = Chain((3, 6, 5)).conv(8).relu1().add("GlobalAveragePool").add("Flatten").add("Softmax", axis=1)
    assert_equals_onnx_runtime(chain.model(), chain.images())


@pytest.mark.parametrize("steps", (None, 50))
def test_without_a_tail_there_is_none(steps):
    assert converted(logits().model(), steps=steps).tail is None


@pytest.mark.parametrize("operator", ("Softmax", "LogSoftmax", "Sigmoid"))
def test_in_the_middle_it_is_refused(operator):
    with pytest.raises(UnsupportedModel, match="--mode exact" if operator == "Sigmoid" else "at the output it is fine") as refusal:
        converted(logits().add(operator).gemm(100).model())
    assert [node[1] for node in refusal.value.nodes] == [operator]


@pytest.mark.parametrize("operator", ("Softmax", "Sigmoid"))
@pytest.mark.parametrize(
    "nodes",
    (
        lambda chain: chain.add("MaxPool", kernel_shape=[3, 3], pads=[1] * 4),
        lambda chain: chain.add("GlobalAveragePool"),
        lambda chain: chain.add("ReduceMean", axes=[2]),
        lambda chain: chain.add("Clip", np.float32(0.15)).add("GlobalMaxPool"),
        lambda chain: chain.add("Relu").add("AveragePool", kernel_shape=[2, 2]).add("Concat", chain.at, axis=1),
        lambda chain: chain.add("Pad", np.array([0, 1, 0, 0, 0, 0, 0, 0])),
    ),
)
def test_what_follows_it_runs_behind_it_whatever_that_is(operator, nodes):
    chain = Chain((3, 6, 5)).conv(4).relu1().conv(5, (1, 1))
    root = chain.at
    chain.add(operator, **({"axis": 1} if operator == "Softmax" else {}))
    nodes(chain)
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert [layer.tensor for layer in network.readouts] == [root] and spiking_mac_share(network) == 1


@pytest.mark.parametrize(
    "product",
    (
        lambda chain, bins: chain.add("MatMul", bins),
        lambda chain, bins: chain.add("Gemm", bins.T, transB=1),
        lambda chain, bins: chain.add("Reshape", np.array([0, -1, 1, 1])).add("Conv", bins.T.reshape(1, -1, 1, 1)),
    ),
)
def test_an_expectation_over_bins_is_a_small_part_of_the_network(product):
    chain = logits().add("Softmax", axis=1)
    product(chain, np.arange(5, dtype=np.float32)[:, None])
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert spiking_mac_share(network) == pytest.approx(1 - 5 / network.ann_macs)


def test_a_recurrent_layer_at_the_output_is_counted():
    """5 steps of an LSTM with 3 inputs and 4 states behind two layers on every step."""
    chain = Chain((5, 6))
    chain.add("MatMul", chain.rng.normal(size=(6, 7)).astype(np.float32)).relu1().add("MatMul", chain.rng.normal(size=(7, 3)).astype(np.float32))
    chain.add("Transpose", perm=[1, 0, 2])
    chain.add("LSTM", *(chain.rng.normal(size=(1, 16, size)).astype(np.float32) for size in (3, 4)), hidden_size=4)
    chain.add("Squeeze", np.array([1])).add("Transpose", perm=[1, 0, 2])
    network = assert_equals_onnx_runtime(chain.model(), chain.images(), mode="exact")
    spiking, recurrent = 5 * (6 * 7 + 7 * 3), 5 * 16 * (3 + 4)
    assert network.ann_macs == spiking + recurrent and spiking_mac_share(network) == pytest.approx(spiking / (spiking + recurrent))


def test_a_large_part_of_the_network_is_none():
    """36 classes of 49 of the multiply-accumulates; and a share below the limit that stands for two products above it."""
    for build in (lambda chain: chain.gemm(40), lambda chain: chain.gemm(20).add("Relu").gemm(6)):
        with pytest.raises(UnsupportedModel, match="Softmax 'softmax"):
            converted(build(logits().add("Softmax", axis=1)).model())


def test_preprocessing_may_hold_any_operators():
    """Standardised by their own mean and deviation, which are averages and products until the square root."""
    chain = Chain((3, 6, 5))
    mean = chain.add("ReduceMean", axes=[1, 2, 3]).at
    chain.at = "x"
    centred = chain.add("Sub", mean).at
    deviation = chain.add("Mul", centred).add("ReduceMean", axes=[1, 2, 3]).add("Sqrt").add("Add", np.float32(1e-3)).at
    chain.at = centred
    chain.add("Div", deviation).conv(4).relu1().readout()
    network = assert_equals_onnx_runtime(chain.model(), chain.images(), mode="exact")
    assert network.head is not None and [layer.kind for layer in network.layers] == ["input", "spiking", "readout"]


def test_results_that_nobody_names_connect_nothing():
    """An output and an input that are left out have the same name, and no more in common."""
    chain = Chain((6,)).add("Dropout", outputs=2).add("Clip", None, np.float32(0.8)).add("Sqrt").gemm(8).relu1().add("Dropout", outputs=2).readout()
    model = chain.model()
    for node in model.graph.node:
        node.output[:] = ["" if name.endswith("_extra1") else name for name in node.output]
    network = assert_equals_onnx_runtime(model, chain.images(), mode="exact")
    assert network.head is not None and [layer.kind for layer in network.layers] == ["input", "spiking", "readout"]


def test_preprocessing_that_ends_in_a_softmax():
    chain = Chain((6,)).add("Softmax", axis=1).gemm(8).relu1().readout()
    network = assert_equals_onnx_runtime(chain.model(), chain.images(), mode="exact")
    assert network.head is not None and network.tail is None


def test_outputs_of_two_layers_have_two_readouts():
    """The second reads spikes: its potentials are the decoded activations of a hidden layer."""
    chain = Chain((3, 6, 5)).conv(4).relu1()
    hidden = chain.at
    network = assert_equals_onnx_runtime(chain.readout().model(chain.at, hidden), chain.images())
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "readout", "readout"]


def test_a_mask_that_multiplies_the_input():
    chain = Chain((5,)).gemm(5).relu1().gemm(5).add("Sigmoid").add("Mul", "x")
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert {node.op_type for node in onnx.ModelProto.FromString(network.tail.tobytes()).graph.node} == {"Sigmoid", "Mul"}


def test_a_tail_that_reads_two_layers():
    chain = Chain((5,)).gemm(6).relu1()
    hidden = chain.at
    network = assert_equals_onnx_runtime(chain.gemm(6).add("Tanh").add("Mul", hidden).add("LeakyRelu").model(), chain.images())
    assert [layer.kind for layer in network.layers].count("readout") == 2


def test_what_cannot_spike_in_the_middle_is_refused():
    chain = Chain((5,)).gemm(6).relu1().gemm(6).add("Tanh").gemm(4)
    with pytest.raises(UnsupportedModel, match="Tanh"):
        converted(chain.model())


def test_a_comparison_as_the_output():
    chain = Chain((5,)).gemm(6).relu1().gemm(4)
    network = converted(chain.add("Greater", np.float32(0.1)).add("Cast", to=1).model())
    assert network.tail is not None and [layer.kind for layer in network.layers] == ["input", "spiking", "readout"]


def test_a_clamp_that_waits_for_another_is_not_lost_at_the_output():
    chain = Chain((5,)).gemm(6, total=0.0).add("Relu")
    first, chain.at = chain.at, "x"
    assert_equals_onnx_runtime(
        chain.gemm(6, total=0.0).add("Relu").add("Max", first).model(), chain.images(20), mode="exact", calibrate=dataset(chain.images(20))
    )


def test_branches_that_read_the_body_from_outside():
    chain = logits()
    branches = {}
    for name, factor in (("then_branch", 2.0), ("else_branch", 3.0)):
        factor = onnx.numpy_helper.from_array(np.float32(factor), "factor")
        result = onnx.helper.make_empty_tensor_value_info(name)
        branches[name] = onnx.helper.make_graph([onnx.helper.make_node("Mul", [chain.at, "factor"], [name])], name, [], [result], [factor])
    chain.at = chain.constant(np.array(True))
    chain.add("If", **branches)
    assert_equals_onnx_runtime(chain.model(), chain.images())
