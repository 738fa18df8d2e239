"""Reads samples and labels from an .npz file, whatever their names are."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files.npz_archive import BROKEN_ARCHIVE, header_of, npz_archive, read_member
from .labels import labels_or_targets

REMEDY = "write it with numpy.savez(path, x=samples, y=labels)"
SAMPLES = ("x", "images", "image", "data", "features", "inputs", "input", "samples", "arr_0")
LABELS = ("y", "labels", "label", "targets", "target", "outputs", "output", "y_true", "ground_truth", "truth", "gt", "classes", "class", "arr_1")
PARTS = {"test": ("", "test", "val", "train"), "train": ("", "train", "val", "test")}  # of a file, in the order they are looked for
SPELLINGS = {"test": ("test", "testing", "eval"), "val": ("val", "valid", "validation", "dev"), "train": ("train", "training")}
FLOAT32_WHOLE = 2**24  # up to here float32 holds every whole number


@dataclass(frozen=True)
class Contents:
    """inputs: every array that may be a model's input, by name, all of as many samples. x_name: which of them is x, "" if the file does
    not say. names: of all arrays in the file. y, targets: see `labels_or_targets`."""

    inputs: dict[str, np.ndarray]
    x_name: str
    names: tuple[str, ...]
    y: np.ndarray | None = None
    targets: np.ndarray | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Choice:
    x: str  # "" where the names do not say
    y: str | None
    inputs: tuple[str, ...] = field(default_factory=tuple)  # other arrays of the same part
    notes: tuple[str, ...] = ()


def read(path: Path, split: str = "test") -> Contents:
    """Samples and labels: x and y, or a usual pair of other names (images and labels, x_test and y_test, ...), of which `split` chooses the
    part; or an array per input of the model. Each (n, ...): floats become float32, other numbers stay. Raises DataError, also where the
    names leave open which arrays are meant."""
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path}", "not an .npz file", "a zip archive of arrays", REMEDY)
    try:
        with npz_archive(path) as archive:
            names = tuple(dict.fromkeys(name.removesuffix(".npy") for name in archive.namelist()))
            choice = _chosen(names, path, split)
            first = choice.x or choice.inputs[0]
            arrays = {first: _samples(_array(archive, path, first), path, first)}
            samples = len(arrays[first])
            arrays |= {
                name: _samples(_array(archive, path, name), path, name)
                for name in choice.inputs
                if name != first and (not choice.x or _fits(archive, name, samples))
            }
            y = None if choice.y is None else _array(archive, path, choice.y)
    except BROKEN_ARCHIVE as e:
        raise DataError(f"{path}", f"a file that cannot be read ({e})", "a zip archive of arrays", REMEDY) from e
    sizes = {name: len(array) for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise DataError(f"{path}", f"samples per input {sizes}", "as many of each")
    if y is None or choice.y is None:
        return Contents(arrays, choice.x, names, notes=choice.notes)
    labels, targets, notes = labels_or_targets(y, f"{path}", choice.y, samples, first)
    return Contents(arrays, choice.x, names, labels, targets, (*choice.notes, *notes))


def of_arrays(x: object, y: object | None, where: str) -> Contents:
    """As `read`, of arrays at hand: samples x (n, ...), or a mapping from the model's inputs to arrays (n, ...), and labels y or None. where: what
    errors call them."""
    given = x if isinstance(x, Mapping) else {"x": x}
    if not given:
        raise DataError(where, "no samples", "an array x, or one per input of the model")
    arrays = {str(name): _samples(np.asarray(array), where, str(name)) for name, array in given.items()}
    sizes = {name: len(array) for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise DataError(where, f"samples per input {sizes}", "as many of each")
    lone = next(iter(arrays)) if len(arrays) == 1 else ""
    if y is None:
        return Contents(arrays, lone, tuple(arrays))
    labels, targets, notes = labels_or_targets(np.asarray(y), where, "y", next(iter(sizes.values())), lone or next(iter(arrays)))
    return Contents(arrays, lone, (*arrays, "y"), labels, targets, notes)


def _chosen(names: Sequence[str], path: Path, split: str) -> _Choice:
    parts: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        part, base = _part(name)
        parts.setdefault(part, []).append((base, name))
    for part in PARTS[split]:
        named = parts.get(part, [])
        x, y = (_of(named, words, names, path) for words in (SAMPLES, LABELS))
        others = tuple(name for _, name in named if name != y)
        if x is not None:
            taken = (f"samples are the array {x}, labels " + (y or "none"),) if (x, y) not in (("x", "y"), ("x", None)) else ()
            unread = [name for name in others if name != x]
            if y is None and unread:
                taken += (
                    f"labels would be called y: {', '.join(unread)} can be {'an input' if len(unread) == 1 else 'inputs'} of the model at most",
                )
            return _Choice(x, y, others, taken)
        if others and not part:  # of arrays that have no name for samples, one alone is them
            lone = others[0] if len(others) == 1 else ""
            return _Choice(lone, y, others, (f"samples are the array {lone}",) if lone else ())
    raise DataError(f"{path}", f"arrays {', '.join(names) or 'none'}", "an array x (and optionally y)", REMEDY)


def _of(named: list[tuple[str, str]], words: tuple[str, ...], names: Sequence[str], path: Path) -> str | None:
    """The one array that is called as one of `words`, of which the first goes before all others."""
    found = [name for base, name in named if base in words]
    exact = [name for name in found if name == words[0]] or [name for base, name in named if base == words[0]]
    if len(exact) == 1 or len(found) < 2:
        return (exact or found or [None])[0]
    if words is SAMPLES:
        return None  # maybe inputs of one model
    raise DataError(f"{path}", f"arrays {', '.join(names)}, of which {' and '.join(found)} may be labels", "an array x and an array y", REMEDY)


def _part(name: str) -> tuple[str, str]:
    """Which part of the data an array's name says it is of, "" for none, and the rest of the name: x_test and test_x are ("test", "x")."""
    lower = name.lower()
    for part, spellings in SPELLINGS.items():
        for spelling in sorted(spellings, key=len, reverse=True):
            for rest in ((lower.removeprefix(spelling),) if lower.startswith(spelling) else ()) + (
                (lower.removesuffix(spelling),) if lower.endswith(spelling) else ()
            ):
                if (base := rest.strip("_-. ")) in SAMPLES + LABELS:
                    return part, base
    return "", lower


