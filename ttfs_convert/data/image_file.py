"""One image file, decoded by Pillow."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
EXPECTED, REMEDY = "PNG, JPEG, BMP, WebP or TIFF", "replace or remove the file"
GRAY = {"1", "L", "I;16", "I;16L", "I;16B"}
COLOUR = {"RGB", "RGBA", "RGBX", "LA", "P", "PA", "CMYK", "YCbCr"}


@dataclass(frozen=True)
class Header:
    """size: width and height. mode: Pillow's, one of GRAY or COLOUR."""

    size: tuple[int, int]
    mode: str


def header_of(path: Path) -> Header:
    """What the file says of itself. Raises DataError for one that cannot be read, has so many pixels that Pillow takes it for an attack
    (`PIL.Image.MAX_IMAGE_PIXELS`), or other numbers than bytes."""
    with _opened(path) as image:
        if image.mode not in GRAY | COLOUR:
            raise DataError(f"{path}", f"an image of mode {image.mode}", "gray or colour with 8 bits (gray also 16)", "convert the image")
        return Header(image.size, image.mode)


def pixels_of(path: Path, gray: bool) -> np.ndarray:
    """(h, w, 1) uint8 if `gray`, else (h, w, 3). Raises DataError."""
    with _opened(path) as image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image.load()
                if image.mode.startswith("I;16"):
                    pixels = ((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8)
                elif image.mode in GRAY:
                    pixels = np.asarray(image.convert("L"))
                else:
                    return np.asarray(image.convert("RGB"))
        except Exception as error:  # each format has a decoder of its own: whatever that can raise
            raise _broken(path, error) from error
    return pixels[..., None] if gray else np.repeat(pixels[..., None], 3, axis=-1)


def _opened(path: Path) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise DataError(f"{path}", "no regular file, or a link that leads nowhere or in a loop", "an image", "replace or remove it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            content = io.BytesIO(path.read_bytes())  # of a file, Pillow asks for as many bytes as a header claims, and memory is taken for them
            return Image.open(content, formats=sorted(set(FORMATS.values())))
    except UnidentifiedImageError as error:
        raise DataError(f"{path}", "an image that cannot be decoded (no header of one)", EXPECTED, REMEDY) from error
    except Exception as error:  # as above
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}", f"an image that cannot be decoded ({error})", EXPECTED, REMEDY)
