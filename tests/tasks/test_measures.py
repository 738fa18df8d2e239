"""Every measure against its definition, worked out sample by sample; scores and what is left out of them."""

import math

import numpy as np
import pytest

from ttfs_convert.measurement.position_labels import PositionRule
from ttfs_convert.tasks.paired_bootstrap import paired_interval
from ttfs_convert.tasks.reconstruction import Reconstruction
from ttfs_convert.tasks.regression import Regression
from ttfs_convert.tasks.scores import Score, drift_fields, joined, scored
from ttfs_convert.tasks.segmentation import Segmentation
from ttfs_convert.tasks.task import Task

RNG = np.random.default_rng(3)


def judged(task: Task, ann: np.ndarray, snn: np.ndarray) -> dict[str, Score]:
    """In two batches."""
    found = []
    for outputs in (ann, snn):
        parts = [task.statistics(outputs[rows], task.references(rows, {"x": ann[rows]})) for rows in (slice(0, 5), slice(5, len(outputs)))]
        found.append(joined(parts))
    return scored(task.measures, *found)


def test_regression():
    targets = RNG.normal(size=(40, 3)).astype(np.float32) * [1, 10, 100]
    ann, snn = (targets + RNG.normal(size=targets.shape) * size for size in (0.5, 0.7))
    scores = judged(Regression(targets), ann, snn)
    for name, outputs in (("ann", ann), ("snn", snn)):
        errors = outputs - targets
        assert getattr(scores["rmse"], name) == pytest.approx(np.sqrt((errors**2).mean()))
        assert getattr(scores["mae"], name) == pytest.approx(np.abs(errors).mean())
        spread = ((targets - targets.mean(0, dtype=np.float64)) ** 2).sum()
        assert getattr(scores["r2"], name) == pytest.approx(1 - (errors**2).sum() / spread)
    assert scores["rmse"].drop == scores["rmse"].drift > 0 > scores["r2"].drift == -scores["r2"].drop
    low, high = scores["rmse"].drop_interval
    assert (low, high) == scores["rmse"].interval and low < scores["rmse"].drift < high
    assert scores["rmse"].ann_values == pytest.approx(np.sqrt(((ann - targets) ** 2).mean(1))) and np.isnan(scores["r2"].ann_values).all()


def test_equal_targets_have_no_determination():
    task = Regression(np.full((12, 2), 3, np.float32))
    scores = judged(task, np.ones((12, 2), np.float32), np.zeros((12, 2), np.float32))
    assert (scores["r2"].ann, scores["r2"].drift, scores["r2"].interval) == (None, None, None) and "no R^2" in task.notes[0]
    assert scores["rmse"].drift == pytest.approx(1)


@pytest.mark.parametrize("shape", [(1, 9, 12), (9, 12), (3, 9, 12), (9, 12, 3), (108,)])
def test_reconstruction(shape):
    skimage = pytest.importorskip("skimage.metrics")
    targets = RNG.random((12, *shape), np.float32)
    ann, snn = (np.clip(targets + RNG.normal(size=targets.shape) * size, 0, 1).astype(np.float32) for size in (0.1, 0.2))
    task = Reconstruction(lambda rows, x: targets[rows], shape, 2.0, "targets", like=[(1, 9, 12)])
    scores = judged(task, ann, snn)
    assert task.about == "targets; data_range 2" and list(scores) == ["psnr", "ssim"]
    pictures = [np.moveaxis(each.reshape(12, *shape), 1, -1) if shape == (3, 9, 12) else each for each in (targets, ann)]
    pictures = [each if shape == (9, 12, 3) else each.reshape(12, 9, 12, -1) for each in pictures]
    for row in range(12):
        wanted, got = (each[row].astype(np.float64) for each in pictures)
        assert scores["psnr"].ann_values[row] == pytest.approx(skimage.peak_signal_noise_ratio(wanted, got, data_range=2))
        assert scores["ssim"].ann_values[row] == pytest.approx(skimage.structural_similarity(wanted, got, data_range=2, channel_axis=-1))
    assert scores["psnr"].ann == pytest.approx(scores["psnr"].ann_values.mean())
    assert task.pictures(ann).shape == ((12, 9, 12, 3) if 3 in shape else (12, 9, 12))


def test_signals_and_small_pictures_have_no_similarity():
    for shape in ((1, 200), (6, 20), (1, 6, 20)):
        task = Reconstruction(lambda rows, x: x["x"], shape, 1.0, "input")
        assert [measure.name for measure in task.measures] == ["psnr"] and task.pictures(np.zeros((2, *shape))) is None


