"""Batches of a data set as a model's input: of its type, within its bounds, in the layout the model asks for."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import DataError
from .casting import as_type, is_float

if TYPE_CHECKING:
    from . import Dataset

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
CHANNELS = (1, 3)
UNIT = (0.0, 1.0)
NARROW = 0.05  # share of a range: samples that use less of it lose most steps of a grid


@dataclass(frozen=True)
class Layout:
    """One way to read a sample's shape as an image."""

    order: str  # "hw", "hwc", "chw", or "flat": rows of a gray image end to end
    height: int
    width: int
    channels: int


@dataclass(frozen=True, eq=False)
class Batches:
    """Called with a slice of the samples, gives (n, *onnx_shape) of the input's type; converts only those.

    A call raises DataError for values that are not finite, outside `bounds`, or that an integer type cannot hold.
    """

    dataset: Dataset
    onnx_shape: tuple[int, ...]  # without the batch
    notes: tuple[str, ...]  # what was changed beyond the layout, one phrase each
    arrange: Callable[[np.ndarray], np.ndarray]  # (n, *sample shape) -> values in the order of (n, *onnx_shape)
    bounds: tuple[float, float] | None  # lowest and highest value the input takes, None for any
    dtype: np.dtype = np.dtype(np.float32)  # of the input
    divided: bool = False  # whether the samples are divided by 255

    def __len__(self) -> int:
        return len(self.dataset.x)

    @property
    def treatment(self) -> str:
        """What becomes of the samples, in a few words."""
        return f"{self.dataset.x.dtype} " + ("divided by 255" if self.divided else "as they are")

    def __call__(self, part: slice) -> np.ndarray:
        x = self.dataset.x[part]
        if not is_float(self.dtype):
            return np.ascontiguousarray(self._whole(x)).reshape(len(x), *self.onnx_shape)
        with np.errstate(over="ignore"):  # found by the check
            batch = x.astype(np.float32) / np.float32(255) if self.divided else x.astype(np.float32)
        self._check(batch)
        batch = self.arrange(batch)
        if self.bounds is not None:
            lowest, highest = np.asarray(self.bounds, np.float32)
            np.clip(batch, lowest, highest, out=batch)  # rounding can carry the luma of a colour at a bound beyond it
        return np.ascontiguousarray(batch).reshape(len(x), *self.onnx_shape)

    def _whole(self, x: np.ndarray) -> np.ndarray:
        """Of an integer or boolean type."""
        whole = as_type(x, self.dtype, self.dataset.name)
        self._check(whole)
        arranged = self.arrange(whole)
        return as_type(np.rint(arranged), self.dtype, self.dataset.name) if is_float(arranged.dtype) else arranged

    def _check(self, batch: np.ndarray) -> None:
        if not batch.size:
            return
        lowest, highest = batch.min(), batch.max()
        if not np.isfinite([lowest, highest]).all():
            raise DataError(self.dataset.name, "values that are not finite in float32", "finite values", "scale, mend or leave out the samples")
        if self.bounds is not None and not (np.float32(self.bounds[0]) <= lowest and highest <= np.float32(self.bounds[1])):
            found, expected = (f"{low:.8g} to {high:.8g}" for low, high in ((lowest, highest), self.bounds))
            remedy = "scale the inputs, or convert with --input-range"
            if self.dataset.x.dtype == np.uint8:
                remedy += ": 0 1 for pixels divided by 255, 0 255 for pixels as they are"
            raise DataError(self.dataset.name, f"values from {found}", expected, remedy)


