"""Downloads from a server on this machine: verified, cached, and tried at the next mirror when one fails."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import logging
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pooch
import pytest

from ttfs_convert.data import load_dataset
from ttfs_convert.data import raw_files as files
from ttfs_convert.errors import DataError

IMAGES, LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"


class _Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, idx_bytes, monkeypatch):
    """Serves tmp_path/www; www/good holds 5 images, whose sizes and hashes the table of sources is given."""
    root = tmp_path / "www"
    (root / "good").mkdir(parents=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(root)))
    server.asked, server.root = [], root
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    server.x, server.y, *data = idx_bytes.pair(5)
    entries = []
    for file, content in zip(files.SOURCES["mnist"].files["test"], data):
        packed = gzip.compress(content)
        (root / "good" / file.names[0]).write_bytes(packed)
        entries.append(replace(file, size=len(packed), hash=f"md5:{hashlib.md5(packed).hexdigest()}"))

    def mirrors(*folders):
        addresses = tuple(f"{server.url}/{folder}/" for folder in folders)
        monkeypatch.setitem(files.SOURCES, "mnist", files.Source(addresses, {"test": tuple(entries)}))

    server.mirrors = mirrors
    mirrors("good")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _bad(server, edit):
    folder = server.root / "bad"
    folder.mkdir()
    for path in (server.root / "good").iterdir():
        (folder / path.name).write_bytes(edit(path.read_bytes()))


def _cached(cache):
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_downloads_once_into_the_cache(server, cache):
    first = load_dataset("mnist")
    np.testing.assert_array_equal(first.x[..., 0], server.x)
    np.testing.assert_array_equal(first.y, server.y)
    folder = cache / "ttfs-convert" / "data" / "mnist"
    assert sorted(path.name for path in folder.iterdir()) == [IMAGES, LABELS]
    assert load_dataset("mnist").sha256 == first.sha256
    assert server.asked == [f"/good/{IMAGES}", f"/good/{LABELS}"]


def test_broken_file_in_the_cache_is_replaced(server, cache):
    load_dataset("mnist")
    path = cache / "ttfs-convert" / "data" / "mnist" / IMAGES
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    np.testing.assert_array_equal(load_dataset("mnist").x[..., 0], server.x)
    assert server.asked[2:] == [f"/good/{IMAGES}"]


@pytest.mark.parametrize("edit", [lambda d: d[:-1] + b"?", lambda d: d[:-1], lambda d: d + b"?"], ids=["corrupted", "short", "long"])
def test_next_mirror_is_tried(server, cache, edit):
    _bad(server, edit)
    server.mirrors("missing", "bad", "good")
    np.testing.assert_array_equal(load_dataset("mnist").x[..., 0], server.x)
    assert server.asked == [f"/{mirror}/{file}" for file in (IMAGES, LABELS) for mirror in ("missing", "bad", "good")]
    assert _cached(cache) == [IMAGES, LABELS]


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda d: d[:-1] + b"?", "its md5 is not the one expected"),
        (lambda d: d[:-1], "{less} bytes instead of {size}"),
        (lambda d: d + bytes(10_000_000), "more than {size} bytes"),
    ],
    ids=["corrupted", "short", "long"],
)
def test_every_mirror_fails(server, cache, edit, text):
    _bad(server, edit)
    server.mirrors("bad", "missing")
    with pytest.raises(DataError) as caught:
        load_dataset("mnist")
    size = files.SOURCES["mnist"].files["test"][0].size
    message = str(caught.value)
    assert message.startswith(f"mnist: {IMAGES} is not at hand and no mirror gave it: {server.url}/bad/{IMAGES} (")
    assert f"({text.format(size=f'{size:,}', less=f'{size - 1:,}')})" in message
    assert f"{server.url}/missing/{IMAGES} (404 Client Error" in message
    assert message.endswith(f"; put {IMAGES} and {LABELS} in a folder and name it with --data-dir or $TTFS_DATA")
    assert caught.value.exit_code == 4
    assert _cached(cache) == []


def test_no_connection():
    text = r"cifar10: cifar-10-binary.tar.gz is not at hand .* http://127.0.0.1:9/cifar-10-binary.tar.gz \("
    with pytest.raises(DataError, match=text) as caught:
        load_dataset("cifar10")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("name", "first", "wanted"),
    [
        ("mnist", "train-images-idx3-ubyte.gz", "train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz"),
        ("fashion-mnist", "train-images-idx3-ubyte.gz", "train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz"),
        ("cifar10", "cifar-10-binary.tar.gz", "cifar-10-binary.tar.gz"),
        ("cifar100", "cifar-100-binary.tar.gz", "cifar-100-binary.tar.gz"),
    ],
)
def test_training_files_are_asked_for(name, first, wanted):
    with pytest.raises(DataError) as caught:
        load_dataset(name, split="train")
    assert f"{name}: {first} is not at hand and no mirror gave it: http://127.0.0.1:9/{first} (" in str(caught.value)
    assert str(caught.value).endswith(f"; put {wanted} in a folder and name it with --data-dir or $TTFS_DATA")


def test_pooch_is_silent(server, monkeypatch):
    logger, records = pooch.get_logger(), []
    handler = logging.Handler()
    handler.emit = records.append
    monkeypatch.setattr(logger, "handlers", [handler])
    logger.setLevel("INFO")
    load_dataset("mnist")
    assert records == []


def test_start_does_not_import_what_only_some_need():
    code = "import sys, ttfs_convert.data; print([name for name in ('pooch', 'PIL', 'requests') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
