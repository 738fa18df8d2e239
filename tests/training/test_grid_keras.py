"""Training on the grid of N steps in Keras: the same levels and gradients as in PyTorch's shim."""

import numpy as np
import pytest

from ttfs_convert.errors import UsageError
from ttfs_convert.kernels.threshold import time_step


def test_levels_are_those_of_spike_times(keras, shim):
    for steps in (1, 3, 8):
        a = np.concatenate([np.linspace(0, 1, 201), (np.arange(steps) + 0.5) / steps]).astype(np.float32)
        expected = [1 - time_step(1 - float(value), steps, 0.5) / steps for value in a]
        np.testing.assert_allclose(keras.ops.convert_to_numpy(shim.on_grid(keras.ops.convert_to_tensor(a), steps)), expected, atol=1e-6)


def test_only_training_rounds_and_the_configuration_keeps_the_steps(keras, shim):
    activation = shim.ReLU1(loss_weight=0.0, steps=2)
    x = np.array([[-0.5, 0.1, 0.4, 0.9, 1.5]], np.float32)
    assert keras.ops.convert_to_numpy(activation(x, training=True)).tolist() == [[0, 0, 0.5, 1, 1]]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(activation(x, training=False)), [[0, 0.1, 0.4, 0.9, 1]], atol=1e-6)
    assert shim.ReLU1.from_config(activation.get_config()).steps == 2


def test_a_compiled_model_goes_on_with_the_grid(keras, shim):
    """Its weights go on learning through the rounding: with one step the hidden layer is binary, and still fits."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential([keras.Input((6,)), layers.Dense(16, **shim.lc_ttfs()), shim.ReLU1(loss_weight=0.0), layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (256, 6)).astype(np.float32)
    y = (x[:, 0] > x[:, 1]).astype(int)
    model.fit(x, y, epochs=5, verbose=0)
    shim.train_on_grid(model, 1)
    before = keras.ops.convert_to_numpy(model.layers[0].kernel).copy()
    history = model.fit(x, y, epochs=15, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert np.abs(keras.ops.convert_to_numpy(model.layers[0].kernel) - before).max() > 1e-3
    with pytest.raises(UsageError, match="no ReLU1"):
        shim.train_on_grid(keras.Sequential([keras.Input((3,)), layers.Dense(2)]), 4)
    with pytest.raises(UsageError, match="1 to 65535"):
        shim.train_on_grid(model, 0)
