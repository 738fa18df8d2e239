"""`ttfs-plot`: accuracy against latency and energy, from saved reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from .base_command import Command
from .console import say
from .output_files import check_outputs


@click.command(cls=Command)
@click.argument("reports", metavar="REPORT.json...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--out", "-o", required=True, metavar="FILE", help="The figure: .png, .svg or .pdf.")
@click.option("--no-titles", is_flag=True, help="Without a title, as papers have figures.")
@click.version_option(package_name="ttfs-convert")
def main(reports, out, no_titles):
    """Draw accuracy against latency and energy, one curve per report.

    Reports are what ttfs-run wrote with --json: those of --sweep steps are curves, those of single runs are points. Energy is drawn under the cost
    tables that all of them have (--costs), else P_proxy. Needs the extra plot.
    """
    from ..figures.figure_file import check_figure_file
    from ..studies.trade_off import curve_of

    check_outputs({f"REPORT.json ({number})": report for number, report in enumerate(reports, 1)}, out=out)
    check_figure_file(out, "--out")
    curves = [curve_of(report) for report in reports]
    if len({curve.name for curve in curves}) < len(curves):
        curves = [replace(curve, name=f"{curve.name} ({Path(report).stem})") for curve, report in zip(curves, reports)]
    from ..figures.trade_off_figure import write_trade_off

    write_trade_off(curves, out, titles=not no_titles)
    say(f"Wrote {out}.")
