"""Signals and pictures rebuilt: peak signal-to-noise ratio and structural similarity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..errors import UsageError
from .measure import Measure
from .task import Statistics, Task

WINDOW = 7  # pixels: the side of scikit-image's window, and of the smallest picture that has an SSIM
Source = Callable[[slice, Mapping[str, np.ndarray]], np.ndarray]


class Reconstruction(Task):
    """Of every sample PSNR = 10 log10(data_range^2 / mean squared error), dB, and, of pictures with sides of 7 pixels or more, the mean structural
    similarity (Wang et al., IEEE Trans. Image Process. 13, 2004) as scikit-image's `structural_similarity` has it by default: uniform windows of
    7 x 7, K1 = 0.01, K2 = 0.03, sample covariance. Both are means over samples. A sample that is rebuilt exactly has no finite PSNR.

    source: gives what the outputs should be, (n, *shape), for rows of the data and the model's inputs for them. shape: of one sample's output.
    data_range: largest minus smallest value that may be. about: what the source is. like: shapes of pictures that flat outputs may be.
    Raises UsageError where pictures need scikit-image, which is not installed.
    """

    name = "reconstruction"
    of_values = True

    def __init__(self, source: Source, shape: tuple[int, ...], data_range: float, about: str, like: Sequence[tuple[int, ...]] = ()):
        self._source, self._range = source, data_range
        self.about = f"{about}; data_range {data_range:g}"
        self._picture = next((each for each in (shape, *like) if np.prod(each) == np.prod(shape) and _is_picture(each)), None)
        self.measures = (Measure("psnr", "PSNR", "dB", usual_drop=0.1),)
        if self._picture is not None:
            _similarity()
            self.measures += (Measure("ssim", "SSIM", form=".4f"),)

    def references(self, rows: slice, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the outputs should be, (n, *shape)."""
        return self._source(rows, x)

    def statistics(self, outputs: np.ndarray, references: np.ndarray) -> Statistics:
        """PSNR and SSIM of each sample."""
        ours, wanted = (each.reshape(references.shape).astype(np.float64) for each in (outputs, references))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            errors = np.square(ours - wanted).reshape(len(ours), -1).mean(1)
            found = {"psnr": 10 * np.log10(self._range**2 / errors)[:, None]}
        if self._picture is not None:
            found["ssim"] = self._similarities(ours, wanted)
        return found

    def _similarities(self, ours: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        similarity = _similarity()
        pairs = zip(*(_as_pictures(each, self._picture or ()) for each in (ours, wanted)))
        with np.errstate(invalid="ignore", over="ignore"):
            return np.array([[similarity(a, b, data_range=self._range, channel_axis=-1 if a.ndim == 3 else None)] for a, b in pairs])

    def pictures(self, values: np.ndarray) -> np.ndarray | None:
        """(n, h, w) or (n, h, w, 3)."""
        found = None if self._picture is None else _as_pictures(values, self._picture)
        return found if found is None or found.ndim == 3 or found.shape[-1] == 3 else None


def _similarity() -> Callable:
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise UsageError("task reconstruction", "scikit-image is not installed", "it for SSIM", "pip install 'ttfs-convert[signals]'") from error
    return structural_similarity


def _is_picture(shape: tuple[int, ...]) -> bool:
    """(h, w), (c, h, w) or (h, w, c), of which c is the least and the sides are large enough."""
    if len(shape) == 3 and min(shape[0], shape[2]) < WINDOW:
        shape = shape[1:] if shape[0] <= shape[2] else shape[:2]
    return len(shape) == 2 and min(shape) >= WINDOW


def _as_pictures(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values of the picture shape `shape` as (n, h, w), or (n, h, w, c) with two channels or more."""
    values = values.reshape(len(values), *shape)
    if len(shape) == 3 and shape[0] <= shape[2]:
        values = np.moveaxis(values, 1, -1)
    return values[..., 0] if values.ndim == 4 and values.shape[-1] == 1 else values
