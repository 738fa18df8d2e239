"""Batches in the layout of a model's input."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from ttfs_convert.datasets import Dataset, fit_to_input
from ttfs_convert.errors import DataError

GRAY_NOTE = ("RGB images turned to gray by the luma of ITU-R BT.601",)
REPEAT_NOTE = ("gray images repeated to 3 channels",)


def _dataset(x, image=False):
    return Dataset("name", x, None, "", len(x), (), image)


def _floats(*shape):
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def _luma(hwc):
    return np.float32(0.299) * hwc[..., 0] + np.float32(0.587) * hwc[..., 1] + np.float32(0.114) * hwc[..., 2]


def test_uint8_is_divided_by_255():
    x = np.arange(256, dtype=np.uint8).reshape(4, 64)
    batch = fit_to_input(_dataset(x), (64,))(slice(1, 3))
    assert batch.dtype == np.float32 and batch.flags.c_contiguous
    np.testing.assert_array_equal(batch, x[1:3] / np.float32(255))


@pytest.mark.parametrize("shape", [(7,), (5, 4), (3, 5, 4), (5, 4, 3), (3, 3, 3), (2, 5, 4, 3)])
def test_equal_shapes_stay_as_they_are(shape):
    x = _floats(6, *shape)
    batches = fit_to_input(_dataset(x), shape)
    np.testing.assert_array_equal(batches(slice(2, 5)), x[2:5])
    assert batches.notes == () and len(batches) == 6


def _hwc(x):
    return x.transpose(0, 2, 3, 1)


def _chw(x):
    return x.transpose(0, 3, 1, 2)


@pytest.mark.parametrize(("shape", "onnx_shape", "expected", "notes"), [
    # layout alone
    ((5, 4), (1, 5, 4), lambda x: x[:, None], ()),
    ((5, 4), (5, 4, 1), lambda x: x[..., None], ()),
    ((5, 4), (20,), lambda x: x.reshape(-1, 20), ()),
    ((5, 4, 1), (1, 5, 4), lambda x: x[:, None, ..., 0], ()),
    ((5, 4, 1), (5, 4), lambda x: x[..., 0], ()),
    ((5, 4, 1), (20,), lambda x: x.reshape(-1, 20), ()),
    ((1, 5, 4), (5, 4, 1), lambda x: x[:, 0, ..., None], ()),
    ((1, 5, 4), (20,), lambda x: x.reshape(-1, 20), ()),
    ((5, 4, 3), (3, 5, 4), _chw, ()),
    ((3, 5, 4), (5, 4, 3), _hwc, ()),
    # channels
    ((5, 4), (3, 5, 4), lambda x: np.stack([x, x, x], 1), REPEAT_NOTE),
    ((1, 5, 4), (5, 4, 3), lambda x: np.stack([x[:, 0]] * 3, -1), REPEAT_NOTE),
    ((5, 4, 1), (3, 5, 4), lambda x: np.stack([x[..., 0]] * 3, 1), REPEAT_NOTE),
    ((5, 4, 3), (1, 5, 4), lambda x: _luma(x)[:, None], GRAY_NOTE),
    ((3, 5, 4), (5, 4), lambda x: _luma(_hwc(x)), GRAY_NOTE),
    ((5, 4, 3), (20,), lambda x: _luma(x).reshape(-1, 20), GRAY_NOTE),
    # the only reading that fits, though not the first
    ((1, 3, 3), (3, 3), lambda x: x[:, 0], ()),
    ((3, 5, 3), (5, 3, 3), _hwc, ()),
    # two that fit: samples channels last, the input channels first
    ((3, 1, 3), (1, 3, 1), lambda x: _luma(x)[:, None], GRAY_NOTE),
    ((1, 3, 1), (3, 1, 3), lambda x: np.stack([x[..., 0]] * 3, 1), REPEAT_NOTE),
    ((3, 3), (3, 3, 3), lambda x: np.stack([x] * 3, 1), REPEAT_NOTE),
])
def test_layouts_and_channels(shape, onnx_shape, expected, notes):
    x = _floats(6, *shape)
    batches = fit_to_input(_dataset(x), onnx_shape)
    batch = batches(slice(1, 5))
    assert batch.shape == (4, *onnx_shape) and batch.dtype == np.float32 and batch.flags.c_contiguous
    np.testing.assert_array_equal(batch, expected(x)[1:5])
    assert batches.notes == notes


def test_images_are_channels_last_even_if_their_height_is_3():
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 1), dtype=np.uint8)
    np.testing.assert_array_equal(fit_to_input(_dataset(x, image=True), (1, 3, 5))(slice(0, 2))[:, 0], x[..., 0] / np.float32(255))
    with pytest.raises(DataError):
        fit_to_input(_dataset(x, image=True), (1, 5, 1))


def test_white_stays_in_range():
    x = np.full((1, 2, 2, 3), 255, np.uint8)
    np.testing.assert_array_equal(fit_to_input(_dataset(x, image=True), (1, 2, 2))(slice(0, 1)), np.ones((1, 1, 2, 2)))


def test_batches_do_not_depend_on_their_size():
    batches = fit_to_input(_dataset(_floats(64, 9, 9, 3)), (1, 9, 9))
    single = np.concatenate([batches(slice(index, index + 1)) for index in range(64)])
    np.testing.assert_array_equal(batches(slice(0, 64)), single)


def test_slice_beyond_the_end():
    batches = fit_to_input(_dataset(_floats(6, 5, 4, 3)), (3, 5, 4))
    assert batches(slice(4, 10)).shape == (2, 3, 5, 4)
    assert batches(slice(6, 10)).shape == (0, 3, 5, 4)
    assert fit_to_input(_dataset(_floats(6, 5, 4)), (20,))(slice(6, 7)).shape == (0, 20)


@pytest.mark.parametrize(("shape", "onnx_shape", "remedy"), [
    ((28, 28), (1, 32, 32), "resize or pad the images to 32 x 32"),
    ((28, 28, 3), (32, 24, 3), "resize or pad the images to 32 x 24"),
    ((32, 32), (784,), "resize or pad the images to 28 x 28, in gray"),
    ((32, 32, 3), (3072,), "give an .npz whose x has that shape after its first axis"),
    ((28, 28, 4), (4, 28, 28), "give an .npz whose x has that shape after its first axis"),
    ((784,), (1, 28, 28), "give an .npz whose x has that shape after its first axis"),
    ((28, 28), (2, 3, 4, 5), "give an .npz whose x has that shape after its first axis"),
])
def test_misfit(shape, onnx_shape, remedy):
    with pytest.raises(DataError) as caught:
        fit_to_input(_dataset(np.zeros((2, *shape), np.float32)), onnx_shape)
    assert str(caught.value) == f"name: samples of shape {shape}; expected {onnx_shape} as the model's input; {remedy}"
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(("value", "bounds", "text"), [
    (-0.5, (0.0, 1.0), "values from -0.5 to 0; expected 0 to 1"),
    (255, (0.0, 1.0), "values from 0 to 255; expected 0 to 1"),
    (np.nextafter(np.float32(1), np.float32(2)), (0.0, 1.0), "values from 0 to 1.0000001; expected 0 to 1"),
    (0.75, (-1.0, 0.5), "values from 0 to 0.75; expected -1 to 0.5"),
    (-2.25, (-2.0, 2.0), "values from -2.25 to 0; expected -2 to 2"),
])
def test_values_out_of_bounds(value, bounds, text):
    x = np.zeros((4, 6), np.float32)
    x[3, 5] = value
    batches = fit_to_input(_dataset(x), (6,), bounds)
    assert batches(slice(0, 3)).shape == (3, 6)
    with pytest.raises(DataError) as caught:
        batches(slice(3, 4))
    assert str(caught.value) == f"name: {text}; scale the inputs, or convert with --input-range" and caught.value.exit_code == 4
    np.testing.assert_array_equal(fit_to_input(_dataset(x), (6,), None)(slice(3, 4)), x[3:])


@pytest.mark.parametrize("bounds", [(-0.1, 0.3), (-3.0, 2.7)])
def test_values_at_the_bounds(bounds):
    x = np.array([[*bounds]], np.float32)
    np.testing.assert_array_equal(fit_to_input(_dataset(x), (2,), bounds)(slice(0, 1)), x)


def test_bounds_are_0_and_1_unless_told_otherwise():
    x = np.array([[0, 1.5]], np.float32)
    with pytest.raises(DataError, match="expected 0 to 1"):
        fit_to_input(_dataset(x), (2,))(slice(0, 1))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-np.inf, np.inf), None])
def test_values_that_are_not_finite(value, bounds):
    x = np.zeros((4, 6))
    x[3, 5] = value
    batches = fit_to_input(_dataset(x), (6,), bounds)
    assert batches(slice(0, 3)).shape == (3, 6)
    with pytest.raises(DataError) as caught:
        batches(slice(3, 4))
    assert str(caught.value) == ("name: values that are not finite in float32; expected finite values; "
                                 "scale, mend or leave out the samples") and caught.value.exit_code == 4


def test_luma_stays_within_the_bounds():
    values = np.random.default_rng(0).uniform(-5, 5, 1000).astype(np.float32)
    luma = _luma(np.repeat(values[:, None], 3, axis=1))
    assert (luma > values).any() and (luma < values).any()
    for value in values[luma != values][:20]:
        x = np.full((1, 2, 2, 3), value, np.float32)
        for bounds in ((float(value), 6.0), (-6.0, float(value))):
            batch = fit_to_input(_dataset(x), (1, 2, 2), bounds)(slice(0, 1))
            assert bounds[0] <= batch.min() and batch.max() <= bounds[1]


def test_memory_is_that_of_a_batch():
    batches = fit_to_input(_dataset(np.zeros((20_000, 28, 28, 1), np.uint8), image=True), (1, 28, 28))
    tracemalloc.start()
    batches(slice(0, 100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 100 * 28 * 28 * 4
