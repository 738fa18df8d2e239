"""The sums of a run so far, in a file, so that a run that was cut off goes on and comes to the same figures, to the last bit.

The file is an .npz of two members: `tree`, JSON in which arrays are named by dtype, shape and place, and `bytes`, their contents. It holds
numbers, texts and arrays of the records in `SUMS` alone; nothing in it is ever executed. It is written whole or not at all: a run that is killed
leaves the one before.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import DataError, UsageError
from ..files.atomic import check_target, write_whole
from ..files.npz_archive import BROKEN_ARCHIVE, npz_archive, read_member
from ..measurement.distributions import ActivationPairs, Distributions, PreActivations
from ..measurement.engine_agreement import EngineCheck
from ..measurement.first_decision import FirstDecisions
from ..measurement.label_plausibility import Plausibility
from ..measurement.layer_errors import LayerError, LayerErrors
from ..measurement.original_time import OriginalTime
from ..measurement.output_errors import OutputErrors
from ..measurement.quantised_ann import Divergence, QuantisedTally
from ..measurement.spike_timing import LayerTiming, SpikeTiming
from ..report.build import Measured
from .changed_labels import ChangedLabels, LabelledSample
from .details import Details
from .first_pictures import FirstPictures
from .tallies import Tallies

SECONDS, SHARE = 2.0, 0.02  # at least so long between two writes, and no more than so much of the time on them
FORMAT = "ttfs-run sums 2"
DTYPES = frozenset("biufU")  # kinds of arrays

SUMS: dict[type, tuple[str, ...]] = {  # what of each record grows batch by batch
    Tallies: ("done", "compared", "measured", "distributions", "pictures", "layer_errors", "ann", "snn", "plausibility", "errors", "details"),
    Measured: ("checked", "timing", "rounded", "decisions", "original_time", "snn_seconds"),
    OriginalTime: ("samples", "seconds"),
    LayerErrors: ("layers",),
    LayerError: (*("active", "sent", "images", "compared", "max_error", "sum_error", "smallest", "largest"), *("of_images", "saturated")),
    OutputErrors: (
        *("shape", "samples", "agreeing", "values", "max_error", "sum_error", "sum_square", "smallest", "largest"),
        *("ann_square", "snn_square", "targets"),
    ),
    SpikeTiming: ("layers",),
    LayerTiming: ("histogram", "neurons", "premature", "late", "missing", "at_end"),
    EngineCheck: ("neurons", "differing", "farthest"),
    FirstDecisions: ("counts",),
    Plausibility: ("predicted", "labels", "right"),
    QuantisedTally: ("_samples", "_right", "_mismatches", "_traced", "_differing", "_compared", "_labelled", "_unexplained"),
    Divergence: ("image", "layer", "neurons", "distance", "at_tie"),
    Distributions: ("potentials", "pairs", "timing"),
    PreActivations: ("histogram", "count", "below", "above", "total", "squares"),
    ActivationPairs: ("histogram",),
    FirstPictures: ("_parts", "_count"),
    Details: ("changed",),
    ChangedLabels: ("count", "samples"),
    LabelledSample: ("row", "values", "truth", "ann", "snn"),
}
NAMES = {kind.__name__: kind for kind in SUMS}


class RunLog:
    """path: None for none. about: all that the sums depend on; a file of another run is refused."""

    def __init__(self, path: str | Path | None, about: dict[str, object]):
        self._path, self._about, self._next = path, {"format": FORMAT, "version": __version__, **about}, 0.0
        self._found = None
        if path is not None and check_target(path).exists():
            self._found = _read(Path(path))
            _refuse_others(str(path), self._found[0]["about"], self._about)

    def restore(self, tallies: Tallies) -> None:
        """Put what the file holds into `tallies`, which have seen no batch yet. Raises DataError for a file that is broken, or holds sums that no
        report follows from."""
        if self._found is None:
            return
        tree, content = self._found
        try:
            _decoded(tree["sums"], content, tallies)
            tallies.evaluation()
        except Exception as error:  # whatever sums of another kind end in
            raise _broken(str(self._path), error) from error

    def keep(self, tallies: Tallies, now: bool = False) -> None:
        """Write the file, if it is time or `now`. Raises TtfsError if it cannot be written."""
        if self._path is None or (time.monotonic() < self._next and not now):
            return
        start = time.monotonic()
        parts: list[bytes] = []
        tree = {"about": self._about, "sums": _encoded(tallies, parts)}
        arrays = {"tree": np.frombuffer(json.dumps(tree).encode(), np.uint8), "bytes": np.frombuffer(b"".join(parts), np.uint8)}
        write_whole(self._path, lambda file: np.savez(file, **arrays))  # pyright: ignore[reportArgumentType] - no member is named allow_pickle
        self._next = time.monotonic() + max(SECONDS, (time.monotonic() - start) / SHARE)


def _read(path: Path) -> tuple[dict[str, Any], memoryview]:
    try:
        with npz_archive(path) as file:
            tree, content = json.loads(read_member(file, "tree").tobytes()), memoryview(read_member(file, "bytes").tobytes())
        if tree["about"]["format"] != FORMAT:
            raise ValueError(f"format {tree['about']['format']!r}")
    except (*BROKEN_ARCHIVE, KeyError, TypeError) as error:
        raise _broken(str(path), error) from error
    return tree, content


def _broken(path: str, error: Exception) -> DataError:
    return DataError(path, f"cannot be read ({error})", "what an earlier ttfs-run --resume left", "name another file")


def _refuse_others(path: str, found: dict[str, object], about: dict[str, object]) -> None:
    differing = [name for name in {**about, **found} if found.get(name) != about.get(name)]
    if differing:
        name = differing[0]
        there, here = (str(each.get(name))[:40] for each in (found, about))
        raise UsageError(f"--resume {path}", f"the sums of another run ({name} {there} there, {here} here)", "the same run", "name another file")


def _encoded(value: Any, parts: list[bytes]) -> Any:
    """JSON of `value`, whose arrays are added to `parts`."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        content = np.ascontiguousarray(value).tobytes()
        parts.append(content)
        return {"array": [value.dtype.str, list(value.shape), len(content)]}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_encoded(each, parts) for each in value]}
    if isinstance(value, dict):
        return {"counter" if isinstance(value, Counter) else "dict": [[_encoded(key, parts), _encoded(each, parts)] for key, each in value.items()]}
    return {"record": type(value).__name__, "fields": {name: _encoded(getattr(value, name), parts) for name in SUMS[type(value)]}}


