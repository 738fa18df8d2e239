"""A network beside its original on one data set: batches, predictions of both, and what does not fit."""

import dataclasses

import numba
import numpy as np
import onnx
import pytest

from tests.models import Chain, converted, dataset, save
from ttfs_convert.errors import DataError, ModelError, UsageError
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.exact_engine import Simulator
from ttfs_convert.simulation.threads import numba_threads
from ttfs_convert.studies.comparison import Comparison

MODEL = Chain((6,), seed=3).gemm(14).relu1().gemm(10).relu1().readout(3).model()
IMAGES = Chain((6,)).images(23)
LABELS = next(iter(Reference(MODEL, threads=1)(IMAGES).values())).argmax(1)


@pytest.fixture(autouse=True)
def one_thread():
    with numba_threads(1):
        yield


@pytest.fixture(scope="module")
def network():
    return converted(MODEL, mode="strict")


def data(y=LABELS):
    return dataclasses.replace(dataset(IMAGES), y=y)


@pytest.mark.parametrize("batch", (1, 7, 23, 64))
def test_batches_cover_every_sample_once_and_in_order(network, batch):
    comparison, told = Comparison(network, data(), batch=batch, threads=1), []
    parts = [part for part, _ in comparison.batches()]
    rows = [row for part in parts for row in range(part.start, part.stop)]
    assert rows == list(range(23)) and max(part.stop - part.start for part in parts) == min(batch, 23)
    runs = [
        (comparison.labels(run.outputs), run, len(run.recording.potentials))
        for run in comparison.runs(Simulator(network), lambda part: told.append(part.start))
    ]
    assert told == list(range(0, 23, batch)) and [run.rows for _, run, _ in runs] == parts
    assert np.array_equal(np.concatenate([labels for labels, _, _ in runs]), LABELS), "in continuous time both networks say the same"
    assert sum(samples for _, _, samples in runs) == 23
    assert np.array_equal(comparison.original_outcome.labels, LABELS)
    assert np.array_equal(comparison.outcome(Simulator(network)).labels, LABELS)


def test_inputs_are_those_of_the_rows(network):
    (x,) = Comparison(network, data(), threads=1).inputs(slice(5, 9)).values()
    assert np.array_equal(x, IMAGES[5:9]) and x.dtype == np.float32


def test_a_tail_is_part_of_the_prediction():
    """A lone score behind a sigmoid splits two classes at one half."""
    model = Chain((6,), seed=3).gemm(14).relu1().readout(1).add("Sub", np.float32(0.7)).add("Sigmoid").model()
    score = next(iter(Reference(model, threads=1)(IMAGES).values()))[:, 0]
    cut = converted(model, mode="strict")
    comparison = Comparison(cut, data(y=None), threads=1)
    assert np.array_equal(comparison.original_outcome.labels, score >= 0.5) and 0 < (score >= 0.5).mean() < 1
    assert np.array_equal(comparison.outcome(Simulator(cut)).labels, score >= 0.5)


def test_labels_that_the_model_has_no_score_for(network):
    for shift, wrong in ((2, 4), (-1, -1)):
        with pytest.raises(DataError, match=f"label {wrong}; expected labels from 0 to 2: the model has 3 classes"):
            Comparison(network, data(LABELS + shift), threads=1)
    assert Comparison(network, data(None), threads=1).task is None


def test_the_original_may_come_from_its_file_alone(network, tmp_path):
    path = save(MODEL, tmp_path)
    bare = network.model_copy(update={"onnx": None})
    assert np.array_equal(Comparison(bare, data(), path, threads=1).original_outcome.labels, LABELS)
    with pytest.raises(UsageError, match="the original model is not inside; name it with --onnx FILE"):
        Comparison(bare, data())
    onnx.save(Chain((6,), seed=4).gemm(14).relu1().readout(3).model(), path)
    for each in (bare, network):
        with pytest.raises(ModelError, match="SHA-256 .* expected .* the model that was converted"):
            Comparison(each, data(), path)


def test_data_that_does_not_fit(network):
    with pytest.raises(DataError, match=r"samples of shape \(5,\)"):
        Comparison(network, dataset(IMAGES[:, :5]))
    with pytest.raises(DataError, match="no such data set"):
        Comparison(network, "no-such-data")


@pytest.mark.parametrize("batch", (0, -1))
def test_a_batch_has_a_sample(network, batch):
    with pytest.raises(UsageError, match="batch"):
        Comparison(network, data(), batch=batch)


def test_threads_are_lent_and_given_back():
    """Also after an error; as many as there are cores by default."""
    limit, before = numba.config.NUMBA_NUM_THREADS, numba.get_num_threads()
    with numba_threads(None):
        assert numba.get_num_threads() == limit
    with pytest.raises(KeyError), numba_threads(limit):
        assert numba.get_num_threads() == limit
        raise KeyError
    assert numba.get_num_threads() == before == 1
    for threads in (0, -1, limit + 1):
        with pytest.raises(UsageError, match=f"threads: {threads}; expected 1 to {limit}"), numba_threads(threads):
            pytest.fail("more threads than cores")
