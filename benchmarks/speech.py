"""The paper's speech network at full width:  python -m benchmarks speech [--minutes M] [--threads N] [--rounds N] [--json FILE]

128 filters, 128 channels, ten dilated layers, random weights, on a synthetic voice in noise. Prints how many seconds of sound engine `exact`,
head and tail included, takes in one second at 50 steps, beside ONNX Runtime on the original, both in turn in one process; then the peak memory of
a process that enhances one recording of M minutes as `ttfs-run --task enhancement` does. Needs PyTorch, to build the network, and the extra
`speech`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import click
import numba
import numpy as np

from .memory import peak
from .process import ROOT, measured
from .timing import in_turn

RATE, STEPS, SECONDS = 16_000, 50, (2, 5, 20)  # of sound at a time; 20 s is the length of a long recording's pieces


def voice(seconds: int, noise: float) -> np.ndarray:
    """(samples,) float32: four syllables a second of a voice of 120 Hz, in white noise."""
    rng, time = np.random.default_rng(0), np.arange(seconds * RATE) / RATE
    harmonics = sum(np.sin(2 * np.pi * 120 * k * time + rng.uniform(0, 6)) / k for k in range(1, 20))
    return (0.1 * harmonics * np.clip(np.sin(4 * np.pi * time), 0, 1) + rng.normal(0, noise, time.size)).astype(np.float32)


def prepare(folder: Path, minutes: int) -> None:
    """Write the model, the network, and a recording with its clean one."""
    sys.path.insert(0, str(ROOT / "examples" / "speech"))
    import soundfile
    import torch
    from export import export
    from network import Enhancer

    from ttfs_convert import convert, save

    torch.manual_seed(0)
    export(Enhancer(128, 128), folder / "model.onnx")
    save(convert(folder / "model.onnx", mode="exact", input_range=None, input_shape=(1, 1600), steps=STEPS), folder / "snn.npz")
    for name, noise in (("noisy", 0.03), ("clean", 0.0)):
        (folder / name).mkdir()
        with soundfile.SoundFile(folder / name / "long.wav", "w", RATE, 1) as file:
            for _ in range(minutes):
                file.write(voice(60, noise))


def speeds(folder: Path, threads: int, rounds: int) -> list[dict]:
    """By length: seconds that either takes."""
    import onnx

    from ttfs_convert import load
    from ttfs_convert.conversion.other_sizes import OtherSizes
    from ttfs_convert.onnx_model.reference import Reference
    from ttfs_convert.simulation.engines import simulator
    from ttfs_convert.simulation.head_and_tail import Ends

    model, rows = onnx.load(folder / "model.onnx"), []
    sizes, reference = OtherSizes(load(folder / "snn.npz"), model), Reference(model, threads=threads)
    for seconds in SECONDS:
        feeds = {"noisy": voice(seconds, 0.03)[None, None]}
        network = sizes({"noisy": (1, seconds * RATE)})
        ends, simulate = Ends(network, threads), simulator(network)
        engines = {
            "exact": lambda ends=ends, simulate=simulate, feeds=feeds: ends.outputs(simulate(ends.entries(feeds)), feeds),
            "onnxruntime": lambda feeds=feeds: reference(feeds),
        }
        rows.append({"seconds": seconds, **in_turn(engines, rounds, 0.2)})
    return rows


def enhanced(folder: Path) -> None:
    """Enhance the recording in `folder` and print the peak memory of this process, in bytes."""
    from ttfs_convert import load
    from ttfs_convert.data.speech_pairs import speech_pairs
    from ttfs_convert.studies.enhancement import enhance

    enhance(load(folder / "snn.npz"), speech_pairs(folder), enhanced=folder / "enhanced")
    print(peak())


@click.command()
@click.option("--minutes", type=click.IntRange(min=1), default=60, show_default=True, help="Of the long recording.")
@click.option("--threads", type=click.IntRange(min=1), default=numba.config.NUMBA_NUM_THREADS, help="For both engines; by default all cores.")
@click.option("--rounds", type=click.IntRange(min=1), default=7, show_default=True)
@click.option("--json", "file", type=click.Path(dir_okay=False), help="Write all figures to FILE.")
def main(minutes: int, threads: int, rounds: int, file: str | None) -> None:
    numba.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, minutes)
        rows = speeds(folder, threads, rounds)
        click.echo(f"{threads} threads; seconds of sound in one second\n  at a time    exact  ONNX Runtime  time of ours / theirs")
        for row in rows:
            speed, theirs = (row["seconds"] / row[engine] for engine in ("exact", "onnxruntime"))
            click.echo(f"{row['seconds']:9} s  {speed:7.1f}  {theirs:12.1f}  {theirs / speed:22.2f}")
        taken, line = measured("-c", f"from pathlib import Path; from benchmarks.speech import enhanced; enhanced(Path({name!r}))")
    speed = 60 * minutes / taken
    click.echo(f"{minutes} minutes in one recording: peak memory {int(line) / 1e6:.0f} MB, {speed:.1f} x real time with both networks and files")
    if file:
        figures = {"threads": threads, "speeds": rows, "minutes": minutes, "peak_bytes": int(line), "seconds": taken}
        Path(file).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
