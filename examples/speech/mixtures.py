"""Noisy speech made on the fly: clean utterances, varied in speed and level, and five kinds of noise at random ratios."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 16000  # Hz
HELD_OUT = 20  # every twentieth utterance is for validation
MUSIC_HELD_OUT = 15 * RATE  # samples at the end of each track, for validation


def read(folder: Path) -> list[np.ndarray]:
    """All sounds of a folder in the order of their names, each (samples,) float32."""
    sounds = []
    for path in sorted(folder.glob("*.flac")):
        sound, rate = soundfile.read(path, dtype="float32")
        if rate != RATE or sound.ndim != 1:
            raise SystemExit(f"error: {path}: {rate} Hz, shape {sound.shape}; expected {RATE} Hz, one channel")
        sounds.append(sound)
    if not sounds:
        raise SystemExit(f"error: {folder}: no .flac files")
    return sounds


class Mixtures:
    """Draws pairs (noisy, clean), each (samples,) float32, from utterances and tracks of music; everything random comes from `random`."""

    def __init__(self, utterances: list[np.ndarray], tracks: list[np.ndarray], samples: int):
        self.utterances, self.tracks, self.samples = utterances, tracks, samples

    def batch(self, count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """noisy and clean, (count, 1, samples)."""
        pairs = [self.pair(random) for _ in range(count)]
        noisy, clean = (np.stack(each)[:, None].astype(np.float32) for each in zip(*pairs))
        return noisy, clean

    def pair(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Signal to noise ratio uniform in -2.5 to 17.5 dB, level of the speech in -27 to -13 dB of full scale."""
        clean = self.speech(random)
        noise = self.NOISES[random.integers(len(self.NOISES))](self, random)
        clean = normalised(clean) * decibels(random.uniform(-27, -13))
        noise = normalised(noise - noise.mean()) * np.sqrt(np.mean(clean**2)) * decibels(-random.uniform(-2.5, 17.5))
        return clean + noise, clean

    def speech(self, random: np.random.Generator) -> np.ndarray:
        """A stretch that is not silence, of utterances behind each other, up to 15 % faster or slower."""
        speed = random.uniform(0.85, 1.15)
        while True:
            stretch = self._stretch(self.utterances, int(self.samples * speed) + 2, random)
            if np.mean(stretch**2) > 1e-4:
                return np.interp(np.arange(self.samples) * speed, np.arange(len(stretch)), stretch)

    def _stretch(self, sounds: list[np.ndarray], samples: int, random: np.random.Generator) -> np.ndarray:
        sound = sounds[random.integers(len(sounds))]
        while len(sound) < samples:
            pause = np.zeros(random.integers(1, RATE // 4), np.float32)
            sound = np.concatenate([sound, pause, sounds[random.integers(len(sounds))]])
        start = random.integers(len(sound) - samples + 1)
        return sound[start : start + samples]

    # The kinds of noise, each (samples,), of any level.

    def music(self, random: np.random.Generator) -> np.ndarray:
        return np.interp(
            np.arange(self.samples) * (speed := random.uniform(0.8, 1.25)),
            np.arange(int(self.samples * speed) + 2),
            self._stretch(self.tracks, int(self.samples * speed) + 2, random),
        )

    def babble(self, random: np.random.Generator) -> np.ndarray:
        return sum(normalised(self.speech(random)) for _ in range(random.integers(3, 9)))

    def coloured(self, random: np.random.Generator) -> np.ndarray:
        """Power falls as 1 / f^k: white to brown, 1 is pink."""
        frequency = np.arange(self.samples // 2 + 1) + 1.0
        return self._of_spectrum(frequency ** -random.uniform(0, 1), random)

    def speech_shaped(self, random: np.random.Generator) -> np.ndarray:
        """Speech's own spectrum, smoothed, without its order in time."""
        magnitude = np.abs(np.fft.rfft(self.babble(random)))
        return self._of_spectrum(np.convolve(magnitude, np.hanning(random.integers(20, 200)), "same"), random)

    def modulated(self, random: np.random.Generator) -> np.ndarray:
        """Coloured or speech-shaped noise that swells and fades 0.5 to 10 times a second."""
        noise = (self.coloured, self.speech_shaped)[random.integers(2)](random)
        time = np.arange(self.samples) / RATE
        return noise * (1 + random.uniform(0.5, 1) * np.sin(2 * np.pi * (random.uniform(0.5, 10) * time + random.uniform())))

    NOISES = (music, babble, coloured, speech_shaped, modulated)

    def _of_spectrum(self, magnitude: np.ndarray, random: np.random.Generator) -> np.ndarray:
        return np.fft.irfft(magnitude * np.exp(2j * np.pi * random.uniform(size=len(magnitude))), self.samples)


def normalised(sound: np.ndarray) -> np.ndarray:
    """Of root mean square 1; silence stays silence."""
    return sound / max(np.sqrt(np.mean(sound**2)), 1e-8)


def decibels(level: float) -> float:
    """The factor of an amplitude."""
    return 10 ** (level / 20)
