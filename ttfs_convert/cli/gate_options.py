"""Options of commands that judge a report: the gates, the baseline, and the files that say what became of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from .base_command import GATE_FAILED, INCONCLUSIVE
from .console import note, say

if TYPE_CHECKING:
    from ..gates.gate_list import Gate
    from ..report.schema import GatePart, Report

LIMITS = {  # by kind of gate: how the option is called in help, and what it says
    "max-drop": (
        "[MEASURE=]X",
        "Gate: exit 99 when the task's first measure, or MEASURE, certainly gets worse by more than X (the whole 95 % interval), 5 when the "
        "sample cannot decide. X: percentage points of accuracy, mean_iou, pixel_accuracy; dB of psnr; else as ssim, rmse, mae, r2 are. Repeatable.",
    ),
    "min-agreement": ("PERCENT", "Gate: at least so many predictions are the original's (Wilson's interval)."),
    "max-layer-error": ("X", "Gate: the mean error of every layer is at most X, in units of its range (interval over samples)."),
    "max-p-proxy": ("X", "Gate: at most X operations per inference, count event."),
    "max-latency": ("STEPS", "Gate: the output can be read after at most so many steps."),
    "max-regression": (
        "[FIGURE=]X",
        "Gate: the task's first measure, or FIGURE, is worse than --baseline's by at most X: a measure, or agreement (percentage points), "
        "layer-error, p-proxy, latency. Repeatable.",
    ),
}
REPEATABLE = ("max-drop", "max-regression")


class GateOptions(NamedTuple):
    """As given. limits: texts and numbers by kind."""

    limits: Mapping[str, tuple[str, ...] | float | None]
    gate_file: str | None
    baseline_file: str | None
    junit_file: str | None
    markdown_file: str | None

    @classmethod
    def taken_from(cls, options: dict) -> GateOptions:
        """Takes its own out of a command's `options`."""
        limits = {kind: options.pop(kind.replace("-", "_")) for kind in LIMITS}
        return cls(limits, *(options.pop(name) for name in cls._fields[1:]))

    @property
    def given(self) -> bool:
        """Whether any is."""
        return any(value not in (None, ()) for value in (*self.limits.values(), *self[1:]))

    @property
    def targets(self) -> dict[str, str | None]:
        """Files to write, by option."""
        return {"junit": self.junit_file, "markdown": self.markdown_file}

    @property
    def sources(self) -> dict[str, str | None]:
        """Files to read, by option."""
        return {"--gates": self.gate_file, "--baseline": self.baseline_file}

    def gates(self) -> tuple[Gate, ...]:
        """Of the file, then of the options, which win. Raises UsageError for what does not fit together."""
        from ..errors import UsageError
        from ..gates.gate_list import REGRESSION, Gate, merged, parsed_gate, read_gates

        own: list[Gate] = []
        for kind, value in self.limits.items():
            if isinstance(value, tuple):
                own += [parsed_gate(kind, text) for text in value]
            elif value is not None:
                own.append(Gate(kind, value))
        found = merged(read_gates(self.gate_file) if self.gate_file else (), own)
        needs_baseline = any(gate.kind == REGRESSION for gate in found)
        if needs_baseline and self.baseline_file is None:
            raise UsageError("max-regression", "no --baseline", "an earlier report to hold this one against")
        if self.baseline_file is not None and not needs_baseline:
            raise UsageError("--baseline", "no gate max-regression", "what may be worse than in the baseline, such as --max-regression 0.2")
        if self.junit_file is not None and not found:
            raise UsageError("--junit", "no gates", "at least one: each becomes a test case")
        return found

    def baseline(self) -> Report | None:
        """The earlier report. Raises DataError if it is none."""
        from ..report.read_report import read_report

        return None if self.baseline_file is None else read_report(self.baseline_file)


def gating(command: Callable) -> Callable:
    """Options that `GateOptions.taken_from` takes."""
    existing = click.Path(exists=True, dir_okay=False)
    others = (
        click.option("--gates", "gate_file", metavar="FILE.toml", type=existing, help="Gates from [tool.ttfs], as in pyproject.toml; options win."),
        click.option("--baseline", "baseline_file", metavar="REPORT.json", type=existing, help="An earlier report of the same data."),
        click.option("--junit", "junit_file", metavar="FILE", help="Write the gates as JUnit XML, one test case each."),
        click.option("--markdown", "markdown_file", metavar="FILE", help="Write a summary as Markdown; - for standard output alone."),
    )
    limits = []
    for kind, (metavar, text) in LIMITS.items():
        if kind in REPEATABLE:
            limits.append(click.option(f"--{kind}", multiple=True, metavar=metavar, help=text))
        else:
            limits.append(click.option(f"--{kind}", type=click.FloatRange(0, 100 if kind == "min-agreement" else None), metavar=metavar, help=text))
    for option in reversed((*limits, *others)):
        command = option(command)
    return command


def write_outcomes(report: Report, options: GateOptions) -> None:
    """JUnit and Markdown of a judged report, where asked for."""
    from ..gates.junit import junit
    from ..gates.markdown import markdown
    from .output_files import write_text

    if options.junit_file is not None:
        write_text(junit(report), options.junit_file)
    if options.markdown_file is not None:
        write_text(markdown(report), options.markdown_file)


def say_outcomes(gates: Sequence[GatePart]) -> int:
    """Say what became of every gate, and why; return the exit code of the worst outcome."""
    from ..gates.gate_text import line
    from ..gates.judge import worst
    from ..measurement.accuracy_drift import Verdict

    for gate in gates:
        say(line(gate))
        note(gate.detail)
    return {Verdict.FAILED: GATE_FAILED, Verdict.INCONCLUSIVE: INCONCLUSIVE, Verdict.PASSED: 0}[worst(gates)]


def finish(report: Report) -> None:
    """Say the outcomes, if there are gates, and exit with their code."""
    if report.gates:
        sys.exit(say_outcomes(report.gates))
