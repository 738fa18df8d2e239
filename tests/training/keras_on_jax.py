"""Run under KERAS_BACKEND=jax: constraint and losses of given arrays, and a trained model; usage: python keras_on_jax.py FOLDER.

Reads FOLDER/given.npz (kernel, z), writes FOLDER/found.npz and FOLDER/model.keras.
"""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

from ttfs_convert.errors import UsageError
from ttfs_convert.training import keras as shim


def main(folder: Path) -> None:
    assert keras.backend.backend() == "jax"
    given = np.load(folder / "given.npz")
    found = {
        "projected": shim.UnityWeightSum(0.5)(keras.ops.convert_to_tensor(given["kernel"])),
        "weight_sum_loss": shim.WeightSumRegularizer(2.0, 0.5)(keras.ops.convert_to_tensor(given["kernel"])),
        "pre_activation_loss": shim.pre_activation_loss(keras.ops.convert_to_tensor(given["z"]), 0.1, 0.4),
    }
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, padding="same", use_bias=False, **shim.lc_ttfs()),
            shim.ReLU1(),
            layers.Flatten(),
            layers.Dense(8, **shim.lc_ttfs()),
            shim.ReLU1(),
            layers.Dense(3),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = given["x"], given["y"]
    history = model.fit(x, y, epochs=3, batch_size=8, verbose=0)
    found |= {"losses": history.history["loss"], "outputs": model.predict(x, verbose=0)}
    model.save(folder / "model.keras")
    try:
        shim.export_onnx(model, folder / "model.onnx")
    except UsageError as error:
        found["refusal"] = str(error)
    np.savez(folder / "found.npz", **{name: np.asarray(value) for name, value in found.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
