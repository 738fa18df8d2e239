"""Samples from an .npz file."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from ttfs_convert.data import fit_to_inputs, load_dataset
from ttfs_convert.errors import DataError

X = np.linspace(0, 1, 24).reshape(4, 6)
Y = np.array([0, 2, 1, 2], np.uint8)


def _load(tmp_path, **arrays):
    np.savez(tmp_path / "data.npz", **arrays)
    return load_dataset(str(tmp_path / "data.npz"))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f8"])
def test_floats_become_float32(tmp_path, dtype):
    dataset = _load(tmp_path, x=X.astype(dtype), y=Y)
    assert dataset.x.dtype == np.float32 and dataset.y.dtype == np.int64
    np.testing.assert_array_equal(dataset.x, X.astype(dtype).astype(np.float32))
    np.testing.assert_array_equal(dataset.y, Y)
    assert (dataset.name, dataset.total, dataset.notes, dataset.image) == ("data.npz", 4, (), False)


def test_values_beyond_0_and_1_load(tmp_path):
    """Which values a network takes is not the file's to say: see `fit_to_input`."""
    x = (X * 600 - 300).astype(np.float32)
    np.testing.assert_array_equal(_load(tmp_path, x=x).x, x)


def test_split_changes_nothing(tmp_path):
    test = _load(tmp_path, x=X, y=Y)
    train = load_dataset(str(tmp_path / "data.npz"), split="train")
    assert (train.name, train.sha256, train.total, train.notes) == (test.name, test.sha256, test.total, test.notes)


def test_uint8_stays_and_labels_are_optional(tmp_path):
    x = np.arange(24, dtype=np.uint8).reshape(4, 6)
    dataset = _load(tmp_path, x=x)
    assert dataset.x.dtype == np.uint8 and dataset.y is None and not dataset.image
    np.testing.assert_array_equal(dataset.x, x)


def test_limit(tmp_path):
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    dataset = load_dataset(str(tmp_path / "data.npz"), limit=3)
    assert dataset.total == 4
    np.testing.assert_array_equal(dataset.x, X[:3].astype(np.float32))
    np.testing.assert_array_equal(dataset.y, Y[:3])


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"y": Y}, "arrays y; expected an array x (and optionally y); write it with numpy.savez(path, x=samples, y=labels)"),
        ({"a": X, "b": X[1:]}, "samples per input"),
        ({"x": np.array([[1, "a"]], object)}, "array x that holds objects or is broken"),
        ({"x": X, "y": np.array([None] * 4)}, "array y that holds objects or is broken"),
        ({"x": np.float32(1)}, "x of shape (); expected one or more samples along the first axis"),
        ({"x": X[:0]}, "x of shape (0, 6); expected one or more samples"),
        ({"x": X[:, :0]}, "x of shape (4, 0); expected one or more samples"),
        ({"x": X.astype(complex)}, "x of type complex128; expected integers, booleans or floats; convert x"),
        ({"x": X.astype(str)}, "x of type <U32; expected integers"),
        ({"x": np.where(X == 1, np.nan, X)}, "x with values that are not finite in float32; expected finite values; scale"),
        ({"x": X * 1e39}, "x with values that are not finite"),
        ({"x": X, "y": Y[:3]}, "3 labels y; expected 4 as there are samples in x; write"),
        ({"x": X, "y": Y.astype(int) - 1}, "label -1; expected labels from 0 up"),
        ({"x": X, "y": Y.astype(np.uint64) + 2**63}, "label 9223372036854775810; expected labels from 0 up"),
    ],
)
def test_unsuitable_arrays(tmp_path, arrays, text):
    with pytest.raises(DataError) as caught:
        _load(tmp_path, **arrays)
    assert str(caught.value).startswith(f"{tmp_path / 'data.npz'}: {text}") and caught.value.exit_code == 4


def _npy():
    stream = io.BytesIO()
    np.save(stream, X)
    return stream.getvalue()


def _zip(name, data):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, data)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"PK\x03\x04 cut", "not an .npz file; expected a zip archive of arrays; write"),
        (b"", "is empty; expected data"),
        (b"text", "is a text file"),
        (_npy(), "is a lone NumPy array"),
        (_zip("x", b"text"), "is a zip archive; expected data"),
        (_zip("x.npy", _npy()[:-8]), "array x that holds objects or is broken"),
        (_zip("x.npy", _npy().replace(b"(4, 6)", b"(4e9,)")), "array x that holds objects or is broken"),
        (_zip("x.npy", _npy()).replace(b"\x3f", b"\x3e", 1), "a file that cannot be read (Bad CRC-32"),
    ],
)
def test_broken_file(tmp_path, data, text):
    path = tmp_path / "data.npz"
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        load_dataset(str(path))
    assert str(caught.value).startswith(f"{path}: {text}") and caught.value.exit_code == 4


def _fed(data, **inputs):
    """What a model with these inputs, name -> shape without the batch, is fed."""
    return fit_to_inputs(data, {name: (shape, np.float32) for name, shape in inputs.items()}, {})(slice(1, 3))


