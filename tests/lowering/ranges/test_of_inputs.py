"""Ranges of inputs: derived from the model's own rescaling of pixels, given by name, or taken from data."""

from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto

from tests.models import Chain, assert_equals_onnx_runtime, converted, dataset, outputs_of
from ttfs_convert.data import Dataset
from ttfs_convert.errors import DataError, UsageError
from ttfs_convert.network.store import load, save
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.head_and_tail import run
from ttfs_convert.studies.evaluation import evaluate

F = np.float32
MEAN, STD = F([123.7, 116.3, 103.5]).reshape(1, 3, 1, 1), F([58.4, 57.1, 57.4]).reshape(1, 3, 1, 1)
IMAGE, ROWS = (3, 6, 6), (8,)

RESCALED = {
    "div": (IMAGE, lambda c: c.add("Div", F(255))),
    "mul": (IMAGE, lambda c: c.add("Mul", F(1 / 255))),
    "div of rows": (ROWS, lambda c: c.add("Div", F(255))),
    "by 256": (ROWS, lambda c: c.add("Div", F(256))),
    "-1 to 1": (ROWS, lambda c: c.add("Sub", F(127.5)).add("Div", F(127.5))),
    "keras": (IMAGE, lambda c: c.add("Mul", F(1 / 127.5)).add("Add", F(-1))),
    "mean and std": (IMAGE, lambda c: c.add("Sub", MEAN).add("Div", STD)),
    "mean times": (IMAGE, lambda c: c.add("Sub", MEAN).add("Mul", 1 / STD)),
    "then mean and std": (IMAGE, lambda c: c.add("Div", F(255)).add("Sub", MEAN / 255).add("Div", STD / 255)),
    "mean alone": (IMAGE, lambda c: c.add("Gather", np.array([2, 1, 0]), axis=1).add("Sub", MEAN[:, ::-1])),
    "batch norm": (IMAGE, lambda c: c.add("BatchNormalization", F([1] * 3), F([0] * 3), MEAN.ravel(), STD.ravel() ** 2)),
    "channels last": ((6, 6, 3), lambda c: c.add("Div", F(255)).add("Transpose", perm=[0, 3, 1, 2])),
    "moved first": ((6, 6, 3), lambda c: c.add("Transpose", perm=[0, 3, 1, 2]).add("Div", F(255))),
    "backwards": (ROWS, lambda c: c.add("Sub", F(255)).add("Div", F(-255))),
}
OTHERWISE = {
    "nothing": (IMAGE, lambda c: c),
    "std alone": (IMAGE, lambda c: c.add("Div", STD)),
    "units of 0 to 1": (IMAGE, lambda c: c.add("Sub", MEAN / 255).add("Div", STD / 255)),
    "times 255": (IMAGE, lambda c: c.add("Mul", F(255)).add("Sub", MEAN).add("Div", STD)),
    "by 100": (ROWS, lambda c: c.add("Div", F(100))),
    "scaled columns": (ROWS, lambda c: c.add("Sub", F([120] * 8)).add("Div", F([58, 50, 60, 61, 59, 57, 58, 62]))),
}


def network_of(shape, build, **options):
    chain = build(Chain(shape))
    chain = (chain.conv(4) if len(shape) == 3 else chain.gemm(7)).relu1().readout()
    return chain, converted(chain.model(), mode="exact", **options)


@pytest.mark.parametrize("case", RESCALED)
def test_a_model_that_rescales_pixels(case):
    shape, build = RESCALED[case]
    chain, network = network_of(shape, build)
    (layer,) = network.inputs
    assert (layer.lo.min(), layer.hi.max(), layer.coding) == (0, 255, "spikes") and network.input_ranges == {"x": (0, 255)}
    assert "'x': the model rescales pixels itself" in network.notes[0] and "--input-range" in network.notes[0]
    x = np.random.default_rng(0).integers(0, 256, (5, *shape), dtype=np.uint8)
    expected = Reference(chain.model())(x.astype(F))[chain.at]
    np.testing.assert_allclose(run(network, x.astype(F)).potentials, expected, rtol=0, atol=2e-4)
    report = evaluate(network, dataset(x)).report
    assert report.drift.max_output_error < 2e-4 and report.drift.output_range == pytest.approx((expected.min(), expected.max()), abs=1e-5)
    assert report.data.treatments == {"x": "uint8 as they are"}


