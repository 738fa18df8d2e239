"""Enhanced speech for a browser: spectrograms and players of the first recordings, nothing fetched."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..data.sound_file import RATE, soundfile
from ..errors import UsageError
from ..studies.enhancement import Enhancement
from ..studies.first_sounds import Sounds
from .html_template import rendered

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BUDGET = 1_600_000  # bytes of all spectrograms and sounds as text; a page of 2 MB has room for them
DPI, COLOURS = 90, 64  # of spectrograms


def enhancement_page(found: Enhancement) -> str:
    """The table of the measures, and of the recordings that `found` keeps the beginnings of as many as BUDGET allows: for each its spectrograms as
    PNG, and players with FLAC of 16 bits, with labels for screen readers. Raises UsageError where Jinja2 or Matplotlib is not installed."""
    rows = [
        (
            score.measure.title,
            *(score.measure.text(value) for value in (found.noisy[name], score.ann, score.snn)),
            score.measure.drift_text(score.drift),
        )
        for name, score in found.scores.items()
    ]
    return rendered("enhancement.html", found=found, rows=rows, recordings=_within(BUDGET, found))


def _within(budget: int, found: Enhancement) -> list[dict]:
    kept, size = [], 0
    for sounds in found.sounds:
        part = _recording(sounds)
        size += len(part["picture"]) + sum(len(uri) for uri in part["players"].values())
        if size > budget:
            break
        kept.append(part)
    return kept


def _recording(sounds: Sounds) -> dict:
    try:
        from .spectrograms import spectrograms
    except ImportError as error:
        raise UsageError("--html", "no Matplotlib", "the package that draws spectrograms", "pip install 'ttfs-convert[plot]'") from error
    (figure,) = spectrograms([sounds], "").values()
    return {
        "name": sounds.name,
        "seconds": len(sounds.noisy) / RATE,
        "picture": _uri("image/png", _png(figure)),
        "players": {version: _uri("audio/flac", _flac(sound)) for version, sound in sounds.versions().items()},
    }


def _png(figure: Figure) -> bytes:
    from .page import style

    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png", dpi=DPI)
    few_colours = io.BytesIO()
    Image.open(buffer).convert("RGB").quantize(COLOURS).save(few_colours, format="png", optimize=True)
    return few_colours.getvalue()


def _flac(sound: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile().write(buffer, np.clip(sound, -1, 1), RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