def test_samples_that_are_exact_are_left_out_and_counted():
    x = RNG.random((12, 1, 4), np.float32)
    task = Reconstruction(lambda rows, _: x[rows], (1, 4), 1.0, "input")
    ann, snn = x + np.float32(0.125), x + np.float32(0.25)
    ann[[2, 7]] = x[[2, 7]]
    snn[2] = x[2]
    (score,) = judged(task, ann, snn).values()
    assert score.left_out.tolist() == [2, 7] and score.lost == 1 and score.samples == 10
    assert score.ann == pytest.approx(10 * math.log10(64), abs=1e-5) and score.snn == pytest.approx(10 * math.log10(16), abs=1e-5)
    assert "2 of 12 samples" in score.notes[0] and "1 of them worse" in score.notes[0] and "sample 2, 7" in score.notes[0]
    snn[4] = np.nan
    (score,) = judged(task, ann, snn).values()
    assert score.left_out.tolist() == [2, 4, 7] and score.lost == 2


def test_no_figure_at_all():
    x = RNG.random((12, 1, 4), np.float32)
    (score,) = judged(Reconstruction(lambda rows, _: x[rows], (1, 4), 1.0, "input"), x, x).values()
    assert (score.ann, score.snn, score.drift, score.interval, score.lost, score.samples) == (None, None, None, None, 0, 0)
    assert drift_fields(score) == {"psnr_db": None, "psnr_ci95_db": None}


def iou(predicted: np.ndarray, truth: np.ndarray, classes: int) -> float:
    """Mean over the classes that occur."""
    kept = truth != 255
    predicted, truth = predicted[kept], truth[kept]
    found = []
    for number in range(classes):
        union = ((predicted == number) | (truth == number)).sum()
        if union:
            found.append(((predicted == number) & (truth == number)).sum() / union)
    return float(np.mean(found))


def test_segmentation():
    maps = RNG.integers(0, 4, (12, 5, 6)).astype(np.uint8)
    maps[:, 0] = 255
    maps[maps == 2] = 3  # a class that occurs in predictions alone
    ann, snn = (RNG.normal(size=(12, 4, 5, 6)) + factor * np.eye(4)[np.minimum(maps, 3)].transpose(0, 3, 1, 2) for factor in (3, 1))
    task = Segmentation(PositionRule("y", (5, 6), 4, 1), maps)
    scores = judged(task, ann, snn)
    for name, outputs in (("ann", ann), ("snn", snn)):
        predicted = outputs.argmax(1)
        assert getattr(scores["mean_iou"], name) == pytest.approx(iou(predicted, maps, 4))
        assert getattr(scores["pixel_accuracy"], name) == pytest.approx((predicted == maps)[maps != 255].mean())
    assert scores["mean_iou"].ann_values == pytest.approx([iou(*each, 4) for each in zip(ann.argmax(1), maps)])
    assert scores["mean_iou"].drift == pytest.approx(100 * (scores["mean_iou"].snn - scores["mean_iou"].ann)) and scores["mean_iou"].drift < 0
    assert set(drift_fields(scores["mean_iou"])) == {"mean_iou_pp", "mean_iou_ci95_pp"}
    shades = task.pictures(maps)
    assert shades.max() == 1 and (shades[:, 0] == 0).all() and task.pictures(ann).shape == (12, 5, 6)


def test_labels_that_an_output_gives_itself():
    """It may give some that no map has: they are wrong, and a class of their own."""
    maps, given = np.zeros((10, 3), np.int64), np.zeros((10, 3), np.int64)
    given[:, 0] = 7
    scores = judged(Segmentation(PositionRule("y", (3,)), maps), given, maps)
    assert (
        scores["pixel_accuracy"].ann == pytest.approx(2 / 3)
        and scores["mean_iou"].ann == pytest.approx((2 / 3 + 0) / 2)
        and scores["mean_iou"].snn == 1
    )


def mean(statistics):
    return statistics[..., 0]


def test_an_interval_covers_the_difference_of_the_means():
    """Of normal differences it is that of their mean: 1.96 deviations to either side."""
    base = RNG.normal(size=(400, 1)) * 50
    change = RNG.normal(size=(400, 1)) + 0.25
    low, high = paired_interval(mean, base, base + change)
    middle, half = change.mean(), 1.96 * change.std() / 20
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=0.015)
    assert paired_interval(mean, base, base + change) == (low, high) != paired_interval(mean, base, base + change, seed=1)
    assert paired_interval(mean, base[:9], base[:9]) is None
