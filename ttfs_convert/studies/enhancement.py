"""Speech enhancement: recordings of any length through a network and its original, each beside the clean one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from ..conversion.other_sizes import OtherSizes
from ..data.speech_pairs import RATE, SpeechPairs, write_sound
from ..errors import ModelError
from ..network.network import Network
from ..onnx_model.receptive_field import receptive_field
from ..onnx_model.reference import Reference
from ..simulation.engines import simulator
from ..simulation.head_and_tail import Ends
from ..simulation.threads import numba_threads
from ..tasks.scores import Score, drift_fields, figure, figures, joined, scored
from ..tasks.speech_measures import MEASURES, NAME, statistics
from .original import original_model
from .pieces import piece_length, pieces

UNIT = RATE // 10  # samples: recordings are filled up with silence to a multiple of it, for both networks, so that few lengths occur
LONGEST = 20 * RATE  # samples of a recording that is run whole
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
    are, None where none has one. ann_seconds, snn_seconds: wall-clock time of either over all recordings, `seconds` of sound, without conversion."""

    network: str
    steps: int | None
    latency_steps: int | None
    data: SpeechPairs
    recordings: tuple[Recording, ...]
    scores: Mapping[str, Score]
    noisy: Mapping[str, float | None]
    ann_seconds: float
    snn_seconds: float

    @property
    def seconds(self) -> float:
        """Of sound."""
        return sum(each.seconds for each in self.recordings)

    @property
    def notes(self) -> tuple[str, ...]:
        """Which recordings are missing from which figures."""
        found = []
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
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Enhancement:
    """Run every noisy recording through `network`, on its own grid, and its original, and hold both beside the clean one.

    The model has one input and one output, (batch, 1, samples), and leaves the number of samples open; the network is converted again for every
    length (see `OtherSizes`). One longer than LONGEST is run in pieces that overlap by the receptive field: its outputs are those of the whole.
    enhanced: folder for the spiking network's recordings. onnx_file, threads: as `StudyOptions`. progress: called with recordings done and
    recordings in all. Raises UsageError for networks of another kind, ModelError for one that cannot be run in pieces where one is too long,
    DataError for recordings that cannot be read.
    """
    if enhanced is not None:
        Path(enhanced).mkdir(parents=True, exist_ok=True)
    with numba_threads(threads):
        both = _Both(network, original_model(network, onnx_file), threads or 0)
        recordings, collected = [], {version: [] for version in VERSIONS}
        for number in range(len(data)):
            noisy, clean = data.read(number)
            sounds = dict(zip(VERSIONS, (noisy, *both(noisy)), strict=True))
            found = {version: statistics(sound, clean, RATE) for version, sound in sounds.items()}
            for version, each in found.items():
                collected[version].append(each)
            name = data.pairs[number][0].stem
            recordings.append(
                Recording(name, len(noisy) / RATE, {version: {key: float(each[key][0, 0]) for key in each} for version, each in found.items()})
            )
            if enhanced is not None:
                write_sound(Path(enhanced) / f"{name}.wav", sounds["snn"])
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
    )


class _Both:
    """A network and its original, of any length. ann_seconds, snn_seconds: so far."""

    def __init__(self, network: Network, model: onnx.ModelProto, threads: int):
        self._reference, self._threads = Reference(model, threads=threads), threads
        self.ann_seconds = self.snn_seconds = 0.0
        outputs = [value.name for value in model.graph.output]
        shapes = [shape for shape, _ in self._reference.inputs.values()]
        if len(shapes) != 1 or len(outputs) != 1 or len(shapes[0]) != 2 or shapes[0][0] != 1 or isinstance(shapes[0][1], int):
            raise ModelError(
                network.name, f"inputs {shapes}, outputs {outputs}", "one input and one output (batch, 1, samples), the number of samples left open"
            )
        (self._input,), (self._output,) = self._reference.inputs, outputs
        self._sizes, self._model, self._warm = OtherSizes(network, model), model, False

    def __call__(self, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The original's and the spiking network's output, both as long as `sound`, (samples,); of one longer than LONGEST in pieces."""
        if len(sound) <= LONGEST:
            return self._whole(np.pad(sound, (0, -len(sound) % UNIT)), len(sound))
        field = receptive_field(self._model)
        unit = math.lcm(UNIT, field.grain)
        filled, length = np.pad(sound, (0, -len(sound) % unit)), piece_length(LONGEST, field)
        ann, snn = np.empty_like(filled), np.empty_like(filled)
        for start, end, first, last in pieces(len(filled), length, field):
            for whole, part in zip((ann, snn), self._whole(filled[start:end], end - start), strict=True):
                whole[first:last] = part[first - start : last - start]
        return ann[: len(sound)], snn[: len(sound)]

    def _whole(self, sound: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
        """The first `wanted` samples of both outputs."""
        feeds = {self._input: sound[None, None].astype(np.float32)}
        network = self._sizes({self._input: (1, len(sound))})
        ends, simulate = Ends(network, self._threads), simulator(network)
        if not self._warm:  # kernels are compiled and laid out outside the time
            simulate(ends.entries(feeds))
            self._warm = True
        start = time.perf_counter()
        ann = self._reference(feeds)[self._output]
        between = time.perf_counter()
        snn = ends.outputs(simulate(ends.entries(feeds)), feeds)[self._output]
        self.ann_seconds += between - start
        self.snn_seconds += time.perf_counter() - between
        if ann.size < wanted:
            raise ModelError(network.name, f"an output of shape {ann.shape} for {len(sound)} samples", "as many samples as the input has")
        return ann.ravel()[:wanted], snn.ravel()[:wanted]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
