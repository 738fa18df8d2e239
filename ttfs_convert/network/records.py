"""The records of a network: frozen, checked when they are made; arrays of one dtype, finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

if TYPE_CHECKING:
    from typing_extensions import Self


def finite_array(value: object, dtype: type) -> np.ndarray:
    """`value` if it is an array of `dtype` without infinities and NaN, contiguous. Raises ValueError."""
    if not isinstance(value, np.ndarray) or value.dtype != dtype:
        raise ValueError(f"expected an array of {np.dtype(dtype)}, found {getattr(value, 'dtype', type(value).__name__)}")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise ValueError("found values that are not finite")
    return np.asarray(value, order="C")  # as kernels read it


def require(holds: bool, problem: str) -> None:
    """Raise ValueError with the problem unless it holds: pydantic makes a ValidationError of it."""
    if not holds:
        raise ValueError(problem)


FloatArray = Annotated[np.ndarray, BeforeValidator(lambda value: finite_array(value, np.float32))]


IndexArray = Annotated[np.ndarray, BeforeValidator(lambda value: finite_array(value, np.int64))]


ByteArray = Annotated[np.ndarray, BeforeValidator(lambda value: finite_array(value, np.uint8))]


Shape = tuple[Annotated[int, Field(ge=1)], ...]  # sizes


Offsets = tuple[Annotated[int, Field(ge=0)], ...]


class Record(BaseModel):
    """Base of all that a network is made of: frozen, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    def changed(self, **fields: object) -> Self:
        """This record with other values in `fields`, checked like a new one; records inside it are not checked again. Raises
        pydantic.ValidationError, which is a ValueError, for values or names that do not fit."""
        return type(self).model_validate({**dict(self), **fields})