@pytest.mark.parametrize("case", OTHERWISE)
def test_a_model_that_does_not(case):
    shape, build = OTHERWISE[case]
    _, network = network_of(shape, build)
    assert (network.inputs[0].lo.min(), network.inputs[0].hi.max()) == (0, 1) and not network.notes


def test_the_user_s_range_goes_first():
    for given in ((0, 1), (0.0, 1.0), [0, 1], {"x": (0, 1)}):
        network = network_of(*RESCALED["div"], input_range=given)[1]
        assert network.inputs[0].hi.max() == 1 and not network.notes
    direct = network_of(*RESCALED["div"], input_range=None)[1]
    assert direct.inputs[0].coding == "direct"
    x = np.random.default_rng(0).integers(0, 256, (5, *IMAGE), dtype=np.uint8)
    assert evaluate(direct, dataset(x)).report.data.treatments == {"x": "uint8 as they are"}


def whole_numbers(kind, divisor=255, shape=ROWS):
    chain = Chain(shape).add("Cast", to=TensorProto.FLOAT).add("Div", F(divisor)).gemm(7).relu1().readout()
    model = chain.model()
    model.graph.input[0].type.tensor_type.elem_type = kind
    return model


@pytest.mark.parametrize("kind", ["INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BOOL"])
@pytest.mark.parametrize("given", ["auto", None, (0, 100), "data"])
def test_every_type_of_input(kind, given, tmp_path):
    """With what the head makes of it: the layers behind are those of the original."""
    model = whole_numbers(getattr(TensorProto, kind), 100)
    x = np.random.default_rng(0).integers(0, 2 if kind == "BOOL" else 101, (30, *ROWS))
    network = converted(model, mode="exact", input_range=given, calibrate=dataset(x))
    assert network.inputs[0].coding == ("direct" if given in ("auto", None) else "spikes")
    if given == (0, 100):
        assert (network.inputs[0].lo[0], network.inputs[0].hi[0]) == (0, 100)
    assert [layer.tensor for layer in network.layers if layer.kind == "spiking"] == ["clip3_out"]
    save(network, tmp_path / "snn.npz")
    for data in (x, x.astype(F)):
        report = evaluate(load(tmp_path / "snn.npz"), dataset(data)).report
        assert report.drift.max_output_error < 1e-5 and report.drift.agreement == 1 and report.drift.output_range[0] < report.drift.output_range[1]
    with pytest.raises(DataError, match="a fraction"):
        evaluate(network, dataset(x * F(0.5)))
    if given == (0, 100) and kind != "BOOL":
        with pytest.raises(DataError, match="expected 0 to 100"):
            evaluate(network, dataset(x + 27))


def test_whole_numbers_beside_floats():
    chain = Chain((6,), v=(4,)).add("Cast", to=TensorProto.FLOAT).add("Div", F(255)).gemm(5).relu1()
    first, chain.at = chain.at, "v"
    other = chain.add("Gemm", chain.rng.normal(size=(4, 5)).astype(F)).relu1().at
    chain.at = first
    model = chain.add("Concat", other, axis=1).readout().model()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32
    rng = np.random.default_rng(0)
    arrays = {"x": rng.integers(0, 256, (20, 6)), "v": rng.uniform(-3, 5, (20, 4)).astype(F)}
    data = Dataset("two", arrays["x"], None, "", 20, (), False, arrays)
    for given, ends in (
        ({"v": (-3, 5)}, {"v": (-3, 5), "x": (0, 255)}),
        ({"v": "data"}, {"x": (0, 255)}),
        ("data", {}),
        ({"x": None, "v": (-3, 5)}, {"v": (-3, 5), "x": (0, 1)}),
    ):
        network = converted(model, mode="exact", input_range=given, calibrate=data)
        found = {layer.onnx_name[:1].replace("c", "x"): (layer.lo.min(), layer.hi.max()) for layer in network.inputs}
        assert {name: found[name] for name in ends} == ends
        report = evaluate(network, data).report
        assert report.drift.max_output_error < 2e-5 and report.data.treatments == {"x": "int64 as they are", "v": "float32 as they are"}
    with pytest.raises(UsageError, match="w; expected inputs that the model has: x, v"):
        converted(model, mode="exact", input_range={"w": (0, 1)})
    with pytest.raises(DataError, match="expected -3 to 5"):
        evaluate(converted(model, mode="exact", input_range={"v": (-3, 5)}), replace(data, inputs={**arrays, "v": arrays["v"] * 2}))