@dataclass(frozen=True, eq=False)
class Feeds:
    """Called with a slice of the samples, gives the arrays of all inputs of a model, by name."""

    batches: Mapping[str, Batches]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was changed to fit the data to the model, one phrase each."""
        return tuple(dict.fromkeys(note for batches in self.batches.values() for note in batches.notes))

    @property
    def treatments(self) -> dict[str, str]:
        """What becomes of the samples, by input."""
        return {name: batches.treatment for name, batches in self.batches.items()}

    def __call__(self, part: slice) -> dict[str, np.ndarray]:
        return {name: batches(part) for name, batches in self.batches.items()}


def fit_to_inputs(
    dataset: Dataset,
    inputs: Mapping[str, tuple[tuple[int, ...], np.dtype]],
    bounds: Mapping[str, tuple[float, float] | None],
    ranges: Mapping[str, tuple[float, float] | None] | None = None,
) -> Feeds:
    """`fit_to_input` for a model of one or several inputs. inputs: shape without the batch, and type, by name. bounds, ranges: by name;
    without an entry any finite values, and no known range. ranges: by default the bounds. Raises DataError where an input has no array
    of its name."""
    known = bounds if ranges is None else ranges
    arrays = _arrays(dataset, list(inputs))
    return Feeds(
        {
            name: fit_to_input(replace(dataset, x=arrays[name]), shape, bounds.get(name), kind, known.get(name))
            for name, (shape, kind) in inputs.items()
        }
    )


def _arrays(dataset: Dataset, names: list[str]) -> dict[str, np.ndarray]:
    """Of each input: the array of its name; of a lone input, before that, an array x, and without either what the source has as samples."""
    by_name = set(names) <= set(dataset.inputs)
    named_x = dataset.x_name == "x" and (not dataset.inputs or "x" in dataset.inputs)
    if len(names) == 1 and (named_x or (dataset.x_name and not by_name)):
        return {names[0]: dataset.x}
    if not by_name:
        missing = sorted(set(names) - set(dataset.inputs))
        raise DataError(
            dataset.name,
            f"arrays {', '.join(dataset.arrays)}, nothing for the input{'s' * (len(missing) > 1)} {', '.join(missing)}",
            "x (and y) for a model with one input, else an array per input under its name",
            "write them with numpy.savez(path, name=array, ...)",
        )
    return {name: dataset.inputs[name] for name in names}


def fit_to_input(
    dataset: Dataset,
    onnx_shape: tuple[int, ...],
    bounds: tuple[float, float] | None = (0.0, 1.0),
    dtype: np.dtype | type = np.float32,
    meaning: tuple[float, float] | Literal["bounds"] | None = "bounds",
) -> Batches:
    """Batches of `dataset` for a model whose input, without the batch, has the shape `onnx_shape`.

    bounds: lowest and highest value the input takes; None for any finite values. dtype: of the input. meaning: the range that the model
    was made for, as far as it is known, by default the bounds.

    uint8 is divided by 255 where the input is a float of range 0 to 1, or an image's and of no known range; not where the samples are
    masks, of 0 and 1 alone. All other values are taken as they are; notes say what may surprise.

    Samples of the very shape `onnx_shape` keep their order. Others have to be images of the input's height and width: samples (h, w), (h,
    w, c) or (c, h, w); the input (c, h, w), (h, w, c), (h, w) or, of one channel, flat (h w,); c is 1 or 3. Gray becomes 3 channels by
    repeating, RGB becomes 1 by the luma of ITU-R BT.601; a note says so. If the shapes can be read in several ways that fit (all with equal
    channel counts or none: the number of values decides), samples are taken to be channels last and the input channels first. Axes of one
    element may be added or left out. Raises DataError for any other shape.
    """
    meaning, dtype = bounds if meaning == "bounds" else meaning, np.dtype(dtype)
    divided, notes = _scaling(dataset, bounds, meaning, dtype)
    shape, onnx_shape = dataset.x.shape[1:], tuple(onnx_shape)
    sources = _layouts(shape, ("hwc",) if dataset.image else ("hw", "hwc", "chw"))
    pairs = [(source, target) for source in sources for target in _targets(onnx_shape, source)]
    if shape == onnx_shape or (not pairs and [size for size in shape if size != 1] == [size for size in onnx_shape if size != 1]):
        return Batches(dataset, onnx_shape, notes, lambda batch: batch, bounds, dtype, divided)
    if not pairs:
        raise _misfit(dataset, sources, onnx_shape)
    source, target = pairs[0]
    note = {(1, 3): "gray images repeated to 3 channels", (3, 1): "RGB images turned to gray by the luma of ITU-R BT.601"}
    change = note.get((source.channels, target.channels))
    return Batches(dataset, onnx_shape, (*notes, change) if change else notes, lambda batch: _arranged(batch, source, target), bounds, dtype, divided)


def _scaling(
    dataset: Dataset, bounds: tuple[float, float] | None, meaning: tuple[float, float] | None, dtype: np.dtype
) -> tuple[bool, tuple[str, ...]]:
    """Whether samples are divided by 255, and what to say about it."""
    x = dataset.x
    if not is_float(dtype) or not x.size:
        return False, ()
    if x.dtype != np.uint8:
        return False, _unused(x, bounds)
    if meaning is None and not dataset.image:
        return False, (
            "uint8 pixels or numbers enter as they are, 0 to 255: no range of the input is known (divide them by 255 if the model was trained so)",
        )
    if meaning is not None and tuple(meaning) != UNIT:
        return False, ("uint8 pixels or numbers enter as they are: the input's range is {:g} to {:g}".format(*meaning),)
    if x.max() <= 1:
        return False, ("uint8 samples of 0 and 1 alone enter as they are, not as pixels divided by 255",) if x.any() else ()
    if dataset.image:
        return True, () if meaning is not None else ("pixels are divided by 255: no range of the input is known",)
    return True, ("uint8 pixels are divided by 255: the input's range is 0 to 1",)


def _unused(x: np.ndarray, bounds: tuple[float, float] | None) -> tuple[str, ...]:
    """A note where samples use so little of a range that they may be scaled otherwise than it."""
    if bounds is None or tuple(bounds) == UNIT:
        return ()
    lowest, highest, width = float(x.min()), float(x.max()), bounds[1] - bounds[0]
    if not lowest < highest or highest - lowest >= NARROW * width:
        return ()
    return (
        f"the samples, {lowest:g} to {highest:g}, use {100 * (highest - lowest) / width:.2g} % of the input's range of {bounds[0]:g} to "
        f"{bounds[1]:g}: if they are scaled (divided by 255) and the model does so itself, give them unscaled",
    )


def _layouts(shape: tuple[int, ...], orders: tuple[str, ...]) -> list[Layout]:
    """The readings of `shape`, in the order of `orders`."""
    layouts = []
    for order in orders:
        if len(order) == len(shape):
            sizes = {"c": 1, **dict(zip(order, shape))}
            if sizes["c"] in CHANNELS:
                layouts.append(Layout(order, sizes["h"], sizes["w"], sizes["c"]))
    return layouts


def _targets(onnx_shape: tuple[int, ...], source: Layout) -> list[Layout]:
    if onnx_shape == (source.height * source.width,):
        return [Layout("flat", source.height, source.width, 1)]
    layouts = _layouts(onnx_shape, ("chw", "hwc", "hw"))
    return [target for target in layouts if (target.height, target.width) == (source.height, source.width)]


def _arranged(batch: np.ndarray, source: Layout, target: Layout) -> np.ndarray:
    hwc = (len(batch), source.height, source.width, source.channels)
    images = batch.transpose(0, 2, 3, 1) if source.order == "chw" else batch.reshape(hwc)
    if source.channels < target.channels:
        images = np.repeat(images, target.channels, axis=-1)
    elif source.channels > target.channels:
        # a matrix product could depend on the batch size
        images = functools.reduce(np.add, (images[..., index] * weight for index, weight in enumerate(LUMA)))[..., None]
    return images.transpose(0, 3, 1, 2) if target.order == "chw" else images


def _misfit(dataset: Dataset, sources: list[Layout], onnx_shape: tuple[int, ...]) -> DataError:
    wanted = _layouts(onnx_shape, ("chw", "hwc", "hw"))
    side = math.isqrt(math.prod(onnx_shape))
    if sources and wanted:
        remedy = f"resize or pad the images to {wanted[0].height} x {wanted[0].width}"
    elif sources and len(onnx_shape) == 1 and side * side == onnx_shape[0]:
        remedy = f"resize or pad the images to {side} x {side}, in gray"
    else:
        remedy = "give an .npz whose x has that shape after its first axis"
    return DataError(dataset.name, f"samples of shape {dataset.x.shape[1:]}", f"{onnx_shape} as the model's input", remedy)


def image_size(onnx_shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Height and width of the images that an input of this shape, without the batch, takes; None if it takes no images."""
    side = math.isqrt(math.prod(onnx_shape))
    layouts = _layouts(onnx_shape, ("chw", "hwc", "hw"))
    if layouts:
        return layouts[0].height, layouts[0].width
    return (side, side) if len(onnx_shape) == 1 and side * side == onnx_shape[0] else None


def shapes_of_samples(shape: tuple[int, ...], axes: int, image: bool) -> list[tuple[int, ...]]:
    """Shapes with so many axes that an input for samples of `shape` may have, the likeliest first: as it is, or as an image in another layout."""
    found = [] if image else [shape]
    for layout in _layouts(shape, ("hwc",) if image else ("hwc", "chw", "hw")):
        for channels in dict.fromkeys((layout.channels, *CHANNELS)):
            found += [(channels, layout.height, layout.width), (layout.height, layout.width, channels)]
        found += [(layout.height, layout.width), (layout.height * layout.width,)]
    missing = axes - len(shape)
    if missing > 0:  # axes of one element
        found += [(1,) * before + shape + (1,) * (missing - before) for before in range(missing, -1, -1)]
    return [each for each in dict.fromkeys(found) if len(each) == axes]
