"""Data as another type: never wrapped, cut or rounded."""

from __future__ import annotations

import numpy as np

from ..errors import DataError


def is_float(dtype: np.dtype) -> bool:
    """Whether values of `dtype` are real numbers of any precision."""
    return np.dtype(dtype).kind == "f"


def as_type(values: np.ndarray, dtype: np.dtype, where: str) -> np.ndarray:
    """`values`, numbers of any type, as `dtype`, an integer type or bool. Raises DataError for a number that it cannot hold: a fraction,
    one out of its range, one that is not finite."""
    dtype = np.dtype(dtype)
    if values.dtype == dtype or not values.size:
        return values.astype(dtype, copy=False)
    lowest, highest = values.min(), values.max()
    if values.dtype.kind == "f":
        if not np.isfinite([lowest, highest]).all():
            raise DataError(where, "values that are not finite", f"whole numbers, as {dtype} holds them", "mend or leave out the samples")
        if not (np.rint(values) == values).all():
            found = values[np.rint(values) != values].flat[0]
            raise DataError(
                where,
                f"a fraction, {found:g}",
                f"whole numbers: the model's input is {dtype}",
                "give the values that the model was exported for, unscaled",
            )
    smallest, largest = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if int(lowest) < smallest or int(highest) > largest:
        raise DataError(
            where,
            f"values from {int(lowest)} to {int(highest)}",
            f"{smallest} to {largest}: the model's input is {dtype}",
            "give the values that the model was exported for",
        )
    return values.astype(dtype)