# From data

LOW, HIGH = F([0, -5, 0, 1000, -0.01, 7]), F([1, 5, 1000, 3000, 0.01, 7])  # the last column is constant


def tabular():
    """Rows of columns of very different scales, and a network whose first weights undo the scales."""
    rng = np.random.default_rng(0)
    x = (LOW + (HIGH - LOW) * rng.random((400, 6), dtype=F)).astype(F)
    width = np.where(HIGH > LOW, HIGH - LOW, 1)
    weights = (rng.normal(size=(6, 24)) / width[:, None]).astype(F)
    chain = Chain((6,)).add("Gemm", weights, (-(LOW + HIGH) / 2 @ weights).astype(F)).add("Relu").gemm(16).add("Relu").readout(3)
    return chain, x


def test_each_column_gets_a_range_of_its_own(tmp_path):
    chain, x = tabular()
    network = converted(chain.model(), mode="exact", input_range="data", calibrate=dataset(x), margin=0.1, steps=50)
    (layer,) = network.inputs
    width = x.max(0) - x.min(0)
    np.testing.assert_allclose(layer.lo[:5], (x.min(0) - 0.1 * width)[:5], rtol=1e-5)
    np.testing.assert_allclose(layer.hi[:5], (x.max(0) + 0.1 * width)[:5], rtol=1e-5)
    assert (layer.lo[5], layer.hi[5]) == (7, 14)  # constant: silent, so exact on every grid
    report = evaluate(network, dataset(x)).report
    assert report.drift.agreement > 0.95 and report.layers[0].saturated == 0
    assert report.layers[0].mean_error < 1 / 50 and report.layers[0].max_error <= 0.5 / 50 + 1e-5
    save(network, tmp_path / "snn.npz")
    assert load(tmp_path / "snn.npz").inputs[0].measured
    one = converted(chain.model(), mode="exact", input_range=(float(x.min()), float(x.max())), calibrate=dataset(x), steps=50)
    assert evaluate(one, dataset(x)).report.drift.agreement < 0.8
    (note,) = one.notes
    assert "columns" in note and "--input-range data" in note and "--direct-input" in note and note.startswith("3 of 6")
    assert not converted(chain.model(), mode="exact", input_range=(float(x.min()), float(x.max())), calibrate=dataset(x)).notes  # no grid


@pytest.mark.parametrize("engine, steps", [("exact", 50), ("exact", None), ("clock", 50), ("event", None)])
def test_values_beyond_a_range_from_data_are_cut_off_and_counted(engine, steps):
    chain, x = tabular()
    network = converted(chain.model(), mode="exact", input_range="data", calibrate=dataset(x), margin=0, steps=steps)
    beyond = x[:50].copy()
    beyond[:5, 2] += 5000
    beyond[5:10, 1] -= 50
    found = evaluate(network, dataset(beyond), engine=engine, quantised=steps is not None)
    inside = evaluate(network, dataset(np.clip(beyond, network.inputs[0].lo, network.inputs[0].hi)), engine=engine)
    assert found.report.snn == inside.report.snn and found.report.drift != inside.report.drift
    assert found.report.layers[0].saturated == pytest.approx(10 / beyond.size)
    assert any("layer x: 3.33 % of its values lie outside its range" in note for note in found.notes)
    assert found.report.engine.farthest is None or found.report.engine.farthest < 1e-4
    lo, hi = network.inputs[0].lo, network.inputs[0].hi
    ours, cut = (run(network, values, engine).potentials for values in (beyond, np.clip(beyond, lo, hi)))
    np.testing.assert_array_equal(ours, cut)


