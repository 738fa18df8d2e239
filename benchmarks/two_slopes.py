"""LeakyRelu as two neurons, clamps of either sign, or as one under a threshold with two slopes: the table in docs/activations.md.

    python -m benchmarks.two_slopes [--steps 16,50]

20,000 normal numbers x; ranges are those of the values. Errors are shares of the range of f, worst / mean; spikes are those sent
per number, where silence stands for the lower end of a range.
"""

from __future__ import annotations

import click
import numpy as np

from ttfs_convert.kernels.threshold import fire
from ttfs_convert.network.activations.monotone_table import MonotoneTable
from ttfs_convert.network.activations.threshold_shape import Crossing

DRAWN, HALF, BESIDE = 20_000, 0.5, 2.0**-20
SLOPES = (0.01, 0.1, 0.25, 0.5)


def one_neuron(x: np.ndarray, slope: float, steps: int) -> tuple[np.ndarray, float]:
    """Decoded values, and spikes per number. Lines go on beyond the three points of the table."""
    shape = MonotoneTable(potentials=np.array([-BESIDE, 0, BESIDE], np.float32), values=np.array([-BESIDE * slope, 0, BESIDE], np.float32))
    lo, hi = np.array([slope * x.min()]), np.array([x.max()])
    times = np.empty(x.shape, np.uint8)
    Crossing(shape, lo, hi).fire(x, steps, HALF, times)
    return hi - (hi - lo) * times / steps, float((times < steps).mean())


def two_neurons(x: np.ndarray, slope: float, steps: int) -> tuple[np.ndarray, float]:
    """Likewise, of max(x, 0) and of min(x, 0), each in a range of its own."""
    total, sent = np.zeros(x.shape), 0.0
    for width, sign in ((x.max(), 1.0), (x.min(), slope)):
        times = np.empty((x.size, 1), np.uint8)
        fire((x / width).astype(np.float32)[:, None], np.ones(1, np.float32), steps, HALF, times)
        total += sign * width * (1 - times[:, 0] / steps)
        sent += float((times < steps).mean())
    return total, sent


@click.command()
@click.option("--steps", default="16,50", show_default=True)
def main(steps: str) -> None:
    """Print a table."""
    x = np.random.default_rng(0).normal(size=DRAWN).astype(np.float32)
    print("| slope | N | two neurons: error in % | spikes | one neuron: error in % | spikes |\n|---|---|---|---|---|---|")
    for slope in SLOPES:
        expected = np.where(x > 0, x, slope * x.astype(np.float64))
        for count in map(int, steps.split(",")):
            cells = []
            for found, sent in (two_neurons(x, slope, count), one_neuron(x, slope, count)):
                error = np.abs(found - expected) / np.ptp(expected)
                cells += [f"{100 * error.max():.2f} / {100 * error.mean():.2f}", f"{sent:.2f}"]
            print(f"| {slope:g} | {count} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