def _decoded(value: Any, content: memoryview, into: Any = None) -> Any:
    """What `_encoded` made `value` of. into: the record that is there already, whose other fields stay. Arrays are taken from `content` in turn."""
    return _Decoder(content).value(value, into)


class _Decoder:
    def __init__(self, content: memoryview):
        self._content, self._at = content, 0

    def value(self, value: Any, into: Any = None) -> Any:
        if not isinstance(value, dict):
            return value
        if "record" in value:
            return self._record(value, into)
        ((kind, found),) = value.items()
        if kind == "array":
            return self._array(*found)
        if kind in ("list", "tuple"):
            return {"list": list, "tuple": tuple}[kind](map(self.value, found))
        there = into if isinstance(into, dict) else {}
        pairs = {self.value(key): self.value(each, there.get(key) if isinstance(key, (str, int)) else None) for key, each in found}
        return Counter(pairs) if kind == "counter" else pairs

    def _record(self, value: dict[str, Any], into: Any) -> Any:
        kind = NAMES[value["record"]]
        record = object.__new__(kind) if into is None else into
        if type(record) is not kind or set(value["fields"]) != set(SUMS[kind]):
            raise ValueError(f"fields of {kind.__name__}")
        for name in SUMS[kind]:
            there = getattr(record, name, None)
            found = self.value(value["fields"][name], there)
            if isinstance(there, (dict, list, *SUMS)) and type(found) is not type(there):
                raise ValueError(f"{name} of {kind.__name__}")
            object.__setattr__(record, name, found)
        return record

    def _array(self, dtype: str, shape: list[int], size: int) -> np.ndarray:
        kind = np.dtype(dtype)
        if kind.kind not in DTYPES or kind.itemsize * math.prod(shape) != size or min(shape, default=0) < 0:
            raise ValueError(f"an array of dtype {dtype}")
        self._at += size
        return np.frombuffer(self._content[self._at - size : self._at], kind).reshape(shape).copy()
