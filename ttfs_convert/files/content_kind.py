"""What a file is that was given where another kind was expected, by its content, and what to do with it."""

from __future__ import annotations

import codecs
import gzip
import struct
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import TtfsError

HEAD = 512  # bytes that tell most kinds
SHOWN = 6  # names of arrays
ONNX_BYTES = 1 << 31  # the most that a protobuf can be


@dataclass(frozen=True)
class Kind:
    """what: behind `is`. remedy: which command, option or exporter takes it; `{file}` stands for its path. detail: behind
    `what`, different from file to file."""

    what: str
    remedy: str
    detail: str = ""


WRITE_DATA = "write data with numpy.savez(path, x=samples, y=labels)"
EXPORT_KERAS = "load it in Keras 3 and export it with model.export('model.onnx', format='onnx')"

NETWORK = Kind("a spiking network", "run it with ttfs-run {file} --data DATA, or look into it with ttfs-inspect {file}")
MODEL = Kind("an ONNX model", "convert it first: ttfs-convert {file} --out SNN.npz")
DATA = Kind("an archive of arrays", "data is for --data of ttfs-run and ttfs-tune, or --calibrate of ttfs-convert")
SPIKES = Kind("a file of spike times, by ttfs-run --spikes", "open it with ttfs_convert.load_spikes or numpy.load")
PYTORCH = Kind("a PyTorch file", f"export a model with torch.onnx.export; {WRITE_DATA}")
KERAS = Kind("a Keras model", EXPORT_KERAS)
PICTURE = Kind("a picture", "put pictures into a folder with one sub-folder per class, and give that to --data")
IDX = Kind("a file in MNIST's format", "name the data set and this folder: --data mnist --data-dir FOLDER")
HTML = Kind("a page of HTML", "download the file itself, not the page that shows it")
EMPTY = Kind("empty", "make or download it again")

MAGIC = (  # (offset, bytes) -> kind; the first that fits
    (0, b"version https://git-lfs", Kind("only the pointer to a file that Git LFS keeps", "fetch the file itself with git lfs pull")),
    (0, b"\x93NUMPY", Kind("a lone NumPy array", WRITE_DATA)),
    (0, b"\x89HDF\r\n\x1a\n", Kind("an HDF5 file, such as an older Keras model", f"{EXPORT_KERAS}; {WRITE_DATA}")),
    (4, b"TFL3", Kind("a TensorFlow Lite model", "convert it with python -m tf2onnx.convert --tflite {file} --output model.onnx")),
    (4, b"ORTM", Kind("a model in ONNX Runtime's own format", "take the .onnx that it was made from")),
    (0, b"GGUF", Kind("a language model in the GGUF format", "export the network to ONNX")),
    (0, b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", PYTORCH),  # as they were before version 1.6
    (0, b"BZh", Kind("compressed with bzip2", "unpack it with bunzip2")),
    (0, b"\xfd7zXZ", Kind("compressed with xz", "unpack it with unxz")),
    (0, b"\x28\xb5\x2f\xfd", Kind("compressed with zstd", "unpack it with unzstd")),
    (257, b"ustar", Kind("a tar archive", "unpack it with tar -xf; for CIFAR's give its folder: --data cifar10 --data-dir FOLDER")),
    (0, b"\x89PNG", PICTURE),
    (0, b"\xff\xd8\xff", PICTURE),
    (0, b"GIF8", PICTURE),
    (0, b"\x00\x00\x08\x01", IDX),
    (0, b"\x00\x00\x08\x03", IDX),
    (0, b"PAR1", Kind("a Parquet table", WRITE_DATA)),
    (0, b"MATLAB 5.0", Kind("a MATLAB file", WRITE_DATA)),
)
TEXTS = (
    ("<!doctype html", HTML),
    ("<html", HTML),  # beginnings, in small letters
    ("<?xml", Kind("an XML file", "export the network to ONNX")),
    ("{", Kind("a JSON file", "name a model, a network or data: reports are not read")),
    ("", Kind("a text file", f"export the network to ONNX; {WRITE_DATA}")),
)
PICKLE = Kind("a Python pickle", f"export a model with torch.onnx.export or skl2onnx where it was made; {WRITE_DATA}")
SAFETENSORS = Kind("weights alone (safetensors)", "load them into their network and export that to ONNX")


def refuse_others(path: str | Path, wanted: Kind, error: type[TtfsError], expected: str) -> None:
    """Raise `error` if the file at `path` is known to be of another kind than `wanted`. expected: what was asked for, for the message."""
    kind = kind_of(path)
    if kind is not None and kind.what != wanted.what:
        raise error(str(path), f"is {kind.what}{kind.detail}", expected, kind.remedy.replace("{file}", str(path)))


def kind_of(path: str | Path) -> Kind | None:
    """What the file at `path` is; None where nothing tells."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
        if not head:
            return EMPTY
        if head[:2] == b"PK":
            return _of_archive(path)
        if head[:2] == b"\x1f\x8b":
            return _of_gzip(path)
        return _of_bytes(head) or _of_length(path, head) or (MODEL if _is_onnx(path) else _of_text(head))
    except OSError:
        return None


def _of_archive(path: Path) -> Kind | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, struct.error):
        return None
    bases = {name.rsplit("/", 1)[-1] for name in names}
    if "manifest.npy" in names:
        return NETWORK
    if "about.npy" in names and any(name.startswith("potentials/") for name in names):
        return SPIKES
    if {"config.json", "metadata.json"} <= bases:
        return KERAS
    if bases & {"data.pkl", "archive_format"}:
        return PYTORCH
    arrays = [name[:-4] for name in names if name.endswith(".npy")]
    if arrays:
        return replace(DATA, detail=f" ({', '.join(arrays[:SHOWN])}{', ...' * (len(arrays) > SHOWN)})")
    return Kind("a zip archive", "unpack it")


def _of_gzip(path: Path) -> Kind:
    try:
        with gzip.open(path) as file:
            inside = _of_bytes(file.read(HEAD))
    except (EOFError, gzip.BadGzipFile, zlib.error):
        inside = None
    return inside or Kind("compressed with gzip", "unpack it with gunzip")


def _of_bytes(head: bytes) -> Kind | None:
    if head[:1] == b"\x80" and head[1:2] in (b"\x03", b"\x04", b"\x05"):
        return PICKLE
    return next((kind for offset, magic, kind in MAGIC if head[offset : offset + len(magic)] == magic), PICKLE if head[:2] == b"\x80\x02" else None)


def _of_length(path: Path, head: bytes) -> Kind | None:
    """A file that begins with the length of the JSON behind it."""
    return SAFETENSORS if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size else None


def _of_text(head: bytes) -> Kind | None:
    try:
        begin = codecs.getincrementaldecoder("utf-8-sig")().decode(head).lstrip().lower()
    except UnicodeDecodeError:
        return None
    return None if "\0" in begin else next(kind for start, kind in TEXTS if begin.startswith(start))


def _is_onnx(path: Path) -> bool:
    import onnx
    from google.protobuf.message import DecodeError

    if path.stat().st_size >= ONNX_BYTES:
        return False
    try:
        model = onnx.load(str(path), format="protobuf", load_external_data=False)
    except (DecodeError, UnicodeDecodeError, ValueError):
        return False
    return bool(model.ir_version and model.graph.node)
