"""What a file may say in several ways: functions, initializers that are inputs, sparse ones, nodes of one name, constants of every kind."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.models import Chain, assert_equals_onnx_runtime, dataset, save
from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.errors import ModelError
from ttfs_convert.simulation.head_and_tail import run
from ttfs_convert.studies.evaluation import evaluate
from ttfs_convert.studies.inspection import inspect_model

RNG = np.random.default_rng(3)
WEIGHTS = {"w0": RNG.normal(0, 0.5, (6, 8)).astype(np.float32), "w1": RNG.normal(0, 0.5, (8, 5)).astype(np.float32)}
X = RNG.random((7, 6), dtype=np.float32)


def model(nodes, constants=(), inputs=(), functions=(), domains=(), opset=17, ir=9, outputs=("y",)):
    """nodes: (operator, inputs, outputs, attributes, domain)."""
    protos = [
        helper.make_node(
            operator, entries, results, **{"name": results[0], **(more[0] if more else {})}, **({"domain": more[1]} if len(more) > 1 else {})
        )
        for operator, entries, results, *more in nodes
    ]
    used = {name for node in protos for name in node.input}
    arrays = {name: array for name, array in {**WEIGHTS, **dict(constants)}.items() if name in used}
    graph = helper.make_graph(
        protos,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6]), *inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", None]) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    return helper.make_model(
        graph,
        functions=list(functions),
        ir_version=ir,
        opset_imports=[helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)],
    )


FIRST, RELU, LAST = ("MatMul", ["x", "w0"], ["c"]), ("Relu", ["c"], ["r"]), ("MatMul", ["r", "w1"], ["y"])


def evaluated(proto, tmp_path, expected):
    """The network gives `expected`, and a report of it finds no difference from the original inside the file."""
    network = convert(save(proto, tmp_path), mode="exact", steps=None, calibrate=dataset(X))
    np.testing.assert_allclose(run(network, X).potentials, expected, rtol=0, atol=1e-5)
    evaluation = evaluate(network, dataset(X))
    assert evaluation.report.drift.agreement == 1 and evaluation.report.drift.max_output_error < 1e-5
    assert evaluation.layer_errors.not_compared() == [] and evaluation.layer_errors.first_out_of_tolerance() is None
    return network


def by_hand(second=WEIGHTS["w1"], shift=0.0):
    return np.maximum(X @ WEIGHTS["w0"] + shift, 0) @ second


def test_functions_of_the_models_own(tmp_path):
    """One within another; their tensors are compared like all others."""
    inner = helper.make_function("own.inner", "positive", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 17)])
    outer = helper.make_function(
        "own",
        "layer",
        ["a", "w"],
        ["b"],
        [helper.make_node("MatMul", ["a", "w"], ["m"]), helper.make_node("positive", ["m"], ["b"], domain="own.inner")],
        [helper.make_opsetid("", 17), helper.make_opsetid("own.inner", 1)],
    )
    proto = model([("layer", ["x", "w0"], ["r"], {}, "own"), LAST], functions=[inner, outer], domains=["own", "own.inner"])
    network = evaluated(proto, tmp_path, by_hand())
    assert onnx.ModelProto.FromString(network.onnx.tobytes()).functions, "the file inside is the one that was given"


def test_initializers_that_are_inputs(tmp_path):
    """A clamp's end, a shape, axes and a scale of a file of version 3, where every initializer is an input."""
    constants = {"top": np.float32(0.5), "shape": np.array([-1, 2, 4]), "flat": np.array([-1, 8]), "axes": np.array([1]), "half": np.float32([0.5])}
    nodes = [
        FIRST,
        ("Clip", ["c", "zero", "top"], ["k"]),
        ("Reshape", ["k", "shape"], ["s"]),
        ("Unsqueeze", ["s", "axes"], ["u"]),
        ("Squeeze", ["u", "axes"], ["q"]),
        ("Reshape", ["q", "flat"], ["f"]),
        ("Mul", ["f", "half"], ["r"]),
        LAST,
    ]
    proto = model(nodes, {**constants, "zero": np.float32(0)}, opset=13, ir=3)
    for tensor in proto.graph.initializer:
        proto.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    network = evaluated(proto, tmp_path, np.clip(X @ WEIGHTS["w0"], 0, 0.5) / 2 @ WEIGHTS["w1"])
    assert [layer.onnx_name for layer in network.inputs] == ["x"] and network.head is None


