"""A network as one `.npz` file: `manifest.npy` (JSON) and one member per array, checked before anything is allocated. Arrays that repeat themselves,
such as the wiring of a gate over a whole map, are deflated, the others stored plain.

The manifest is the network with each array replaced by {"array": member, "dtype": ..., "shape": ...}. Serialisation walks the pydantic
models' fields and knows no layer kind.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeGuard

import numpy as np
from pydantic import ValidationError

from ..errors import ModelError
from ..files.atomic import write_whole
from ..files.content_kind import NETWORK, refuse_others
from ..files.mapped import let_go, mapping
from ..memory_bound import in_words, memory_bound
from .network import FORMAT_VERSION, Network
from .records import first_problem

MANIFEST = "manifest.npy"
MAX_MANIFEST = 8 << 20  # bytes; some ten thousand layers, whose description takes seconds to check
DEFLATES_TO = 1032  # bytes that a deflated one can stand for at most (RFC 1951: 258 of two bits): no member may promise more
REPEATS = 8  # times smaller, from which on an array is deflated; trained weights hardly shrink
TRIED = 1 << 16  # bytes of an array that show whether it does, and fewer are not worth it
MAPPED = ("<f4", "|u1")  # of arrays that may stay in the file
SMALLEST_MAPPED = 1 << 16  # bytes; smaller ones are read
ALIGNMENT = 64  # bytes, of arrays in the file, headers of NumPy being multiples of it
LOCAL_HEADER, ZIP64_FIELD = 30, 20  # bytes in front of a member, without its name, and what `force_zip64` adds to its extra fields
FIELD, PADDING = struct.Struct("<HH"), 0x4E50  # of an extra field: its kind and size; a kind that nobody else uses
DTYPES = ("<f4", "<i8", "|u1")
BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, struct.error)  # RuntimeError: encrypted, too deep
BROKEN_HEADER = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, tokenize.TokenError)  # NumPy parses it as a literal


def save(network: Network, path: str | Path) -> None:
    """Write `network` to `path`, whole or not at all; equal networks give equal bytes. Raises TtfsError if it cannot be written."""
    write_whole(path, archive_of(network))


def archive_of(network: Network) -> Callable[[IO[bytes]], None]:
    """What writes `network` to an open file."""
    members: dict[str, np.ndarray] = {}
    manifest = _without_arrays(network.model_dump(mode="python"), "network", members)
    text = np.frombuffer(json.dumps(manifest, sort_keys=True).encode(), np.uint8)
    if text.size > MAX_MANIFEST:
        raise ModelError(
            f"network {network.name!r}",
            f"{text.size:,} bytes to describe its layers",
            f"at most {MAX_MANIFEST:,}",
            "use fewer layers, or shorter names",
        )

    def write(file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, array in {MANIFEST: text, **members}.items():
                info = zipfile.ZipInfo(name)  # its date is fixed: equal bytes
                info.compress_type = zipfile.ZIP_DEFLATED if name != MANIFEST and _repeats(array) else zipfile.ZIP_STORED
                if array.nbytes >= SMALLEST_MAPPED:
                    info.extra = _aligned(info, file.tell())
                with archive.open(info, "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)

    return write


def _repeats(array: np.ndarray) -> bool:
    """Whether a part out of its middle shrinks much."""
    if array.nbytes < TRIED:
        return False
    flat = array.reshape(-1)
    first = (flat.size - TRIED // array.itemsize) // 2
    part = np.ascontiguousarray(flat[first : first + TRIED // array.itemsize])
    return len(zlib.compress(part.data, 1)) * REPEATS < part.nbytes


def _aligned(info: zipfile.ZipInfo, offset: int) -> bytes:
    """What makes the member that is to begin at `offset` have its array at a multiple of ALIGNMENT: an extra field of so many zeros."""
    padding = -(offset + LOCAL_HEADER + len(info.filename.encode()) + ZIP64_FIELD + FIELD.size) % ALIGNMENT
    return FIELD.pack(PADDING, padding) + bytes(padding)


def fingerprint(network: Network) -> str:
    """SHA-256 over all that `save` would write."""
    members: dict[str, np.ndarray] = {}
    manifest = _without_arrays(network.model_dump(mode="python"), "network", members)
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode())
    for array in members.values():
        digest.update(np.ascontiguousarray(array).data)
        let_go(array)
    return digest.hexdigest()


def load(path: str | Path, mapped: bool = False) -> Network:
    """Read a network. mapped: leave large arrays in the file, where the system can, and read them as they are needed: nothing may then write to the
    file itself, though it may be replaced, as `save` does. Raises ModelError when the file is not one, is newer than this program, or differs from
    its manifest."""
    where = str(path)
    refuse_others(path, NETWORK, ModelError, "a network written by ttfs-convert")
    try:
        with zipfile.ZipFile(path) as archive:
            return _network(where, archive, mapping(archive.fp) if mapped and archive.fp is not None else None)
    except BROKEN_ZIP as error:
        raise ModelError(where, f"cannot be read ({error})", "a network written by ttfs-convert", "convert the model again") from error


def _network(where: str, archive: zipfile.ZipFile, whole: mmap.mmap | None) -> Network:
    infos = {info.filename: info for info in archive.infolist()}
    if len(infos) != len(archive.infolist()) or MANIFEST not in infos:
        raise ModelError(where, f"no {MANIFEST} inside, or a member twice", "a network written by ttfs-convert")
    for info in infos.values():
        deflated = info.compress_type == zipfile.ZIP_DEFLATED and info.filename != MANIFEST
        if not deflated and (info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size):
            raise ModelError(where, f"member {info.filename} is compressed", "stored members, or deflated arrays")
        if deflated and info.file_size > DEFLATES_TO * info.compress_size:
            raise ModelError(where, f"member {info.filename} of more bytes than it can hold", "a network written by ttfs-convert")
    if archive.fp is None or sum(info.compress_size for info in infos.values()) > os.fstat(archive.fp.fileno()).st_size:
        raise ModelError(where, "members larger than the file", "a network written by ttfs-convert", "convert the model again")
    size = sum(info.file_size for info in infos.values())
    if size > memory_bound():
        raise ModelError(where, f"arrays of {in_words(size)}", f"at most {in_words(memory_bound())}", "allow more with --max-memory")
    if infos[MANIFEST].file_size > MAX_MANIFEST:
        raise ModelError(where, f"a manifest of {infos[MANIFEST].file_size} bytes", f"at most {MAX_MANIFEST}")
    manifest = json.loads(_array(where, archive, infos[MANIFEST], "|u1", None).tobytes(), parse_constant=_no_number)
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if type(version) is not int or version < 1:
        raise ModelError(where, "a manifest without format_version", "a network written by ttfs-convert")
    if version > FORMAT_VERSION:
        raise ModelError(where, f"format version {version}", f"at most {FORMAT_VERSION}", "update ttfs-convert to read this file")
    declared: dict[str, tuple[str, tuple[int, ...]]] = {}
    _declarations(where, manifest, declared)
    if set(declared) != set(infos) - {MANIFEST}:
        odd = sorted(set(declared) ^ (set(infos) - {MANIFEST}))
        raise ModelError(where, f"members {', '.join(odd[:5])} are missing or not in the manifest", "exactly the manifest's members")
    arrays = {name: _array(where, archive, infos[name], *spec, whole) for name, spec in declared.items()}
    try:
        network = Network.model_validate(_with_arrays(manifest, arrays))
        for array in arrays.values():
            let_go(array)
        return network
    except ValidationError as error:
        raise ModelError(where, first_problem(error, "network"), "a network written by ttfs-convert", "convert the model again") from error


def _no_number(name: str) -> float:
    raise ValueError(f"{name} in the manifest")


def _without_arrays(value: object, place: str, members: dict[str, np.ndarray]) -> object:
    if isinstance(value, np.ndarray):
        members[f"{place}.npy"] = value
        return {"array": f"{place}.npy", "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, dict):
        return {key: _without_arrays(item, f"{place}.{key}", members) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(item, f"{place}.{index}", members) for index, item in enumerate(value)]
    return value


def _is_array(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and set(value) == {"array", "dtype", "shape"}


def _declarations(where: str, value: object, declared: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    if _is_array(value):
        shape = value["shape"]
        sizes = isinstance(shape, list) and all(isinstance(size, int) and size >= 0 for size in shape)
        if not sizes or value["dtype"] not in DTYPES or not isinstance(value["array"], str):
            raise ModelError(where, f"an array declared as {str(value)[:200]}", f"a dtype of {', '.join(DTYPES)} and a shape")
        declared[value["array"]] = (value["dtype"], tuple(shape))
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            _declarations(where, item, declared)


def _with_arrays(value: object, arrays: dict[str, np.ndarray]) -> object:
    if _is_array(value):
        return arrays[value["array"]]
    if isinstance(value, dict):
        return {key: _with_arrays(item, arrays) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_arrays(item, arrays) for item in value]
    return value


def _array(
    where: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo, dtype: str, shape: tuple[int, ...] | None, whole: mmap.mmap | None = None
) -> np.ndarray:
    """One member, after its header has been held against the declaration and the bytes the archive has for it. whole: a map of the archive, whose
    part it may be. Indices never are: kernels rely on what was checked of them."""
    with archive.open(info) as member:
        try:
            np.lib.format.read_magic(member)
            found_shape, fortran, found_dtype = np.lib.format.read_array_header_1_0(member)
        except BROKEN_HEADER as error:
            raise ModelError(where, f"member {info.filename} has no array header ({error})") from error
        if shape is None:  # the manifest declares itself: bytes in one row
            shape = found_shape[:1]
        size = math.prod(found_shape) * found_dtype.itemsize
        if found_dtype.str != dtype or fortran or found_shape != shape or member.tell() + size != info.file_size:
            raise ModelError(
                where,
                f"member {info.filename} holds {found_dtype.str} {found_shape}, {info.file_size} bytes",
                f"{dtype} {shape} as the manifest says",
            )
        if whole is not None and dtype in MAPPED and size >= SMALLEST_MAPPED:
            array = _in_place(where, archive, info, whole, member.tell(), found_shape, dtype)
            if array is not None:
                return array
        array = np.empty(found_shape, dtype)
        # At the member's end the archive's checksum is verified. Typeshed calls it IO, which has no readinto.
        member.readinto(array.reshape(-1).view(np.uint8))  # pyright: ignore[reportAttributeAccessIssue]
    return array


def _in_place(
    where: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo, whole: mmap.mmap, header: int, shape: tuple[int, ...], dtype: str
) -> np.ndarray | None:
    """A member's array as a part of `whole`, its checksum verified; header: bytes in front of it in the member. None for one that is deflated, or
    that no kernel could read where it lies."""
    if info.compress_type != zipfile.ZIP_STORED or archive.fp is None:
        return None
    name, extra = struct.unpack("<HH", whole[info.header_offset + LOCAL_HEADER - 4 : info.header_offset + LOCAL_HEADER])
    start = info.header_offset + LOCAL_HEADER + name + extra
    first, end = start + header, start + info.file_size
    if first % ALIGNMENT or end > len(whole):
        return None
    array, checksum = np.frombuffer(whole, dtype, math.prod(shape), first), zlib.crc32(whole[start:first])
    if zlib.crc32(array.view(np.uint8).data, checksum) != info.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {info.filename!r}")
    let_go(array)
    return array.reshape(shape)
