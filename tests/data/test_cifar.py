"""CIFAR's binary form: archive and unpacked, and what is said of broken ones."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from ttfs_convert.data import cifar, load_dataset
from ttfs_convert.errors import DataError

ARCHIVES = {
    "cifar10": ("cifar-10-binary.tar.gz", "cifar-10-batches-bin/test_batch.bin"),
    "cifar100": ("cifar-100-binary.tar.gz", "cifar-100-binary/test.bin"),
}


def _records(name):
    """Records of a test file (10000, bytes) uint8; pixels depend on image, channel, row and column."""
    classes = (10,) if name == "cifar10" else (20, 100)
    labels = np.stack([(np.arange(10_000) * (7 + index)) % count for index, count in enumerate(classes)], axis=1)
    image, pixel = np.arange(10_000, dtype=np.uint32)[:, None], np.arange(3072, dtype=np.uint32)[None]
    return np.concatenate([labels.astype(np.uint8), (image * 31 + pixel * 7 + pixel // 1024 * 5).astype(np.uint8)], axis=1)


def _archive(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for member, data in members:
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def _check(dataset, name, records):
    labels = 1 if name == "cifar10" else 2
    assert dataset.x.shape == (10_000, 32, 32, 3) and dataset.x.dtype == np.uint8 and dataset.y.dtype == np.int64
    for n, h, w, c in ((0, 0, 0, 0), (1, 0, 0, 1), (9_999, 31, 30, 2), (77, 5, 19, 0)):
        assert dataset.x[n, h, w, c] == records[n, labels + c * 1024 + h * 32 + w]
    np.testing.assert_array_equal(dataset.y, records[:, labels - 1])
    assert (dataset.name, dataset.total, dataset.notes, dataset.image) == (name, 10_000, (), True)


@pytest.mark.parametrize("name", ARCHIVES)
def test_archive_is_read_in_memory(tmp_path, name):
    file, member = ARCHIVES[name]
    folder, records = member.split("/")[0], _records(name)
    path = _archive(tmp_path / "data" / file, [(f"{folder}/readme.html", b"text"), ("../evil", b"x"), (member, records.tobytes())])
    before = sorted(tmp_path.rglob("*"))
    _check(load_dataset(name, data_dir=path.parent), name, records)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ARCHIVES)
def test_unpacked_file(tmp_path, name):
    path = tmp_path / name / ARCHIVES[name][1]
    path.parent.mkdir(parents=True)
    records = _records(name)
    path.write_bytes(records.tobytes())
    _check(load_dataset(name, data_dir=tmp_path), name, records)
    path.write_bytes(records.tobytes()[:-1])
    size = records.size
    with pytest.raises(DataError) as caught:
        load_dataset(name, data_dir=tmp_path)
    assert f"{path}: {size - 1:,} bytes in {ARCHIVES[name][1]}; expected {size:,}; replace the file" in str(caught.value)
    assert caught.value.exit_code == 4


TRAINING = {"cifar10": [f"cifar-10-batches-bin/data_batch_{index}.bin" for index in range(1, 6)], "cifar100": ["cifar-100-binary/train.bin"]}


@pytest.fixture
def hundredth(monkeypatch):
    """The formats with a hundredth of the images."""
    for name, layout in cifar.FORMATS.items():
        members = {split: {member: count // 100 for member, count in counts.items()} for split, counts in layout.members.items()}
        monkeypatch.setitem(cifar.FORMATS, name, replace(layout, members=members))


def _training_parts(name):
    """Member -> records; 500 in all."""
    return dict(zip(TRAINING[name], np.split(_records(name)[:500], len(TRAINING[name]))))


def _check_training(dataset, name, parts):
    records, labels = np.concatenate(list(parts.values())), 1 if name == "cifar10" else 2
    np.testing.assert_array_equal(dataset.x, records[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(dataset.y, records[:, labels - 1])
    assert (dataset.name, dataset.total, dataset.notes, dataset.image) == (f"{name} (train)", 500, (), True)


@pytest.mark.parametrize("name", ARCHIVES)
def test_50_000_training_images(name):
    assert sum(cifar.FORMATS[name].members["train"].values()) == 50_000


@pytest.mark.usefixtures("hundredth")
@pytest.mark.parametrize("name", ARCHIVES)
def test_training_images_from_the_archive(tmp_path, name):
    """In their own order, whatever that of the archive; the test file beside them is not read."""
    file, member = ARCHIVES[name]
    parts = _training_parts(name)
    members = [(member, b"broken"), *((part, records.tobytes()) for part, records in reversed(parts.items()))]
    _archive(tmp_path / file, members)
    _check_training(load_dataset(name, data_dir=tmp_path, split="train"), name, parts)


@pytest.mark.usefixtures("hundredth")
@pytest.mark.parametrize("name", ARCHIVES)
def test_training_images_unpacked(tmp_path, name):
    parts = _training_parts(name)
    for part, records in parts.items():
        path = tmp_path / part
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(records.tobytes())
    _check_training(load_dataset(name, data_dir=tmp_path, split="train"), name, parts)
    with pytest.raises(DataError, match="is not at hand"):
        load_dataset(name, data_dir=tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError) as caught:
        load_dataset(name, data_dir=tmp_path, split="train")
    size = records.size
    assert str(caught.value).startswith(f"{path}: {size - 1:,} bytes in {part}; expected {size:,}; replace the file")
    if name == "cifar10":
        path.unlink()
        with pytest.raises(DataError) as caught:
            load_dataset(name, data_dir=tmp_path, split="train")
        assert str(caught.value).startswith(f"{path}: a file that cannot be read (")


@pytest.mark.usefixtures("hundredth")
def test_training_member_that_is_missing(tmp_path):
    path = _archive(tmp_path / "cifar-10-binary.tar.gz", [(part, bytes(307_300)) for part in TRAINING["cifar10"][:3]])
    with pytest.raises(DataError) as caught:
        load_dataset("cifar10", data_dir=tmp_path, split="train")
    assert str(caught.value).startswith(
        f"{path}: an archive without cifar-10-batches-bin/data_batch_4.bin, cifar-10-batches-bin/data_batch_5.bin; expected CIFAR's binary form"
    )


@pytest.mark.parametrize(
    ("name", "column", "value", "text"),
    [
        ("cifar10", 0, 10, "label 10; expected 0 to 9; replace"),
        ("cifar100", 0, 20, "coarse label 20; expected 0 to 19; replace"),
        ("cifar100", 1, 100, "fine label 100; expected 0 to 99; replace"),
    ],
)
def test_label_range(tmp_path, name, column, value, text):
    path = tmp_path / ARCHIVES[name][1]
    path.parent.mkdir(parents=True)
    records = _records(name)
    records[5_000, column] = value
    path.write_bytes(records.tobytes())
    with pytest.raises(DataError) as caught:
        load_dataset(name, data_dir=tmp_path)
    assert str(caught.value).startswith(f"{path}: {text}") and caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("members", "text"),
    [
        (
            [("cifar-10-batches-py/test_batch", b"x")],
            "an archive without cifar-10-batches-bin/test_batch.bin; expected CIFAR's binary form, not the Python",
        ),
        ([("cifar-10-batches-bin/test_batch.bin", bytes(3073))], "3,073 bytes in cifar-10-batches-bin/test_batch.bin; expected 30,730,000; replace"),
        (
            [("cifar-10-batches-bin/test_batch.bin", bytes(30_730_001))],
            "30,730,001 bytes in cifar-10-batches-bin/test_batch.bin; expected 30,730,000",
        ),
    ],
)
def test_wrong_member(tmp_path, members, text):
    path = _archive(tmp_path / "cifar-10-binary.tar.gz", members)
    with pytest.raises(DataError) as caught:
        load_dataset("cifar10", data_dir=tmp_path)
    assert str(caught.value).startswith(f"{path}: {text}") and caught.value.exit_code == 4


def test_link_in_the_place_of_the_member(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(30_730_000))
    path = tmp_path / "data" / "cifar-10-binary.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        info.type, info.linkname = tarfile.SYMTYPE, str(secret)
        archive.addfile(info)
    with pytest.raises(DataError, match="an archive without"):
        load_dataset("cifar10", data_dir=path.parent)


def test_archive_that_claims_too_much_is_not_searched(tmp_path):
    header = tarfile.TarInfo("huge")
    header.size = 2**40
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    with pytest.raises(DataError, match="an archive without"):
        load_dataset("cifar10", data_dir=tmp_path)


@pytest.mark.parametrize("edit", [lambda d: d[: len(d) // 2], lambda d: b"text", lambda d: b""], ids=["truncated", "text", "empty"])
def test_broken_archive(tmp_path, edit):
    path = _archive(tmp_path / "cifar-10-binary.tar.gz", [("cifar-10-batches-bin/test_batch.bin", _records("cifar10").tobytes())])
    path.write_bytes(edit(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        load_dataset("cifar10", data_dir=tmp_path)
    text = str(caught.value)
    assert text.startswith(f"{path}: an archive that cannot be read (")
    assert "expected a .tar.gz of CIFAR's binary form; replace the file" in text
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("kind", (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME))
def test_a_header_that_claims_a_long_name_takes_no_memory(tmp_path, kind):
    info = tarfile.TarInfo("name")
    info.type, info.size = kind, 1 << 28
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf() + bytes(1 << 20)))
    tracemalloc.start()
    with pytest.raises(DataError, match="an archive that cannot be read"):
        cifar.read(path, "cifar10", "test")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6
