"""What `ttfs-run --html` adds to a run, side by side:  python -m benchmarks.page_cost SNN.npz --data DATA [--rounds N] [--limit N]

Both commands run in turn, in processes of their own, start-up and reading of the data included; prints the median seconds of each and the median
ratio of the pairs, by the clock and by the time that processors spent, which others on the machine change less.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

RUN = "from ttfs_convert.cli.run import main; main()"


@click.command()
@click.argument("network", type=click.Path(exists=True, dir_okay=False))
@click.option("--data", required=True, help="As for ttfs-run.")
@click.option(
    "--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="How often each runs, behind one of each that does not count."
)
@click.option("--limit", type=click.IntRange(min=1), help="The first N samples only.")
def main(network: str, data: str, rounds: int, limit: int | None) -> None:
    """Time `ttfs-run` with a page and without."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        words = [network, "--data", data, *(() if limit is None else ("--limit", str(limit)))]
        pairs = [(_seconds(words), _seconds([*words, "--html", str(page)])) for _ in range(rounds + 1)][1:]
        size = page.stat().st_size
    for kind, name in enumerate(("by the clock", "of processors")):
        plain, paged = (statistics.median(each[kind] for each in of) for of in zip(*pairs))
        ratio = statistics.median(with_page[kind] / without[kind] for without, with_page in pairs)
        click.echo(f"{name}: without {plain:.2f} s, with --html {paged:.2f} s: {100 * (ratio - 1):+.1f} %")
    click.echo(f"the page has {size:,} bytes")


def _seconds(words: list[str]) -> tuple[float, float]:
    """By the clock, and of all processors together."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", RUN, *words], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
