"""Spectrograms of enhanced speech (LC-TTFS, Fig. 9): noisy, clean, and what both networks make of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from ..data.sound_file import RATE
from ..shown import shown, shown_text
from ..studies.first_sounds import Sounds
from .page import WIDTH, style

WINDOW, STEP = 512, 128  # samples: 32 and 8 ms
RANGE = 70.0  # dB below the loudest point of the clean recording that are shown
ROW, COLOURS = 1.15, "magma"  # inches


def spectrograms(sounds: Sequence[Sounds], about: str) -> dict[str, Figure]:
    """`spectrogram-1` and so on: a figure per recording, noisy, clean, original and spiking network below each other, on one scale in dB."""
    return {f"spectrogram-{number}": _drawn(each, about) for number, each in enumerate(sounds, 1)}


def _drawn(sounds: Sounds, about: str) -> Figure:
    levels = {name: _decibels(sound) for name, sound in sounds.versions().items()}
    loudest = float(levels["clean"].max())
    with style():
        figure = Figure((WIDTH, 0.8 + ROW * len(levels)), layout="constrained")
        grid = figure.subplots(len(levels), 1, sharex=True, squeeze=False)[:, 0]
        seconds = len(sounds.noisy) / RATE
        scale = Normalize(loudest - RANGE, loudest)
        for axes, (name, values) in zip(grid, levels.items()):
            axes.imshow(values, origin="lower", aspect="auto", extent=(0, seconds, 0, RATE / 2000), norm=scale, cmap=COLOURS)
            axes.set_title(name)
        figure.supxlabel("time, s")
        figure.supylabel("frequency, kHz")
        figure.colorbar(ScalarMappable(scale, COLOURS), ax=list(grid), label="dB")
        figure.suptitle(f"Recording {shown(sounds.name)}\n{shown_text(about)}".rstrip(), wrap=True)
    return figure


def _decibels(sound: np.ndarray) -> np.ndarray:
    """(frequencies, frames), of the power under a Hann window."""
    padded = np.pad(sound.astype(np.float64), (0, max(0, WINDOW - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::STEP] * np.hanning(WINDOW)
    return 10 * np.log10(np.square(np.abs(np.fft.rfft(frames))) + 1e-12).T
