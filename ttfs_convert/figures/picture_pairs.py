"""Pictures of a run: what outputs should be, beside what both networks make of it (LC-TTFS, Fig. 8)."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ..shown import shown_text
from ..studies.first_pictures import Pictures
from .page import WIDTH, style

ROW, SIDE = ("target", "ANN", "SNN"), 0.85  # inches


def pictures(found: Pictures, about: str) -> dict[str, Figure]:
    """`pictures`: a column per sample; target, original and spiking network below each other, on one scale from the targets' least to their
    largest value."""
    rows = (found.references, found.ann, found.snn)
    low, high = float(found.references.min()), float(found.references.max())
    with style():
        figure = Figure((min(WIDTH, 0.6 + SIDE * len(found.ann)), 0.7 + SIDE * len(rows)), layout="constrained")
        grid = figure.subplots(len(rows), len(found.ann), squeeze=False)
        for axes_of_row, name, values in zip(grid, ROW, rows):
            axes_of_row[0].set_ylabel(name)
            for axes, picture in zip(axes_of_row, values):
                _draw(axes, picture, low, max(high, low + 1e-12))
        figure.suptitle(f"First samples: target, original, spiking network\n{shown_text(about)}", wrap=True)
    return {"pictures": figure}


def _draw(axes, picture: np.ndarray, low: float, high: float) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    shown = np.clip((np.nan_to_num(picture.astype(np.float64)) - low) / (high - low), 0, 1)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
