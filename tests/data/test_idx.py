"""IDX files: what is read, where from, and what is said of broken ones."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from ttfs_convert.data import idx, load_dataset
from ttfs_convert.errors import DataError, UsageError

DATA = os.environ.get("TTFS_DATA")  # the fixtures take it away
IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_reads_pixels_and_labels(tmp_path, idx_bytes, write_pair, name, gz):
    x, y, *data = idx_bytes.pair(7)
    dataset = load_dataset(name, data_dir=write_pair(tmp_path / "data", *data, gz=gz))
    assert dataset.x.dtype == np.uint8 and dataset.y.dtype == np.int64
    np.testing.assert_array_equal(dataset.x, x[..., None])
    np.testing.assert_array_equal(dataset.y, y)
    assert (dataset.name, dataset.total, dataset.image) == (name, 7, True)
    assert dataset.notes == ("7 images: not the official test set of 10,000",)


def test_limit_takes_the_first_and_keeps_the_total(tmp_path, idx_bytes, write_pair):
    x, y, *data = idx_bytes.pair(7)
    dataset = load_dataset("mnist", data_dir=write_pair(tmp_path / "data", *data), limit=3)
    np.testing.assert_array_equal(dataset.x[..., 0], x[:3])
    np.testing.assert_array_equal(dataset.y, y[:3])
    assert dataset.total == 7


@pytest.mark.parametrize(("part", "split", "count"), [("t10k", "test", 10_000), ("train", "train", 60_000)])
def test_official_count_needs_no_note(tmp_path, write_pair, idx_bytes, part, split, count):
    data = idx_bytes.images(np.zeros((count, 28, 28), np.uint8)), idx_bytes.labels(np.zeros(count))
    assert load_dataset("mnist", data_dir=write_pair(tmp_path / "data", *data, gz=False, part=part), split=split).notes == ()


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_each_split_reads_its_own_files(tmp_path, idx_bytes, write_pair, name):
    test, train = idx_bytes.pair(7), idx_bytes.pair(9, seed=1)
    folder = write_pair(write_pair(tmp_path / "data", *test[2:]), *train[2:], part="train")
    dataset = load_dataset(name, data_dir=folder, split="train")
    np.testing.assert_array_equal(dataset.x, train[0][..., None])
    np.testing.assert_array_equal(dataset.y, train[1])
    assert (dataset.name, dataset.total, dataset.image) == (f"{name} (train)", 9, True)
    assert dataset.notes == ("9 images: not the official training set of 60,000",)
    np.testing.assert_array_equal(load_dataset(name, data_dir=folder, split="test").x, test[0][..., None])


@pytest.mark.parametrize(("part", "here", "elsewhere"), [("train", "train", "test"), ("t10k", "test", "train")])
def test_one_split_needs_no_files_of_the_other(tmp_path, idx_bytes, write_pair, part, here, elsewhere):
    folder = write_pair(tmp_path / "data", *idx_bytes.pair(4)[2:], part=part)
    assert load_dataset("mnist", data_dir=folder, split=here).total == 4
    with pytest.raises(DataError, match="is not at hand"):
        load_dataset("mnist", data_dir=folder, split=elsewhere)


def test_unknown_split():
    with pytest.raises(UsageError) as caught:
        load_dataset("mnist", split="validation")
    assert str(caught.value) == "split: validation; expected test or train"


@pytest.mark.skipif(not DATA, reason="TTFS_DATA does not say where Fashion-MNIST is")
def test_fashion_mnist_itself():
    test, train = (load_dataset("fashion-mnist", data_dir=Path(DATA), split=split) for split in ("test", "train"))
    for dataset, count in ((test, 10_000), (train, 60_000)):
        assert dataset.notes == () and dataset.x.shape == (count, 28, 28, 1)
        assert np.bincount(dataset.y).tolist() == [count // 10] * 10
    assert [round(float((train.x / np.float32(255)).mean()), 4), train.y[:4].tolist()] == [0.2860, [9, 0, 0, 3]]


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_below_one(limit):
    with pytest.raises(UsageError, match=f"--limit: {limit}; expected 1 or more") as caught:
        load_dataset("mnist", limit=limit)
    assert caught.value.exit_code == 2


def test_hash_covers_pixels_labels_shape_and_type(tmp_path):
    x, y = np.arange(12, dtype=np.uint8).reshape(2, 6), np.array([0, 1])

    def digest(**arrays):
        np.savez(tmp_path / "a.npz", **arrays)
        return load_dataset(str(tmp_path / "a.npz")).sha256

    other = [
        digest(x=x, y=y[::-1]),
        digest(x=x),
        digest(x=x[:, ::-1], y=y),
        digest(x=x.reshape(2, 2, 3), y=y),
        digest(x=np.zeros((2, 4), np.uint8)),
        digest(x=np.zeros((2, 1), np.float32)),
    ]
    assert len({digest(x=x, y=y), *other}) == 7
    assert digest(x=x) == hashlib.sha256(b"|u1 (2, 6);" + x.tobytes()).hexdigest()


def test_search_order(tmp_path, idx_bytes, write_pair, monkeypatch):
    """data_dir/name, data_dir, $TTFS_DATA/name, $TTFS_DATA: each wins over those after it."""
    given, variable = tmp_path / "given", tmp_path / "variable"
    places = [given / "mnist", given, variable / "mnist", variable]
    for count, place in enumerate(places, 1):
        write_pair(place, *idx_bytes.pair(count)[2:])
    monkeypatch.setenv("TTFS_DATA", str(variable))
    for count, place in enumerate(places, 1):
        assert load_dataset("mnist", data_dir=given).total == count
        for file in place.glob("*.gz"):
            file.unlink()
    with pytest.raises(DataError, match="no mirror gave it"):
        load_dataset("mnist", data_dir=given)


def test_images_and_labels_come_from_one_folder(tmp_path, idx_bytes, write_pair):
    folder = write_pair(tmp_path / "data", *idx_bytes.pair(2)[2:])
    (folder / f"{LABELS}.gz").unlink()
    with pytest.raises(DataError, match=rf"{folder}: {IMAGES}.gz alone; expected {LABELS}.gz beside it; put all") as caught:
        load_dataset("mnist", data_dir=folder)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("variable", [True, False])
def test_missing_folder(tmp_path, monkeypatch, variable):
    missing = tmp_path / "missing"
    if variable:
        monkeypatch.setenv("TTFS_DATA", str(missing))
    with pytest.raises(DataError) as caught:
        load_dataset("mnist", data_dir=None if variable else missing)
    assert str(caught.value) == f"{'$TTFS_DATA' if variable else '--data-dir'}: no such folder: {missing}"
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize(
    ("edit", "broken", "text"),
    [
        (lambda x, y: (y, y), IMAGES, "magic number 2049; expected 2051 (IDX images); replace"),
        (lambda x, y: (x, x), LABELS, "magic number 2051; expected 2049 (IDX labels); replace"),
        (lambda x, y: (b"", y), IMAGES, "no magic number; expected 2051"),
        (lambda x, y: (x[:9], y), IMAGES, "a header of 9 bytes; expected 16; replace"),
        (lambda x, y: (x[:-1], y), IMAGES, "2,351 bytes after the header; expected 2,352 as the header claims; replace"),
        (lambda x, y: (x + b"\0", y), IMAGES, "more than 2,352 bytes after the header; expected 2,352"),
        (lambda x, y: (x, y + b"\0"), LABELS, "more than 3 bytes after the header; expected 3"),
        (lambda x, y: (x[:8] + struct.pack(">II", 14, 56) + x[16:], y), IMAGES, "claims 3 x 14 x 56; expected 1 to 1,000,000 images of 28 x 28"),
        (lambda x, y: (x[:4] + b"\xff" * 4 + x[8:], y), IMAGES, "claims 4294967295 x 28 x 28; expected 1 to 1,000,000"),
        (lambda x, y: (x, y[:4] + b"\0" * 4), LABELS, "a header that claims 0; expected 1 to 1,000,000 labels"),
        (lambda x, y: (x, y[:7] + b"\2" + y[8:-1]), LABELS, f"2 labels; expected 3 as there are images in {IMAGES}"),
        (lambda x, y: (x, y[:-1] + b"\x0a"), LABELS, "label 10; expected labels 0 to 9; replace"),
    ],
)
def test_broken_content(tmp_path, idx_bytes, write_pair, edit, broken, text, gz):
    folder = write_pair(tmp_path / "data", *edit(*idx_bytes.pair(3)[2:]), gz=gz)
    with pytest.raises(DataError) as caught:
        load_dataset("mnist", data_dir=folder)
    assert str(caught.value).startswith(str(folder / broken)) and text in str(caught.value)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    "edit",
    [lambda d: d[: len(d) // 2], lambda d: d[:-8] + bytes(4) + d[-4:], lambda d: d + b"rubbish", lambda d: d[:10] + b"\xff" * 8 + d[18:]],
    ids=["truncated", "checksum", "trailing", "deflate"],
)
def test_broken_gzip(tmp_path, idx_bytes, write_pair, edit):
    folder = write_pair(tmp_path / "data", *idx_bytes.pair(3)[2:])
    path = folder / f"{IMAGES}.gz"
    path.write_bytes(edit(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        load_dataset("mnist", data_dir=folder)
    text = str(caught.value)
    assert text.startswith(f"{path}: a file that cannot be read (")
    assert "expected an IDX file, plain or gzipped; replace the file" in text
    assert caught.value.exit_code == 4


def test_expanding_gzip_is_not_read_beyond_its_header(tmp_path, idx_bytes, write_pair):
    import tracemalloc

    _, _, images, labels = idx_bytes.pair(3)
    folder = write_pair(tmp_path / "data", images, labels)
    (folder / f"{IMAGES}.gz").write_bytes(gzip.compress(images + bytes(200_000_000), 1))
    tracemalloc.start()
    with pytest.raises(DataError, match="more than 2,352 bytes"):
        load_dataset("mnist", data_dir=folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize(("source", "found"), [("no-such", "no such data set, file or folder"), ("some.bin", "not an .npz file")])
def test_unknown_source(tmp_path, source, found):
    (tmp_path / "some.bin").write_bytes(b"\x01\xff\0")
    with pytest.raises(DataError) as caught:
        load_dataset(str(tmp_path / source))
    assert str(caught.value) == (
        f"{tmp_path / source}: {found}; expected mnist, fashion-mnist, cifar10, cifar100, or the path of an .npz or of a folder with images"
    )
    assert caught.value.exit_code == 4


def test_a_header_that_claims_much_takes_no_memory(tmp_path):
    """Plain and gzipped: nothing is allocated that the file does not hold."""
    header = struct.pack(">IIII", 2051, 1_000_000, 28, 28)
    for content in (header, gzip.compress(header)):
        (tmp_path / "images").write_bytes(content)
        tracemalloc.start()
        with pytest.raises(DataError, match="0 bytes after the header"):
            idx.read_idx(tmp_path / "images", idx.IMAGES)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4e6
