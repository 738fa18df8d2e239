"""Where a network is from: what of the paper it breaks, which data showed ranges, what compensation fitted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..kernels.rounding import Rounding
from .records import Record


class Violation(Record):
    """A constraint of the paper that a layer breaks."""

    layer: str
    problem: str
    neurons: int
    worst: float | None  # largest |weight sum - 1|; None for an activation
    remedy: str


OneInputRange = tuple[float, float] | Literal["data", "auto"] | None


class Conversion(Record):
    """Options of the conversion that the network itself does not show; with them it can be converted again, for another grid. Meanings and
    defaults are those of `ConversionOptions`."""

    tolerance: float = 1e-4
    input_range: OneInputRange | dict[str, OneInputRange] = "auto"
    method: str | None = None
    margin: float = 0.1
    allow_analog: bool = False


class Calibration(Record):
    """Where the ranges of unbounded activations are from."""

    data: str  # name of the data set
    sha256: str
    samples: int = Field(ge=1)
    method: str  # "maximum", "mse" or a percentile such as "99.9"
    margin: float  # of the width, by which `maximum` moves an end outward
    notes: tuple[str, ...] = ()  # what was changed to fit the data to the model


class LayerFit(Record):
    """What compensation did to one layer. Errors are root mean squares on samples that the fit did not see, after all layers before had been
    fitted: of activations in units of the layer's range, of a readout's potentials in those of its output."""

    layer: str
    fitted: Literal["weights", "bias", "none"]  # weights and bias, the bias alone, or nothing because neither helped
    strength: float | None  # of the ridge, as a share of the mean variance of what the weights read
    error_before: float
    error_after: float
    weight_change: float  # |fitted - original| / |original|, of all weights of the layer


class Compensation(Record):
    """Weights and biases were fitted anew to spike times on a grid (see `compensation`), and suit no other."""

    data: str  # name of the data set
    sha256: str
    samples: int = Field(ge=1)
    unseen: int = Field(ge=1)  # of these, judged the fits
    steps: dict[str, int]  # N of every layer's spike times, by name
    rounding: Rounding
    layers: tuple[LayerFit, ...]
    notes: tuple[str, ...] = ()  # what was changed to fit the data to the model
