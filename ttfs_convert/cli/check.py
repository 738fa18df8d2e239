"""`ttfs-check`: judge a saved report, without running anything."""

from __future__ import annotations

import click

from .base_command import Command
from .gate_options import GateOptions, finish, gating, write_outcomes
from .output_files import check_outputs, write_json


@click.command(cls=Command)
@click.argument("report_file", metavar="REPORT.json", type=click.Path(exists=True, dir_okay=False))
@gating
@click.option("--json", "json_file", metavar="FILE", help="Also write the report with these gates' outcomes; - for standard output alone.")
@click.version_option(package_name="ttfs-convert")
def main(report_file, json_file, **options):
    """Judge a report that ttfs-run saved with --json by gates.

    Outcomes and exit codes are those of ttfs-run with the same gates: they follow from what the report says. A figure that the report lacks
    fails its gate.
    """
    from ..errors import UsageError
    from ..gates.judge import judged
    from ..report.read_report import read_report

    asked = GateOptions.taken_from(options)
    check_outputs({"REPORT.json": report_file, **asked.sources}, json=json_file, **asked.targets)
    gates = asked.gates()
    if not gates:
        raise UsageError("ttfs-check", "no gates", "--gates FILE.toml, or an option such as --max-drop 0.5")
    report = judged(read_report(report_file), gates, asked.baseline())
    if json_file is not None:
        write_json(report.model_dump(mode="json"), json_file)
    write_outcomes(report, asked)
    finish(report)
