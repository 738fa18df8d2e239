"""Final outputs behind the tail: their errors and agreement, several of them, images, regressions, and where a lone value splits."""

import dataclasses
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner

from tests.models import Chain, converted, dataset, save
from ttfs_convert.cli import convert, run, tune
from ttfs_convert.errors import DataError, UsageError
from ttfs_convert.measurement.output_errors import OutputErrors
from ttfs_convert.measurement.prediction import Rule
from ttfs_convert.simulation.exact_engine import Simulator
from ttfs_convert.studies.comparison import Comparison
from ttfs_convert.studies.evaluation import evaluate
from ttfs_convert.studies.sweep import sweep
from ttfs_convert.studies.tuning import tune as tuned
from ttfs_convert.tasks.drop_limit import DropLimit

X = Chain((6,)).images(80)


def body(seed=3):
    return Chain((6,), seed=seed).gemm(20).add("Relu")


def original(model, x):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip((value.name for value in session.get_outputs()), session.run(None, {"x": x})))


def coarse(model, x=X, **options):
    """Converted, with so few steps that it errs."""
    return converted(model, mode="exact", calibrate=dataset(x), **{"steps": 8, **options})


def spiking(network, x):
    """The network's outputs, batch by batch as `evaluate` runs it."""
    comparison = Comparison(network, dataset(x), threads=1)
    return comparison.ends.outputs(Simulator(network)(comparison.ends.entries({"x": x})), {"x": x})


def test_errors_are_those_of_the_final_outputs():
    model = body().readout(4).add("Sigmoid").add("Mul", np.float32(1000)).model()
    network = coarse(model)
    report = evaluate(network, dataset(X), batch=7, threads=1).report
    ((name, theirs),), (ours,) = original(model, X).items(), spiking(network, X).values()
    error, (output,) = np.abs(ours.astype(np.float64) - theirs), report.outputs
    assert (output.name, output.shape, output.judged) == (name, (4,), True)
    assert output.max_error == pytest.approx(error.max()) and output.mean_error == pytest.approx(error.mean())
    assert output.range == pytest.approx((theirs.min(), theirs.max()))
    assert output.psnr == pytest.approx(10 * np.log10(np.ptp(theirs) ** 2 / (error**2).mean()), rel=1e-5)
    assert output.agreement == report.drift.agreement == (ours.argmax(1) == theirs.argmax(1)).mean() < 1
    assert report.drift.max_output_error < 0.1 * output.max_error, "those of the potentials are small"


def test_without_a_tail_final_outputs_are_the_potentials():
    model = body().readout(4).model()
    report = evaluate(coarse(model), dataset(X), threads=1).report
    assert report.outputs[0].max_error == pytest.approx(report.drift.max_output_error, rel=1e-5)
    assert report.outputs[0].range == pytest.approx(report.drift.output_range)


def two_outputs():
    chain = body()
    shared = chain.at
    first = chain.readout(3).add("Softmax", axis=1).at
    chain.at = shared
    return chain.readout(2).add("Tanh").model(first, chain.at)


def test_each_output_is_measured_and_one_is_judged():
    model, network = two_outputs(), coarse(two_outputs())
    first, second = original(model, X)
    ours = spiking(network, X)
    for judged in (first, second):
        y = original(model, X)[judged].argmax(1)
        report = evaluate(network, dataclasses.replace(dataset(X), y=y), output=judged, threads=1).report
        assert report.ann.accuracy == 1 and report.snn.accuracy == report.drift.agreement == (ours[judged].argmax(1) == y).mean()
        assert [(each.name, each.judged) for each in report.outputs] == [(first, judged == first), (second, judged == second)]
        for each in report.outputs:
            assert each.max_error == pytest.approx(np.abs(ours[each.name] - original(model, X)[each.name]).max(), rel=1e-5)
            assert each.agreement == (ours[each.name].argmax(1) == original(model, X)[each.name].argmax(1)).mean()
    with pytest.raises(UsageError, match=f"--output: 'z'; expected one of the model's outputs: {first}, {second}"):
        evaluate(network, dataset(X), output="z")


# Outputs that are no labels


def pictures(channels=1, tail=None):
    chain = Chain((1, 6, 6), seed=2).conv(4, pads=[1] * 4).add("Relu").conv(channels, pads=[1] * 4)
    return (chain if tail is None else chain.add(tail)).model()


IMAGES = Chain((1, 6, 6)).images(12)