@pytest.mark.parametrize("linear", (True, False))
def test_sparse_initializers(tmp_path, linear):
    places = np.flatnonzero(WEIGHTS["w1"] > 0)
    dense = np.where(WEIGHTS["w1"] > 0, WEIGHTS["w1"], 0)
    indices = places if linear else np.stack(np.unravel_index(places, dense.shape), 1)
    proto = model([FIRST, RELU, ("MatMul", ["r", "sparse"], ["y"])])
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(dense.reshape(-1)[places], "sparse"), numpy_helper.from_array(indices, "places"), dense.shape
    )
    proto.graph.sparse_initializer.append(sparse)
    evaluated(proto, tmp_path, by_hand(dense))


def test_a_sparse_constant(tmp_path):
    places = np.arange(5, 30)
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(WEIGHTS["w1"].reshape(-1)[places], "values"), numpy_helper.from_array(places, "places"), (8, 5)
    )
    dense = np.zeros(40, np.float32)
    dense[places] = WEIGHTS["w1"].reshape(-1)[places]
    proto = model([FIRST, RELU, ("Constant", [], ["sparse"], {"sparse_value": sparse}), ("MatMul", ["r", "sparse"], ["y"])])
    evaluated(proto, tmp_path, by_hand(dense.reshape(8, 5)))


def test_nodes_of_one_name(tmp_path):
    proto = model([FIRST, RELU, LAST])
    for node in proto.graph.node:
        node.name = "same"
    network = evaluated(proto, tmp_path, by_hand())
    assert [layer.name for layer in network.layers] == ["x", "same", "same_3"]


@pytest.mark.parametrize("attributes, shift", (({"value_float": 0.3}, 0.3), ({"value_floats": [0.1 * k for k in range(8)]}, 0.1 * np.arange(8))))
def test_constants_of_numbers(tmp_path, attributes, shift):
    nodes = [FIRST, ("Constant", [], ["k"], attributes), ("Add", ["c", "k"], ["d"]), ("Relu", ["d"], ["r"]), LAST]
    evaluated(model(nodes), tmp_path, by_hand(shift=np.float32(shift)))


def test_constants_of_whole_numbers(tmp_path):
    nodes = [
        FIRST,
        RELU,
        ("Constant", [], ["one"], {"value_ints": [1]}),
        ("Constant", [], ["zero"], {"value_int": 0}),
        ("Unsqueeze", ["r", "one"], ["u"]),
        ("Gather", ["u", "zero"], ["g"], {"axis": 1}),
        ("MatMul", ["g", "w1"], ["y"]),
    ]
    evaluated(model(nodes), tmp_path, by_hand())


@pytest.mark.parametrize(
    "nodes",
    (
        [
            RELU,
            ("Shape", ["r"], ["s"]),
            ("Gather", ["s", "zero"], ["b"]),
            ("Concat", ["b", "eight"], ["t"], {"axis": 0}),
            ("Reshape", ["r", "t"], ["f"]),
        ],
        [
            ("Shape", ["x"], ["s"]),
            ("Gather", ["s", "zero"], ["b"]),
            ("Concat", ["b", "eight"], ["t"], {"axis": 0}),
            ("ConstantOfShape", ["t"], ["k"]),
            ("Add", ["c", "k"], ["d"]),
            ("Relu", ["d"], ["f"]),
        ],
        [RELU, ("Shape", ["r"], ["s"]), ("Expand", ["one", "s"], ["e"]), ("Mul", ["r", "e"], ["f"])],
        [("Identity", ["c"], ["i"]), ("Identity", ["i"], ["j"]), ("Relu", ["j"], ["k"]), ("Dropout", ["k"], ["f", ""])],
        [("Clip", ["c", "", ""], ["k"]), ("Clip", ["k", "none"], ["f"])],
    ),
)
def test_shapes_identities_and_names_left_out(tmp_path, nodes):
    constants = {"zero": np.array([0]), "eight": np.array([8]), "one": np.float32([1]), "none": np.float32(0)}
    evaluated(model([FIRST, *nodes, ("MatMul", ["f", "w1"], ["y"])], constants), tmp_path, by_hand())


