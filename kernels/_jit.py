"""The one decorator of all kernels: Numba's nopython mode with a disk cache that an edited helper cannot leave stale.

Numba keys its cache on the decorated function's own file: its place and date, so that every installation compiles anew, and not its helpers, so
that a change in another file of this folder would keep giving the old answer. Here the key is the content of all of them; where no cache can be
written, kernels compile anew, which is said once. Several processes may fill it at the same time, and be killed meanwhile.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import llvmlite
import numba
from numba import extending
from numba.core import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache

from .cache_folder import user_cache

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

JIT_OFF = bool(config.DISABLE_JIT)  # pyright: ignore[reportAttributeAccessIssue] - set as the environment is read
BOUNDS_CHECKED = bool(config.BOUNDSCHECK)  # pyright: ignore[reportAttributeAccessIssue] - NUMBA_BOUNDSCHECK=1: an index outside its array is an error

Function = TypeVar("Function", bound=Callable)


_UNSAID: list[str] = ["kernels cannot be kept (%s): every run compiles them anew, which takes some 20 seconds"]


def _say_unkept(why: object) -> None:
    """Once, on standard error by default."""
    if _UNSAID:
        logging.getLogger(__name__).warning(_UNSAID.pop(), why)


def _cache_folder() -> str:
    """Which has been written to. Raises OSError where there is none."""
    how = f"numba {numba.__version__}, llvmlite {llvmlite.__version__}, bounds {BOUNDS_CHECKED}"  # Numba keeps no two beside each other
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join((how.encode(), *(source.read_bytes() for source in sources)))).hexdigest()[:16]
    folder = user_cache() / "kernels" / digest
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"written")
    return str(folder)


_FOLDER, _WHY = None, ""
try:
    _FOLDER = _cache_folder()
except OSError as problem:
    _WHY = str(problem)


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

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # cut off by a power failure: whatever pickle and LLVM make of that, it is compiled and written again
            return None

    def save_overload(self, sig, data) -> None:
        try:
            with _locked(Path(self.cache_path)):
                try:
                    super().save_overload(sig, data)
                except OSError:
                    raise
                except Exception:  # an index that was cut off
                    self.flush()
                    super().save_overload(sig, data)
        except OSError as error:  # a full disk costs time, not the result
            _say_unkept(error)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Inside, no other process writes there: Numba reads an index, chooses a file for the code, and writes both. Removes what killed ones left of
    that, but on systems and disks without such locks."""
    with open(folder / "lock", "ab") as file:
        try:
            if fcntl is None:
                raise OSError
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            pass
        else:
            for left in folder.glob("*.tmp.*"):
                left.unlink(missing_ok=True)
        yield


class _Unkept(NullCache):
    """Keeps nothing, and says so as the first kernel is compiled."""

    def load_overload(self, sig, target_context) -> None:
        _say_unkept(_WHY)


def jit(**options: Any) -> Callable[[Function], Function]:
    """`numba.njit` with `options`, cached in the folder described above when it can be written."""

    def decorate(function: Function) -> Function:
        compiled = numba.njit(error_model="numpy", nogil=True, **options)(function)
        if not JIT_OFF:
            cache = _Unkept() if _FOLDER is None else _Cache(function)
            compiled._cache = cache  # pyright: ignore[reportAttributeAccessIssue] - as njit(cache=True) does
        return compiled  # pyright: ignore[reportReturnType] - a dispatcher, called as the function is

    return decorate


def intrinsic(function: Callable[..., tuple[Any, Callable]]) -> Callable[..., Any]:
    """`numba.extending.intrinsic`, typed as compiled code calls it: without the typing context."""
    return extending.intrinsic(function)
