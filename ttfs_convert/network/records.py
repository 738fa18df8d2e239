"""The records of a network: frozen, checked when they are made; arrays of one dtype, finite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ..errors import ModelError
from .geometry_checks import MAX_VALUES

if TYPE_CHECKING:
    from typing_extensions import Self


def finite_array(value: object, dtype: type) -> np.ndarray:
    """`value` if it is an array of `dtype` without infinities and NaN, contiguous. Raises ValueError."""
    if not isinstance(value, np.ndarray) or value.dtype != dtype:
        raise ValueError(f"expected an array of {np.dtype(dtype)}, found {getattr(value, 'dtype', type(value).__name__)}")
    value = np.asarray(value, order="C")  # as kernels read it
    if value.dtype.kind == "f" and not np.isfinite(magnitude(value)):
        raise ValueError("found values that are not finite")
    return value


def magnitude(values: np.ndarray) -> float:
    """What no |value| exceeds, in the time that reading them takes: the root of the sum of squares, or, where that overflows, the largest; not finite
    if a value is not."""
    flat = values.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = float(np.dot(flat, flat)) if flat.size else 0.0
    return math.sqrt(squares) if math.isfinite(squares) else float(max(flat.max(), -flat.min()))  # NaN, if there is one, is either


def require(holds: bool, problem: str) -> None:
    """Raise ValueError with the problem unless it holds: pydantic makes a ValidationError of it."""
    if not holds:
        raise ValueError(problem)


def first_problem(error: ValidationError, default: str) -> str:
    """The first thing a model refused, as "field: message"; `default` names it where no field is to blame."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or default}: {first['msg']}"


MAX_AXES = 8  # of a shape


FloatArray = Annotated[np.ndarray, BeforeValidator(lambda value: finite_array(value, np.float32))]


IndexArray = Annotated[np.ndarray, BeforeValidator(lambda value: finite_array(value, np.int64))]


ByteArray = Annotated[np.ndarray, BeforeValidator(lambda value: finite_array(value, np.uint8))]


def _bounded(shape: tuple[int, ...]) -> tuple[int, ...]:
    require(len(shape) <= MAX_AXES, f"{len(shape)} axes, more than {MAX_AXES}")
    require(math.prod(shape) <= MAX_VALUES, f"sizes {shape} of more than {MAX_VALUES} values")
    return shape


Shape = Annotated[tuple[Annotated[int, Field(ge=1)], ...], AfterValidator(_bounded)]  # sizes


Offsets = Annotated[tuple[Annotated[int, Field(ge=0, le=MAX_VALUES)], ...], Field(max_length=MAX_AXES)]


class Record(BaseModel):
    """Base of all that a network is made of: frozen, without unknown fields, and never unchecked, however it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, of a record that is then checked like a new one. Raises ModelError for values that do not fit."""
        copied = super().model_copy(deep=deep)
        if not update:
            return copied
        try:
            return copied.changed(**update)
        except ValidationError as error:
            name = getattr(self, "name", getattr(self, "kind", "record"))
            raise ModelError(f"{type(self).__name__} {name!r}", first_problem(error, "values"), "what fits the rest of it") from error

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """As the constructor: pydantic's own would check nothing."""
        return cls.model_validate(values)

    def copied(self, update: Mapping[str, Any]) -> Self:
        """A copy that nothing checks, for computations that know what they do; it is never part of a network."""
        return super().model_copy(update=update)

    def changed(self, **fields: object) -> Self:
        """This record with other values in `fields`, checked like a new one; records inside it are not checked again. Raises
        pydantic.ValidationError, which is a ValueError, for values or names that do not fit."""
        return type(self).model_validate({**dict(self), **fields})
