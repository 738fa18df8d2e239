"""Robustness sweeps: how accuracy falls as spikes, weights, thresholds and the grid get worse, one of them at a time."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .atomic import check_target, write_whole, writing
from .comparison import Comparison, numba_threads
from .datasets import Dataset
from .errors import DataError, UsageError
from .ir import Network
from .measure.plausibility import Plausibility
from .perturbation import SpikeNoise, with_threshold_mismatch, with_weight_bits, with_weight_noise
from .prediction import NoRule
from .simulate.exact import Simulator
from .store import fingerprint


@dataclass(frozen=True)
class Kind:
    """One way to get worse. values: those swept unless others are named. unit: of a value. noisy: whether repeats differ.
    prepare: (network, value, seed) -> the network as it runs, and noise on its spikes."""

    values: tuple
    unit: str
    noisy: bool
    prepare: Callable[[Network, float, tuple[int, ...]], tuple[Network, SpikeNoise | None]]


KINDS: dict[str, Kind] = {
    "jitter": Kind((0.5, 1, 2, 4), "steps, standard deviation of a spike's time", True,
                   lambda network, value, seed: (network, SpikeNoise(network, value, 0, seed))),
    "drop": Kind((0.001, 0.003, 0.01, 0.03, 0.1), "probability that a spike is lost", True,
                 lambda network, value, seed: (network, SpikeNoise(network, 0, value, seed))),
    "weight-noise": Kind((0.003, 0.01, 0.03, 0.1), "standard deviation, of a kernel's largest weight", True,
                         lambda network, value, seed: (with_weight_noise(network, value, seed), None)),
    "weight-bits": Kind((8, 7, 6, 5, 4, 3), "bits", False, lambda network, value, seed: (with_weight_bits(network, int(value)), None)),
    "threshold": Kind((0.003, 0.01, 0.03, 0.1), "standard deviation of the neurons' thresholds", True,
                      lambda network, value, seed: (with_threshold_mismatch(network, value, seed), None)),
    "steps": Kind((4, 8, 16, 32, 64, 128, 256), "steps per window", False, lambda network, value, seed: (network.with_time(int(value)), None)),
    "rounding": Kind(("nearest", "ceil"), "rule", False, lambda network, value, seed: (network.model_copy(update={"rounding": value}), None)),
}


@dataclass(frozen=True)
class Point:
    """Figures of one kind and value over its repeats. Accuracies are fractions, None without labels; spread: standard deviation of the
    sample, None of a single run."""

    kind: str  # "none": the network undisturbed
    value: float | str | None
    repeats: int
    accuracy: float | None
    accuracy_spread: float | None
    lowest: float | None
    drop_pp: float | None  # below the undisturbed network's, percentage points
    agreement: float  # with the original network's predictions
    agreement_spread: float | None


@dataclass(frozen=True)
class Sweep:
    """A whole sweep. ann_accuracy: of the original, None without labels."""

    network: str
    data: str
    samples: int
    seed: int
    ann_accuracy: float | None
    points: tuple[Point, ...]
    notes: tuple[str, ...]
    rule: str  # how labels follow from the output

    def as_json(self) -> dict:
        return {"schema_version": 1, "units": {name: kind.unit for name, kind in KINDS.items()}, **asdict(self)}


def parse(text: str) -> list[tuple[str, float | str]]:
    """Points that `text` names: "all", a kind, or a kind and its values such as "drop=0.01,0.1". Raises UsageError for others."""
    if text == "all":
        return [point for name in KINDS for point in parse(name)]
    name, given, listed = text.partition("=")
    if name not in KINDS:
        raise UsageError("--sweep", f"{name!r}", f"all, {', '.join(KINDS)}")
    if not given:
        return [(name, value) for value in KINDS[name].values]
    return [(name, _value(name, each.strip())) for each in listed.split(",")]


LIMITS = {"jitter": (0, 65535), "drop": (0, 1), "weight-noise": (0, 100), "weight-bits": (2, 24), "threshold": (0, 100), "steps": (1, 65535)}


def _value(name: str, text: str) -> float | str:
    if name == "rounding":
        if text not in KINDS[name].values:
            raise UsageError("--sweep rounding", f"{text!r}", "nearest or ceil")
        return text
    low, high = LIMITS[name]
    try:
        value = int(text) if name in ("weight-bits", "steps") else float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise UsageError(f"--sweep {name}", f"{text!r}", f"{KINDS[name].unit}, {low} to {high}")
    return value


def sweep(network: Network, data: Dataset | str, points: Iterable[tuple[str, float | str]], *, repeats: int = 3, seed: int = 0,
          log: str | Path | None = None, onnx_file: str | Path | None = None, batch: int = 64, threads: int | None = None,
          output: str | None = None, decision_threshold: float | None = None,
          progress: Callable[[int, int], None] = lambda done, of: None) -> Sweep:
    """Accuracy of `network` on `data` undisturbed and at every point, by engine `exact` with the dynamic threshold.

    points: (kind, value) as `parse` gives them. repeats: runs of noisy points, with noise of their own. seed: of all noise; equal seeds
    give equal figures. output, decision_threshold: see `comparison.Comparison`. log: file to which every finished run is added and from
    which finished ones are taken, so that a sweep that was cut off goes on. onnx_file, batch, threads: as for `evaluate`. Raises as
    `evaluate`; UsageError for jitter and drop in continuous time, which has no steps.
    """
    points = list(dict.fromkeys([("none", None), *points]))
    spiky = [kind for kind, _ in points if kind in ("jitter", "drop")]
    if network.steps is None and spiky:
        raise UsageError(f"--sweep {spiky[0]}", "continuous time", "a number of steps", "set --steps N")
    if repeats < 1:
        raise UsageError("repeats", f"{repeats}", "at least 1")
    with numba_threads(threads):
        comparison = Comparison(network, data, onnx_file, batch, threads or 0, output=output, decision_threshold=decision_threshold)
        if isinstance(comparison.rule, NoRule):
            raise comparison.rule.refusal()
        runner = _Runner(network, comparison)
        log_file = _Log(log, {"network": fingerprint(network), "data": runner.comparison.data.sha256, "samples": len(runner.comparison.data),
                              "seed": seed})
        runs = [(kind, value, repeat) for kind, value in points for repeat in range(repeats if kind in KINDS and KINDS[kind].noisy else 1)]
        found = {}
        for done, run in enumerate(runs):
            found[run] = log_file.get(run) or log_file.add(run, runner(*run, seed))
            progress(done + 1, len(runs))
    undisturbed = found["none", None, 0][0]
    return Sweep(network.name, runner.comparison.data.name, len(runner.comparison.data), seed, runner.ann_accuracy(),
                 tuple(_point(kind, value, [found[run] for run in runs if run[:2] == (kind, value)], undisturbed) for kind, value in points),
                 (*runner.comparison.data.notes, *runner.comparison.notes, *runner.suspicions()), str(comparison.rule))


def _point(kind: str, value: float | str | None, runs: Sequence[tuple[float | None, float]], undisturbed: float | None) -> Point:
    agreements = [agreement for _, agreement in runs]
    accuracies = [accuracy for accuracy, _ in runs if accuracy is not None]
    mean = statistics.fmean(accuracies) if accuracies else None
    return Point(kind, value, len(runs), mean, _spread(accuracies), min(accuracies, default=None),
                 None if mean is None else 100 * (undisturbed - mean), statistics.fmean(agreements), _spread(agreements))


def _spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


class _Runner:
    """One data set, the original's predictions on it (computed once), and runs of the network."""

    def __init__(self, network: Network, comparison: Comparison):
        self._network, self.comparison, self._ann = network, comparison, None

    def __call__(self, kind: str, value: float | str | None, repeat: int, seed: int) -> tuple[float | None, float]:
        """(accuracy or None, agreement) of one run."""
        network, noise = self._network, None
        if kind != "none":
            network, noise = KINDS[kind].prepare(network, value, (seed, list(KINDS).index(kind), repeat))
        runs = self.comparison.runs(Simulator(network, noise), lambda rows: noise and noise.start(rows.start))
        labels, truth = np.concatenate([labels for _, labels in runs]), self.comparison.truth.labels
        return None if truth is None else float((labels == truth).mean()), float((labels == self.ann()).mean())

    def ann(self) -> np.ndarray:
        if self._ann is None:
            self._ann = self.comparison.original_predictions()
        return self._ann

    def suspicions(self) -> list[str]:
        plausibility = Plausibility()
        if self.comparison.truth.labels is not None:
            plausibility.add(self.ann(), self.comparison.truth.labels)
        return plausibility.suspicions()

    def ann_accuracy(self) -> float | None:
        truth = self.comparison.truth.labels
        return None if truth is None else float((self.ann() == truth).mean())


