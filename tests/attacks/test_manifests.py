"""A manifest of many megabytes is refused before it is parsed, and never written."""

import time

import pytest

from ttfs_convert.errors import ModelError
from ttfs_convert.network import store
from ttfs_convert.network.store import MAX_MANIFEST, load, save


def test_a_long_manifest_is_refused_at_once(attacked):
    path = attacked(lambda manifest, arrays: manifest.update(notes=["x"] * (13 << 20)))
    start = time.perf_counter()
    with pytest.raises(ModelError, match=f"a manifest of .* bytes; expected at most {MAX_MANIFEST}"):
        load(path)
    assert time.perf_counter() - start < 5


def test_a_long_manifest_is_not_written(small, tmp_path, monkeypatch):
    network = load(small / "snn.npz")
    monkeypatch.setattr(store, "MAX_MANIFEST", 1000)
    with pytest.raises(ModelError, match="bytes to describe its layers"):
        save(network, tmp_path / "new.npz")
    assert not (tmp_path / "new.npz").exists()