@pytest.mark.parametrize("channels, tail", [(1, None), (3, None), (1, "Sigmoid"), (3, "Softmax")])
def test_an_image_has_errors_and_no_agreement(channels, tail):
    model = pictures(channels, tail)
    network = coarse(model, IMAGES)
    report = evaluate(network, dataset(IMAGES), batch=5, threads=1).report
    (theirs,), (output,) = original(model, IMAGES).values(), report.outputs
    assert report.drift.agreement is None and report.ann.accuracy is None
    assert output.rule == f"no labels: shape ({channels}, 6, 6) per sample" and output.max_error > 0
    (ours,) = spiking(network, IMAGES).values()
    assert output.psnr == pytest.approx(10 * np.log10(np.ptp(theirs) ** 2 / ((ours.astype(float) - theirs) ** 2).mean()), rel=1e-4)


@pytest.mark.parametrize("last", [False, True])
def test_targets_give_both_mean_squared_errors(last):
    model = pictures(3)
    network, targets = coarse(model, IMAGES), np.random.default_rng(0).random((12, 3, 6, 6)).astype(np.float32)
    data = dataclasses.replace(dataset(IMAGES), targets=np.moveaxis(targets, 1, -1) if last else targets)
    report = evaluate(network, data, batch=5, threads=1).report
    (theirs,), (ours,) = original(model, IMAGES).values(), spiking(network, IMAGES).values()
    assert report.ann.mean_squared_error == pytest.approx(((theirs - targets) ** 2).mean(), rel=1e-5)
    assert report.snn.mean_squared_error == pytest.approx(((ours - targets) ** 2).mean(), rel=1e-5)
    assert report.ann.mean_squared_error != report.snn.mean_squared_error and report.ann.accuracy is None


def test_a_regression_has_a_mean_squared_error():
    model = body().readout(1).model()
    network, targets = coarse(model), np.random.default_rng(0).normal(size=80).astype(np.float32)
    (theirs,) = original(model, X).values()
    for y in (None, np.arange(80)):  # floats that are whole numbers may be labels, but not of two classes
        data = dataclasses.replace(dataset(X), y=y, targets=targets if y is None else y.astype(np.float32))
        report = evaluate(network, data, threads=1).report
        expected = ((theirs[:, 0] - (targets if y is None else y)) ** 2).mean()
        assert report.ann.mean_squared_error == pytest.approx(expected, rel=1e-5) and report.ann.accuracy is None
        assert report.drift.agreement is None and report.outputs[0].rule == "no labels: values, for which the data has targets"
    for y in (np.arange(80), np.arange(80) % 2 + 1):  # integers are labels
        with pytest.raises(DataError, match="expected labels from 0 to 1"):
            evaluate(network, dataclasses.replace(dataset(X), y=y))


def test_values_are_no_targets_of_labels_per_pixel():
    model = Chain((1, 6, 6), seed=2).conv(4, pads=[1] * 4).add("Relu").conv(3, pads=[1] * 4).add("ArgMax", axis=1, keepdims=0).model()
    network = coarse(model, IMAGES)
    report = evaluate(network, dataset(IMAGES), threads=1).report
    assert report.drift.agreement is None and report.outputs[0].max_error in (0, 1, 2)
    with pytest.raises(DataError, match=r"values as targets for output .*, which is int64; expected an output of floats"):
        evaluate(network, dataclasses.replace(dataset(IMAGES), targets=np.full((12, 6, 6), 0.5, np.float32)))


@pytest.mark.parametrize("factor, noted", [(1, 0), (255, 1)])
def test_targets_of_another_scale_are_noted(factor, noted):
    data = dataclasses.replace(dataset(IMAGES), targets=factor * IMAGES)
    notes = evaluate(coarse(pictures(1, "Sigmoid"), IMAGES), data, threads=1).notes
    assert sum("the targets y reach from 0 to" in note for note in notes) == noted


NAMES = ["ant", "bee", "cat"]


