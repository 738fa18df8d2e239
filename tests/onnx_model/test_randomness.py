"""Nodes that draw random numbers or are in training mode are refused by name, wherever they stand."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.models import Chain, assert_equals_onnx_runtime, converted
from ttfs_convert.errors import ModelError
from ttfs_convert.onnx_model.randomness import RANDOM

PLACES = {
    "head": lambda chain, node: node(chain).gemm(6).relu1().gemm(4),
    "body": lambda chain, node: node(chain.gemm(6)).relu1().gemm(4),
    "tail": lambda chain, node: node(chain.gemm(6).relu1().gemm(4).add("Softmax", axis=1)),
}


def refused(model, *words):
    with pytest.raises(ModelError) as refusal:
        converted(model, mode="exact")
    assert refusal.value.exit_code == 3 and refusal.value.remedy
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("operator", RANDOM)
def test_random_numbers(operator, place):
    def noise(chain):
        data = chain.at
        if operator.endswith("Like"):
            chain.add(operator)
        elif operator == "Bernoulli":
            chain.add("Sigmoid").add(operator)
        elif operator == "Multinomial":
            chain.add(operator, sample_size=1, dtype=TensorProto.INT32).add("Cast", to=TensorProto.FLOAT)
        else:
            chain._nodes.append(helper.make_node(operator, [], ["noise"], name="noise", shape=[1, 1]))
            chain.at = "noise"
        return chain.add("Add", data)

    chain = Chain((5,))
    refused(PLACES[place](chain, noise).model(), f"{operator} '", "random numbers")


@pytest.mark.parametrize("place", PLACES)
def test_dropout_in_training_mode(place):
    dropout = lambda chain, mode: chain.add("Dropout", np.float32(0.5), np.array(mode))  # noqa: E731
    refused(PLACES[place](Chain((5,)), lambda chain: dropout(chain, True)).model(), "Dropout 'dropout", "training mode")
    chain = Chain((5,))
    assert_equals_onnx_runtime(PLACES[place](chain, lambda chain: dropout(chain, False)).model(), chain.images(9), mode="exact")


@pytest.mark.parametrize("place", PLACES)
def test_batch_norm_in_training_mode(place):
    refused(PLACES[place](Chain((5,)), lambda chain: norm(chain, outputs=3, training_mode=1)).model(), "BatchNormalization 'batchn", "training mode")


def norm(chain, outputs=1, **attributes):
    width = chain.width(1)
    return chain.add(
        "BatchNormalization",
        *(np.linspace(a, b, width).astype(np.float32) for a, b in ((1, 2), (-1, 1), (0, 0.5), (1, 3))),
        outputs=outputs,
        **attributes,
    )


def test_statistics_of_the_batch_are_those_of_training_before_opset_14():
    chain = Chain((5,)).gemm(6)
    model = norm(chain).relu1().gemm(4).model()
    model.opset_import[0].version = 13
    next(node for node in model.graph.node if node.op_type == "BatchNormalization").output.extend(["m", "v", "saved_m", "saved_v"])
    refused(model, "BatchNormalization 'batchn")


@pytest.mark.parametrize("operator", ("Dropout", "BatchNormalization"))
@pytest.mark.parametrize("tested", (0, 1))
def test_the_oldest_operators_say_whether_they_are_tested(operator, tested):
    """ONNX Runtime does not run opset 6: in evaluation it is this that is said, in training mode that."""
    chain = Chain((5,)).gemm(6)
    chain = norm(chain) if operator == "BatchNormalization" else chain.add("Dropout")
    model = chain.relu1().gemm(4).model()
    node = next(node for node in model.graph.node if node.op_type == operator)
    if tested:
        node.attribute.append(helper.make_attribute("is_test", 1))
    clip = next(node for node in model.graph.node if node.op_type == "Clip")
    clip.op_type = "Relu"
    del clip.input[1:]
    model.opset_import[0].version = 6
    refused(model, "ONNX Runtime cannot run it" if tested else f"{operator} '")


def test_a_training_mode_that_is_computed_or_asked_for():
    chain = Chain((5,)).gemm(6)
    data = chain.at
    computed = chain.add("ReduceMax", keepdims=0).add("Greater", np.float32(0)).at
    chain.at = data
    refused(chain.add("Dropout", np.float32(0.5), computed).gemm(4).model(), "not constant", "Dropout 'dropout3'")
    model = Chain((5,)).add("Dropout", np.float32(0.5), np.array(False)).gemm(6).relu1().gemm(4).model()
    model.graph.initializer.remove(next(each for each in model.graph.initializer if each.data_type == TensorProto.BOOL))
    model.graph.input.append(helper.make_tensor_value_info(model.graph.node[0].input[2], TensorProto.BOOL, []))
    refused(model, "not constant")


def test_a_training_mode_with_a_default():
    """An initializer that is an input too: nobody feeds it."""
    for value in (True, False):
        chain = Chain((5,)).add("Dropout", np.float32(0.5), np.array(value)).gemm(6).relu1().gemm(4)
        model = chain.model()
        model.graph.input.append(helper.make_tensor_value_info(model.graph.node[0].input[2], TensorProto.BOOL, []))
        if value:
            refused(model, "training mode")
        else:
            assert_equals_onnx_runtime(model, chain.images(9), mode="exact")


def test_inside_a_branch():
    chain = Chain((5,)).gemm(6)
    branches = {}
    for name, node in (
        ("then_branch", helper.make_node("RandomUniformLike", [chain.at], ["drawn"], name="inner")),
        ("else_branch", helper.make_node("Relu", [chain.at], ["plain"])),
    ):
        branches[name] = helper.make_graph([node], name, [], [helper.make_empty_tensor_value_info(node.output[0])])
    chain.at = chain.constant(np.array(True))
    refused(chain.add("If", **branches).gemm(4).model(), "RandomUniformLike 'inner'")


def test_noise_that_nothing_reads_does_no_harm():
    chain = Chain((5,)).gemm(6)
    data = chain.at
    chain.add("RandomNormalLike")
    chain.at = data
    assert_equals_onnx_runtime(chain.relu1().gemm(4).model(), chain.images(9), mode="exact")


def test_all_of_them_are_named():
    chain = Chain((5,))
    for _ in range(2):
        chain.add("Dropout", np.float32(0.5), np.array(True)).gemm(6).relu1()
    refused(chain.gemm(4).model(), "'dropout0'", "1 more: 'dropout3'")
