"""Train a small Keras 3 network on Fashion-MNIST with the LC-TTFS constraints, convert it, and compare both on the test images.

    python examples/keras/train.py --out runs/keras

Keras runs on PyTorch here unless KERAS_BACKEND says otherwise; to export, it has to. The last 5,000 training images choose the epoch; the
test images are only read for the last line. OUT then holds model.keras, model.onnx, snn.npz and report.json.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from keras import layers

import ttfs_convert
from ttfs_convert.data import load_dataset
from ttfs_convert.errors import TtfsError
from ttfs_convert.training.keras import ReLU1, export_onnx, lc_ttfs, project

HELD_OUT = 5000


def network(width: int, mean: float) -> keras.Model:
    """width-width-P-2 width-P-FC64-10: 3 x 3 convolutions, P an average pool of 2, no bias. Inputs (28, 28, 1) in [0, 1]."""
    variance = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")  # N(0, 2/(k^2 n)), as in the paper

    def conv(channels: int) -> list[keras.Layer]:
        return [layers.Conv2D(channels, 3, padding="same", use_bias=False, kernel_initializer=variance, **lc_ttfs()), ReLU1(mean=mean)]

    def dense(units: int, **constraints) -> keras.Layer:
        return layers.Dense(units, use_bias=False, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01), **constraints)

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *conv(width),
            *conv(width),
            layers.AveragePooling2D(2),
            *conv(2 * width),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            dense(64, **lc_ttfs()),
            ReLU1(mean=mean),
            layers.Dropout(0.2),
            dense(10),
        ]
    )


def train(model: keras.Model, x: np.ndarray, y: np.ndarray, options: argparse.Namespace) -> None:
    """Keep the weights of the epoch that did best on the held-out images."""
    held = min(HELD_OUT, len(x) // 10)
    training = slice(0, min(options.limit or len(x), len(x) - held))
    steps = options.epochs * -(-len(x[training]) // options.batch)
    rate = keras.optimizers.schedules.CosineDecay(options.lr / 10, steps, warmup_target=options.lr, warmup_steps=steps // 10)
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9, weight_decay=5e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    project(model)
    best = keras.callbacks.ModelCheckpoint(options.out / "model.keras", monitor="val_accuracy", save_best_only=True)
    model.fit(x[training], y[training], options.batch, options.epochs, verbose=2, callbacks=[best], validation_data=(x[-held:], y[-held:]))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--width", type=int, default=16, help="channels of the first convolutions")
    parser.add_argument("--mean", type=float, default=0.0, help="of the pre-activation's target distribution")
    parser.add_argument("--limit", type=int, help="of training images")
    parser.add_argument("--test-limit", type=int, help="of test images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir", type=Path, help="where the raw files are; else $TTFS_DATA, the user cache, a download")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(options.seed)
    try:
        data, test = (
            load_dataset("fashion-mnist", split=split, data_dir=options.data_dir, limit=limit)
            for split, limit in (("train", None), ("test", options.test_limit))
        )
        train(network(options.width, options.mean), data.x.astype(np.float32) / 255, data.y, options)
        export_onnx(keras.saving.load_model(options.out / "model.keras"), options.out / "model.onnx")
        snn = ttfs_convert.convert(options.out / "model.onnx")
        ttfs_convert.save(snn, options.out / "snn.npz")
        report = ttfs_convert.evaluate(snn, test).report
    except TtfsError as error:
        sys.exit(f"error: {error}")
    (options.out / "report.json").write_text(report.model_dump_json(indent=2) + "\n")
    low, high = report.drift.ci95_pp
    print(
        f"{report.data.samples:,} test images: ANN {100 * report.ann.accuracy:.2f} %, SNN {100 * report.snn.accuracy:.2f} %, "
        f"drift {report.drift.accuracy_pp:+.2f} pp [{low:+.2f}, {high:+.2f}], agreement {100 * report.drift.agreement:.2f} %"
    )


if __name__ == "__main__":
    main()