@pytest.mark.parametrize("encoder", ["Gather", "ArrayFeatureExtractor", "LabelEncoder"])
def test_names_of_classes(encoder):
    """y may be names, or numbers in the model's order, which need not be that of the alphabet."""
    chain = body().readout(3)
    scores, names = chain.model(), [NAMES[place] for place in (2, 0, 1)]
    best = original(scores, X)[chain.at].argmax(1)
    model = chain.add("ArgMax", axis=1, keepdims=0).model()
    index = model.graph.output[0].name
    attributes = {"keys_int64s": [1, 0, 2], "values_strings": [names[1], names[0], names[2]]} if encoder == "LabelEncoder" else {}
    inputs = [index] if attributes else ["names", index]
    model.graph.node.append(onnx.helper.make_node(encoder, inputs, ["name"], domain="" if encoder == "Gather" else "ai.onnx.ml", **attributes))
    if not attributes:
        model.graph.initializer.append(onnx.helper.make_tensor("names", onnx.TensorProto.STRING, [3], [name.encode() for name in names]))
    del model.graph.output[:]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("name", onnx.TensorProto.STRING, None if encoder == "ArrayFeatureExtractor" else ["n"])
    )
    if encoder == "ArrayFeatureExtractor":
        model.graph.output[0].type.tensor_type.shape.dim.extend(
            [onnx.TensorShapeProto.Dimension(dim_value=1), onnx.TensorShapeProto.Dimension(dim_param="n")]
        )
    model.opset_import.append(onnx.helper.make_opsetid("ai.onnx.ml", 3))
    network = coarse(model, steps=None)
    wrong = best.copy()
    wrong[:16] = (wrong[:16] + 1) % 3
    for y in (wrong, np.array(names)[wrong]):
        report = evaluate(network, dataclasses.replace(dataset(X), y=y), batch=9, threads=1).report
        assert (report.ann.accuracy, report.snn.accuracy, report.drift.agreement) == (0.8, 0.8, 1)
    assert evaluate(network, dataset(X), threads=1).report.drift.agreement == 1
    with pytest.raises(DataError, match=r"names as labels \(dog\); expected some of cat, ant, bee"):
        evaluate(network, dataclasses.replace(dataset(X), y=np.full(80, "dog")))


def test_targets_of_another_shape_are_refused():
    data = dataclasses.replace(dataset(IMAGES), targets=np.zeros((12, 5, 6), np.float32))
    with pytest.raises(DataError, match=r"y of shape \(5, 6\) per sample; expected labels, or values of the shape \(1, 6, 6\) of output"):
        evaluate(coarse(pictures(), IMAGES), data)


def test_labels_beside_an_image_are_not_used():
    evaluation = evaluate(coarse(pictures(), IMAGES), dataclasses.replace(dataset(IMAGES), y=np.zeros(12, np.int64)), threads=1)
    assert evaluation.outcomes is None and any("labels are not used" in note and "(1, 6, 6)" in note for note in evaluation.notes)


def test_what_needs_labels_refuses_an_image():
    network, data = coarse(pictures(), IMAGES), dataclasses.replace(dataset(IMAGES), y=np.zeros(12, np.int64))
    for call in (
        lambda: tuned(network, data, 1.0),
        lambda: sweep(network, data, [("steps", 4)]),
        lambda: evaluate(network, data, quantised=True),
        lambda: evaluate(network, data, limits=[DropLimit("")]),
    ):
        with pytest.raises(UsageError, match=r"shape \(1, 6, 6\) per sample; expected one score per class, or labels"):
            call()


# A lone value whose bounds do not say where it splits


def test_a_lone_value_of_unclear_bounds_needs_a_threshold():
    model = body().readout(1).add("Exp").model()
    network = coarse(model)
    score = next(iter(original(model, X).values()))[:, 0]
    middle = float(np.median(score))
    data = dataclasses.replace(dataset(X), y=(score >= np.float32(middle)).astype(np.int64))
    for call in (evaluate, lambda *arguments: tuned(*arguments, 50.0), lambda *arguments: sweep(*arguments, [("steps", 4)])):
        with pytest.raises(UsageError, match="one value per sample, at least 0; .* say it with --decision-threshold X"):
            call(network, data)
    report = evaluate(network, data, decision_threshold=middle, threads=1).report
    assert report.ann.accuracy == 1 and report.snn.accuracy > 0.5 and report.outputs[0].rule == f"labels: output >= {middle:g}"
    found = tuned(network, data, 50.0, decision_threshold=middle, threads=1)
    assert found.variants[0].outcomes.ann_accuracy == 1 and found.rule == report.outputs[0].rule
    swept = sweep(network, data, [("steps", 4)], decision_threshold=middle, threads=1)
    assert swept.ann_accuracy == 1 and swept.points[0].accuracy == report.snn.accuracy and swept.rule == report.outputs[0].rule
    unlabelled = evaluate(network, dataset(X), threads=1)
    assert unlabelled.report.drift.agreement is None and any("--decision-threshold" in note for note in unlabelled.notes)