def _fits(archive: zipfile.ZipFile, name: str, samples: int) -> bool:
    """Whether an array beside x may be another input, by its header alone."""
    try:
        header = header_of(archive, name)
    except ValueError:
        return False
    return header.dtype.kind in "biuf" and len(header.shape) > 0 and header.shape[0] == samples and 0 not in header.shape


def _array(archive: zipfile.ZipFile, path: Path, name: str) -> np.ndarray:
    if f"{name}.npy" not in archive.namelist():
        raise DataError(f"{path}", f"{name} that is not a .npy array", "an array of numbers", REMEDY)
    try:
        return read_member(archive, name)
    except ValueError as e:
        raise DataError(f"{path}", f"array {name} that holds objects or is broken ({e})", "an array of numbers", REMEDY) from e


def _samples(x: np.ndarray, path: str | Path, name: str) -> np.ndarray:
    if x.ndim < 1 or x.size == 0:
        raise DataError(f"{path}", f"{name} of shape {x.shape}", "one or more samples along the first axis and their values along others")
    if x.dtype.kind in "biu":
        return x
    if x.dtype.kind != "f":
        raise DataError(f"{path}", f"{name} of type {x.dtype}", "integers, booleans or floats", f"convert {name}")
    with np.errstate(over="ignore"):
        single = x.astype(np.float32, copy=False)
    lowest, highest = single.min(), single.max()
    if not np.isfinite([lowest, highest]).all():
        raise DataError(f"{path}", f"{name} with values that are not finite in float32", "finite values", "scale, mend or leave out the samples")
    return x if x.itemsize > 4 and max(-lowest, highest) >= FLOAT32_WHOLE else single
