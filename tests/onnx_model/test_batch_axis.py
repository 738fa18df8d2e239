"""Models whose tensors have no axis for the batch, or have it elsewhere than in front: converted, and compared sample by sample."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.models import dataset, exact, save
from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.onnx_model.batch_axis import unbatched_inputs
from ttfs_convert.studies.evaluation import evaluate

RNG = np.random.default_rng(0)


def normal(*shape):
    return np.random.default_rng(shape).normal(0, 0.4, shape).astype(np.float32)


def model(nodes, inputs, outputs, **constants):
    """nodes: (operator, inputs, output, attributes). inputs, outputs: shapes by name."""
    infos = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()] for shapes in (inputs, outputs)]
    graph = helper.make_graph(
        [helper.make_node(operator, names.split(), [result], name=result, **(more[0] if more else {})) for operator, names, result, *more in nodes],
        "net",
        *infos,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def inside(shape, *nodes, output=(5,), **constants):
    """Of an input x of `shape`, which `nodes` make to y."""
    return model(nodes, {"x": list(shape)}, {"y": list(output)}, **constants)


MLP = {"w0": normal(8, 6), "w1": normal(6, 5)}
LAYERS = ("MatMul", "x w0", "c"), ("Relu", "c", "r"), ("MatMul", "r w1", "y")
CNN = {"w": normal(4, 3, 3, 3), "zero": np.array([0]), "v": normal(144, 5)}
IMAGE = ("Conv", "u w", "c"), ("Relu", "c", "r"), ("Flatten", "r", "f", {"axis": 1})
PER_SAMPLE = {
    "row": inside((8,), *LAYERS, **MLP),
    "row to a row of its size": inside(
        (8,), ("MatMul", "x w0", "c"), ("Relu", "c", "r"), ("MatMul", "r w1", "y"), output=(8,), w0=normal(8, 6), w1=normal(6, 8)
    ),
    "column": inside(
        (8,), ("MatMul", "w0 x", "c"), ("Add", "c b", "a"), ("Relu", "a", "r"), ("MatMul", "w1 r", "y"), w0=normal(6, 8), b=normal(6), w1=normal(5, 6)
    ),
    "row unsqueezed": inside(
        (8,),
        ("Unsqueeze", "x zero", "u"),
        ("Gemm", "u w0", "c"),
        ("Relu", "c", "r"),
        ("MatMul", "r w1", "y"),
        output=(1, 5),
        zero=np.array([0]),
        **MLP,
    ),
    "row and softmax": inside((8,), *LAYERS[:2], ("MatMul", "r w1", "z"), ("Softmax", "z", "y", {"axis": 0}), **MLP),
    "row and label score": inside((8,), *LAYERS[:2], ("MatMul", "r w1", "y"), output=(), w0=normal(8, 6), w1=normal(6)),
    "row and a lone neuron": inside(
        (8,),
        ("MatMul", "x w0", "c"),
        ("Relu", "c", "r"),
        ("Unsqueeze", "r zero", "u"),
        ("Mul", "u b", "m"),
        ("Relu", "m", "s"),
        ("MatMul", "s w1", "y"),
        w0=np.abs(normal(8)),
        zero=np.array([0]),
        b=normal(6),
        w1=normal(6, 5),
    ),
    "image": inside((3, 8, 8), ("Unsqueeze", "x zero", "u"), *IMAGE, ("MatMul", "f v", "y"), output=(1, 5), **CNN),
    "image to an image": inside(
        (3, 8, 8),
        ("Unsqueeze", "x zero", "u"),
        ("Conv", "u w", "c", {"pads": [1] * 4}),
        ("Relu", "c", "r"),
        ("Conv", "r w1", "d", {"pads": [1] * 4}),
        ("Squeeze", "d zero", "y"),
        output=(3, 8, 8),
        w1=normal(3, 4, 3, 3),
        w=CNN["w"],
        zero=CNN["zero"],
    ),
    "image reshaped": inside(
        (3, 8, 8),
        ("Reshape", "x sizes", "u"),
        *IMAGE,
        ("MatMul", "f v", "d"),
        ("Reshape", "d row", "y"),
        sizes=np.array([1, 3, 8, 8]),
        row=np.array([5]),
        **CNN,
    ),
    "matrix": inside(
        (4, 8),
        ("MatMul", "x w0", "c"),
        ("Relu", "c", "r"),
        ("Reshape", "r row", "f"),
        ("MatMul", "f w1", "y"),
        row=np.array([-1]),
        w0=normal(8, 6),
        w1=normal(24, 5),
    ),
    "row, mean and head": inside(
        (8,),
        ("ReduceMean", "x", "m", {"keepdims": 1}),
        ("Sub", "x m", "s"),
        ("MatMul", "s w0", "c"),
        ("Relu", "c", "r"),
        ("MatMul", "r w1", "y"),
        **MLP,
    ),
}
BATCHED = {
    "of any size": inside(("n", 8), *LAYERS, output=("n", 5), **MLP),
    "of one": inside((1, 8), *LAYERS, output=(1, 5), **MLP),
    "of four": inside((4, 8), *LAYERS, output=(4, 5), **MLP),
    "of eight scalars": inside(
        (8,),
        ("Unsqueeze", "x one", "u"),
        ("MatMul", "u w0", "c"),
        ("Relu", "c", "r"),
        ("MatMul", "r w1", "y"),
        output=(8, 5),
        one=np.array([1]),
        w0=normal(1, 6),
        w1=normal(6, 5),
    ),
    "of four with offsets": inside((4, 8), *LAYERS[:2], ("MatMul", "r w1", "z"), ("Add", "z b", "y"), output=(4, 5), b=normal(4, 5), **MLP),
}


@pytest.mark.parametrize("name", PER_SAMPLE)
def test_an_input_without_a_batch_axis(name, tmp_path):
    assert unbatched_inputs(PER_SAMPLE[name], tmp_path) == ("x",)


@pytest.mark.parametrize("name", BATCHED)
def test_a_batch_axis(name, tmp_path):
    assert unbatched_inputs(BATCHED[name], tmp_path) == ()


def shape_of(graph):
    return [dim.dim_value for dim in graph.graph.input[0].type.tensor_type.shape.dim]


def rows(original, x):
    """What ONNX Runtime gives for each sample, by hand."""
    import onnxruntime

    session = onnxruntime.InferenceSession(original.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.stack([session.run(None, {"x": row})[0] for row in x])


@pytest.mark.parametrize("name", PER_SAMPLE)
def test_samples_of_an_input_without_a_batch_axis(name, tmp_path):
    original = PER_SAMPLE[name]
    x = RNG.random((7, *shape_of(original)), np.float32)
    expected = rows(original, x).reshape(7, -1)
    labels = expected.argmax(1) if expected.shape[1] > 1 else (expected[:, 0] > 0).astype(np.int64)
    np.savez(tmp_path / "data.npz", x=x, y=labels)
    network = convert(save(original, tmp_path), mode="exact", steps=None, calibrate=dataset(x))
    for batch in (64, 1):
        report = evaluate(network, str(tmp_path / "data.npz"), batch=batch).report
        assert report.drift.max_output_error < 1e-5
        if expected.shape[1] == 5:
            assert report.ann.accuracy == report.snn.accuracy == report.drift.agreement == 1


@pytest.mark.parametrize("name", [name for name in PER_SAMPLE if name not in ("row, mean and head", "row and softmax")])
def test_layers_of_an_input_without_a_batch_axis(name):
    network = exact(PER_SAMPLE[name], RNG.random((5, *shape_of(PER_SAMPLE[name])), np.float32))
    assert network.unbatched == ("x",)


def test_a_vector_of_one_value_a_sample():
    original = inside(
        ("n",),
        ("Unsqueeze", "x one", "u"),
        ("Gemm", "u w0 b0", "c"),
        ("Relu", "c", "r"),
        ("MatMul", "r w1", "y"),
        output=("n", 5),
        one=np.array([1]),
        w0=normal(1, 8),
        b0=normal(8),
        w1=normal(8, 5),
    )
    network = exact(original, RNG.random(6, np.float32))
    assert network.inputs[0].onnx_shape == () and network.unbatched == ()


def test_another_order_of_the_axes_is_compared_sample_by_sample(tmp_path):
    """(sequence, batch, features) inside: four steps of a sequence, in batches of which some have four samples."""
    original = inside(
        ("n", 4, 6),
        ("Transpose", "x", "t", {"perm": [1, 0, 2]}),
        ("MatMul", "t w0", "c"),
        ("Relu", "c", "r"),
        ("MatMul", "r w1", "d"),
        ("Relu", "d", "s"),
        ("Transpose", "s", "u", {"perm": [1, 0, 2]}),
        ("Flatten", "u", "f"),
        ("MatMul", "f w2", "y"),
        output=("n", 5),
        w0=normal(6, 7),
        w1=normal(7, 3),
        w2=normal(12, 5),
    )
    x = RNG.random((8, 4, 6), np.float32)
    np.savez(tmp_path / "data.npz", x=x)
    network = convert(save(original, tmp_path), mode="exact", steps=None, calibrate=dataset(x))
    assert {"r", "s"} <= {layer.tensor for layer in network.layers}
    for batch in (1, 4, 8):
        report = evaluate(network, str(tmp_path / "data.npz"), batch=batch).report
        assert max(layer.max_error for layer in report.layers if layer.max_error is not None) < 1e-5 and report.drift.max_output_error < 1e-5


@pytest.mark.parametrize("tail", ((), (("Softmax", "z", "y", {"axis": 0}),), (("Softmax", "z", "p", {"axis": 0}), ("Unsqueeze", "p zero", "y"))))
def test_a_batch_axis_dropped_at_the_output(tail, tmp_path):
    last = tail[-1][2] if tail else "z"
    nodes = ("MatMul", "x w0", "c"), ("Relu", "c", "r"), ("MatMul", "r w1", "d"), ("Squeeze", "d zero", "z"), *tail
    original = model(nodes, {"x": [1, 8]}, {last: [1, 5] if len(tail) > 1 else [5]}, zero=np.array([0]), **MLP)
    x = RNG.random((6, 8), np.float32)
    network = exact(original, x)
    assert not network.unbatched and not network.readouts[0].batched
    np.savez(tmp_path / "data.npz", x=x, y=np.stack([values.reshape(-1) for values in rows(original, x[:, None])]).argmax(1))
    report = evaluate(convert(save(original, tmp_path), mode="exact", steps=None, calibrate=dataset(x)), str(tmp_path / "data.npz")).report
    assert report.ann.accuracy == report.snn.accuracy == 1


def test_a_batch_axis_dropped_and_restored():
    original = model(
        [
            ("MatMul", "x w0", "c"),
            ("Relu", "c", "r"),
            ("Squeeze", "r zero", "s"),
            ("MatMul", "s w1", "d"),
            ("Add", "d b", "e"),
            ("Relu", "e", "t"),
            ("Concat", "t s", "k", {"axis": 0}),
            ("Unsqueeze", "k zero", "u"),
            ("MatMul", "u w2", "y"),
        ],
        {"x": [1, 8]},
        {"y": [1, 5]},
        zero=np.array([0]),
        b=normal(7),
        w0=normal(8, 6),
        w1=normal(6, 7),
        w2=normal(13, 5),
    )
    exact(original, RNG.random((6, 8), np.float32))


def test_frames_at_the_output_are_unfolded(tmp_path):
    """(batch frames, 5) scores: a row of 4 x 5 for each sample."""
    original = model(
        [
            ("Reshape", "x fold", "u"),
            ("Conv", "u w", "c"),
            ("Relu", "c", "r"),
            ("GlobalAveragePool", "r", "g"),
            ("Flatten", "g", "f"),
            ("MatMul", "f v", "y"),
        ],
        {"x": ["n", 4, 3, 8, 8]},
        {"y": ["m", 5]},
        fold=np.array([-1, 3, 8, 8]),
        w=CNN["w"],
        v=normal(4, 5),
    )
    network = exact(original, RNG.random((3, 4, 3, 8, 8), np.float32))
    assert network.readouts[0].onnx_shape == (4, 5) and network.layers[2].shape == (4, 6, 6, 4)
    softmax = onnx.ModelProto()
    softmax.CopyFrom(original)
    softmax.graph.node[-1].output[0] = "z"
    softmax.graph.node.append(helper.make_node("Softmax", ["z"], ["y"], axis=1))
    exact(softmax, RNG.random((3, 4, 3, 8, 8), np.float32))