@pytest.mark.parametrize("taken", (True, False))
def test_a_branch_that_is_always_taken(tmp_path, taken):
    branches = {}
    for name, operator in (("then_branch", "Relu" if taken else "Tanh"), ("else_branch", "Tanh" if taken else "Relu")):
        branches[name] = helper.make_graph(
            [helper.make_node(operator, ["c"], [name])], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 8])]
        )
    evaluated(model([FIRST, ("If", ["taken"], ["r"], branches), LAST], {"taken": np.array(taken)}), tmp_path, by_hand())


def test_an_input_and_one_tensor_twice_as_outputs(tmp_path):
    proto = model([FIRST, RELU, LAST, ("Identity", ["y"], ["again"])], outputs=("y", "again", "x"))
    network = convert(save(proto, tmp_path), mode="exact", steps=None, calibrate=dataset(X))
    found = run(network, X).readouts
    for name, expected in {"y": by_hand(), "again": by_hand(), "x": X}.items():
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-5)
    assert evaluate(network, dataset(X)).report.model.spiking_mac_share == 1


def test_a_constant_output_is_named(tmp_path):
    proto = model([FIRST, RELU, LAST], outputs=("y", "w1"))
    proto.graph.output[1].CopyFrom(helper.make_tensor_value_info("w1", TensorProto.FLOAT, [8, 5]))
    with pytest.raises(ModelError, match="output 'w1': a constant") as refusal:
        convert(save(proto, tmp_path), mode="exact", calibrate=dataset(X))
    assert refusal.value.remedy


@pytest.mark.parametrize("domain, operator", (("com.acme", "Swoosh"), ("com.microsoft", "NoSuchThing"), ("org.pytorch.aten", "ATen")))
def test_operators_of_other_domains_are_named(tmp_path, domain, operator):
    path = save(model([FIRST, (operator, ["c"], ["r"], {}, domain), LAST], domains=[domain]), tmp_path)
    for command in (lambda: convert(path, mode="exact", calibrate=dataset(X)), lambda: inspect_model(path)):
        with pytest.raises(ModelError) as refusal:
            command()
        assert all(word in str(refusal.value) for word in (f"{operator} 'r'", domain)) and refusal.value.remedy and refusal.value.exit_code == 3


def test_a_scaler_of_another_domain_is_preprocessing(tmp_path):
    nodes = [("Scaler", ["x"], ["v"], {"offset": [0.25] * 6, "scale": [2.0] * 6}, "ai.onnx.ml"), ("MatMul", ["v", "w0"], ["c"]), RELU, LAST]
    evaluated(model(nodes, domains=["ai.onnx.ml"]), tmp_path, np.maximum((X - 0.25) * 2 @ WEIGHTS["w0"], 0) @ WEIGHTS["w1"])


def test_statistics_for_every_element():
    """BatchNormalization with spatial 0, until opset 8."""
    chain = Chain((3, 4, 5)).conv(4)
    parts = [chain.rng.uniform(0.5, 1.5, (4, 2, 3)).astype(np.float32) for _ in range(4)]
    chain.add("BatchNormalization", *(part[:, 0, 0] for part in parts)).add("Relu").conv(3, (1, 1))
    proto = chain.model()
    proto.opset_import[0].version = 8
    node = next(node for node in proto.graph.node if node.op_type == "BatchNormalization")
    node.attribute.append(helper.make_attribute("spatial", 0))
    for name, part in zip(node.input[1:], parts):
        next(tensor for tensor in proto.graph.initializer if tensor.name == name).CopyFrom(numpy_helper.from_array(part, name))
    assert_equals_onnx_runtime(proto, chain.images(), mode="exact", calibrate=dataset(chain.images()))
