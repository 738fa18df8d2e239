"""Batches in the layout of a model's input."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from ttfs_convert.data import Dataset, fit_to_input
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


@pytest.mark.parametrize(
    ("shape", "onnx_shape", "expected", "notes"),
    [
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
    ],
)
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


@pytest.mark.parametrize(
    ("shape", "onnx_shape", "remedy"),
    [
        ((28, 28), (1, 32, 32), "resize or pad the images to 32 x 32"),
        ((28, 28, 3), (32, 24, 3), "resize or pad the images to 32 x 24"),
        ((32, 32), (784,), "resize or pad the images to 28 x 28, in gray"),
        ((32, 32, 3), (3072,), "give an .npz whose x has that shape after its first axis"),
        ((28, 28, 4), (4, 28, 28), "give an .npz whose x has that shape after its first axis"),
        ((784,), (1, 28, 28), "give an .npz whose x has that shape after its first axis"),
        ((28, 28), (2, 3, 4, 5), "give an .npz whose x has that shape after its first axis"),
    ],
)
def test_misfit(shape, onnx_shape, remedy):
    with pytest.raises(DataError) as caught:
        fit_to_input(_dataset(np.zeros((2, *shape), np.float32)), onnx_shape)
    assert str(caught.value) == f"name: samples of shape {shape}; expected {onnx_shape} as the model's input; {remedy}"
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("value", "bounds", "text"),
    [
        (-0.5, (0.0, 1.0), "values from -0.5 to 0; expected 0 to 1"),
        (255, (0.0, 1.0), "values from 0 to 255; expected 0 to 1"),
        (np.nextafter(np.float32(1), np.float32(2)), (0.0, 1.0), "values from 0 to 1.0000001; expected 0 to 1"),
        (0.75, (-1.0, 0.5), "values from 0 to 0.75; expected -1 to 0.5"),
        (-2.25, (-2.0, 2.0), "values from -2.25 to 0; expected -2 to 2"),
    ],
)
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
    assert (
        str(caught.value) == ("name: values that are not finite in float32; expected finite values; scale, mend or leave out the samples")
        and caught.value.exit_code == 4
    )


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


# What numbers mean

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5), dtype=np.uint8)


def _whole(batches):
    return batches(slice(0, len(batches)))


@pytest.mark.parametrize(
    ("bounds", "meaning", "image", "expected", "words"),
    [
        ((0.0, 1.0), (0.0, 1.0), False, PIXELS / np.float32(255), "divided by 255: the input's range is 0 to 1"),
        ((0.0, 1.0), (0.0, 1.0), True, PIXELS / np.float32(255), None),
        ((0.0, 255.0), (0.0, 255.0), False, PIXELS, "as they are: the input's range is 0 to 255"),
        ((0.0, 255.0), (0.0, 255.0), True, PIXELS, "as they are: the input's range is 0 to 255"),
        ((-300.0, 300.0), (-300.0, 300.0), True, PIXELS, "as they are: the input's range is -300 to 300"),
        (None, None, False, PIXELS, "as they are, 0 to 255: no range"),
        (None, None, True, PIXELS / np.float32(255), "divided by 255: no range"),
        (None, (0.0, 255.0), True, PIXELS, "as they are: the input's range is 0 to 255"),  # direct, of a model that rescales
        (None, (0.0, 1.0), False, PIXELS / np.float32(255), "divided by 255"),  # through a head
    ],
)
def test_what_pixels_mean(bounds, meaning, image, expected, words):
    data = _dataset(PIXELS.reshape(6, 5, 1, 1) if image else PIXELS, image)
    batches = fit_to_input(data, (1, 5, 1) if image else (5,), bounds, meaning=meaning)
    np.testing.assert_array_equal(_whole(batches).reshape(6, 5), expected.astype(np.float32))
    assert (words is None and batches.notes == ()) or words in batches.notes[0]
    assert batches.treatment == ("uint8 as they are" if expected is PIXELS else "uint8 divided by 255")


def test_pixels_that_the_range_does_not_hold():
    batches = fit_to_input(_dataset(PIXELS), (5,), (-1.0, 1.0))
    with pytest.raises(DataError, match="expected -1 to 1; .* 0 1 for pixels divided by 255, 0 255 for pixels as they are"):
        _whole(batches)
    np.testing.assert_array_equal(_whole(fit_to_input(_dataset(PIXELS % 17), (5,), (0.0, 16.0))), (PIXELS % 17).astype(np.float32))


def test_masks():
    mask = (PIXELS > 99).astype(np.uint8)
    for x in (mask, mask.astype(bool), mask.astype(np.int64), mask.astype(np.float32)):
        np.testing.assert_array_equal(_whole(fit_to_input(_dataset(x), (5,))), mask.astype(np.float32))
    assert "0 and 1 alone" in fit_to_input(_dataset(mask), (5,)).notes[0]


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int64])
def test_other_integers_are_never_scaled(dtype):
    x = PIXELS.astype(dtype)
    with pytest.raises(DataError, match="values from .* expected 0 to 1; scale"):
        _whole(fit_to_input(_dataset(x), (5,)))
    np.testing.assert_array_equal(_whole(fit_to_input(_dataset(x), (5,), (0.0, 255.0))), PIXELS.astype(np.float32))


def test_floats_that_use_hardly_any_of_a_wide_range():
    x = PIXELS / np.float32(255)
    assert "use 0.37 % of the input's range of 0 to 255" in fit_to_input(_dataset(x), (5,), (0.0, 255.0)).notes[0]
    assert fit_to_input(_dataset(x * 255), (5,), (0.0, 255.0)).notes == ()


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (np.int8, -128, 127),
        (np.uint8, 0, 255),
        (np.int16, -32768, 32767),
        (np.uint16, 0, 65535),
        (np.int32, -(2**31), 2**31 - 1),
        (np.uint32, 0, 2**32 - 1),
        (np.int64, -(2**63), 2**63 - 1),
        (np.uint64, 0, 2**64 - 1),
        (np.bool_, 0, 1),
    ],
)
def test_inputs_of_whole_numbers(dtype, low, high):
    """Values that the type holds come as they are, from any type of data; others are refused, whatever the input's range."""
    held = np.array([[low, high]], np.uint64 if low == 0 else np.int64)
    batch = _whole(fit_to_input(_dataset(held), (2,), None, dtype))
    assert batch.dtype == dtype and [int(value) for value in batch[0]] == [low, high]
    small = np.array([[0, 1]])
    for kind in (np.float32, np.float64, np.uint8, np.int64, bool):
        assert _whole(fit_to_input(_dataset(small.astype(kind)), (2,), None, dtype)).tolist() == small.tolist()
    beyond = [np.array([[0, float(high) * 2 + 2]])]
    beyond += [np.array([[0, high + 1]])] if high < 2**63 - 1 else []
    beyond += [np.array([[low - 1, 0]])] if low > -(2**63) else []
    for x in beyond:
        with pytest.raises(DataError, match=f"expected {low} to {high}: the model's input is {np.dtype(dtype)}"):
            _whole(fit_to_input(_dataset(x), (2,), None, dtype))
    with pytest.raises(DataError, match="a fraction, 0.5; expected whole numbers"):
        _whole(fit_to_input(_dataset(np.array([[0, 0.5]], np.float32)), (2,), None, dtype))
    with pytest.raises(DataError, match="not finite"):
        _whole(fit_to_input(_dataset(np.array([[0, np.nan]], np.float32)), (2,), None, dtype))


def test_colour_to_gray_in_whole_numbers():
    x = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3), dtype=np.uint8)
    batch = _whole(fit_to_input(_dataset(x, image=True), (1, 5, 4), None, np.int32))
    np.testing.assert_array_equal(batch[:, 0], np.rint(_luma(x.astype(np.float32))))
    assert batch.dtype == np.int32


@pytest.mark.parametrize(("shape", "onnx_shape"), [((12,), (1, 12)), ((12,), (12, 1)), ((1, 12), (12,)), ((), (1,)), ((4, 6), (4, 1, 6))])
def test_axes_of_one_element(shape, onnx_shape):
    x = _floats(3, *shape)
    np.testing.assert_array_equal(_whole(fit_to_input(_dataset(x), onnx_shape)), x.reshape(3, *onnx_shape))
