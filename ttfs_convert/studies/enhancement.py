"""Speech enhancement: recordings of any length through a network and its original, each beside the clean one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..compensation.fitting_notes import fitting_notes
from ..data.sound_file import RATE, new_sound_file
from ..data.speech_pairs import SpeechPairs
from ..network.network import Network
from ..simulation.threads import numba_threads
from ..tasks.scores import Score, drift_fields, figure, figures, joined, scored
from ..tasks.speech_measures import MEASURES, NAME, Beside
from .enhancers import Enhancers
from .first_sounds import FirstSounds, Sounds
from .original import original_model

VERSIONS = ("noisy", "ann", "snn")


@dataclass(frozen=True)
class Recording:
    """One pair of the data. figures: by version and measure; NaN where it has none."""

    name: str
    seconds: float
    figures: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Enhancement:
    """What became of all recordings. scores: of both networks, by measure, as those of any task. noisy: mean figures of the recordings as they
    are, None where none has one. ann_seconds, snn_seconds: wall-clock time of either over all recordings, `seconds` of sound, without conversion.
    sounds: how the first recordings begin, if they were asked for."""

    network: str
    steps: int | None
    latency_steps: int | None
    data: SpeechPairs
    recordings: tuple[Recording, ...]
    scores: Mapping[str, Score]
    noisy: Mapping[str, float | None]
    ann_seconds: float
    snn_seconds: float
    sounds: tuple[Sounds, ...]
    fitting: tuple[str, ...]  # what makes the figures worth less: see `fitting_notes`

    @property
    def seconds(self) -> float:
        """Of sound."""
        return sum(each.seconds for each in self.recordings)

    @property
    def notes(self) -> tuple[str, ...]:
        """What makes figures worth less, and which recordings are missing from which."""
        found = list(self.fitting)
        for score in self.scores.values():
            if len(score.left_out):
                missing = ", ".join(self.recordings[number].name for number in score.left_out[:5]) + ", ..." * (len(score.left_out) > 5)
                found.append(f"{score.measure.title}: {len(score.left_out)} of {len(self.recordings)} recordings have no figure: {missing}")
        return tuple(found)

    def as_json(self) -> dict:
        """What `ttfs-run --task enhancement --json` writes, schema version 1."""
        return {
            "schema_version": 1,
            "task": NAME,
            "network": self.network,
            "steps": self.steps,
            "latency_steps": self.latency_steps,
            "data": {"name": self.data.name, "sha256": self.data.sha256, "recordings": len(self.data), "seconds": self.seconds},
            "noisy": dict(self.noisy),
            "ann": figures(self.scores, "ann"),
            "snn": figures(self.scores, "snn"),
            "drift": {key: value for score in self.scores.values() for key, value in drift_fields(score).items()},
            "timing": {"ann_seconds": self.ann_seconds, "snn_seconds": self.snn_seconds},
            "recordings": [
                {
                    "name": each.name,
                    "seconds": each.seconds,
                    **{version: {name: _finite(value) for name, value in found.items()} for version, found in each.figures.items()},
                }
                for each in self.recordings
            ],
            "notes": list(self.notes),
        }


def enhance(
    network: Network,
    data: SpeechPairs,
    *,
    onnx_file: str | Path | None = None,
    threads: int | None = None,
    enhanced: str | Path | None = None,
    sounds_of: int = 0,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Enhancement:
    """Run every noisy recording through `network`, on its own grid, and its original, and hold both beside the clean one.

    The model has one input and one output, (batch, 1, samples), and leaves the number of samples open; the network is converted again for every
    length, and a long recording is run in pieces that overlap by the receptive field (see `Enhancers`): memory does not grow with it.
    enhanced: folder for the spiking network's recordings. sounds_of: of how many recordings the result keeps the beginning. onnx_file, threads: as
    `StudyOptions`. progress: called with recordings done and recordings in all. Raises UsageError for networks of another kind, ModelError for
    one that cannot be run in pieces where one is too long, DataError for recordings that cannot be read.
    """
    if enhanced is not None:
        Path(enhanced).mkdir(parents=True, exist_ok=True)
    with numba_threads(threads):
        both = Enhancers(network, original_model(network, onnx_file), threads or 0)
        recordings, collected, sounds = [], {version: [] for version in VERSIONS}, FirstSounds(sounds_of)
        for number in range(len(data)):
            name = data.pairs[number][0].stem
            target = None if enhanced is None else Path(enhanced) / f"{name}.wav"
            with data.opened(number) as (noisy, clean), nullcontext() if target is None else new_sound_file(target) as out:
                beside = {version: Beside(clean.samples, RATE) for version in VERSIONS}
                for stretch in both(noisy):
                    wanted = clean.part(stretch.first, stretch.first + len(stretch.noisy))
                    for version, each in beside.items():
                        each.add(getattr(stretch, version), wanted)
                    sounds.add(name, stretch, wanted)
                    if out is not None:
                        out.write(stretch.snn)
                seconds = clean.samples / RATE
            found = {version: each.statistics() for version, each in beside.items()}
            for version, each in found.items():
                collected[version].append(each)
            recordings.append(Recording(name, seconds, {version: {key: float(each[key][0, 0]) for key in each} for version, each in found.items()}))
            progress(number + 1, len(data))
    ann, snn, as_is = (joined(collected[version]) for version in ("ann", "snn", "noisy"))
    return Enhancement(
        network.name,
        network.steps,
        network.latency_steps,
        data,
        tuple(recordings),
        scored(MEASURES, ann, snn),
        {measure.name: figure(measure, as_is[measure.name]) for measure in MEASURES},
        both.ann_seconds,
        both.snn_seconds,
        sounds.found(),
        tuple(fitting_notes(network, data)),
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
