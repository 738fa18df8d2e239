"""Samples and histograms as small PNGs inside a page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

SMALLEST, LARGEST = 5, 72  # pixels: sides below are no picture; larger ones are made smaller
INK = (59, 138, 216)  # of histograms: legible on white and on black


def png_uri(pixels: np.ndarray) -> str:
    """pixels: (h, w), (h, w, 3) or (h, w, 4) uint8."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def picture_uri(values: np.ndarray) -> str | None:
    """A sample as a picture: (h, w), or with one or three channels in front or at the end, 8 bits or any numbers, which are stretched from the least
    to the largest unless they lie in [0, 1]. None where it is none."""
    picture = _as_picture(values)
    if picture is None:
        return None
    if picture.dtype != np.uint8:
        numbers = np.nan_to_num(picture.astype(np.float64))
        low, high = (0.0, 1.0) if numbers.min() >= 0 and numbers.max() <= 1 else (float(numbers.min()), float(numbers.max()))
        picture = np.rint(255 * (numbers - low) / max(high - low, 1e-12)).astype(np.uint8)
    if max(picture.shape[:2]) > LARGEST:
        image = Image.fromarray(picture)
        image.thumbnail((LARGEST, LARGEST))
        picture = np.asarray(image)
    return png_uri(picture)


def heat_map_uri(counts: np.ndarray) -> str:
    """counts: (columns, rows), drawn with row 0 at the bottom; the more, on a logarithmic scale, the more opaque."""
    shares = counts.T[::-1] / max(counts.sum(), 1)
    opaque = np.zeros(shares.shape)
    np.log10(shares, out=opaque, where=shares > 0)
    alpha = np.where(shares > 0, np.clip(255 * (0.25 + 0.75 * (opaque + 6) / 5), 64, 255), 0)
    pixels = np.empty((*shares.shape, 4), np.uint8)
    pixels[..., :3], pixels[..., 3] = INK, alpha.astype(np.uint8)
    return png_uri(pixels)


def _as_picture(values: np.ndarray) -> np.ndarray | None:
    if values.ndim == 3 and values.shape[0] in (1, 3) and min(values.shape[1:]) >= SMALLEST:
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    colours = values.ndim == 3 and values.shape[-1] == 3
    if values.dtype.kind not in "fiub" or not (values.ndim == 2 or colours) or min(values.shape[:2]) < SMALLEST:
        return None
    return np.ascontiguousarray(values)
