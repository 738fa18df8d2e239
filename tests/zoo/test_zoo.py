"""Any ReLU network, exactly: networks of the usual kinds, from PyTorch by either exporter, in continuous time."""

import functools

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")  # of the newer exporter

from torch import nn  # noqa: E402

from tests.models import converted, outputs_of  # noqa: E402
from tests.zoo.export import EXPORTERS, exported  # noqa: E402
from tests.zoo.networks import CALIBRATION, EVALUATION, NETWORKS, SHAPES, images, trained  # noqa: E402
from ttfs_convert.data import Dataset  # noqa: E402
from ttfs_convert.measurement.layer_errors import LayerErrors  # noqa: E402
from ttfs_convert.network.network import Network  # noqa: E402
from ttfs_convert.onnx_model.reference import Reference  # noqa: E402
from ttfs_convert.simulation.engines import simulate  # noqa: E402
from ttfs_convert.simulation.recording import Recording  # noqa: E402

TOLERANCE = 1e-4  # of the outputs' range
IMAGES = 24


@functools.cache
def evaluated(name: str) -> np.ndarray:
    return images(SHAPES[name], IMAGES, EVALUATION)


@functools.cache
def calibration(name: str) -> Dataset:
    """Holds the evaluated images too, so that nothing saturates: what is tested is exactness, not how ranges generalise."""
    x = np.concatenate([images(SHAPES[name], IMAGES, CALIBRATION), evaluated(name)])
    return Dataset(name, x, y=None, sha256="", total=len(x), notes=(), image=False)


CASES = [(name, exporter, slope) for name in NETWORKS for exporter in EXPORTERS for slope in ("gated", "reference")]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def case(request) -> tuple[Network, Recording, dict[str, np.ndarray]]:
    """The converted network, what it did on the evaluated images, and ONNX Runtime's tensors for them."""
    name, exporter, slope = request.param
    model = exported(trained(name), SHAPES[name], exporter)
    network = converted(model, mode="exact", slope=slope, calibrate=calibration(name), margin=0.1)
    x = evaluated(name)
    tensors = [layer.tensor for layer in network.layers if layer.tensor]
    return network, simulate(network, x), Reference(model, tensors)(x)


def test_outputs_equal_onnx_runtime(case):
    network, recording, reference = case
    (found,) = outputs_of(network, recording)
    expected = reference["output"]
    assert found.shape == expected.shape == (IMAGES, 10)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.ptp(expected))
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))


def test_every_layer_is_certified(case):
    network, recording, reference = case
    layer_errors = LayerErrors(network)
    layer_errors.add(recording, reference)
    assert layer_errors.not_compared() == []
    assert layer_errors.first_out_of_tolerance() is None


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_export_keeps_the_outputs(name, exporter):
    model, x = exported(trained(name), SHAPES[name], exporter), evaluated(name)
    onnx.checker.check_model(model)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    expected = trained(name)(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(Reference(model)(x)["output"], expected, rtol=0, atol=1e-5 * np.ptp(expected))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_comparison_is_not_trivial(name):
    """Outputs vary from image to image, and which one wins is decided by more than twice the tolerance."""
    outputs = trained(name)(torch.from_numpy(evaluated(name))).numpy()
    span = np.ptp(outputs)
    second, first = np.sort(outputs, axis=1)[:, -2:].T
    assert outputs.std(0).min() > 0.02 * span
    assert len(set(outputs.argmax(1))) >= 4
    assert (first - second).min() > 2 * TOLERANCE * span


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_like_trained_ones(name):
    """About half of the activations are silent, each ReLU6 clips some values, and each BatchNorm turns some sign."""
    module, activations = trained(name), {}
    handles = [
        layer.register_forward_hook(lambda layer, _, result: activations.update({layer: result.numpy()}))
        for layer in module.modules()
        if isinstance(layer, (nn.ReLU, nn.ReLU6))
    ]
    module(torch.from_numpy(evaluated(name)))
    for handle in handles:
        handle.remove()
    assert activations
    for layer, values in activations.items():
        assert 0.25 < (values == 0).mean() < 0.75
        assert not isinstance(layer, nn.ReLU6) or values.max() == 6
    norms = [layer for layer in module.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
    assert norms and all((norm.weight < 0).any() for norm in norms)


def test_images_differ_by_seed_and_span_the_unit_interval():
    first, again, other = (images((3, 16, 16), 8, seed) for seed in (CALIBRATION, CALIBRATION, EVALUATION))
    assert first.shape == (8, 3, 16, 16) and first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.1
    assert 0 <= first.min() < 0.1 and 0.9 < first.max() <= 1