@pytest.mark.parametrize(
    "shape, build, channels",
    [
        ((3, 6, 6), lambda c: c.conv(4), 3),
        ((6, 6, 3), lambda c: c.add("Transpose", perm=[0, 3, 1, 2]).conv(4), 3),
        ((3, 12), lambda c: c.conv(4, (3,)), 3),
        ((5, 7), lambda c: c.add("MatMul", np.random.default_rng(1).normal(size=(7, 4)).astype(F)), 7),
        ((192,), lambda c: c.add("Reshape", np.array([0, 3, 8, 8])).conv(4), 192),
        ((3, 6, 6), lambda c: c.add("MaxPool", kernel_shape=[2, 2]).conv(4), 3),
        ((3, 6, 6), lambda c: c.add("AveragePool", kernel_shape=[2, 2]).conv(4), 3),
        ((3, 6, 6), lambda c: c.add("Softmax", axis=1).conv(4), 3),
    ],
)
@pytest.mark.parametrize("mode", ["exact", "unchecked"])
def test_channels_from_data(shape, build, channels, mode):
    chain = build(Chain(shape)).relu1().readout()
    axis = 0 if shape[0] == 3 else -1
    scales = np.moveaxis((10.0 ** np.arange(shape[axis])).reshape(-1, *(1,) * (len(shape) - 1)), 0, axis) if shape[axis] == 3 else 1
    x = (np.random.default_rng(2).normal(size=(20, *shape)) * scales).astype(F)
    network = converted(chain.model(), mode=mode, input_range="data", calibrate=dataset(x))
    assert network.inputs[0].lo.shape == (channels,) and network.inputs[0].coding == "spikes"
    if mode == "exact":
        found = outputs_of(network, run(network, x), {"x": x})[0]
        expected = Reference(chain.model())(x)[chain.at]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.ptp(expected))


def test_data_has_to_be_there_and_ranges_to_be_ranges():
    chain = Chain(ROWS).gemm(7).relu1().readout()
    with pytest.raises(UsageError, match="--input-range: data; expected data to take it from; name some with --calibrate"):
        converted(chain.model(), mode="exact", input_range="data")
    for given in ((1, 0), (0, np.inf), {"x": (3, 3)}):
        with pytest.raises(UsageError, match="input range"):
            converted(chain.model(), mode="exact", input_range=given)
    with pytest.raises(UsageError, match="input range: 'wide'"):
        converted(chain.model(), mode="exact", input_range="wide")


def test_strict_mode_takes_ranges_from_data():
    """Weight sums are judged after they are folded in."""
    chain = Chain(ROWS).gemm(7).relu1().readout()
    x = np.random.default_rng(0).random((50, *ROWS), dtype=F)
    x[:2] = [[0], [1]]
    network = converted(chain.model(), input_range="data", calibrate=dataset(x), margin=0)
    assert network.mode == "strict" and network.inputs[0].measured
    assert_equals_onnx_runtime(chain.model(), x, input_range="data", calibrate=dataset(x), margin=0)


def test_an_image_s_border_is_no_column_of_another_scale():
    chain = Chain((64,)).gemm(7).relu1().readout()
    x = np.random.default_rng(0).random((50, 64), dtype=F)
    x[:, :4] *= 0.01
    x[:, 4:20] = 0
    assert not converted(chain.model(), mode="exact", calibrate=dataset(x), steps=50).notes
    x[:, 20:30] *= 0.01
    assert "14 of 64 columns" in converted(chain.model(), mode="exact", calibrate=dataset(x), steps=50).notes[0]