def test_a_network_that_ends_in_a_spiking_clamp_is_bounded():
    """ReLU1 or an average of such values at the end: between 0 and 1, whether neurons or ONNX Runtime compute it."""
    for chain in (
        Chain((6,), seed=3).gemm(20).relu1().gemm(1).relu1(),
        Chain((2, 6, 6), seed=3).conv(1).relu1().add("GlobalAveragePool").add("Flatten"),
    ):
        comparison = Comparison(converted(chain.model()), dataset(chain.images(5)), threads=1)
        assert str(comparison.rule) == "labels: output >= 0.5"


# The commands


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    lone = body().readout(1).add("Relu").model()
    for name, model, x in (("two", two_outputs(), X), ("relu", lone, X), ("picture", pictures(), IMAGES)):
        np.savez(folder / f"{name}_x.npz", x=x)
        (folder / name).mkdir()
        path, data = save(model, folder / name), folder / f"{name}_x.npz"
        found = invoke(convert, path, "--out", folder / f"{name}.npz", "--mode", "exact", "--calibrate", data)
        assert found.exit_code == 0, found.stderr
    np.savez(folder / "labels.npz", x=X, y=original(two_outputs(), X)[two_outputs().graph.output[1].name].argmax(1))
    return folder


def invoke(command, *arguments):
    return CliRunner().invoke(command.main, [str(argument) for argument in arguments])


def test_the_output_is_chosen_by_name(folder):
    first, second = (value.name for value in two_outputs().graph.output)
    for command, arguments in ((run, ()), (tune, ("--max-drop", 100)), (run, ("--sweep", "steps=8"))):
        good = invoke(command, folder / "two.npz", "--data", folder / "labels.npz", "--output", second, *arguments)
        assert good.exit_code == 0 and "100.00 %" in good.stdout, good.stderr
        wrong = invoke(command, folder / "two.npz", "--data", folder / "labels.npz", "--output", "none", *arguments)
        assert wrong.exit_code == 2 and f"one of the model's outputs: {first}, {second}" in wrong.stderr
    shown = invoke(run, folder / "two.npz", "--data", folder / "labels.npz", "--output", second).stdout
    assert f"labels: the largest of 2 values (output {second!r})" in shown and f"output {first}" in shown


def test_a_threshold_is_asked_for_and_taken(folder):
    np.savez(folder / "relu_y.npz", x=X, y=np.arange(80) % 2)
    for command, arguments in ((run, ()), (tune, ("--max-drop", 100)), (run, ("--sweep", "steps=8"))):
        refused = invoke(command, folder / "relu.npz", "--data", folder / "relu_y.npz", *arguments)
        assert refused.exit_code == 2 and "--decision-threshold X" in refused.stderr and len(refused.stderr.strip().splitlines()) == 1
        assert invoke(command, folder / "relu.npz", "--data", folder / "relu_y.npz", "--decision-threshold", 0.3, *arguments).exit_code == 0


def test_an_image_is_reported_and_not_gated(folder):
    found = invoke(run, folder / "picture.npz", "--data", folder / "picture_x.npz", "--json", folder / "r.json")
    content = json.loads((folder / "r.json").read_text())
    assert found.exit_code == 0 and content["drift"]["agreement"] is None and content["drift"]["max_output_error"] > 0
    assert "PSNR" in found.stdout and "agreement" not in found.stdout and "mean error" in found.stdout
    gated = invoke(run, folder / "picture.npz", "--data", folder / "picture_x.npz", "--max-drop", 1)
    assert gated.exit_code == 2 and "has no labels" in gated.stderr
    np.savez(folder / "picture_y.npz", x=IMAGES, y=np.arange(12) % 3)
    labelled = invoke(run, folder / "picture.npz", "--data", folder / "picture_y.npz", "--max-drop", 1)
    assert labelled.exit_code == 2 and "shape (1, 6, 6) per sample" in labelled.stderr


def test_infinite_and_missing_values():
    """Equal ones are no error; no number on one side alone is none that could be passed over."""
    errors = OutputErrors(Rule("y", "largest", 3))
    theirs = np.array([[-np.inf, 1, 2], [np.nan, 3, 0]], np.float32)
    errors.add(theirs + np.float32([0, 0.5, 0]), theirs)
    assert (errors.max_error, errors.mean_error, errors.range) == (0.5, 1 / 6, (0, 3))
    errors.add(np.float32([[np.nan, 1, 2]]), np.float32([[0, 1, 2]]))
    assert np.isnan(errors.largest_error)
