"""Value ranges from data: one lo and hi per channel of a tensor, x = lo + (hi - lo) a with a in [0, 1], in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np

from ...errors import DataError, ModelError, UsageError

BINS = 2048
# where a histogram's values are, as (v - smallest) / (largest - smallest): the smallest itself, the bins' centres, the largest itself
POSITIONS = np.concatenate([[0], (np.arange(BINS, dtype=np.int64) + 0.5) / BINS, [1]])
SHARES = np.linspace(1, 0.02, 99)  # of the way from a free end's anchor to its extreme, tried by `mse`; of equal errors the first wins
LARGEST = float(np.finfo(np.float32).max)
Batch = TypeVar("Batch", bound="np.ndarray | Mapping[str, np.ndarray]")


@dataclass(frozen=True)
class RangeRequest:
    """A tensor whose ranges are wanted. Raises ModelError for known ends without an interval between them.

    tensor: its name in the ONNX graph; batch first.
    axis: its channel axis, 1 or more: 1 for (n, c, h, w) and (n, features), 3 for (n, h, w, c).
    low, high: the known ends; -inf and +inf for those that are to be found.
    steps: of `mse` only, the time steps N of the window in which these values travel; None: those of the rule.
    """

    tensor: str
    axis: int
    low: float
    high: float
    steps: int | None = None

    def __post_init__(self):
        if not np.float32(self.low) < np.float32(self.high):
            raise ModelError(self.tensor, f"values from {self.low:g} to {self.high:g}", "the lower end below the upper one")


@dataclass(frozen=True)
class Rule:
    """How free ends follow from the values seen; see `ranges`. Raises UsageError for values out of range.

    percentile: of `percentile` only, above 50 and up to 100. margin: of `maximum` only, 0 or more, as a share of the range.
    steps: of `mse` only, the time steps N of a window; None for continuous time.
    """

    method: Literal["maximum", "percentile", "mse"]
    percentile: float | None = None
    margin: float = 0.0
    steps: int | None = None

    def __post_init__(self):
        if self.method not in ("maximum", "percentile", "mse"):
            raise UsageError("calibration", f"method {self.method}", "maximum, percentile or mse")
        if self.method == "percentile" and (self.percentile is None or not 50 < self.percentile <= 100):
            raise UsageError("calibration", f"percentile {self.percentile}", "above 50 and at most 100")
        if not 0 <= self.margin < np.inf:
            raise UsageError("calibration", f"margin {self.margin}", "0 or more")
        if self.steps is not None and self.steps < 1:
            raise UsageError("calibration", f"{self.steps} time steps", "1 or more")


def ranges(
    requests: Sequence[RangeRequest],
    run: Callable[[Batch], Mapping[str, np.ndarray]],
    batches: Callable[[], Iterable[Batch]],
    rule: Rule,
    check: Callable[[str, float, float], None] = lambda tensor, smallest, largest: None,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Tensor -> (lo, hi), float32 (channels,) each, lo < hi. Known ends are returned as they are, free ones follow from `rule`:

    maximum     smallest and largest value seen (Diehl et al., IJCNN 2015), moved outward by margin * (largest - smallest); a known end
                stands for its extreme. One pass over the data; the others take two.
    percentile  the p-th percentile of all values of the channel as hi, the (100 - p)-th as lo (for rate codes: Rueckauer et al.,
                Front. Neurosci. 11:682, 2017), to within 1/2048 of the channel's range. A channel where these leave no width, being
                active too rarely, keeps its extremes. Not for a time-to-first-spike code unless measured: on CIFAR-10 with 64 time
                steps p = 98 left 33 % accuracy and p = 99.9 91 %, where the maximum gave 92 %.
    mse         the least mean squared error of clipping to [lo, hi] and rounding to N steps, sum of (x - clip(x))^2 outside and
                ((hi - lo)/N)^2 / 12 inside (Banner et al., NeurIPS 2019). Free ends are tried at 2 to 100 % of the way to their
                extreme, from the other end if that is known, from the channel's mean if not. An x at lo is silent, one at hi spikes
                at once: neither is rounded. In continuous time (steps None) the same as maximum without margin.

    A channel without width (one that never is active behind a ReLU) takes the largest width among the tensor's other channels, 1 if
    there is none: upward from a known lower end, downward from a known upper one, else around its constant value. Free ends are
    rounded outward to float32. Per tensor this keeps two extremes and, for a second pass, 2050 counts per channel; results do not
    depend on how the data is split into batches.

    requests: one per tensor. run: gives tensors (n, ...) by name for a batch; may leave out what was not asked for.
    batches: starts a pass over the data, inputs (n, ...), of several inputs a mapping by name; called once per pass, and has to give the
    same data each time. check: is told the smallest and the largest value of each tensor, before anything follows from them.
    Raises DataError for no data, values that are not finite, or another number of samples in the second pass; ModelError for a tensor
    that `run` does not give or that has no such channel axis; ValueError for two requests of one tensor.
    """
    if len({request.tensor for request in requests}) < len(requests):
        raise ValueError("a tensor is requested twice")
    if not requests:
        return {}
    extremes = {request.tensor: _Extremes(request) for request in requests}
    samples = _fill(extremes, run, batches)
    if not samples:
        raise DataError("calibration data", "no samples", "one or more")
    for name, seen in extremes.items():
        check(name, float(seen.smallest.min()), float(seen.largest.max()))
    histograms = {}
    if rule.method == "percentile" or (rule.method == "mse" and rule.steps is not None):
        histograms = {name: _Histogram(seen) for name, seen in extremes.items() if not seen.known.all()}
    if histograms and (again := _fill(histograms, run, batches)) != samples:
        raise DataError("calibration data", f"{again:,} samples in the second pass", f"{samples:,} as in the first")
    found = {}
    for name, seen in extremes.items():
        if name in histograms and rule.method == "percentile" and rule.percentile is not None:
            lo, hi = _percentiles(histograms[name], rule.percentile)
        elif name in histograms and rule.steps is not None:
            lo, hi = _least_error(histograms[name], seen.request.steps or rule.steps)
        else:
            lo, hi = _widened(seen, rule.margin if rule.method == "maximum" else 0.0)
        found[name] = _float32(seen, *_without_dead(seen, lo, hi))
    return found


