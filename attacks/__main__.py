"""Write every variant: python -m attacks SNN.npz FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from . import connections, geometry, magnitudes
from .network_file import changed

KINDS = {"geometry": geometry.VARIANTS, "connections": connections.VARIANTS, "magnitudes": magnitudes.VARIANTS}


def main(source: str, folder: str) -> None:
    """A file for each, numbered, and what it is."""
    for kind, variants in KINDS.items():
        for number, (name, change) in enumerate(variants.items()):
            out = Path(folder) / f"{kind}-{number:03}.npz"
            changed(source, out, change)
            print(f"{out}: {name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
