"""AveragePool: synapses of weight 1/n from the n taps of a window, channel by channel."""

from __future__ import annotations

import math
from functools import lru_cache, reduce
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import model_validator

from ...kernels.incoming_spikes import VIRTUAL
from ...kernels.pool import average_pool
from ..geometry_checks import reads_padding_alone
from ..records import require
from .images import image, wide
from .kind import NOTHING, SynapseKind
from .sliding import Pair, Sliding

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...kernels.blocking import Weights


class Windows(NamedTuple):
    """Windows of an average pool, as the kernels of pools take them."""

    divisor: np.ndarray  # (out height, out width) float32, the same in every image
    kernel: Pair
    strides: Pair
    dilations: Pair
    pads: Pair


class AveragePool(Sliding, SynapseKind):
    """V0[y, c] = sum of the window's activations / its number of taps; padded taps count if `include_pad`."""

    keeps_channels: ClassVar[bool] = True

    kind: Literal["average_pool"] = "average_pool"
    include_pad: bool

    if TYPE_CHECKING:  # pydantic makes it for frozen records, out of all fields: here these are hashable

        def __hash__(self) -> int: ...

    @model_validator(mode="after")
    def _keeps_channels(self) -> Self:
        require(self.in_shape[-1] == self.out_shape[-1], "an average pool that changes the channels")
        require(self.include_pad or not any(map(reads_padding_alone, self.axes)), "an average over padding alone")
        return self

    @property
    def divisor(self) -> np.ndarray:
        """(*spatial out) float32: how many taps each window averages."""
        counts = []
        for axis in range(len(self.kernel)):
            before, after = (self.pads[axis], self.pads_end[axis]) if self.include_pad else (0, 0)
            start = np.arange(self.out_shape[axis], dtype=np.int64)[:, None] * self.strides[axis] - self.pads[axis]
            position = start + np.arange(self.kernel[axis], dtype=np.int64) * self.dilations[axis]
            counts.append(((position >= -before) & (position < self.in_shape[axis] + after)).sum(1))
        return reduce(np.multiply.outer, counts).astype(np.float32)

    def windows(self) -> Windows:
        """As the kernels of pools take them."""
        return _windows(self)

    def apply(self, activations: np.ndarray) -> np.ndarray:
        return sum(inputs for _, inputs in self.taps(activations)) / self.divisor[..., None]

    def add(self, activations: np.ndarray, potentials: np.ndarray, layout: Weights | None = None, dense: bool = False) -> None:
        average_pool(image(activations, self.in_shape), *self.windows(), image(potentials, self.out_shape))

    def has_virtual_neurons(self, before: SynapseKind | None) -> bool:
        return self.include_pad

    def weight_sum(self, incoming: np.ndarray) -> np.ndarray:
        return incoming  # weights 1/n, n of them: with padded taps counted in n those are there, otherwise they do not exist

    def gain(self) -> tuple[float, int]:
        return 1.0, math.prod(self.kernel)

    def synapses(self, virtual: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        position, channels = self.positions(), self.in_shape[-1]
        divisor = self.divisor.reshape(-1)
        padded = divisor.astype(np.int64) - (position >= 0).sum(-1)  # taps in the padding; windows may reach beyond it, where nothing counts
        if virtual:
            rank = np.cumsum(position < 0, axis=1)
            position = np.where((position < 0) & (rank > padded[:, None]), NOTHING, position)
        out, tap, c = (axis.reshape(-1) for axis in np.indices((*position.shape, channels), dtype=np.int64))
        at = position[out, tap]
        source = np.where(at >= 0, at * channels + c, at)
        kept = source >= VIRTUAL if virtual else source >= 0
        return (out * channels + c)[kept], source[kept], (1 / divisor)[out][kept].astype(np.float32)


@lru_cache(maxsize=1024)
def _windows(pool: AveragePool) -> Windows:
    return Windows(pool.divisor.reshape(wide(pool.out_shape)[:3])[0], *pool.kernel_geometry())
