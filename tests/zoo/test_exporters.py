"""Networks from other exporters than PyTorch's, and PyTorch's with an output as large as the input: mode exact, continuous time."""

from __future__ import annotations

import functools

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")  # of the newer exporter

from tests.models import converted, dataset, outputs_of  # noqa: E402
from tests.zoo import segments  # noqa: E402
from tests.zoo.export import EXPORTERS, exported, quiet  # noqa: E402
from tests.zoo.networks import CALIBRATION, EVALUATION, images  # noqa: E402
from ttfs_convert.measurement.layer_errors import LayerErrors  # noqa: E402
from ttfs_convert.network.network import Network  # noqa: E402
from ttfs_convert.onnx_model.reference import Reference  # noqa: E402
from ttfs_convert.simulation.head_and_tail import run  # noqa: E402

TOLERANCE = 1e-4  # of the outputs' range
IMAGES = 16
SLOPES = ("gated", "reference")


def assert_exact(model: onnx.ModelProto, x: np.ndarray, calibration: np.ndarray, slope: str, **options) -> Network:
    """The network converted in mode exact gives all outputs of `model` for `x`, and every layer with neurons is compared and exact.

    calibration: images that show the ranges, besides `x` itself, so that nothing saturates.
    """
    seen = dataset(np.concatenate([calibration, x]))
    network = converted(model, mode="exact", slope=slope, calibrate=seen, margin=0.1, **options)
    recording, layer_errors = run(network, x), LayerErrors(network)
    reference = Reference(model, [layer.tensor for layer in network.layers if layer.tensor], threads=1)(x)
    for found, value in zip(outputs_of(network, recording, {model.graph.input[0].name: x}), model.graph.output, strict=True):
        expected = reference[value.name]
        assert found.shape == expected.shape and found.dtype == expected.dtype
        assert expected.std(0).max() > 0.02 * np.ptp(expected) > 0, "the output hardly varies: the comparison proves nothing"
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.ptp(expected))
    layer_errors.add(recording, reference)
    assert layer_errors.not_compared() == [] and layer_errors.first_out_of_tolerance() is None
    assert not network.violations
    return network


# PyTorch


@functools.cache
def evaluated(name: str) -> np.ndarray:
    return segments.inputs(name, IMAGES, EVALUATION)


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", segments.SEGMENTS)
def test_outputs_as_large_as_the_input(name, exporter, slope):
    module, x, bounds = segments.trained(name), evaluated(name), segments.RANGES[name]
    model = exported(module, segments.SHAPES[name], exporter)
    expected = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(Reference(model)(x)["output"], expected, rtol=0, atol=1e-5 * np.ptp(expected))
    network = assert_exact(model, x, segments.inputs(name, IMAGES, CALIBRATION), slope, input_range=bounds)
    assert network.head is None and len(network.readouts) == 1
    if not name.startswith("unet"):
        assert network.tail is not None  # it ends in a sigmoid
        return
    assert network.tail is None
    (found,) = outputs_of(network, run(network, x))
    decided = np.abs(expected[:, 0] - expected[:, 1]) > 2 * TOLERANCE * np.ptp(expected)
    assert found.shape == (IMAGES, 2, 16, 16) and decided.mean() > 0.99 and 0.2 < expected.argmax(1).mean() < 0.8
    np.testing.assert_array_equal(found.argmax(1)[decided], expected.argmax(1)[decided])


# scikit-learn


@functools.cache
def digits_classifier() -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """An MLP trained on scikit-learn's digits as skl2onnx writes it, what it learnt from, what not: (n, 64) float32 in [0, 16]."""
    pytest.importorskip("sklearn")
    skl2onnx = pytest.importorskip("skl2onnx")
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    x, labels = load_digits(return_X_y=True)
    training, held_out, training_labels, _ = train_test_split(x.astype(np.float32), labels, test_size=0.3, random_state=0)
    classifier = MLPClassifier((64, 32), max_iter=40, tol=1e-2, n_iter_no_change=5, random_state=0).fit(training, training_labels)
    model = skl2onnx.to_onnx(classifier, training[:1], options={"zipmap": False})
    np.testing.assert_array_equal(Reference(model)(held_out)["label"], classifier.predict(held_out))
    return model, training, held_out


