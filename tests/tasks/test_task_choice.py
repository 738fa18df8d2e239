"""Which task follows from data and outputs, what is refused and how, and gates: two networks whose outputs are pictures and signals."""

import dataclasses
import functools

import numpy as np
import pytest

from tests.models import Chain, converted, dataset
from ttfs_convert.data import dataset_of_arrays
from ttfs_convert.errors import DataError, UsageError
from ttfs_convert.gates.gate_list import Gate
from ttfs_convert.gates.of_scores import judged_drops
from ttfs_convert.studies import evaluation
from ttfs_convert.studies.sweep import sweep
from ttfs_convert.studies.tuning import tune
from ttfs_convert.tasks.drop_limit import DropLimit
from ttfs_convert.tasks.task_choice import TASKS
from ttfs_convert.tasks.task_names import TASK_NAMES

evaluate = functools.partial(evaluation.evaluate, threads=1)
PICTURES = Chain((1, 8, 8)).images(16)
SIGNALS = (2 * Chain((1, 32)).images(16) - 1).astype(np.float32)
MAPS = np.random.default_rng(0).integers(0, 3, (16, 8, 8))


def u_net(classes: int, *end: str):
    """One scale down and up again, joined with what went down."""
    chain = Chain((1, 8, 8), seed=5).conv(4, pads=[1] * 4).add("Relu")
    high = chain.at
    chain.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).conv(6, pads=[1] * 4).add("Relu")
    chain.add("ConvTranspose", chain.rng.normal(0, 0.4, (6, 4, 2, 2)).astype(np.float32), strides=[2, 2]).add("Concat", high, axis=1)
    chain.conv(4, pads=[1] * 4).add("Relu").conv(classes, (1, 1))
    for operator in end:
        chain.add(operator, **({"axis": 1, "keepdims": 0} if operator == "ArgMax" else {}))
    return converted(chain.model(), mode="exact", steps=40, calibrate=dataset(PICTURES))


@functools.cache
def dilated():
    """Convolutions in time on signed samples, from one to the next twice as far apart."""
    chain = Chain((1, 32), seed=6)
    for reach in (1, 2, 4):
        chain.conv(5, (3,), pads=[reach] * 2, dilations=[reach]).add("Relu")
    return converted(chain.conv(1, (1,)).model(), mode="exact", steps=40, input_range=None, calibrate=dataset(SIGNALS))


@functools.cache
def net(name: str):
    return dilated() if name == "dilated" else u_net(*{"picture": (1,), "mask": (1, "Sigmoid"), "classes": (3,), "labels": (3, "ArgMax")}[name])


def data(name: str, y=None):
    return dataset_of_arrays(SIGNALS if name == "dilated" else PICTURES, y)


def test_every_task_has_a_name():
    assert (*TASKS, "enhancement") == TASK_NAMES  # whose recordings are no samples


@pytest.mark.parametrize(
    "name, y, task, measures",
    [
        ("classes", MAPS, "segmentation", ["mean_iou", "pixel_accuracy"]),
        ("classes", MAPS[:, None].astype(np.uint8), "segmentation", ["mean_iou", "pixel_accuracy"]),
        ("classes", MAPS.astype(np.float32), "segmentation", ["mean_iou", "pixel_accuracy"]),
        ("labels", MAPS, "segmentation", ["mean_iou", "pixel_accuracy"]),
        ("mask", MAPS > 1, "segmentation", ["mean_iou", "pixel_accuracy"]),
        ("mask", (MAPS > 1).astype(int), "regression", ["rmse", "mae", "r2"]),
        ("picture", PICTURES[:, 0], "regression", ["rmse", "mae", "r2"]),
        ("dilated", SIGNALS[:, 0] / 2, "regression", ["rmse", "mae", "r2"]),
    ],
)
def test_what_is_derived(name, y, task, measures):
    found = evaluate(net(name), data(name, y))
    assert found.report.task.name == task and "derived from y" in found.report.task.why
    assert [each.name for each in found.report.task.measures] == measures == list(found.scores)
    for measure, score in found.scores.items():
        assert getattr(found.report.ann, measure) == score.ann and getattr(found.report.snn, measure) == score.snn
        assert getattr(found.report.drift, score.measure.drift_key()) == score.drift and score.interval is not None
    assert (found.report.drift.agreement is None) == (task == "regression") and found.outcomes is None and found.report.ann.accuracy is None


