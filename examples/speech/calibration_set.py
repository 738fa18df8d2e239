"""Noisy speech of the training's speakers, to calibrate on and to fit to: x, (n, 1, samples) in an .npz.

    python examples/speech/calibration_set.py --data FOLDER --out calibrate.npz

FOLDER: as for `train.py`.
"""

import argparse
from pathlib import Path

import numpy as np
from mixtures import RATE, Mixtures, read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    utterances, music = (read(options.data / part) for part in ("train-clean", "train-noise"))
    x, _ = Mixtures(utterances, music, int(options.seconds * RATE)).batch(options.count, np.random.default_rng(0))
    np.savez(options.out, x=x)


if __name__ == "__main__":
    main()
