"""The Keras shim: constraint and losses against NumPy, PyTorch's shim and Keras on JAX; saving; train, export, convert, run."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.conversion.refusals import ConstraintError
from ttfs_convert.errors import UsageError
from ttfs_convert.simulation.engines import simulate

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of PyTorch's exporters


@pytest.fixture(autouse=True)
def seeded(keras):
    keras.utils.set_random_seed(0)


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.1, 1, shape).astype(np.float32)


def numpy(value) -> np.ndarray:
    return value.detach().numpy()


def normalised(z: np.ndarray, mean: float = 0.0, deviation: float = 1 / 3) -> np.ndarray:
    """A of Eq. 20, plainly: channel by channel, the last axis."""
    target = np.empty(z.shape)
    for channel in range(z.shape[-1]):
        values = z[..., channel].astype(np.float64)
        target[..., channel] = (values - values.mean()) / values.std() * deviation + mean
    return target


def test_relu1(keras, shim):
    x = keras.ops.convert_to_tensor([[-2.0, 0.0, 0.25, 1.0, 1.5]])
    assert numpy(shim.ReLU1()(x)).tolist() == [[0, 0, 0.25, 1, 1]]


KERNELS = {
    "dense": ((12, 7), None, (0,)),
    "conv1d": ((5, 3, 6), None, (0, 1)),
    "conv2d": ((3, 3, 4, 8), None, (0, 1, 2)),
    "depthwise": ((3, 3, 4, 2), (0, 1), (0, 1)),
    "transposed": ((2, 2, 8, 4), -1, (3,)),
}


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("target", [1.0, 0.0, -0.5])
def test_projection_and_its_loss(keras, shim, kind, target):
    shape, axis, fan_in = KERNELS[kind]
    kernel = array(*shape)
    projected = numpy(shim.UnityWeightSum(target, axis)(keras.ops.convert_to_tensor(kernel)))
    sums = kernel.sum(fan_in, dtype=np.float64)
    assert np.abs(projected.sum(fan_in, dtype=np.float64) - target).max() < 1e-6 < 1e-3 < np.abs(sums - target).min()
    moved = np.broadcast_to(np.expand_dims((sums - target) / (kernel.size / sums.size), fan_in), shape)
    np.testing.assert_allclose(kernel - projected, moved, atol=1e-6)
    loss = shim.WeightSumRegularizer(0.5, target, axis)(keras.ops.convert_to_tensor(kernel))
    assert float(loss) == pytest.approx(0.5 * np.abs(sums - target).sum(), rel=1e-5)


def test_projection_is_formed_in_float32(keras, shim):
    kernel = keras.ops.cast(array(3, 3, 16, 6), "bfloat16")
    projected = shim.UnityWeightSum()(kernel)
    values = numpy(keras.ops.cast(kernel, "float32")).astype(np.float64)
    expected = values - (values.sum((0, 1, 2)) - 1) / 144
    assert keras.backend.standardize_dtype(projected.dtype) == "bfloat16"
    np.testing.assert_allclose(numpy(keras.ops.cast(projected, "float32")), expected, rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 3), (4, 6, 3), (4, 5, 6, 3)])
@pytest.mark.parametrize("options", [{}, {"mean": 0.25, "deviation": 0.5}])
def test_pre_activation_loss_and_its_gradient(keras, shim, shape, options):
    z = keras.ops.convert_to_tensor(array(*shape)).requires_grad_()
    difference = numpy(z) - normalised(numpy(z), **options)
    loss = shim.pre_activation_loss(z, **options)
    assert loss.item() == pytest.approx(np.abs(difference).mean(), rel=1e-5)
    loss.backward()
    np.testing.assert_allclose(z.grad.numpy(), np.sign(difference) / difference.size, rtol=1e-6)
    first = shim.pre_activation_loss(keras.ops.moveaxis(z, -1, 1), axis=1, **options)
    assert first.item() == pytest.approx(loss.item(), rel=1e-5)


def model_of(keras, shim, loss_weight: float = 1e-2, dropout: float = 0.1):
    """Every kind of layer, channels last: convolution, residual sum, separable parts, pools, transposed convolution, dense layers."""
    layers = keras.layers
    x = given = keras.Input((8, 8, 2))
    x = shim.ReLU1(loss_weight)(layers.Conv2D(4, 3, padding="same", use_bias=False, **shim.lc_ttfs())(x))
    h = shim.ReLU1(loss_weight)(layers.Conv2D(4, 3, padding="same", **shim.lc_ttfs())(x))
    h = layers.Conv2D(4, 3, padding="same", **shim.lc_ttfs(target=0))(h)
    x = shim.ReLU1(loss_weight)(layers.Add()([h, x]))
    x = layers.AveragePooling2D(2)(x)
    x = layers.DepthwiseConv2D(
        3, padding="same", depthwise_constraint=shim.UnityWeightSum(axis=(0, 1)), depthwise_regularizer=shim.WeightSumRegularizer(axis=(0, 1))
    )(x)
    x = layers.MaxPooling2D(2)(shim.ReLU1(loss_weight)(x))
    x = shim.ReLU1(loss_weight)(layers.Conv2DTranspose(6, 2, strides=2, **shim.lc_ttfs(axis=-1))(x))
    x = layers.Dropout(dropout)(layers.Flatten()(x))
    x = shim.ReLU1(loss_weight)(layers.Dense(12, **shim.lc_ttfs())(x))
    return keras.Model(given, layers.Dense(3)(x))


def compiled(keras, model, optimizer="adam"):
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def data(count: int = 48, shape: tuple[int, ...] = (8, 8, 2)) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(1).random((count, *shape), np.float32)
    return x, ((x - 0.5).reshape(count, -1) @ array(x[0].size, 3)).argmax(1)


def deviations(keras, model) -> list[float]:
    """Per constrained kernel, how far the constraint would still move a weight sum."""
    found = []
    for layer in model.layers:
        for variable in layer.trainable_variables:
            if variable.constraint is not None:
                moved = numpy(variable.value) - numpy(variable.constraint(variable))
                found.append(float(np.abs(moved).sum(tuple(range(moved.ndim - 1))).max()))
    return found


@pytest.fixture(scope="module")
def trained(keras, shim):
    keras.utils.set_random_seed(1)
    model = compiled(keras, model_of(keras, shim), keras.optimizers.Adam(0.01))
    shim.project(model)
    history = model.fit(*data(), epochs=15, batch_size=16, verbose=0)
    return model, history.history["loss"]


def test_training_keeps_weight_sums_and_lowers_the_loss(keras, trained):
    model, losses = trained
    found = deviations(keras, model)
    assert len(found) == 6 and max(found) < 1e-5 and losses[-1] < 0.9 * losses[0]


def test_exports_converts_and_runs_without_loss(shim, trained, tmp_path):
    model, x = trained[0], data(7)[0]
    shim.export_onnx(model, tmp_path / "model.onnx")
    network = convert(tmp_path / "model.onnx", steps=None)
    assert network.mode == "strict" and not network.violations and network.head is network.tail is None
    assert sum(layer.kind == "spiking" for layer in network.layers) == 6
    expected = model.predict(x, verbose=0)
    assert expected.std(0).max() > 1e-2
    np.testing.assert_allclose(simulate(network, x).potentials, expected, atol=1e-4)


def test_projection_before_training_is_enough(keras, shim, tmp_path):
    model = model_of(keras, shim)
    shim.export_onnx(model, tmp_path / "model.onnx")
    with pytest.raises(ConstraintError, match="6 layers"):
        convert(tmp_path / "model.onnx")
    shim.project(model)
    shim.export_onnx(model, tmp_path / "model.onnx")
    assert not convert(tmp_path / "model.onnx").violations


def test_losses_that_keras_adds_up(keras, shim):
    """Regularisers in training and evaluation, the pre-activation losses in training alone."""
    model, (x, y) = compiled(keras, model_of(keras, shim, 0.5, 0.0), keras.optimizers.SGD(0.0)), data(16)
    regular = sum(layer.kernel_regularizer(layer.kernel).item() for layer in model.layers if getattr(layer, "kernel_regularizer", None))
    regular += next(layer.depthwise_regularizer(layer.kernel).item() for layer in model.layers if hasattr(layer, "depthwise_regularizer"))
    task = keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, model(x), from_logits=True)).item()
    assert model.evaluate(x, y, batch_size=16, verbose=0) == pytest.approx(task + regular, rel=1e-5)
    model(x, training=True)
    added = sum(loss.item() for loss in model.losses)
    before = keras.Model(model.input, [layer.input for layer in model.layers if isinstance(layer, shim.ReLU1)])
    expected = [0.5 * float(shim.pre_activation_loss(z)) for z in before(x)]
    assert len(expected) == 6 and min(regular, *expected) > 1e-3
    assert added == pytest.approx(regular + sum(expected), rel=1e-5)


def test_model_can_be_saved_loaded_and_cloned(keras, shim, trained, tmp_path):
    model, x = trained[0], data(4)[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    for twin in (loaded, keras.models.clone_model(model)):
        assert [layer.get_config() for layer in twin.layers[1:]] == [layer.get_config() for layer in model.layers[1:]]
        assert len(deviations(keras, twin)) == 6
    before = numpy(loaded.layers[1].kernel.value).copy()
    loaded.fit(*data(), verbose=0)  # training goes on, constraints and losses with it
    assert max(deviations(keras, loaded)) < 1e-5 and not np.array_equal(before, numpy(loaded.layers[1].kernel.value))
    shim.export_onnx(loaded, tmp_path / "model.onnx")
    assert not convert(tmp_path / "model.onnx").violations


@pytest.mark.parametrize(
    "make",
    [
        lambda shim: shim.ReLU1(0.5, 0.1, 0.2, 1, name="r"),
        lambda shim: shim.UnityWeightSum(0.5, (0, 1)),
        lambda shim: shim.WeightSumRegularizer(0.1, 0.0, -1),
    ],
)
def test_every_part_serialises(keras, shim, make):
    part = make(shim)
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(part))
    assert type(twin) is type(part) and twin.get_config() == part.get_config()


def test_mixed_precision(keras, shim):
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        model = compiled(keras, model_of(keras, shim))
        assert np.isfinite(model.fit(*data(16), verbose=0).history["loss"]).all()
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    assert model.layers[1].kernel.dtype == "float32" and max(deviations(keras, model)) < 1e-5


def test_bad_numbers_and_axes(keras, shim):
    for make, message in [
        (lambda: shim.ReLU1(-1.0), "ReLU1: loss_weight: -1"),
        (lambda: shim.UnityWeightSum(float("nan")), "target: nan"),
        (lambda: shim.WeightSumRegularizer(-1), "weight: -1; expected a finite number of at least 0"),
        (lambda: shim.UnityWeightSum(axis=5)(keras.ops.ones((2, 3))), r"axis 5 for a kernel of shape \(2, 3\)"),
        (lambda: shim.WeightSumRegularizer()(keras.ops.ones(3)), "axis None for a kernel of shape"),
    ]:
        with pytest.raises(UsageError, match=message):
            make()


@pytest.mark.parametrize("kind", ["linear", "conv1d", "conv2d", "grouped"])
def test_equals_the_pytorch_shim(keras, shim, kind):
    """Both losses and the projection, on the same weights and inputs."""
    torch = pytest.importorskip("torch")
    from ttfs_convert.training import torch as other

    torch.manual_seed(0)
    layer = {
        "linear": torch.nn.Linear(12, 7),
        "conv1d": torch.nn.Conv1d(3, 6, 5),
        "conv2d": torch.nn.Conv2d(3, 8, 3),
        "grouped": torch.nn.Conv2d(4, 8, 3, groups=2),
    }[kind]
    x = torch.rand(6, *{"linear": (12,), "conv1d": (3, 9)}.get(kind, (layer.weight.shape[1] * getattr(layer, "groups", 1), 9, 9)))
    z, weight = layer(x).detach(), layer.weight.detach()
    kernel = weight.movedim((0, 1), (-1, -2))
    for target, mean, deviation in ((1.0, 0.0, 1 / 3), (0.25, 0.3, 0.2)):
        theirs = other.weight_sum_loss(weight, target).item()
        assert float(shim.WeightSumRegularizer(1.0, target)(kernel)) == pytest.approx(theirs, abs=1e-6) and theirs > 0.1
        theirs = other.pre_activation_loss(z, mean, deviation).item()
        assert float(shim.pre_activation_loss(z.movedim(1, -1), mean, deviation)) == pytest.approx(theirs, abs=1e-6) and theirs > 1e-2
        projected = weight.clone()
        other.project_weight_sum_(projected, target)
        np.testing.assert_allclose(numpy(shim.UnityWeightSum(target)(kernel)), projected.movedim((0, 1), (-1, -2)).numpy(), atol=1e-6)


def test_on_jax(keras, shim, tmp_path):
    """Constraint and losses by the JAX backend; what it trained and saved converts after a change of backend."""
    pytest.importorskip("jax")
    kernel, z = array(3, 3, 4, 6), array(5, 7, 7, 6)
    x, y = data(24, (6, 6, 1))
    np.savez(tmp_path / "given.npz", kernel=kernel, z=z, x=x, y=y)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, Path(__file__).with_name("keras_on_jax.py"), tmp_path], check=True, env=environment)
    found = np.load(tmp_path / "found.npz")
    sums = kernel.sum((0, 1, 2), dtype=np.float64)
    np.testing.assert_allclose(found["projected"], kernel - (sums - 0.5) / 36, atol=1e-6)
    assert found["weight_sum_loss"] == pytest.approx(2 * np.abs(sums - 0.5).sum(), rel=1e-5)
    assert found["pre_activation_loss"] == pytest.approx(np.abs(z - normalised(z, 0.1, 0.4)).mean(), rel=1e-5)
    assert found["losses"][-1] < found["losses"][0] and "the jax backend; expected torch" in str(found["refusal"])
    shim.export_onnx(keras.saving.load_model(tmp_path / "model.keras"), tmp_path / "model.onnx")
    network = convert(tmp_path / "model.onnx", steps=None)
    np.testing.assert_allclose(simulate(network, x).potentials, found["outputs"], atol=1e-4)


def test_example(keras, squares, tmp_path, capsys):
    """examples/keras/train.py, from images to the comparison."""
    path = Path(__file__).parents[2] / "examples" / "keras" / "train.py"
    spec = importlib.util.spec_from_file_location("keras_example", path)
    spec.loader.exec_module(example := importlib.util.module_from_spec(spec))
    options = ["--out", str(tmp_path / "out"), "--data-dir", str(squares), "--epochs", "2", "--width", "4", "--limit", "240", "--batch", "16"]
    example.main(options)
    printed = capsys.readouterr().out.splitlines()[-1]
    assert re.match(r"60 test images: ANN .* %, SNN .* %, drift .* pp \[.*\], agreement .* %$", printed)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["ann"]["accuracy"] > 0.3 and report["drift"]["agreement"] > 0.9  # by chance: 0.1
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"model.keras", "model.onnx", "snn.npz", "report.json"}
    with pytest.raises(SystemExit, match="error: .*nowhere"):
        example.main(["--out", str(tmp_path / "out"), "--data-dir", str(tmp_path / "nowhere")])
