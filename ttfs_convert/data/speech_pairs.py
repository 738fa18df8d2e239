"""Recordings of noisy speech beside the clean ones: two folders of wav or flac files with equal names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError, UsageError

if TYPE_CHECKING:
    from types import ModuleType

RATE = 16_000  # Hz, of wide-band PESQ, and of what is read
FOLDERS = (("noisy", "clean"), ("noisy_testset_wav", "clean_testset_wav"))  # the latter: VoiceBank-DEMAND, 48 kHz
ENDINGS = (".flac", ".wav")


@dataclass(frozen=True)
class SpeechPairs:
    """name: of the folder. sha256: of all its files, pair by pair. pairs: the noisy and the clean file, sorted by name. total: in the folder."""

    name: str
    sha256: str
    pairs: tuple[tuple[Path, Path], ...]
    total: int

    def __len__(self) -> int:
        return len(self.pairs)

    def first(self, count: int) -> SpeechPairs:
        """The first `count` pairs."""
        return replace(self, pairs=self.pairs[:count])

    def read(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """noisy, clean: (samples,) float32 at RATE, as long as the shorter. Raises DataError for a file that cannot be read, has several
        channels, holds numbers that are not finite, or is longer than its other by more than a tenth of a second."""
        paths = self.pairs[number]
        noisy, clean = map(_sound, paths)
        if abs(len(noisy) - len(clean)) > RATE // 10:
            raise DataError(str(paths[0]), f"{len(noisy) / RATE:.2f} s beside {len(clean) / RATE:.2f} s of {paths[1]}", "recordings of equal length")
        samples = min(len(noisy), len(clean))
        return noisy[:samples], clean[:samples]


def speech_pairs(folder: str | Path, limit: int | None = None) -> SpeechPairs:
    """Those of a folder that holds one of FOLDERS. limit: the first only. Raises DataError where there are none, or a file has no other."""
    root = Path(folder)
    found = next((tuple(root / name for name in names) for names in FOLDERS if all((root / name).is_dir() for name in names)), None)
    if found is None:
        raise DataError(str(root), "no folders noisy/ and clean/", "both, with files of equal names", "see docs/data.md")
    noisy, clean = ({path.stem: path for path in sorted(part.iterdir()) if path.suffix.lower() in ENDINGS} for part in found)
    lone = sorted(noisy.keys() ^ clean.keys())
    if lone or not noisy:
        raise DataError(str(root), f"{lone[0]!r} in one of both folders alone" if lone else "no wav or flac files", "pairs of files with equal names")
    pairs = tuple((noisy[name], clean[name]) for name in sorted(noisy))
    return SpeechPairs(root.name or str(root), _sha256(pairs), pairs[:limit], len(pairs))


def write_sound(path: Path, sound: np.ndarray) -> None:
    """sound: (samples,) float32 at RATE, as a wav of 32-bit floats."""
    soundfile().write(path, sound, RATE, subtype="FLOAT")


def soundfile() -> ModuleType:
    """Raises UsageError where it is not installed."""
    try:
        import soundfile
    except ImportError:
        raise UsageError("wav and flac files", "soundfile is not installed", remedy='pip install "ttfs-convert[speech]"') from None
    return soundfile


def _sha256(pairs: Sequence[tuple[Path, Path]]) -> str:
    digest = hashlib.sha256()
    for pair in pairs:
        for path in pair:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _sound(path: Path) -> np.ndarray:
    reader = soundfile()
    try:
        sound, rate = reader.read(path, dtype="float32", always_2d=True)
    except (OSError, reader.SoundFileError) as error:
        raise DataError(str(path), f"cannot be read ({error})", "a wav or flac file") from None
    if sound.shape[1] != 1:
        raise DataError(str(path), f"{sound.shape[1]} channels", "one")
    if not np.isfinite(sound).all():
        raise DataError(str(path), "numbers that are not finite", "samples in -1 to 1")
    return _resampled(sound[:, 0], rate)


def _resampled(sound: np.ndarray, rate: int) -> np.ndarray:
    if rate == RATE:
        return sound
    from math import gcd

    from scipy.signal import resample_poly

    common = gcd(rate, RATE)
    return resample_poly(sound, RATE // common, rate // common).astype(np.float32)
