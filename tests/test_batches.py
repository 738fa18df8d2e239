"""Models in which the samples of a batch mix, or that have a batch of their own: figures are those of the samples alone, whatever --batch."""

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.models import Chain, converted, dataset, save
from ttfs_convert.conversion.declared_batch import check_body
from ttfs_convert.errors import DataError, ModelError
from ttfs_convert.onnx_model.simplify import simplified
from ttfs_convert.simulation.head_and_tail import run
from ttfs_convert.studies.comparison import Comparison
from ttfs_convert.studies.evaluation import evaluate

RNG = np.random.default_rng(5)
X = RNG.random((13, 6)).astype(np.float32)
W1, B1, W2, B2 = (RNG.normal(size=shape).astype(np.float32) for shape in ((6, 12), 12, (12, 3), 3))
ONE_ROW, AXIS0, AXIS1 = np.array([1, -1]), np.array([0]), np.array([1])


def net(before=(), behind=(), entry="x", result="z", batch="n", kind=TensorProto.FLOAT, rank=2, **constants):
    """x -> before -> one hidden layer -> z -> behind -> y; nodes are (op, inputs, output, attributes)."""
    body = [("Gemm", f"{entry} w1 b1", "h"), ("Relu", "h", "r"), ("Gemm", "r w2 b2", result)]
    nodes = [
        helper.make_node(op, inputs.split(), [output], **(attributes[0] if attributes else {}))
        for op, inputs, output, *attributes in (*before, *body, *behind)
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 6])],
        [helper.make_tensor_value_info("y", kind, [f"axis{axis}" for axis in range(rank)])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in {"w1": W1, "b1": B1, "w2": W2, "b2": B2, **constants}.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def alone(model, x, unit=1):
    """Rows (n, values) of the original under ONNX Runtime, `unit` samples at a time, the last batch filled up."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    whole = np.concatenate([x, np.repeat(x[-1:], -len(x) % unit, axis=0)])
    rows = [session.run(None, {"x": whole[at : at + unit]})[0].reshape(unit, -1) for at in range(0, len(whole), unit)]
    return np.concatenate(rows)[: len(x)]


MIXING = {
    "softmax over the batch": dict(behind=[("Softmax", "z", "y", {"axis": 0})]),
    "largest of all": dict(behind=[("ReduceMax", "z", "m", {"keepdims": 0}), ("Sub", "z m", "y")]),
    "its label": dict(
        behind=[("ReduceMax", "z", "m", {"keepdims": 0}), ("Sub", "z m", "s"), ("Slice", "s one two one", "c"), ("Greater", "c minus", "y")],
        kind=TensorProto.BOOL,
        one=AXIS1,
        two=np.array([2]),
        minus=np.float32(-1),
    ),
    "one row": dict(behind=[("Softmax", "z", "p", {"axis": 1}), ("Reshape", "p row", "y")], row=ONE_ROW),
    "squeezed": dict(behind=[("Softmax", "z", "p", {"axis": 1}), ("Squeeze", "p axis", "y")], batch=1, axis=AXIS0, rank=1),
    "fixed row": dict(behind=[("Softmax", "z", "p", {"axis": 1}), ("Reshape", "p row", "y")], batch=1, row=np.array([1, 3])),
    "scalar": dict(behind=[("Sigmoid", "z", "p"), ("ReduceMax", "p", "y", {"keepdims": 0})], rank=0),
    "scalar label": dict(
        behind=[("Softmax", "z", "p", {"axis": 1}), ("ReduceSum", "z", "m", {"keepdims": 0}), ("Greater", "m zero", "y")],
        kind=TensorProto.BOOL,
        rank=0,
        zero=np.float32(0),
    ),
    "sum over the batch": dict(behind=[("ReduceSum", "z axis", "s", {"keepdims": 1}), ("Add", "s z", "t"), ("Tanh", "t", "y")], axis=AXIS0),
    "sorted": dict(behind=[("Sigmoid", "z", "p"), ("TopK", "p three", "y i", {"axis": 0})], three=AXIS1),
    "head softmax": dict(before=[("Softmax", "x", "s", {"axis": 0})], entry="s", behind=[("Identity", "z", "y")]),
    "head norm": dict(before=[("LpNormalization", "x", "s", {"axis": 0})], entry="s", behind=[("Identity", "z", "y")]),
    "head maximum": dict(
        before=[("ReduceMax", "x", "m", {"keepdims": 0}), ("Exp", "m", "e"), ("Div", "x e", "s")], entry="s", behind=[("Identity", "z", "y")]
    ),
}


def model_of(name):
    parts = dict(MIXING[name])
    model = net(**parts)
    for node in model.graph.node:
        if node.op_type == "TopK":
            node.output[:] = ["y", "i"]
    return model


@pytest.mark.parametrize("name", MIXING)
def test_figures_are_those_of_the_samples_alone(name):
    model = model_of(name)
    network, expected = converted(model, mode="exact", calibrate=dataset(X)), alone(model, X)
    for batch in (1, 4, 64):
        comparison = Comparison(network, dataset(X), batch=batch, threads=1)
        found = np.concatenate([comparison.original(x)["y"] for _, x in comparison.batches()])
        np.testing.assert_allclose(found.reshape(len(X), -1).astype(float), expected, atol=1e-6)
        report = evaluate(network, dataset(X), batch=batch, threads=1).report
        (output,) = report.outputs
        assert output.agreement in (None, 1.0) and (output.max_error or 0) < 1e-4
        assert report.drift.max_output_error < 1e-4 * max(1, np.ptp(report.drift.output_range))
    one_by_one = comparison.together == 1
    assert one_by_one and any("was run 1 at a time" in note for note in comparison.notes), "samples mix"


@pytest.mark.parametrize("name", ["one row", "squeezed", "head softmax", "scalar"])
def test_a_single_sample(name):
    model = model_of(name)
    network = converted(model, mode="exact", calibrate=dataset(X))
    report = evaluate(network, dataset(X[:1]), threads=1).report
    assert report.outputs[0].agreement in (None, 1) and report.outputs[0].max_error < 1e-5 and report.notes == ()
    assert np.allclose(report.outputs[0].range, (alone(model, X[:1]).min(), alone(model, X[:1]).max()))


@pytest.mark.parametrize("name", ["one row", "squeezed", "head norm"])
def test_the_quantised_twin_and_other_engines_see_the_same_samples(name):
    model = model_of(name)
    network, y = converted(model, mode="exact", steps=6, calibrate=dataset(X)), alone(model, X).argmax(1)
    found = [
        evaluate(network, dataclasses.replace(dataset(X), y=y), batch=batch, threads=1, engine=engine, quantised=True)
        for batch, engine in ((1, "exact"), (64, "exact"), (5, "clock"))
    ]
    first, *others = (evaluation.report for evaluation in found)
    assert first.quantised_ann.spikes_differing < 0.01 and first.ann.accuracy == 1
    for other in others:
        assert (other.snn.accuracy, other.quantised_ann.accuracy) == (first.snn.accuracy, first.quantised_ann.accuracy)


def test_labels_are_one_for_each_sample():
    model = model_of("squeezed")
    network, y = converted(model, mode="exact", calibrate=dataset(X)), alone(model, X).argmax(1)
    for batch in (1, 5, 64):
        report = evaluate(network, dataclasses.replace(dataset(X), y=y), batch=batch, threads=1).report
        assert (report.ann.accuracy, report.snn.accuracy, report.drift.agreement) == (1, 1, 1)
        assert report.outputs[0].shape == (3,) and report.outputs[0].rule == "labels: the largest of 3 values"


@pytest.mark.parametrize(
    "behind",
    [
        [("Softmax", "z", "y", {"axis": 1})],
        [("Sigmoid", "z", "y")],
        [("Shape", "z", "s"), ("Sigmoid", "z", "p"), ("Reshape", "p s", "y")],
        [("ReduceMax", "z axis", "m", {"keepdims": 1}), ("Sub", "z m", "y")],
    ],
)
@pytest.mark.parametrize("batch", ["n", 1])
def test_independent_samples_are_run_together(behind, batch, monkeypatch):
    model = net(behind=behind, batch=batch, axis=AXIS1)
    network = converted(model, mode="exact", calibrate=dataset(X))
    comparison = Comparison(network, dataset(X), threads=1)
    assert comparison.together == (None if batch == "n" else 1) and comparison.notes == ()
    recording, sizes, of_a_session = run(network, X), [], onnxruntime.InferenceSession.run
    monkeypatch.setattr(
        onnxruntime.InferenceSession,
        "run",
        lambda session, names, feeds, *more: sizes.extend(map(len, feeds.values())) or of_a_session(session, names, feeds, *more),
    )
    comparison.ends.outputs(recording, {"x": X})
    assert set(sizes) == {len(X)}, "the tail"


def test_a_declared_batch_with_values_for_each_place():
    offsets = RNG.normal(size=(4, 3)).astype(np.float32)
    model = net(behind=[("Softmax", "z", "p", {"axis": 1}), ("Add", "p offsets", "y")], batch=4, offsets=offsets)
    network, expected = converted(model, mode="exact", calibrate=dataset(X)), alone(model, X, 4)
    data = dataclasses.replace(dataset(X), y=expected.argmax(1))
    for batch in (1, 3, 4, 6, 64):
        report = evaluate(network, data, batch=batch, threads=1).report
        assert (report.ann.accuracy, report.snn.accuracy) == (1, 1) and report.outputs[0].max_error < 1e-5


def test_a_declared_batch_whose_samples_mix_in_the_tail():
    model = net(behind=[("Softmax", "z", "y", {"axis": 0})], batch=4)
    network, expected = converted(model, mode="exact", calibrate=dataset(X[:12])), alone(model, X[:12], 4)
    for batch in (1, 64):
        evaluation = evaluate(network, dataclasses.replace(dataset(X[:12]), y=expected.argmax(1)), batch=batch, threads=1)
        assert evaluation.report.ann.accuracy == evaluation.report.snn.accuracy == 1
        assert any("was run 4 at a time" in note for note in evaluation.notes)


def test_one_value_for_four_rows_makes_them_one_sample():
    model, sets = net(behind=[("ReduceMax", "z", "y", {"keepdims": 0})], batch=4, rank=0), X[:12].reshape(3, 4, 6)
    with pytest.raises(DataError, match=r"samples of shape \(6,\); expected \(4, 6\)"):
        converted(model, mode="exact", calibrate=dataset(X))
    comparison = Comparison(converted(model, mode="exact", calibrate=dataset(sets)), dataset(sets), threads=1)
    expected = [onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": each})[0] for each in sets]
    np.testing.assert_allclose(comparison.original({"x": sets})["y"].reshape(3), expected, rtol=1e-6)


REST = [("Relu", "s", "t"), ("MatMul", "t w3", "y")]


@pytest.mark.parametrize(
    "nodes, operator",
    [
        ([("Add", "z offsets", "s")], "Add 's'"),
        ([("ReduceMean", "z axis", "m", {"keepdims": 1}), ("Sub", "z m", "s")], "ReduceMean 'm'"),
        ([("CumSum", "z axis0", "s")], "CumSum 's'"),
    ],
)
def test_a_body_that_treats_the_samples_of_its_batch_differently_is_refused(tmp_path, nodes, operator):
    constants = {"w3": W2[:3], "axis": AXIS0, "axis0": np.array(0), "offsets": RNG.normal(size=(4, 3)).astype(np.float32)}
    plain = converted(net(behind=[("Identity", "z", "s"), *REST], batch=4, **constants), mode="exact", calibrate=dataset(X))
    names = {tensor: used for tensor, used in constants.items() if any(tensor in node[1].split() for node in (*nodes, *REST))}
    with simplified(save(net(behind=[("Identity", "z", "s"), *REST], batch=4, w3=W2[:3]), tmp_path)) as model:
        check_body(model, plain.inputs, plain.readouts, "model")
    with (
        simplified(save(net(behind=[*nodes, *REST], batch=4, **names), tmp_path)) as model,
        pytest.raises(ModelError, match=f"model: {operator} treats the samples of its batch of 4 differently; .* for one sample"),
    ):
        check_body(model, plain.inputs, plain.readouts, "model")


@pytest.mark.parametrize("batch", [2, 4])
def test_a_declared_batch_of_independent_samples(batch):
    chain = Chain((2, 6, 6)).conv(4).add("Relu").conv(5).add("Relu").readout()
    model, x = chain.model(), chain.images(7)
    expected = alone(model, x)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    report = evaluate(converted(model, mode="exact", calibrate=dataset(x)), dataclasses.replace(dataset(x), y=expected.argmax(1)), threads=1).report
    assert report.ann.accuracy == report.snn.accuracy == 1 and report.drift.max_output_error < 1e-4


def test_the_library_runs_a_mixing_head_one_sample_at_a_time():
    model = model_of("head softmax")
    network = converted(model, mode="exact", calibrate=dataset(X))
    whole = run(network, X).potentials
    np.testing.assert_allclose(whole, np.concatenate([run(network, row[None]).potentials for row in X]), atol=1e-6)
    assert onnx.ModelProto.FromString(network.head.tobytes()).graph.node[0].op_type == "Softmax"


@pytest.mark.parametrize("rows", (2, 8))
def test_a_declared_batch_that_reshapes_hold(rows):
    """As an exporter writes x.view(2, -1) of two samples, before the first layer and behind the last."""
    nodes = [
        helper.make_node("Reshape", ["x", "flat"], ["f"]),
        helper.make_node("Gemm", ["f", "w1", "b1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["z"]),
        helper.make_node("Softmax", ["z"], ["p"]),
        helper.make_node("Reshape", ["p", "wide"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 1, 2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, 3])],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in {"w1": W1, "b1": B1, "w2": W2, "b2": B2, "flat": np.array([rows, 6]), "wide": np.array([rows, 3])}.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    images = X.reshape(13, 1, 2, 3)
    expected = alone(model, images, rows)
    network = converted(model, mode="exact", calibrate=dataset(images))
    for batch in (1, 5, 64):
        evaluation = evaluate(network, dataclasses.replace(dataset(images), y=expected.argmax(1)), batch=batch, threads=1)
        assert evaluation.report.ann.accuracy == evaluation.report.drift.agreement == 1
        assert evaluation.report.outputs[0].max_error < 1e-6


def test_samples_that_mix_in_the_part_that_spikes_behind_labels_that_hide_it():
    """Four samples give the same labels together and alone; their scores differ."""
    model = net(
        behind=[
            ("Add", "z big", "s"),
            ("ReduceMax", "s axis", "m", {"keepdims": 1}),
            ("Add", "s m", "t"),
            ("ArgMax", "t", "y", {"axis": 1, "keepdims": 0}),
        ],
        kind=TensorProto.INT64,
        rank=1,
        axis=AXIS0,
        big=np.float32([0, 0, 1e4]),
    )
    network = converted(model, mode="exact", calibrate=dataset(X))
    comparison = Comparison(network, dataset(X), threads=1)
    assert comparison.together == 1 and any("mix in this model" in note for note in comparison.notes)
