"""What an output means: labels, names, scores, and lone values split where their bounds say, or not at all."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from ttfs_convert.errors import DataError, UsageError
from ttfs_convert.measurement.prediction import NoRule, Rule, rule_of
from ttfs_convert.onnx_model.class_names import listed_names
from ttfs_convert.onnx_model.output_bounds import Bounds

W = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
BATCH_NORM = {"scale": np.float32([2, -1]), "offset": np.float32([0, 1]), "mean": np.float32([0, 0]), "variance": np.float32([4, 1])}


def tail(*nodes, columns=1, fixed=None, **constants):
    """A model: one linear layer z (n, columns), and `nodes`, (op, inputs, output, attributes), the last of which gives y."""
    made = [helper.make_node("MatMul", ["x", "w"], ["z"])]
    made += [
        helper.make_node(op, inputs.split(), ["rest", output] if op == "Split" else [output], **(attributes[0] if attributes else {}))
        for op, inputs, output, *attributes in nodes
    ]
    graph = helper.make_graph(
        made,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [fixed or "n", 4])],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in {"w": W[:, :columns], **constants}.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def rule(model, threshold=None, ends=None, shape=(4, 1), dtype=np.float32):
    return rule_of(
        "y", np.zeros(shape, dtype), Bounds(model, {"x": np.ones((1, 4), np.float32)}, ends or {}), listed_names(model.graph, "y"), threshold
    )


ONE, TWO, HALF = np.float32(1), np.float32(2), np.float32(0.5)
FIRST, SECOND, ZERO = np.array([1]), np.array([2]), np.array([0])
CUT = ("Slice", "p from to axis", "y")
SECOND_OF_TWO = {"from": FIRST, "to": SECOND, "axis": FIRST}
PROBABILITIES = {
    "sigmoid": ([("Sigmoid", "z", "y")], {}),
    "second softmax column": ([("Softmax", "z", "p", {"axis": 1}), CUT], SECOND_OF_TWO),
    "gathered": ([("Softmax", "z", "p", {"axis": -1}), ("Gather", "p one", "y", {"axis": 1})], {"one": np.array(1)}),
    "exp of log softmax": ([("LogSoftmax", "z", "l", {"axis": 1}), ("Exp", "l", "p"), CUT], SECOND_OF_TWO),
    "softmax written out": (
        [
            ("ReduceMax", "z", "m", {"keepdims": 1}),
            ("Sub", "z m", "s"),
            ("Exp", "s", "e"),
            ("ReduceSum", "e axis", "t", {"keepdims": 1}),
            ("Div", "e t", "p"),
            CUT,
        ],
        SECOND_OF_TWO,
    ),
    "shifted tanh": ([("Tanh", "z", "t"), ("Add", "t one", "u"), ("Div", "u two", "y")], {"one": ONE, "two": TWO}),
    "one minus p": ([("Sigmoid", "z", "p"), ("Sub", "one p", "y")], {"one": ONE}),
    "one minus p as a product": ([("Sigmoid", "z", "p"), ("Gemm", "p minus one", "y")], {"minus": np.float32([[-1]]), "one": np.float32([1])}),
    "written out": ([("Neg", "z", "m"), ("Exp", "m", "e"), ("Add", "e one", "d"), ("Reciprocal", "d", "y")], {"one": ONE}),
    "written out otherwise": ([("Exp", "z", "e"), ("Add", "one e", "d"), ("Div", "e d", "y")], {"one": ONE}),
    "one over": ([("Neg", "z", "m"), ("Exp", "m", "e"), ("Add", "one e", "d"), ("Div", "one d", "y")], {"one": ONE}),
    "softplus": ([("Neg", "z", "m"), ("Softplus", "m", "s"), ("Neg", "s", "n"), ("Exp", "n", "y")], {}),
    "softsign": ([("Softsign", "z", "s"), ("Mul", "s half", "t"), ("Add", "t half", "y")], {"half": HALF}),
    "softsign written out": (
        [("Abs", "z", "a"), ("Add", "a one", "d"), ("Div", "z d", "s"), ("Add", "s one", "t"), ("Mul", "t half", "y")],
        {"one": ONE, "half": HALF},
    ),
    "erf": ([("Erf", "z", "e"), ("Add", "e one", "f"), ("Mul", "f half", "y")], {"one": ONE, "half": HALF}),
    "hard sigmoid": ([("HardSigmoid", "z", "y")], {}),
    "clamps": ([("Add", "z half", "s"), ("Max", "s zero", "t"), ("Min", "t one", "y")], {"half": HALF, "zero": np.float32(0), "one": ONE}),
    "clip": ([("Clip", "z zero one", "y")], {"zero": np.float32(0), "one": ONE}),
    "root": ([("Sigmoid", "z", "p"), ("Sqrt", "p", "y")], {}),
    "square": ([("Sigmoid", "z", "p"), ("Pow", "p two", "y")], {"two": TWO}),
    "square of tanh": ([("Tanh", "z", "t"), ("Mul", "t t", "y")], {}),
    "product": ([("Sigmoid", "z", "p"), ("Tanh", "z", "t"), ("Abs", "t", "q"), ("Mul", "p q", "y")], {}),
    "mean": ([("Sigmoid", "z", "p"), ("ReduceMean", "p axis", "y")], {"axis": FIRST}),
    "average as a product": ([("Softmax", "z", "p", {"axis": 1}), ("MatMul", "p w2", "y")], {"w2": np.full((2, 1), 0.5, np.float32)}),
    "joined and cut": ([("Sigmoid", "z", "s"), ("Concat", "z s", "p", {"axis": 1}), CUT], SECOND_OF_TWO),
    "share of a sum": ([("Exp", "z", "e"), ("ReduceL1", "e axis", "t", {"keepdims": 1}), ("Div", "e t", "p"), CUT], {**SECOND_OF_TWO, "axis": FIRST}),
    "split": ([("Softmax", "z", "p", {"axis": 1}), ("Split", "p", "y", {"axis": 1, "num_outputs": 2})], {}),
    "where": ([("Sigmoid", "z", "p"), ("Greater", "z zero", "g"), ("Where", "g p zero", "y")], {"zero": np.float32(0)}),
    "squeezed": ([("Sigmoid", "z", "p"), ("Squeeze", "p axis", "y")], {"axis": FIRST}),
}


@pytest.mark.parametrize("name", PROBABILITIES)
def test_between_0_and_1_a_half_splits(name):
    nodes, constants = PROBABILITIES[name]
    columns = 2 if any(node[0] in ("Softmax", "LogSoftmax") or node[0] in ("ReduceMax", "ReduceL1") for node in nodes) else 1
    found = rule(tail(*nodes, columns=columns, **constants))
    assert isinstance(found, Rule), found
    assert (found.kind, found.threshold, str(found)) == ("threshold", 0.5, "labels: output >= 0.5")
    assert found.labels(np.float32([[0.4], [0.5], [0.6]])).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    "nodes, constants",
    [
        ([("Identity", "z", "y")], {}),
        ([("Tanh", "z", "y")], {}),
        ([("Mul", "z two", "y")], {"two": TWO}),
        ([("Sigmoid", "z", "p"), ("Mul", "p two", "q"), ("Sub", "q one", "y")], {"two": TWO, "one": ONE}),
        ([("Sigmoid", "z", "p"), ("Sub", "p half", "y")], {"half": HALF}),
        ([("Softsign", "z", "y")], {}),
        ([("Sin", "z", "y")], {}),
        ([("Sigmoid", "z", "p"), ("Sub", "one p", "q"), ("Div", "p q", "o"), ("Log", "o", "y")], {"one": ONE}),
        ([("Sigmoid", "z", "p"), ("Gemm", "p w2 one", "y")], {"w2": np.float32([[3]]), "one": np.float32([1])}),
        ([("Greater", "z zero", "g"), ("Where", "g one minus", "y")], {"zero": np.float32(0), "one": ONE, "minus": np.float32(-1)}),
        ([("LeakyRelu", "z", "y")], {}),
        (
            [("Add", "z z", "t"), ("BatchNormalization", "t scale offset mean variance", "u"), ("ReduceMean", "u axis", "y")],
            {"axis": FIRST, **BATCH_NORM},
        ),
    ],
)
def test_without_bounds_or_symmetric_about_0_splits_at_0(nodes, constants):
    found = rule(tail(*nodes, columns=2 if "scale" in constants else 1, **constants))
    assert isinstance(found, Rule) and found.threshold == 0, found
    assert found.labels(np.float32([[-0.1], [0], [0.1]])).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    "nodes, constants, why",
    [
        ([("Relu", "z", "y")], {}, "at least 0"),
        ([("Exp", "z", "y")], {}, "at least 0"),
        ([("LogSoftmax", "z", "y")], {}, "at most 0"),
        ([("Clip", "z zero six", "y")], {"zero": np.float32(0), "six": np.float32(6)}, "between 0 and 6"),
        ([("Sigmoid", "z", "p"), ("Mul", "p much", "y")], {"much": np.float32(100)}, "between 0 and 100"),
        ([("Sigmoid", "z", "p"), ("Mul", "p half", "y")], {"half": HALF}, "between 0 and 0.5"),
        ([("Sigmoid", "z", "p"), ("Gelu", "p", "y")], {}, "bounds unknown because of Gelu 'y'"),
        ([("Softmax", "z", "y", {"axis": 0})], {}, "between 1 and 1"),
    ],
)
def test_other_bounds_are_no_reason_to_guess(nodes, constants, why):
    model = tail(*nodes, **constants)
    found = rule(model)
    assert isinstance(found, NoRule) and found.lone and why in str(found)
    assert "say it with --decision-threshold X" in str(found.refusal()) and found.refusal().exit_code == 2
    told = rule(model, threshold=0.25)
    assert (told.kind, told.labels(np.float32([[0.2], [0.3]])).tolist()) == ("threshold", [0, 1])


def test_bounds_of_an_input_count():
    """A probability times an input between 0 and 1 is one too; without bounds it is not."""
    model = tail(("Sigmoid", "z", "p"), ("ReduceMax", "x axis", "m"), ("Mul", "p m", "y"), axis=FIRST)
    assert rule(model, ends={"x": (0, 1)}).threshold == 0.5
    assert rule(model).threshold == 0


@pytest.mark.parametrize(
    "nodes, constants, columns",
    [
        ([("Greater", "z zero", "g"), ("Cast", "g", "y", {"to": TensorProto.FLOAT})], {"zero": np.float32(0)}, 1),
        ([("ArgMax", "z", "a", {"axis": 1}), ("Cast", "a", "y", {"to": TensorProto.FLOAT})], {}, 2),
        (
            [("ArgMax", "z", "a", {"axis": 1}), ("Cast", "a", "c", {"to": TensorProto.FLOAT}), ("Reshape", "c shape", "y")],
            {"shape": np.array([-1])},
            2,
        ),
        ([("ArgMax", "z", "a", {"axis": 1}), ("Gather", "numbers a", "y")], {"numbers": np.array([3, 8])}, 2),
    ],
)
def test_floats_that_are_labels(nodes, constants, columns):
    found = rule(tail(*nodes, columns=columns, **constants))
    assert found.kind == "labels" and str(found) == "labels: the output itself"
    assert found.labels(np.float32([[0], [3], [1]])).tolist() == [0, 3, 1]


def test_integers_booleans_and_scores():
    model = tail(("Identity", "z", "y"))
    for values, expected in ((np.array([[3], [1]]), [3, 1]), (np.array([True, False]), [1, 0])):
        found = rule(model, shape=values.shape, dtype=values.dtype)
        assert found.kind == "labels" and found.labels(values).tolist() == expected
    scores = rule(model, shape=(4, 3, 1, 1))
    assert str(scores) == "labels: the largest of 3 values" and scores.labels(np.float32([[0, 2, 1], [5, 4, 3]])).tolist() == [1, 0]
    for shape, dtype, text in (((4, 3, 2, 2), np.float32, r"shape \(3, 2, 2\)"), ((4, 3), np.int64, "3 integers")):
        found = rule(model, shape=shape, dtype=dtype)
        with pytest.raises(UsageError, match=text + ".* per sample; expected one score per class"):
            raise found.refusal()
        with pytest.raises(UsageError, match="--decision-threshold: output 'y' of .* per sample; expected one float"):
            rule(model, threshold=0.5, shape=shape, dtype=dtype)


def test_labels_out_of_range():
    scores, labels = Rule("y", "largest", 5), Rule("y", "labels")
    assert scores.truth(np.array([0, 4]), (), "data").tolist() == [0, 4]
    assert labels.truth(np.array([0, 9]), (), "data").tolist() == [0, 9]  # an ArgMax output does not say how many classes there are
    with pytest.raises(DataError, match="label 5; expected labels from 0 to 4"):
        scores.truth(np.array([0, 5]), (), "data")
    with pytest.raises(DataError, match="label 5; expected labels from 0 to 4: .*; subtract 1: yours go from 1 to 5"):
        scores.truth(np.array([1, 5]), (), "data")
    with pytest.raises(DataError, match="label 2; expected labels from 0 to 1"):
        Rule("y", "threshold", 2, 0.5).truth(np.array([0, 2]), (), "data")


# Names of classes

NAMES = helper.make_tensor("names", TensorProto.STRING, [3], [b"ant", b"bee", b"cat"])
LATER = {"domain": "ai.onnx.ml"}
ENCODERS = {
    "gathered": (helper.make_node("Gather", ["names", "a"], ["y"]), ("ant", "bee", "cat")),
    "extracted": (helper.make_node("ArrayFeatureExtractor", ["names", "a"], ["y"], **LATER), ("ant", "bee", "cat")),
    "encoded": (
        helper.make_node("LabelEncoder", ["a"], ["y"], keys_int64s=[2, 0, 1], values_strings=["cat", "ant", "bee"], **LATER),
        ("ant", "bee", "cat"),
    ),
    "encoded from others": (helper.make_node("LabelEncoder", ["a"], ["y"], keys_int64s=[4, 7], values_strings=["cat", "ant"], **LATER), ()),
    "constant": (helper.make_node("Constant", [], ["y"], value=NAMES), ("ant", "bee", "cat")),
    "classifier": (
        helper.make_node("LinearClassifier", ["z"], ["y", "scores"], coefficients=[1.0], classlabels_strings=["no", "yes"], **LATER),
        ("no", "yes"),
    ),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_names_that_a_model_lists(name):
    node, expected = ENCODERS[name]
    model = tail(("ArgMax", "z", "a", {"axis": 1}), columns=2)
    model.graph.node.append(node)
    if "names" in node.input:
        model.graph.initializer.append(NAMES)
    assert listed_names(model.graph, "y") == expected


def test_names_and_numbers():
    named, unlisted = Rule("y", "names", names=("ant", "bee", "cat")), Rule("y", "names")
    assert named.labels(np.array([["bee"], ["ant"]], object)).tolist() == ["bee", "ant"]
    assert named.truth(np.array([2, 0]), (), "data").tolist() == ["cat", "ant"]
    assert unlisted.truth(np.array([1]), ("dog", "cow"), "data").tolist() == ["cow"], "a folder's names"
    for each in (named, unlisted):
        assert each.truth(np.array(["bee", "elk"]), (), "data").tolist() == ["bee", "elk"]
    with pytest.raises(DataError, match="numbers as labels, while output 'y' gives names .* give y as names"):
        unlisted.truth(np.array([0, 1]), (), "data")
    with pytest.raises(DataError, match="label 3; expected labels from 0 to 2: the model has the classes ant, bee, cat"):
        named.truth(np.array([3]), (), "data")


def test_names_as_labels_of_scores():
    assert Rule("y", "largest", 3, names=("ant", "bee", "cat")).truth(np.array(["cat", "ant"]), (), "data").tolist() == [2, 0]
    with pytest.raises(DataError, match="label 'elk'; expected one of ant, bee, cat"):
        Rule("y", "largest", 3, names=("ant", "bee", "cat")).truth(np.array(["elk", "ant"]), (), "data")
    with pytest.raises(DataError, match=r"names as labels \(ant, elk\); expected numbers, as output 'y' lists no names"):
        Rule("y", "largest", 3).truth(np.array(["elk", "ant"]), (), "data")


def test_bounds_of_a_fixed_batch():
    model = tail(("Sigmoid", "z", "p"), ("Mul", "p offsets", "y"), fixed=2, offsets=np.float32([[1], [0.5]]))
    bounds = Bounds(model, {"x": np.ones((2, 4), np.float32)}, {})("y")
    assert np.allclose(bounds.hi, [[1], [0.5]]) and (bounds.lo == 0).all()