@pytest.mark.parametrize("name", ["picture", "classes", "dilated"])
def test_without_labels_there_is_no_task(name):
    found = evaluate(net(name), data(name))
    assert found.report.task is None and found.scores == {} and found.report.drift.agreement is None and found.report.outputs[0].psnr > 20


@pytest.mark.parametrize("task, note", [("regression", "has no targets"), ("segmentation", "has no label maps")])
def test_a_task_without_anything_to_judge_by(task, note):
    found = evaluate(net("classes"), data("classes"), task=task)
    assert found.report.task.name == task and found.report.task.measures == () and any(note in text for text in found.notes)
    assert (found.report.drift.agreement is None) == (task == "regression")


def test_the_input_is_rebuilt_unless_there_are_targets():
    pytest.importorskip("skimage")
    for name, y, about in (("picture", None, "the input 'x' itself; data_range 1"), ("picture", PICTURES / 2, "the data's targets; data_range 1")):
        found = evaluate(net(name), data(name, y), task="reconstruction")
        assert found.report.task.about == about and list(found.scores) == ["psnr", "ssim"]
        wanted = PICTURES if y is None else y
        assert found.report.ann.mean_squared_error > 0
        assert found.report.ann.psnr == pytest.approx(found.scores["psnr"].ann_values.mean()) and wanted.shape == PICTURES.shape
    signals = evaluate(net("dilated"), data("dilated"), task="reconstruction")
    assert list(signals.scores) == ["psnr"] and f"data_range {np.ptp(SIGNALS):g}" in signals.report.task.about
    labelled = evaluate(net("picture"), data("picture", np.arange(16)), task="reconstruction")
    assert labelled.scores["psnr"].ann == pytest.approx(evaluate(net("picture"), data("picture"), task="reconstruction").scores["psnr"].ann)


def test_pixels_as_targets_are_divided_as_the_input_is():
    pytest.importorskip("skimage")
    pixels = np.rint(255 * PICTURES).astype(np.uint8)
    found = evaluate(net("picture"), dataset_of_arrays(pixels, pixels), task="reconstruction")
    assert found.report.task.about == "the data's targets, divided by 255 as the input is; data_range 1"
    assert found.scores["psnr"].ann == pytest.approx(
        evaluate(net("picture"), dataset_of_arrays(pixels, None), task="reconstruction").scores["psnr"].ann
    )


@pytest.mark.parametrize(
    "name, y, task, message",
    [
        ("picture", PICTURES[:, :, :4], None, r"y of shape \(1, 4, 8\) per sample; expected labels, or values of the shape \(1, 8, 8\)"),
        ("picture", PICTURES[:, :, :4], "reconstruction", r"y of shape \(1, 4, 8\) per sample; expected pictures or signals of the shape"),
        ("picture", np.full((16, 1, 8, 8), 3.0), "reconstruction", "targets that are all 3, of which no data_range follows"),
        ("picture", np.where(PICTURES > 0.9, np.nan, PICTURES), None, "y with values that are not finite"),
        ("classes", np.where(MAPS == 2, 7, MAPS), None, "label 7 in a label map; expected labels from 0 to 2, and 255"),
        ("classes", np.where(MAPS == 2, -1, MAPS), None, "label -1 in a label map"),
        ("classes", np.full_like(MAPS, 255), None, "label maps of 255 alone"),
        ("classes", MAPS + 0.5, "segmentation", "a label .*5; expected whole numbers"),
        ("mask", (MAPS > 1) * 255, "segmentation", "label maps of 0 and 255 alone"),
        ("picture", np.array(["a"] * 16), "regression", "names as labels; expected values of the shape"),
        ("labels", MAPS + 0.5, None, "values as targets for output .*, which is int64"),
    ],
)
def test_data_that_does_not_fit(name, y, task, message):
    with pytest.raises(DataError, match=message):
        evaluate(net(name), data(name, y), task=task)


