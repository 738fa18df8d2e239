"""The one decorator of all kernels: Numba's nopython mode with a disk cache that an edited helper cannot leave stale.

Numba keys its cache on the decorated function's own file, so a change in another file of this folder would keep giving the old
answer. Here the cache lives in a folder named after the hash of all of them; where none can be written, kernels compile anew.
"""

import hashlib
from pathlib import Path

import numba
import platformdirs
from numba.core import config


def _cache_folder() -> str | None:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
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


def jit(**options):
    """`numba.njit` with `options`, cached in the folder described above when it can be written."""

    def decorate(function):
        before = config.CACHE_DIR
        config.CACHE_DIR = _FOLDER or before
        try:
            return numba.njit(cache=_FOLDER is not None, error_model="numpy", nogil=True, **options)(function)
        finally:
            config.CACHE_DIR = before

    return decorate
