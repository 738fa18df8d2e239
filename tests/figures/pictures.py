"""What tests ask of a folder of figures."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image


def texts(path: Path) -> str:
    """All text of an SVG, which is text there and no outlines."""
    return "\n".join("".join(element.itertext()) for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text"))


def assert_figures(folder: Path, *names: str) -> None:
    """`folder` holds each figure as SVG and as PNG of 200 dpi that shows something, no other picture, and nothing half-written."""
    assert {path.name for path in folder.iterdir()} - {"histograms.npz"} == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    for name in names:
        with Image.open(folder / f"{name}.png") as picture:
            assert [round(dpi) for dpi in picture.info["dpi"]] == [200, 200] and picture.width <= 7.2 * 200
            shades = np.asarray(picture.convert("L"))
        assert (shades > 250).mean() > 0.3 and (shades < 128).mean() > 0.005
        assert len(texts(folder / f"{name}.svg")) > 100
