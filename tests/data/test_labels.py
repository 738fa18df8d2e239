"""Labels in any of their usual forms, and what is a target instead."""

import numpy as np
import pytest

from ttfs_convert.data import load_dataset
from ttfs_convert.errors import DataError

X = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)
INDICES = np.array([0, 2, 1, 2])


def load(tmp_path, y):
    np.savez(tmp_path / "data.npz", x=X, y=y)
    return load_dataset(str(tmp_path / "data.npz"))


@pytest.mark.parametrize(
    "y, note",
    [
        (INDICES, None),
        (INDICES.astype(np.uint8), None),
        (INDICES[:, None], "shape (4, 1)"),
        (INDICES[:, None, None], "shape (4, 1, 1)"),
        (np.eye(3, dtype=np.uint8)[INDICES], "one-hot"),
        (np.eye(3, dtype=np.float64)[INDICES], "one-hot"),
        (np.eye(3)[INDICES] > 0, "one-hot"),
        (np.eye(3)[INDICES][:, None], "one-hot"),
        (INDICES.astype(np.float32), "whole numbers as float32"),
        (INDICES.astype(np.float64)[:, None], "whole numbers as float64"),
    ],
)
def test_forms_of_labels(tmp_path, y, note):
    data = load(tmp_path, y)
    assert data.y.dtype == np.int64 and data.y.tolist() == INDICES.tolist()
    assert (note is None and data.notes == ()) or note in " ".join(data.notes)


def test_booleans_are_two_classes(tmp_path):
    data = load(tmp_path, INDICES > 1)
    assert data.y.tolist() == [0, 1, 0, 1] and "boolean" in data.notes[0] and data.targets.dtype == bool


@pytest.mark.parametrize("names", [np.array(["ant", "cat", "bee", "cat"]), np.array([[b"ant"], [b"cat"], [b"bee"], [b"cat"]])])
def test_names_of_classes(tmp_path, names):
    data = load(tmp_path, names)
    assert data.y.dtype.kind == "U" and data.y.tolist() == ["ant", "cat", "bee", "cat"] and data.targets is None


@pytest.mark.parametrize(
    "y",
    [
        X * 3 - 1,
        (X > 0.5),
        np.eye(4)[INDICES] * 0.9 + 0.025,
        np.array([0.5, 1, 2, 3]),
        np.array([-1.0, 1, 1, -1]),
        np.zeros((4, 2, 2), int),
        np.array([[0.5], [1], [2], [3]]),
    ],
)
def test_other_numbers_are_targets(tmp_path, y):
    data = load(tmp_path, y)
    assert data.y is None and data.targets.dtype == (np.float32 if y.dtype.kind == "f" else y.dtype)
    np.testing.assert_array_equal(data.targets, y.astype(data.targets.dtype))


def test_whole_floats_may_be_either(tmp_path):
    assert load(tmp_path, INDICES.astype(np.float32)[:, None]).targets.tolist() == [[0], [2], [1], [2]]


def test_targets_are_cut_and_hashed_with_the_samples(tmp_path):
    first, other = load(tmp_path, X), load(tmp_path, X + 1)
    assert first.sha256 != other.sha256
    part = first.take(np.array([2, 0]))
    np.testing.assert_array_equal(part.targets, X[[2, 0]])
    np.testing.assert_array_equal(part.x, X[[2, 0]])
    assert len(load_dataset(str(tmp_path / "data.npz"), limit=3).targets) == 3


@pytest.mark.parametrize(
    "y, text",
    [
        (np.array([0, 1, np.nan, 1]), "y with values that are not finite"),
        (np.array([0, 1, np.inf, 1])[:, None], "y with values that are not finite"),
        (np.array([0, 1, -1, 1]), "label -1; expected labels from 0 up"),
        (np.array([2**63, 0, 0, 0], np.uint64), "label 9223372036854775808"),
        (INDICES[:3], "3 labels y; expected 4"),
        (np.array(3), "1 labels y; expected 4"),
        (INDICES * 1j, "y of type complex128; expected integers"),
        (np.array([["a", "b"]] * 4), "y of shape (4, 2), strings; expected (4,)"),
    ],
)
def test_refused(tmp_path, y, text):
    with pytest.raises(DataError, match="data.npz: ") as caught:
        load(tmp_path, y)
    assert text in str(caught.value)
