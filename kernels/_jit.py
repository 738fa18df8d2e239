"""The one decorator of all kernels: Numba's nopython mode with a disk cache that an edited helper cannot leave stale.

Numba keys its cache on the decorated function's own file: its place and date, so that every installation compiles anew, and not its helpers, so
that a change in another file of this folder would keep giving the old answer. Here the key is the content of all of them; where no cache can be
written, kernels compile anew.
"""

import contextlib
import hashlib
from pathlib import Path
from typing import ClassVar

import llvmlite
import numba
import platformdirs
from numba.core import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache


def _cache_folder() -> str | None:
    versions = f"numba {numba.__version__}, llvmlite {llvmlite.__version__}".encode()  # Numba keeps no two beside each other
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join((versions, *(source.read_bytes() for source in sources)))).hexdigest()[:16]
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

    def __init__(self, function):
        self._line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function, file):
        return cls(function)

    def get_cache_path(self) -> str:
        return _FOLDER

    def ensure_cache_path(self) -> None:
        Path(_FOLDER).mkdir(parents=True, exist_ok=True)

    def get_source_stamp(self) -> str:
        return _FOLDER

    def get_disambiguator(self) -> str:
        return str(self._line)


class _Files(CompileResultCacheImpl):
    _locator_classes: ClassVar = [_Locator]


class _Cache(FunctionCache):
    _impl_class = _Files

    def save_overload(self, signature, data) -> None:
        with contextlib.suppress(OSError):  # a full disk costs time, not the result
            super().save_overload(signature, data)


def jit(**options):
    """`numba.njit` with `options`, cached in the folder described above when it can be written."""

    def decorate(function):
        compiled = numba.njit(error_model="numpy", nogil=True, **options)(function)
        if _FOLDER is not None and not config.DISABLE_JIT:
            compiled._cache = _Cache(function)
        return compiled

    return decorate
