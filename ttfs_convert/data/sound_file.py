"""Sound in wav and flac files, read and written a part at a time, at one rate."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from math import ceil, gcd
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, UsageError
from ..files.atomic import whole_file

if TYPE_CHECKING:
    from types import ModuleType

RATE = 16_000  # Hz, of wide-band PESQ, and of what is read
REACH = 10  # SciPy's filter for resampling by up / down ends so many samples of the lower rate on either side


class SoundFile:
    """A file of one channel. samples: at RATE, which is that of all that is read; files of other rates are resampled on the way
    (`scipy.signal.resample_poly`). Raises DataError for a file that cannot be read or has several channels."""

    def __init__(self, path: Path):
        self.path, self._library = path, soundfile()
        try:
            self._file = self._library.SoundFile(path)
        except (OSError, self._library.SoundFileError) as error:
            raise self._unreadable(error) from None
        if self._file.channels != 1:
            self._file.close()
            raise DataError(str(path), f"{self._file.channels} channels", "one")
        common = gcd(self._file.samplerate, RATE)
        self._up, self._down = RATE // common, self._file.samplerate // common
        self.samples = ceil(self._file.frames * self._up / self._down)

    def part(self, first: int, last: int) -> np.ndarray:
        """The samples `first` to `last`, (last - first,) float32: those of the whole file. Raises DataError for a file that ends before it says so,
        or holds numbers that are not finite."""
        if self._up == self._down:
            return self._frames(first, last)
        from scipy.signal import resample_poly

        beside = REACH * max(self._up, self._down)  # samples at RATE, all multiples of `up`: what is cut off meets the grid of both rates
        start = max(0, (first - beside) // self._up * self._up)
        end = min(self.samples, ceil((last + beside) / self._up) * self._up)
        frames = self._frames(start // self._up * self._down, min(self._file.frames, ceil(end / self._up) * self._down))
        return resample_poly(frames, self._up, self._down)[first - start : last - start].astype(np.float32)

    def _frames(self, first: int, last: int) -> np.ndarray:
        try:
            self._file.seek(first)
            found = self._file.read(last - first, dtype="float32")
        except (OSError, self._library.SoundFileError) as error:
            raise self._unreadable(error) from None
        if len(found) != last - first:
            raise DataError(str(self.path), f"an end after {first + len(found)} of {self._file.frames} samples", "a whole file")
        if not np.isfinite(found).all():
            raise DataError(str(self.path), "numbers that are not finite", "samples in -1 to 1")
        return found

    def _unreadable(self, error: Exception) -> DataError:
        return DataError(str(self.path), f"cannot be read ({error})", "a wav or flac file")

    def __enter__(self) -> SoundFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


@contextlib.contextmanager
def new_sound_file(path: Path) -> Iterator[Any]:
    """A file to write float32 samples at RATE to, as a wav of 32-bit floats: `.write(samples)`; at its path, whole, when it is left without an error.
    Raises as `whole_file`."""
    with whole_file(path) as file, soundfile().SoundFile(file, "w", RATE, 1, format="WAV", subtype="FLOAT") as sound:
        yield sound


def soundfile() -> ModuleType:
    """Raises UsageError where it is not installed."""
    try:
        import soundfile
    except ImportError:
        raise UsageError("wav and flac files", "soundfile is not installed", remedy='pip install "ttfs-convert[speech]"') from None
    return soundfile
