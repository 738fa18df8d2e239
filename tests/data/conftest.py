"""Keeps the tests away from the user's cache and the net, and makes files in the official formats."""

from __future__ import annotations

import gzip
import struct
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import platformdirs
import pytest

from ttfs_convert.data import raw_files as files


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty user cache, no TTFS_DATA, and mirrors that refuse the connection."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(folder / name))
    monkeypatch.delenv("TTFS_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    closed = {name: replace(source, mirrors=("http://127.0.0.1:9/",)) for name, source in files.SOURCES.items()}
    monkeypatch.setattr(files, "SOURCES", closed)
    return folder


@pytest.fixture
def idx_bytes():
    def images(x):
        return struct.pack(">IIII", 2051, *x.shape) + x.tobytes()

    def labels(y):
        return struct.pack(">II", 2049, len(y)) + y.astype(np.uint8).tobytes()

    def pair(n, seed=0):
        """x (n, 28, 28) uint8, y (n,) uint8, and the two files' bytes."""
        rng = np.random.default_rng(seed)
        x, y = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), rng.integers(0, 10, n, dtype=np.uint8)
        return x, y, images(x), labels(y)

    return SimpleNamespace(images=images, labels=labels, pair=pair)


@pytest.fixture
def write_pair():
    def write(folder, images, labels, gz=True, part="t10k"):
        """Writes bytes of IDX images and labels under their official names."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            (folder / (name + ".gz" if gz else name)).write_bytes(gzip.compress(data, 1) if gz else data)
        return folder

    return write
