import numpy as np
import onnx
import pytest

from tests.models import Chain, assert_equals_onnx_runtime, converted, dataset
from ttfs_convert.lowering.graph import UnsupportedModel


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
    with pytest.raises(UnsupportedModel, match="at the output it is fine") as refusal:
        converted(logits().add(operator).gemm(3).model())
    assert [node[1] for node in refusal.value.nodes] == [operator]


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
    assert_equals_onnx_runtime(chain.gemm(6, total=0.0).add("Relu").add("Max", first).model(), chain.images(20), mode="exact",
                               calibrate=dataset(chain.images(20)))


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