class _Log:
    """Finished runs, one JSON object per line. Lines of other networks, data or seeds stay and are not read; a last line that was cut off
    is removed."""

    BEGIN = '{"network": "'

    def __init__(self, path: str | Path | None, setting: dict):
        self._path, self._setting = path, setting
        self._runs: dict[tuple, tuple[float | None, float]] = {}
        if path is None or not check_target(path).exists():
            return
        try:
            whole, _, cut_off = Path(path).read_text().rpartition("\n")
            for line in whole.splitlines():
                entry = json.loads(line)
                run = entry["kind"], entry["value"], entry["repeat"]
                if all(entry[key] == value for key, value in setting.items()):
                    self._runs[run] = entry["accuracy"], entry["agreement"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(str(path), f"cannot be read ({error})", "a log of an earlier sweep", "name another file") from error
        if cut_off and not cut_off.startswith(self.BEGIN[:len(cut_off)]):
            raise DataError(str(path), "cannot be read (its last line is no run of a sweep)", "a log of an earlier sweep", "name another file")
        if cut_off:
            write_whole(path, lambda file: file.write((whole + "\n" * bool(whole)).encode()))

    def get(self, run: tuple) -> tuple[float | None, float] | None:
        return self._runs.get(run)

    def add(self, run: tuple, found: tuple[float | None, float]) -> tuple[float | None, float]:
        if self._path is not None:
            entry = {**self._setting, **dict(zip(("kind", "value", "repeat"), run)), **dict(zip(("accuracy", "agreement"), found))}
            with writing(self._path), open(self._path, "a") as file:
                file.write(json.dumps(entry) + "\n")
        return found
