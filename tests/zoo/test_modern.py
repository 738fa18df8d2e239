"""Small versions of MobileNetV3, EfficientNet and a vision transformer, from PyTorch by either exporter, exactly in continuous time."""

import functools

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")  # of the newer exporter

from torch import nn  # noqa: E402

from benchmarks.modern_networks import EVALUATION, VisionTransformer, efficientnet_b0, images, mobilenet_v3_small, seeded  # noqa: E402
from tests.models import exact  # noqa: E402
from tests.zoo.export import EXPORTERS, exported  # noqa: E402

SHAPE = (3, 16, 16)
IMAGES = 12
TOLERANCE = 1e-4  # of the outputs' range
NETWORKS = {
    "mobilenet_v3": lambda: mobilenet_v3_small(
        ((3, 6, 6, True, nn.ReLU, 1), (3, 12, 8, False, nn.ReLU, 2), (5, 16, 8, True, nn.Hardswish, 1)), stem=6, head=16, classes=5
    ),
    "efficientnet": lambda: efficientnet_b0(((1, 3, 1, 4, 1), (3, 3, 2, 6, 2)), stem=6, head=16, classes=5),
    "vit": lambda: VisionTransformer(16, width=8, heads=2, blocks=2, patch=4, classes=5),
}


@functools.cache
def small(name: str) -> nn.Module:
    return seeded(NETWORKS[name](), SHAPE)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_every_layer_equal_onnx_runtime(name, exporter):
    x = images(SHAPE, IMAGES, EVALUATION)
    network = exact(exported(small(name), SHAPE, exporter), x, TOLERANCE)
    assert any(layer.kind == "spiking" and layer.activation is not None for layer in network.layers)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_comparison_is_not_trivial(name):
    outputs = small(name)(torch.from_numpy(images(SHAPE, IMAGES, EVALUATION))).numpy()
    assert outputs.std(0).min() > 0.02 * np.ptp(outputs)


@pytest.mark.parametrize(("build", "millions"), [(mobilenet_v3_small, 2.54), (efficientnet_b0, 5.29), (lambda: VisionTransformer(196), 5.68)])
def test_full_width(build, millions):
    """As many weights as the papers and their usual implementations have; the transformer without its class token."""
    assert round(sum(parameter.numel() for parameter in build().parameters()) / 1e6, 2) == pytest.approx(millions, abs=0.05)