def test_tasks_that_do_not_fit():
    with pytest.raises(UsageError, match=r"shape \(3, 8, 8\), which no input has \(x \(1, 8, 8\)\)"):
        evaluate(net("classes"), data("classes"), task="reconstruction")
    with pytest.raises(UsageError, match="expected one of classification, reconstruction"):
        evaluate(net("classes"), data("classes"), task="clustering")
    with pytest.raises(UsageError, match="expected one score per class"):
        evaluate(net("picture"), data("picture", np.arange(16)), task="classification")


def test_gates_know_their_measures_before_the_run(monkeypatch):
    monkeypatch.setattr(evaluation, "Tallies", lambda *given: pytest.fail("it ran"))
    for measure, message in (("accuracy", "one of task regression: rmse, mae, r2"), ("psnr", "measure 'psnr'")):
        with pytest.raises(UsageError, match=message):
            evaluate(net("picture"), data("picture", PICTURES), limits=[DropLimit(measure)])
    with pytest.raises(UsageError, match="has no labels and no targets"):
        evaluate(net("picture"), data("picture"), limits=[DropLimit("")])


def test_gates_have_three_outcomes():
    score = evaluate(net("picture").with_steps(4), data("picture", PICTURES)).scores["rmse"]
    low, high = score.drop_interval
    assert low < score.drop < high

    def outcome(score, most):
        (found,) = judged_drops({"rmse": score}, [Gate("max-drop", most, "rmse")])
        return found.outcome

    assert outcome(score, high + 1e-6) == "passed" and outcome(score, max(score.drop, 0)) == "inconclusive"
    worse = dataclasses.replace(score, interval=(0.5, 0.7))
    assert outcome(worse, 0.4) == "failed" and outcome(worse, 0.6) == "inconclusive"
    assert outcome(dataclasses.replace(worse, lost=1), 1) == "inconclusive"
    assert outcome(dataclasses.replace(worse, interval=None), 1) == "inconclusive"


def test_sweeps_measure_the_task(tmp_path):
    given = data("picture", PICTURES)
    found, again = (sweep(net("picture"), given, "steps=3,200", threads=1, log=tmp_path / "log") for _ in range(2))
    assert found == again and found.task == "regression" and set(found.ann) == {"rmse", "mae", "r2"}
    none, few, many = (point.measures["rmse"] for point in found.points)
    assert (
        few.drop > 10 * abs(many.drop) and none.drop == 0 and few.worst == few.mean and found.points[1].accuracy is found.points[1].agreement is None
    )
    assert found.as_json()["measures"][0] == {"name": "rmse", "unit": "", "drop_unit": ""}
    expected = evaluate(net("picture"), given, steps=3).report
    assert few.mean == expected.snn.rmse and found.ann["rmse"] == expected.ann.rmse
    maps = sweep(net("classes"), data("classes", MAPS), "steps=3", threads=1)
    assert (
        maps.points[1].agreement < 1
        and maps.points[1].measures["mean_iou"].mean == evaluate(net("classes"), data("classes", MAPS), steps=3).report.snn.mean_iou
    )
    with pytest.raises(UsageError, match="or a --task"):
        sweep(net("picture"), data("picture"), "steps=3", threads=1)


def test_tuning_keeps_the_budget_of_the_task():
    given = data("picture", PICTURES)
    found = tune(net("picture"), given, 0.05, threads=1)
    assert found.task == "regression" and found.measure.name == "rmse" and found.network is not None
    for each in found.variants:
        assert each.outcomes is None and each.drop == each.scores["rmse"].drift and each.agreement is None
    assert found.variants[1].latency_steps < found.variants[0].latency_steps
    with pytest.raises(UsageError, match="none given for RMSE"):
        tune(net("picture"), given, threads=1)
    within = tune(net("classes"), data("classes", MAPS), max_latency=60, threads=1)
    assert within.measure.name == "mean_iou" and within.network.latency_steps <= 60
