"""The one decorator of all kernels: Numba's nopython mode with a disk cache that an edited helper cannot leave stale.

Numba keys its cache on the decorated function's own file: its place and date, so that every installation compiles anew, and not its helpers, so
that a change in another file of this folder would keep giving the old answer. Here the key is the content of all of them; where no cache can be
written, kernels compile anew.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import llvmlite
import numba
import platformdirs
from numba import extending
from numba.core import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache

JIT_OFF = bool(config.DISABLE_JIT)  # pyright: ignore[reportAttributeAccessIssue] - set as the environment is read
BOUNDS_CHECKED = bool(config.BOUNDSCHECK)  # pyright: ignore[reportAttributeAccessIssue] - NUMBA_BOUNDSCHECK=1: an index outside its array is an error

Function = TypeVar("Function", bound=Callable)


def _cache_folder() -> str | None:
    how = f"numba {numba.__version__}, llvmlite {llvmlite.__version__}, bounds {BOUNDS_CHECKED}"  # Numba keeps no two beside each other
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join((how.encode(), *(source.read_bytes() for source in sources)))).hexdigest()[:16]
    folder = Path(platformdirs.user_cache_dir("ttfs-convert")) / "kernels" / digest
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / "writable"
        probe.touch()
        probe.unlink()
    except OSError:
        return None
    return str(folder)


_FOLDER = _cache_folder()


class _Locator:
    """Tells Numba where a function's compiled code is, and what its source is known by: all in one folder, whose name says it."""

    def __init__(self, function, folder: str):
        self._line, self._folder = function.__code__.co_firstlineno, folder

    @classmethod
    def from_function(cls, function, file):
        return None if _FOLDER is None else cls(function, _FOLDER)

    def get_cache_path(self) -> str:
        return self._folder

    def ensure_cache_path(self) -> None:
        Path(self._folder).mkdir(parents=True, exist_ok=True)

    def get_source_stamp(self) -> str:
        return self._folder

    def get_disambiguator(self) -> str:
        return str(self._line)


class _Files(CompileResultCacheImpl):
    _locator_classes: ClassVar = [_Locator]


class _Cache(FunctionCache):
    _impl_class = _Files

    def save_overload(self, sig, data) -> None:
        with contextlib.suppress(OSError):  # a full disk costs time, not the result
            super().save_overload(sig, data)


def jit(**options: Any) -> Callable[[Function], Function]:
    """`numba.njit` with `options`, cached in the folder described above when it can be written."""

    def decorate(function: Function) -> Function:
        compiled = numba.njit(error_model="numpy", nogil=True, **options)(function)
        if _FOLDER is not None and not JIT_OFF:
            compiled._cache = _Cache(function)  # pyright: ignore[reportAttributeAccessIssue] - as njit(cache=True) does
        return compiled  # pyright: ignore[reportReturnType] - a dispatcher, called as the function is

    return decorate


def intrinsic(function: Callable[..., tuple[Any, Callable]]) -> Callable[..., Any]:
    """`numba.extending.intrinsic`, typed as compiled code calls it: without the typing context."""
    return extending.intrinsic(function)
