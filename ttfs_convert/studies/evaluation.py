"""Run a network and its original side by side over a data set and measure the difference."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.given import GivenData
from ..errors import UsageError
from ..measurement.cost_table import cost_tables
from ..network.network import Network
from ..network.store import fingerprint
from ..simulation.engines import simulator
from ..simulation.spike_file import SpikeWriter
from ..simulation.threads import numba_threads
from ..tasks.drop_limit import DropLimit
from .comparison import Comparison
from .details import details_of
from .original_runs import ComparedLayers, OriginalRuns
from .run_log import RunLog
from .setting import Setting, StudyOptions, setting_of
from .tallies import Asked, Evaluation, Tallies
from .verification import samples_to_verify, verified

if TYPE_CHECKING:
    from typing_extensions import Unpack


def evaluate(
    network: Network | str | Path,
    data: GivenData,
    *,
    engine: str = "exact",
    threshold: str = "dynamic",
    histogram: bool = False,
    quantised: bool = False,
    distributions: bool = False,
    details: bool = False,
    layers: ComparedLayers = "all",
    spikes: str | Path | None = None,
    limits: Sequence[DropLimit] = (),
    costs: Sequence[str | Path] = (),
    verify: int | None = None,
    log: str | Path | None = None,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] = lambda done, of: None,
    **options: Unpack[StudyOptions],
) -> Evaluation:
    """Compare a spiking network on `data` with its original under ONNX Runtime.

    network: or the path of its .npz.
    data: a name or a path, as for `load_dataset`; samples x, or a mapping from the model's inputs to arrays; a pair (x, y) with labels; or a
        `Dataset`.
    engine: `exact`, `clock`, or `event`, which runs the network in continuous time; the last two are also held against the closed form, layer
        by layer.
    threshold: `dynamic` or, with the last two, `fixed`: 1 at all times.
    histogram: count spikes over time; a fixed threshold always does.
    quantised: also run the original rounded to the network's levels, see `measurement.quantised_ann`.
    distributions: count pre-activations, activations and spike times per layer, see `measurement.distributions`.
    details: also keep what a page shows of single samples, see `details`: spike times, distributions of some, labels that changed.
    layers: hold every layer against the original on `all` samples, on a `sample` (one batch in 16), or on `none`, which is faster.
    spikes: file for all spike times, which `load_spikes` reads.
    limits: refuse tasks that lack the measures of these, before anything is run.
    verify: hold engine `exact` against `clock`, or in continuous time `event`, on so many samples; 0: on none; None: on 16, or a 64th of them where
        that is less.
    costs: files of cost tables beside those that come with the package, see `measurement.cost_table`.
    log: file in which the sums of finished batches are kept now and then, and from which a run that was cut off goes on, see `run_log`.
    stopped: asked after every batch; where it says so the run ends, and the report is of what was run.
    progress: called with samples done and samples in all.
    options: see `StudyOptions`.

    Raises ModelError for a model that does not fit, DataError for data that does not, UsageError for options.
    """
    asked = Asked(engine, threshold, histogram, quantised, distributions, layers, cost_tables(costs))
    if log is not None and spikes is not None:
        raise UsageError("--resume", "given with --spikes", "one of them: spike times of batches that were run before are not kept")
    setting = setting_of(network, data, options)
    if engine == "event":
        setting = dataclasses.replace(setting, network=setting.network.with_steps(None))
    with numba_threads(setting.threads):
        comparison = setting.comparison(limits=limits)
        simulate = simulator(setting.network, engine, threshold)
        about = {"engine": engine, "threshold": threshold, "data": comparison.data.name, "data_sha256": comparison.data.sha256}
        kept = RunLog(log, _about(setting, comparison, asked, details))
        with contextlib.ExitStack() as stack:
            writer = None if spikes is None else stack.enter_context(SpikeWriter(spikes, setting.network, about))
            start = time.perf_counter()
            simulate(comparison.ends.entries(comparison.inputs(slice(0, 1))))
            compile_seconds = time.perf_counter() - start
            originals = OriginalRuns(comparison, [layer.tensor for layer in setting.network.layers if layer.tensor], layers)
            found = details_of(setting.network, comparison, simulate, originals.tapped) if details else None
            tallies = Tallies(setting.network, comparison, asked, writer, found)
            tallies.measured.compile_seconds = compile_seconds
            kept.restore(tallies)
            originals.time_alone(tallies.measured.original_time)
            for run in comparison.runs(simulate, first=tallies.done):
                tallies.add(run, originals(run.rows, run.x, tallies.measured.original_time))
                progress(tallies.done, len(comparison.data))
                if stopped():
                    break
                kept.keep(tallies)
            kept.keep(tallies, now=True)
            samples = samples_to_verify(verify, len(comparison.data))
            if engine == "exact" and samples > 0 and tallies.done == len(comparison.data):
                tallies.measured.checked = verified(setting.network, comparison, samples)
            return tallies.evaluation()


def _about(setting: Setting, comparison: Comparison, asked: Asked, details: bool) -> dict[str, object]:
    """All that the sums of a run depend on."""
    return {
        "network": fingerprint(setting.network),
        "data": comparison.data.sha256,
        "samples": len(comparison.data),
        "batch": setting.batch,
        **{name: getattr(asked, name) for name in ("engine", "threshold", "histogram", "quantised", "layers")},
        "plot": asked.distributions,
        "html": details,
        "output": comparison.output,
        "rule": str(comparison.rule),
        "task": f"{comparison.choice.name}: {comparison.task.about}" if comparison.task is not None else None,
    }
