"""Batches of a data set as a model's input: float32 within the input's bounds, in the layout the model asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError

if TYPE_CHECKING:
    from . import Dataset

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
CHANNELS = (1, 3)


@dataclass(frozen=True)
class Layout:
    """One way to read a sample's shape as an image."""

    order: str  # "hw", "hwc", "chw", or "flat": rows of a gray image end to end
    height: int
    width: int
    channels: int


@dataclass(frozen=True, eq=False)
class Batches:
    """Called with a slice of the samples, gives (n, *onnx_shape) float32; converts only those.

    A call raises DataError for values that are not finite or outside `bounds`.
    """

    dataset: Dataset
    onnx_shape: tuple[int, ...]  # without the batch
    notes: tuple[str, ...]  # what was changed beyond the layout, one phrase each
    arrange: Callable[[np.ndarray], np.ndarray]  # (n, *sample shape) -> values in the order of (n, *onnx_shape)
    bounds: tuple[float, float] | None  # lowest and highest value the input takes, None for any

    def __len__(self) -> int:
        return len(self.dataset.x)

    def __call__(self, part: slice) -> np.ndarray:
        x = self.dataset.x[part]
        with np.errstate(over="ignore"):  # found by the check
            batch = x.astype(np.float32) / np.float32(255) if x.dtype == np.uint8 else x.astype(np.float32)
        self._check(batch)
        batch = self.arrange(batch)
        if self.bounds is not None:
            np.clip(batch, *np.float32(self.bounds), out=batch)  # rounding can carry the luma of a colour at a bound beyond it
        return np.ascontiguousarray(batch).reshape(len(x), *self.onnx_shape)

    def _check(self, batch: np.ndarray) -> None:
        if not batch.size:
            return
        lowest, highest = batch.min(), batch.max()
        if not np.isfinite([lowest, highest]).all():
            raise DataError(self.dataset.name, "values that are not finite in float32", "finite values",
                            "scale, mend or leave out the samples")
        if self.bounds is not None and not (np.float32(self.bounds[0]) <= lowest and highest <= np.float32(self.bounds[1])):
            found, expected = (f"{low:.8g} to {high:.8g}" for low, high in ((lowest, highest), self.bounds))
            raise DataError(self.dataset.name, f"values from {found}", expected, "scale the inputs, or convert with --input-range")


@dataclass(frozen=True, eq=False)
class Feeds:
    """Called with a slice of the samples, gives the arrays of all inputs of a model, by name."""

    batches: Mapping[str, Batches]
    types: Mapping[str, np.dtype]  # of the inputs; integers take pixels as they are

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(note for batches in self.batches.values() for note in batches.notes))

    def __call__(self, part: slice) -> dict[str, np.ndarray]:
        arrays = {name: batches(part) for name, batches in self.batches.items()}
        return {name: np.rint(array * 255).astype(self.types[name]) if np.issubdtype(self.types[name], np.integer) else array
                for name, array in arrays.items()}


def fit_to_inputs(dataset: Dataset, inputs: Mapping[str, tuple[tuple[int, ...], np.dtype]],
                  bounds: Mapping[str, tuple[float, float] | None]) -> Feeds:
    """`fit_to_input` for a model of one or several inputs. inputs: shape without the batch, and type, by name. bounds: by name; without
    an entry any finite values. Raises DataError where an input has no array of its name, or an integer input no pixels."""
    several = len(inputs) > 1 or bool(dataset.inputs)
    missing = set(inputs) - set(dataset.inputs) if several else set()
    if missing:
        raise DataError(dataset.name, f"arrays {', '.join(dataset.inputs) or 'x'}, nothing for the input{'s' * (len(missing) > 1)} "
                        f"{', '.join(sorted(missing))}", "x for a model with one input, else an array per input under its name",
                        "write them with numpy.savez(path, name=array, ...)")
    fitted = {}
    for name, (shape, kind) in inputs.items():
        own = replace(dataset, x=dataset.inputs[name]) if several else dataset
        if np.issubdtype(kind, np.integer) and own.x.dtype != np.uint8:
            raise DataError(dataset.name, f"{own.x.dtype} for the input {name!r}", f"pixels (uint8), which the model takes as {np.dtype(kind)}")
        fitted[name] = fit_to_input(own, shape, (0.0, 1.0) if np.issubdtype(kind, np.integer) else bounds.get(name))
    return Feeds(fitted, {name: np.dtype(kind) for name, (_, kind) in inputs.items()})


def fit_to_input(dataset: Dataset, onnx_shape: tuple[int, ...], bounds: tuple[float, float] | None = (0.0, 1.0)) -> Batches:
    """Batches of `dataset` for a model whose input, without the batch, has the shape `onnx_shape`.

    bounds: lowest and highest value the input takes; None for any finite values.
    uint8 is divided by 255 (a note says so where the input's bounds are others), floats are taken as they are. Samples of the very shape `onnx_shape` keep their order. Others have to be
    images of the input's height and width: samples (h, w), (h, w, c) or (c, h, w); the input (c, h, w), (h, w, c), (h, w) or, of one
    channel, flat (h w,); c is 1 or 3. Gray becomes 3 channels by repeating, RGB becomes 1 by the luma of ITU-R BT.601; a note says so.
    If the shapes can be read in several ways that fit (all with equal channel counts or none: the number of values decides), samples
    are taken to be channels last and the input channels first. Raises DataError for any other shape.
    """
    shape = dataset.x.shape[1:]
    scaled = () if dataset.x.dtype != np.uint8 or bounds == (0.0, 1.0) else ("pixels given as values from 0 to 1, whatever the input's range",)
    if shape == tuple(onnx_shape):
        return Batches(dataset, shape, scaled, lambda batch: batch, bounds)
    sources = _layouts(shape, ("hwc",) if dataset.image else ("hw", "hwc", "chw"))
    pairs = [(source, target) for source in sources for target in _targets(tuple(onnx_shape), source)]
    if not pairs:
        raise _misfit(dataset, sources, tuple(onnx_shape))
    source, target = pairs[0]
    note = {(1, 3): "gray images repeated to 3 channels", (3, 1): "RGB images turned to gray by the luma of ITU-R BT.601"}
    change = note.get((source.channels, target.channels))
    return Batches(dataset, tuple(onnx_shape), (*scaled, change) if change else scaled, lambda batch: _arranged(batch, source, target), bounds)


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
        images = sum(images[..., index] * weight for index, weight in enumerate(LUMA))[..., None]
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
