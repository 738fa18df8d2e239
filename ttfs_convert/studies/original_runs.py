"""The original beside a run: its outputs for every batch, its inner tensors for those whose layers are compared, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np

from ..errors import UsageError
from ..measurement.original_time import OriginalTime
from ..onnx_model.reference import Reference
from .comparison import Comparison

ComparedLayers = Literal["none", "sample", "all"]
COMPARED_LAYERS: tuple[ComparedLayers, ...] = get_args(ComparedLayers)
ONE_IN = 16  # batches of `sample`


def is_compared(layers: ComparedLayers, number: int) -> bool:
    """Whether the layers of batch `number`, from 0 on, are held against the original."""
    return layers == "all" or (layers == "sample" and number % ONE_IN == 0)


class OriginalRuns:
    """Runs the original of a comparison, batch by batch.

    tensors: inner ones, that layers are compared with. layers: `all` gives them for every batch, which is then computed by a session that cannot fuse
    what it must show; the one that can is timed before (see `time_alone`). `sample` gives them for one batch in ONE_IN, `none` for none: then every
    other batch is timed. Raises UsageError for another word.
    """

    def __init__(self, comparison: Comparison, tensors: Sequence[str], layers: ComparedLayers):
        if layers not in COMPARED_LAYERS:
            raise UsageError("layers", repr(layers), f"one of {', '.join(COMPARED_LAYERS)}")
        self._comparison, self._tensors = comparison, tensors
        self._layers: ComparedLayers = layers
        self._tapped: Reference | None = None

    def __call__(self, rows: slice, x: Mapping[str, np.ndarray], clock: OriginalTime) -> dict[str, np.ndarray]:
        """Outputs of the samples `rows`, by name, and the tensors where they are wanted. x: the model's inputs. clock: told what is timed."""
        shown = is_compared(self._layers, rows.start // self._comparison.batch)
        return self.tapped(x) if shown else self._timed(rows, x, clock)

    def time_alone(self, clock: OriginalTime) -> None:
        """Where every batch shows inner tensors, run as many batches without as a stable median needs, before these are run; then give back what
        that took, so that large weights are not laid out for two sessions at once."""
        if self._layers == "all":
            for rows, x in self._comparison.batches():
                if clock.is_stable:
                    break
                self._timed(rows, x, clock)
            self._comparison.original.close()

    def _timed(self, rows: slice, x: Mapping[str, np.ndarray], clock: OriginalTime) -> dict[str, np.ndarray]:
        start = time.perf_counter()
        outputs = self._comparison.original(x)
        clock.add(rows.stop - rows.start, time.perf_counter() - start)
        return outputs

    @property
    def tapped(self) -> Reference:
        """The session that gives the inner tensors, made when it is first asked for."""
        if self._tapped is None:
            self._tapped = self._comparison.reference(self._comparison.model, self._tensors)
        return self._tapped