@dataclass
class _Extremes:
    """First pass: the smallest and largest value of each channel, (channels,) float64."""

    request: RangeRequest
    smallest: np.ndarray = field(default_factory=lambda: np.zeros(0))  # none until something was seen
    largest: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def known(self) -> np.ndarray:
        """Whether the lower and the upper end are known."""
        return np.isfinite(np.asarray([self.request.low, self.request.high], np.float32))

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The known ends, as float32 has them, and the extremes where there are none: (channels,) float64 each."""
        low, high = (np.full(self.smallest.shape, np.float32(end), np.float64) for end in (self.request.low, self.request.high))
        return np.where(self.known[0], low, self.smallest), np.where(self.known[1], high, self.largest)

    def add(self, values: np.ndarray) -> None:
        """values: (n, positions, channels) of one batch."""
        axis, name = self.request.axis, self.request.tensor
        channels = len(self.smallest)
        if not 1 <= axis < values.ndim or channels not in (0, values.shape[axis]):
            wanted = f"axis {axis} as the channels'" + (f", {channels} as before" if channels else "")
            raise ModelError(name, f"a tensor of shape {values.shape}", wanted)
        others = tuple(other for other in range(values.ndim) if other != axis)
        smallest, largest = values.min(others).astype(np.float64), values.max(others).astype(np.float64)
        if not (np.abs(smallest) <= LARGEST).all() or not (np.abs(largest) <= LARGEST).all():
            raise DataError(name, "activations that are not finite in float32", "finite values", "check the model and the calibration data")
        self.smallest = smallest if not channels else np.minimum(self.smallest, smallest)
        self.largest = largest if not channels else np.maximum(self.largest, largest)


@dataclass
class _Histogram:
    """Second pass: how many values of each channel are at POSITIONS, (channels, 2050); the first and last count the extremes alone."""

    seen: _Extremes
    counts: np.ndarray = field(init=False)

    def __post_init__(self):
        self.counts = np.zeros((len(self.seen.smallest), len(POSITIONS)), np.int64)

    def add(self, values: np.ndarray) -> None:
        """values: (n, positions, channels) of one batch."""
        along = [1] * values.ndim
        along[self.seen.request.axis] = -1
        smallest, largest = self.seen.smallest.reshape(along), self.seen.largest.reshape(along)
        width = largest - smallest
        slots = ((values - smallest) * (BINS / np.where(width > 0, width, np.inf))).astype(np.intp)
        slots = np.clip(slots, 0, BINS - 1, out=slots)
        slots += 1
        slots[values <= smallest] = 0
        slots[values >= largest] = BINS + 1
        slots += np.arange(len(self.counts), dtype=np.int64).reshape(along) * len(POSITIONS)
        self.counts += np.bincount(slots.ravel(), minlength=self.counts.size).reshape(self.counts.shape)

    def values(self, positions: np.ndarray) -> np.ndarray:
        """(channels,) positions as values; exact at 0 and 1."""
        return (1 - positions) * self.seen.smallest + positions * self.seen.largest


def _fill(
    statistics: Mapping[str, _Extremes | _Histogram], run: Callable[[Batch], Mapping[str, np.ndarray]], batches: Callable[[], Iterable[Batch]]
) -> int:
    """One pass; gives the number of samples."""
    samples = 0
    for batch in batches():
        if images := len(next(iter(batch.values())) if isinstance(batch, Mapping) else batch):
            samples += images
            tensors = run(batch)
            for name, statistic in statistics.items():
                if name not in tensors:
                    raise ModelError(name, "no such tensor in what the original network gives")
                statistic.add(np.asarray(tensors[name]))
    return samples


def _widened(seen: _Extremes, margin: float) -> tuple[np.ndarray, np.ndarray]:
    lo, hi = seen.ends
    added = margin * np.maximum(hi - lo, 0)
    return np.where(seen.known[0], lo, lo - added), np.where(seen.known[1], hi, hi + added)


def _percentiles(histogram: _Histogram, percent: float) -> tuple[np.ndarray, np.ndarray]:
    seen = histogram.seen
    lower, upper = (histogram.values(np.array([_percentile(counts, share) for counts in histogram.counts])) for share in (100 - percent, percent))
    lo, hi = seen.ends
    tight = np.where(seen.known[0], lo, lower), np.where(seen.known[1], hi, upper)
    wide_enough = tight[0] < tight[1]
    return np.where(wide_enough, tight[0], lo), np.where(wide_enough, tight[1], hi)


def _percentile(counts: np.ndarray, percent: float) -> float:
    """Where, of the values that `counts` (2050,) has at POSITIONS, the `percent`-th percentile is.

    As `numpy.percentile`, linear between the two order statistics around rank percent/100 (n - 1); those of one bin lie evenly in it.
    """
    until = np.cumsum(counts)

    def position(rank: int) -> float:
        slot = np.searchsorted(until, rank, side="right")
        if slot in (0, BINS + 1):
            return POSITIONS[slot]
        return (slot - 1 + (rank - (until[slot] - counts[slot]) + 0.5) / counts[slot]) / BINS

    last = until[-1] - 1
    rank = percent / 100 * last
    below = int(rank)
    return position(below) + (rank - below) * (position(min(below + 1, last)) - position(below))


def _least_error(histogram: _Histogram, steps: int) -> tuple[np.ndarray, np.ndarray]:
    seen = histogram.seen
    lo, hi = seen.ends
    width = seen.largest - seen.smallest
    best = np.repeat([[0.0], [1.0]], len(width), axis=1)  # positions
    for channel in np.flatnonzero(width > 0):
        low, high = ((end[channel] - seen.smallest[channel]) / width[channel] if known else None for end, known in zip((lo, hi), seen.known))
        best[:, channel] = _best_positions(histogram.counts[channel], low, high, steps)
    lows, highs = map(histogram.values, best)
    return np.where(seen.known[0], lo, lows), np.where(seen.known[1], hi, highs)


def _best_positions(counts: np.ndarray, low: float | None, high: float | None, steps: int) -> tuple[float, float]:
    """The ends, as positions, of the least squared error; low, high: the known ones.

    The squared errors of clipping follow from the running sums of 1, v and v^2 over the values v.
    """
    mean = counts @ POSITIONS / counts.sum()
    anchor_low, anchor_high = (mean if high is None else high), (mean if low is None else low)
    lows = (1 - SHARES) * anchor_low if low is None else np.array([low])
    highs = 1 - (1 - SHARES) * (1 - anchor_high) if high is None else np.array([high])
    sums = np.zeros((3, len(counts) + 1))
    np.cumsum(counts * POSITIONS ** np.arange(3, dtype=np.int64)[:, None], axis=1, out=sums[:, 1:])
    to_low, to_high = np.searchsorted(POSITIONS, lows, side="right"), np.searchsorted(POSITIONS, highs, side="left")
    below, above = sums[:, to_low], sums[:, -1:] - sums[:, to_high]
    clipped_low, clipped_high = (ones * end**2 - 2 * end * first + second for end, (ones, first, second) in ((lows, below), (highs, above)))
    inside = sums[0, to_high] - sums[0, to_low][:, None]
    errors = clipped_low[:, None] + clipped_high + inside * ((highs - lows[:, None]) / steps) ** 2 / 12
    best = np.unravel_index(errors.argmin(), errors.shape)
    return float(lows[best[0]]), float(highs[best[1]])


def _without_dead(seen: _Extremes, lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same with a width for channels that have none."""
    width = hi - lo
    dead = width <= 0
    widest = 1.0 if dead.all() else width.max()
    if seen.known[0]:
        return lo, np.where(dead, lo + widest, hi)
    if seen.known[1]:
        return np.where(dead, hi - widest, lo), hi
    return np.where(dead, lo - widest / 2, lo), np.where(dead, hi + widest / 2, hi)


def _float32(seen: _Extremes, lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rounded outward, and apart even where the width is below what float32 resolves."""
    lo, hi = (_rounded(np.clip(end, -LARGEST, LARGEST), towards) for end, towards in ((lo, -np.inf), (hi, np.inf)))
    if seen.known[0]:
        return lo, np.maximum(hi, np.nextafter(lo, np.float32(np.inf)))
    return np.minimum(lo, np.nextafter(hi, np.float32(-np.inf))), hi


def _rounded(values: np.ndarray, towards: float) -> np.ndarray:
    nearest = values.astype(np.float32)
    short = nearest < values if towards > 0 else nearest > values
    return np.nextafter(nearest, np.float32(towards), out=nearest, where=short)
