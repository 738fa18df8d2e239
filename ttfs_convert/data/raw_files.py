"""Where the raw files of the named data sets are: folders of the user, the cache, and the mirrors the cache is filled from."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import DataError
from ..kernels.cache_folder import user_cache

SPLITS = ("test", "train")
VARIABLE = "TTFS_DATA"
TIMEOUT = 30  # seconds without a byte from a mirror


@dataclass(frozen=True)
class File:
    """A file of a data set, as its mirrors have it."""

    names: tuple[str, ...]  # paths accepted in a folder of the user, the mirrors' file name first; of several unpacked the first
    size: int  # bytes at the mirrors
    hash: str  # algorithm:hex, at the mirrors


@dataclass(frozen=True)
class Source:
    """Where the files of a data set are."""

    mirrors: tuple[str, ...]  # addresses that file names are appended to, tried in this order
    files: dict[str, tuple[File, ...]]  # by split


def _idx(name: str, size: int, digest: str) -> File:
    return File((f"{name}.gz", name), size, digest)


def _cifar(archive: str, size: int, digest: str, **unpacked: str) -> dict[str, tuple[File, ...]]:
    return {split: (File((archive, unpacked[split]), size, digest),) for split in SPLITS}


SOURCES = {
    "mnist": Source(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        {
            "test": (
                _idx("t10k-images-idx3-ubyte", 1_648_877, "md5:9fb629c4189551a2d022fa330f9573f3"),
                _idx("t10k-labels-idx1-ubyte", 4_542, "md5:ec29112dd5afa0611ce80d1b7f02629c"),
            ),
            "train": (
                _idx("train-images-idx3-ubyte", 9_912_422, "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873"),
                _idx("train-labels-idx1-ubyte", 28_881, "md5:d53e105ee54ea40749a09fcbcd1e9432"),
            ),
        },
    ),
    "fashion-mnist": Source(
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        {
            "test": (
                _idx("t10k-images-idx3-ubyte", 4_422_102, "sha256:346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
                _idx("t10k-labels-idx1-ubyte", 5_148, "sha256:67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
            ),
            "train": (
                _idx("train-images-idx3-ubyte", 26_421_880, "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
                _idx("train-labels-idx1-ubyte", 29_515, "md5:25c81989df183df01b3e8a0aad5dffbe"),
            ),
        },
    ),
    "cifar10": Source(
        ("https://www.cs.toronto.edu/~kriz/",),
        _cifar(
            "cifar-10-binary.tar.gz",
            170_052_171,
            "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            test="cifar-10-batches-bin/test_batch.bin",
            train="cifar-10-batches-bin/data_batch_1.bin",
        ),
    ),
    "cifar100": Source(
        ("https://www.cs.toronto.edu/~kriz/",),
        _cifar(
            "cifar-100-binary.tar.gz",
            168_513_733,
            "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            test="cifar-100-binary/test.bin",
            train="cifar-100-binary/train.bin",
        ),
    ),
}


def find(name: str, split: str, data_dir: Path | None) -> tuple[Path, ...]:
    """One path per file of the data set `name`, a key of SOURCES, that `split`, one of SPLITS, needs.

    Looked for in data_dir/name, data_dir, $TTFS_DATA/name and $TTFS_DATA, where files are taken as they are and all have to be in one
    folder; then in the user cache, where they are verified, and which is filled from the mirrors. Raises DataError.
    """
    for where, root in (("--data-dir", data_dir), (f"${VARIABLE}", os.environ.get(VARIABLE))):
        if not root:
            continue
        if not Path(root).is_dir():
            raise DataError(where, f"no such folder: {root}")
        for folder in (Path(root) / name, Path(root)):
            if paths := _in_folder(folder, SOURCES[name].files[split]):
                return paths
    return tuple(_download(name, split, file) for file in SOURCES[name].files[split])


def _in_folder(folder: Path, files: tuple[File, ...]) -> tuple[Path, ...]:
    """Paths of all files, none if no file is there."""
    paths = [next((folder / n for n in file.names if (folder / n).is_file()), None) for file in files]
    found, missing = [path for path in paths if path is not None], [file.names[0] for file, path in zip(files, paths) if path is None]
    if not found:
        return ()
    if missing:
        present = ", ".join(path.name for path in found)
        raise DataError(f"{folder}", f"{present} alone", f"{', '.join(missing)} beside it", "put all files there, or none")
    return tuple(found)


def cache_folder(name: str) -> Path:
    """The folder that downloads of the data set `name` are kept in. Raises DataError for a user without a home folder."""
    try:
        return user_cache() / "data" / name
    except OSError as error:
        remedy = f"put its files in a folder and name that with --data-dir or ${VARIABLE}"
        raise DataError(name, f"cannot be kept ({error})", remedy=remedy) from error


def _download(name: str, split: str, file: File) -> Path:
    """The verified file in the cache; downloaded when it is missing or broken."""
    import pooch

    pooch.get_logger().setLevel("CRITICAL")
    folder, target = cache_folder(name), file.names[0]
    failures = []
    for mirror in SOURCES[name].mirrors:
        downloader = _Download(file.size)
        try:
            # pooch's protocol for downloaders also has check_only, which `retrieve` never passes
            return Path(pooch.retrieve(mirror + target, file.hash, fname=target, path=folder, downloader=downloader))  # pyright: ignore[reportArgumentType]
        except (OSError, ValueError) as e:
            wrong_hash = downloader.complete and isinstance(e, ValueError)
            text = f"its {file.hash.partition(':')[0]} is not the one expected" if wrong_hash else " ".join(str(e).split())[:200]
            failures.append(f"{mirror + target} ({text})")
    wanted = " and ".join(entry.names[0] for entry in SOURCES[name].files[split])
    raise DataError(
        name,
        f"{target} is not at hand and no mirror gave it: {', '.join(failures)}",
        "",
        f"put {wanted} in a folder and name it with --data-dir or ${VARIABLE}",
    )


class _Download:
    """A downloader for pooch that stops at a wrong size, so that a mirror cannot fill the disk."""

    def __init__(self, size: int):
        self.size = size
        self.complete = False

    def __call__(self, url: str, output_file: str, pooch_instance: object) -> None:
        import pooch

        logging.getLogger(__name__).warning("downloading %s (%.1f MB)", url, self.size / 1e6)  # on standard error by default
        with open(output_file, "wb") as stream:
            # identity: the .gz is to arrive as it is, not decoded on the way
            fetch = pooch.HTTPDownloader(timeout=TIMEOUT, headers={"Accept-Encoding": "identity"})
            fetch(url, _Bounded(stream, self.size), pooch_instance)
        if (size := os.path.getsize(output_file)) != self.size:
            raise ValueError(f"{size:,} bytes instead of {self.size:,}")
        self.complete = True


class _Bounded:
    def __init__(self, stream: BinaryIO, size: int):
        self.stream, self.left, self.size = stream, size, size

    def write(self, chunk: bytes) -> None:
        self.left -= len(chunk)
        if self.left < 0:
            raise ValueError(f"more than {self.size:,} bytes")
        self.stream.write(chunk)

    def flush(self) -> None:
        self.stream.flush()
