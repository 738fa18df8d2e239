"""Yes or no of every sample, as text that is short: base64 of bits."""

from __future__ import annotations

import base64
import binascii

import numpy as np

from ..errors import DataError


def packed(bits: np.ndarray) -> str:
    """bits: (n,) booleans, the first one the highest bit of the first byte."""
    return base64.b64encode(np.packbits(bits).tobytes()).decode()


def unpacked(text: str, samples: int) -> np.ndarray:
    """The (samples,) booleans that `packed` made `text` of. Raises DataError for a text of another length."""
    try:
        found = np.unpackbits(np.frombuffer(base64.b64decode(text, validate=True), np.uint8))
    except (binascii.Error, ValueError) as error:
        raise DataError("report", "samples that are no base64", "a report as ttfs-run wrote it") from error
    if len(found) != -(-samples // 8) * 8:
        raise DataError("report", f"{len(found)} bits for {samples} samples", "a report as ttfs-run wrote it")
    return found[:samples].astype(bool)