@pytest.mark.parametrize("slope", SLOPES)
def test_scikit_learn(slope):
    """Two outputs, label and probabilities; the label by way of another operator set."""
    model, training, held_out = digits_classifier()
    assert "ArrayFeatureExtractor" in {node.op_type for node in model.graph.node if node.domain == "ai.onnx.ml"}
    network = assert_exact(model, held_out, training, slope, input_range=(0, 16))
    labels, _ = outputs_of(network, run(network, held_out))
    np.testing.assert_array_equal(labels, Reference(model)(held_out)["label"])
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "spiking", "readout"]


def test_scikit_learn_on_a_time_grid():
    """What 50 time steps change, with ranges from training data."""
    model, training, held_out = digits_classifier()
    network = converted(model, mode="exact", calibrate=dataset(training), input_range=(0, 16), steps=50)
    labels, probabilities = outputs_of(network, run(network, held_out))
    reference = Reference(model)(held_out)
    same = labels == reference["label"]
    drift = np.abs(probabilities - reference["probabilities"])
    print(f"50 steps: {same.mean():.2%} of {len(same)} labels the same, probabilities {drift.mean():.4f} off, worst {drift.max():.2f}")
    assert same.mean() > 0.97


# Keras


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:  # both are read when Keras is imported, which else writes to the home directory
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras_home")))
        return pytest.importorskip("keras", minversion="3.8")


def keras_model(keras, head: str):
    """Channels last, with the layers of Keras' own MobileNet and a residual block; weights as `networks.realistic` makes them.

    head: `pooled` by the global mean, or `flat`.
    """
    layers = keras.layers
    norm, six = layers.BatchNormalization, lambda: layers.ReLU(max_value=6)
    model = keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            layers.Conv2D(8, 3, padding="same", use_bias=False),
            norm(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3, padding="same", use_bias=False),
            norm(),
            six(),
            layers.ZeroPadding2D(((0, 1), (0, 1))),
            layers.Conv2D(12, 3, strides=2),
            norm(),
            layers.Activation("relu"),
            layers.SeparableConv2D(16, 3, padding="same"),
            norm(),
            six(),
            layers.AveragePooling2D(2),
            layers.Conv2D(16, 2, strides=2, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D() if head == "pooled" else layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax"),
        ]
    )
    rng, x = np.random.default_rng(0), keras_images(64, 1)
    for layer in model.layers:
        if isinstance(layer, norm):
            gamma, beta = rng.lognormal(0, 0.5, x.shape[-1]), rng.normal(0, 0.3, x.shape[-1])
            gamma[0] *= -1
            layer.set_weights([gamma, beta, x.mean((0, 1, 2)), x.var((0, 1, 2))])
        elif isinstance(layer, layers.DepthwiseConv2D):
            layer.set_weights([rng.normal(0, (2 / 9) ** 0.5, weights.shape) for weights in layer.get_weights()])
        else:
            layer.set_weights(
                [
                    rng.normal(0, 0.1 if weights.ndim == 1 else (2 / max(weights[..., 0].size, 9)) ** 0.5, weights.shape)
                    for weights in layer.get_weights()
                ]
            )
        x = keras.ops.convert_to_numpy(layer(x))
    return model


def keras_images(count: int, seed: int) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(images((3, 24, 24), count, seed), 1, -1))


@pytest.fixture(scope="module", params=["pooled", "flat"])
def keras_export(keras, request, tmp_path_factory) -> onnx.ModelProto:
    path, x = tmp_path_factory.mktemp("keras") / "model.onnx", keras_images(IMAGES, EVALUATION)
    with quiet():
        model = keras_model(keras, request.param)
        expected = model.predict(x, verbose=0)
        model.export(path, format="onnx", verbose=False)
    exported_model = onnx.load(path)
    (found,) = Reference(exported_model)(x).values()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    return exported_model


@pytest.mark.parametrize("slope", SLOPES)
def test_keras(keras_export, slope):
    """Channels last; every transpose between Keras' layout and ONNX's vanishes."""
    x = keras_images(IMAGES, EVALUATION)
    network = assert_exact(keras_export, x, keras_images(IMAGES, CALIBRATION), slope)
    assert sum(node.op_type == "Transpose" for node in keras_export.graph.node) > 10
    assert {layer.kind for layer in network.layers} == {"input", "spiking", "max_pool", "readout"}
    (found,) = outputs_of(network, run(network, x))
    (expected,) = Reference(keras_export)(x).values()
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))