def test_an_array_per_input(tmp_path):
    data = _load(tmp_path, picture=X, size=X[:, :2], y=Y)
    assert len(data) == len(X) and set(data.inputs) == {"picture", "size"} and data.y.tolist() == Y.tolist()
    feeds = _fed(data, size=(2,), picture=(6,))
    np.testing.assert_array_equal(feeds["picture"], X[1:3].astype(np.float32))
    np.testing.assert_array_equal(feeds["size"], X[1:3, :2].astype(np.float32))
    np.testing.assert_array_equal(_fed(data, size=(2,))["size"], X[1:3, :2].astype(np.float32))
    with pytest.raises(DataError, match="arrays picture, size, y, nothing for the input x; expected x .and y."):
        _fed(data, x=(6,))


def test_one_of_several_inputs_is_called_x(tmp_path):
    data = _load(tmp_path, x=X, v=X[:, :4], y=Y, other=X[:3], names=np.array(["a"] * 4))
    assert set(data.inputs) == {"x", "v"}
    feeds = _fed(data, v=(4,), x=(6,))
    np.testing.assert_array_equal(feeds["v"], X[1:3, :4].astype(np.float32))
    np.testing.assert_array_equal(feeds["x"], X[1:3].astype(np.float32))
    np.testing.assert_array_equal(_fed(data, v=(6,))["v"], X[1:3].astype(np.float32))  # of one input: x, whatever its name
    with pytest.raises(DataError, match="nothing for the inputs other, w"):
        _fed(data, w=(4,), other=(6,))


@pytest.mark.parametrize(
    "x, y",
    [
        ("x_test", "y_test"),
        ("X", "Y"),
        ("X_test", "y_test"),
        ("images", "labels"),
        ("data", "target"),
        ("data", "labels"),
        ("features", "targets"),
        ("inputs", "outputs"),
        ("arr_0", "arr_1"),
        ("test_images", "test_labels"),
        ("Xtest", "ytest"),
        ("val_images", "val_labels"),
        ("x_train", "y_train"),
        ("x", "label"),
        ("x", "targets"),
        ("image", "label"),
        ("samples", "y"),
        ("signals", "y"),
        ("x", "y_true"),
        ("images", "ground_truth"),
    ],
)
def test_usual_names(tmp_path, x, y):
    data = _load(tmp_path, **{x: X, y: Y})
    np.testing.assert_array_equal(data.x, X.astype(np.float32))
    assert data.y.tolist() == Y.tolist() and x in data.notes[0]
    np.testing.assert_array_equal(_fed(data, entry=(6,))["entry"], X[1:3].astype(np.float32))


def test_arrays_that_may_be_labels_under_a_name_that_nobody_knows_are_named(tmp_path):
    data = _load(tmp_path, x=X, wahrheit=Y)
    assert data.y is None and "labels would be called y: wahrheit" in " ".join(data.notes)


def test_parts_of_a_file(tmp_path):
    """The test part for results, the training part for calibration; labels of shape (n, 1)."""
    parts = {"train": slice(0, 4), "val": slice(0, 2), "test": slice(1, 4)}
    np.savez(
        tmp_path / "data.npz",
        **{f"{name}_images": X[rows] for name, rows in parts.items()},
        **{f"{name}_labels": Y[rows, None] for name, rows in parts.items()},
    )
    for split in ("train", "test"):
        data = load_dataset(str(tmp_path / "data.npz"), split=split)
        np.testing.assert_array_equal(data.x, X[parts[split]].astype(np.float32))
        assert data.y.tolist() == Y[parts[split]].tolist() and f"{split}_images" in data.notes[0]
    np.savez(tmp_path / "data.npz", x_train=X, y_train=Y, x_val=X[:2], y_val=Y[:2])
    assert len(load_dataset(str(tmp_path / "data.npz"))) == 2


@pytest.mark.parametrize("names", [("train_data", "train_images"), ("x", "labels", "target")])
def test_names_that_leave_it_open(tmp_path, names):
    with pytest.raises(DataError) as caught:
        _load(tmp_path, **dict.fromkeys(names, X[:, :1]))
    assert all(name in str(caught.value) for name in names) and "an array x" in str(caught.value) and caught.value.exit_code == 4


def test_the_model_s_name_for_its_input_goes_before_a_guess(tmp_path):
    data = _load(tmp_path, images=X, audio=X + 1, labels=Y)
    np.testing.assert_array_equal(_fed(data, audio=(6,))["audio"], (X + 1)[1:3].astype(np.float32))
    np.testing.assert_array_equal(_fed(data, x=(6,))["x"], X[1:3].astype(np.float32))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int32, np.int64, np.uint64])
def test_whole_numbers_stay(tmp_path, dtype):
    x = (X > 0.5).astype(dtype)
    data = _load(tmp_path, x=x)
    assert data.x.dtype == dtype
    np.testing.assert_array_equal(_fed(data, x=(6,))["x"], x[1:3].astype(np.float32))


def test_whole_numbers_beyond_float32_stay_exact(tmp_path):
    x = np.full((2, 3), 2.0**24 + 1)
    assert _load(tmp_path, x=x).x.tolist() == x.tolist()
