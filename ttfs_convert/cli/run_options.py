"""The options of `ttfs-run`, together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .gate_options import GateOptions
from .output_files import check_outputs

if TYPE_CHECKING:
    from ..studies.original_runs import ComparedLayers
    from ..studies.setting import StudyOptions


CALLED = {"spike_file": "spikes", "folder": "plot", "sweeps": "sweep", "log": "resume", "rate_steps": "rate-coded"}


def option_of(field: str) -> str:
    """What the option of a field of `Options` or `GateOptions` is called, without dashes in front."""
    return CALLED.get(field, field.removesuffix("_file")).replace("_", "-")


class Options(NamedTuple):
    """The command's, by the names that click gives them."""

    network: str
    data: str
    data_dir: str | None
    limit: int | None
    skip_broken: bool
    batch: int | None
    steps: int | None
    input_steps: int | None
    rounding: str | None
    engine: str
    threshold: str
    verify: int | None
    layers: ComparedLayers
    histogram: bool
    quantised: bool
    spike_file: str | None
    folder: str | None
    no_titles: bool
    costs: tuple[str, ...]
    rate_steps: int | None
    sweeps: tuple[str, ...]
    repeats: int | None
    seed: int | None
    log: str | None
    task: str | None
    enhanced: str | None
    output: str | None
    decision_threshold: float | None
    onnx_file: str | None
    json_file: str | None
    html_file: str | None
    threads: int | None
    no_sandbox: bool
    gating: GateOptions

    @property
    def of_study(self) -> StudyOptions:
        """Those that evaluations and sweeps share."""
        return {
            "onnx_file": self.onnx_file,
            "batch": self.batch,
            "threads": self.threads,
            "output": self.output,
            "decision_threshold": self.decision_threshold,
            "task": self.task,
        }

    def said(self) -> dict[str, object]:
        """As the report says them, by the names of their options."""
        from .output_files import plain

        own = {option_of(name): value for name, value in self._asdict().items() if name != "gating"}
        gating = self.gating._asdict()
        others = {name.removesuffix("_file"): gating[name] for name in gating if name != "limits"}
        return plain({**own, **self.gating.limits, "gates": others.pop("gate"), **others})

    def check(self) -> None:
        """Raise UsageError for options that do not fit together, or for files that cannot be written."""
        from ..errors import UsageError
        from ..figures.figure_file import check_figure_file
        from ..figures.figure_folder import check_plots
        from ..measurement.cost_table import cost_tables

        cost_tables(self.costs)
        figure = {"plot": self.folder} if self.sweeps else {}
        files = {"json": self.json_file, "html": self.html_file, "spikes": self.spike_file, "resume": self.log, **figure, **self.gating.targets}
        inputs = {"SNN.npz": self.network, "--data": self.data, "--onnx": self.onnx_file, **self.gating.sources}
        check_outputs(inputs | {f"--costs ({number})": table for number, table in enumerate(self.costs, 1)}, **files)
        if self.folder is not None and self.sweeps:
            check_figure_file(self.folder, "--plot")
        elif self.folder is not None:
            check_plots(self.folder)
        if self.no_titles and self.folder is None:
            raise UsageError("--no-titles", "no --plot", "figures that it is about", "leave it out")
        if self.folder is not None and self.sweeps and not any(text.split("=")[0] in ("steps", "all") for text in self.sweeps):
            raise UsageError("--plot", f"--sweep {self.sweeps[0]}", "--sweep steps, whose points make a curve", "leave --plot out, or sweep steps")
        single = (self.engine, self.threshold) != ("exact", "dynamic") or any((self.histogram, self.quantised, self.gating.given))
        single = single or any(each is not None for each in (self.spike_file, self.html_file, self.rate_steps))
        if self.sweeps and single:
            raise UsageError(
                "--sweep",
                "an option for single runs beside it",
                "neither --engine, --threshold, --histogram, --quantised, --spikes, --html, --rate-coded, nor gates and what they write",
            )
        if self.verify is not None and (self.engine != "exact" or self.sweeps):
            raise UsageError("--verify", "another engine, or a sweep", "engine exact: the others are held against it as they are")
        if self.layers != "all" and self.sweeps:
            raise UsageError("--layers", "a sweep", "a single run, which alone compares layers")
        if not self.sweeps and (self.repeats, self.seed) != (None, None):
            raise UsageError("--repeats, --seed", "no --sweep", "a sweep to belong to", "add --sweep all")
