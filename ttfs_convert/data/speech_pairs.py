"""Recordings of noisy speech beside the clean ones: two folders of wav or flac files with equal names."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import DataError
from .sound_file import RATE, SoundFile

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

    @contextlib.contextmanager
    def opened(self, number: int) -> Iterator[tuple[SoundFile, SoundFile]]:
        """noisy, clean: the longer may be by a tenth of a second; what it has more does not count. Raises DataError for files whose lengths
        differ by more, else as `SoundFile`."""
        paths = self.pairs[number]
        with SoundFile(paths[0]) as noisy, SoundFile(paths[1]) as clean:
            if abs(noisy.samples - clean.samples) > RATE // 10:
                seconds = noisy.samples / RATE, clean.samples / RATE
                raise DataError(str(paths[0]), f"{seconds[0]:.2f} s beside {seconds[1]:.2f} s of {paths[1]}", "recordings of equal length")
            noisy.samples = clean.samples = min(noisy.samples, clean.samples)
            yield noisy, clean


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


def _sha256(pairs: Sequence[tuple[Path, Path]]) -> str:
    digest = hashlib.sha256()
    for pair in pairs:
        for path in pair:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()
