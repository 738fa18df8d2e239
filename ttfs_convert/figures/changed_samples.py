"""The samples whose label conversion changed: pictures, or a table of their first values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..studies.changed_labels import ChangedLabels
from .picture_uri import picture_uri

VALUES = 8  # of a sample that is no picture


@dataclass(frozen=True)
class ChangedSample:
    """For the page. better: whether the spiking network alone is right; None without a true label, or where neither is."""

    row: int
    truth: str | None
    ann: str
    snn: str
    picture: str | None
    values: tuple[str, ...]
    more: bool
    better: bool | None


def changed_samples(found: ChangedLabels, most: int) -> list[ChangedSample]:
    """The first `most` of those that were kept."""
    return [
        ChangedSample(
            each.row,
            each.truth,
            each.ann,
            each.snn,
            picture_uri(each.values),
            tuple(_text(value) for value in each.values.reshape(-1)[:VALUES].tolist()),
            each.values.size > VALUES,
            each.snn == each.truth if each.truth in (each.ann, each.snn) else None,
        )
        for each in found.samples[:most]
    ]


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float, np.number)) else str(value)
