"""Images that are folded into the batch axis: every operator takes them one by one, in mode exact with ranges that differ by channel."""

import numpy as np
import pytest

from tests.models import Chain, assert_equals_onnx_runtime, exact

PLACES = [1] * 4


def frames(channels=4, size=(6, 5), count=3):
    """`count` images of every sample in the batch axis, behind a ReLU, with another range in every channel."""
    chain = Chain((count, 3, *size)).add("Reshape", np.array([-1, 3, *size]))
    kernel = (3,) * len(size)
    return chain.conv(channels, kernel, pads=[1] * 2 * len(size), total=0.2).add("Relu").batch_norm(-1, 1)


def unfolded(chain, count=3):
    chain.add("Flatten")
    return chain.add("Reshape", np.array([-1, count, chain.width(1)]))


def beside(chain, operator, other, **attributes):
    start = chain.at
    second = other(chain).at
    chain.at = start
    return chain.add(operator, second, **attributes)


def signed(chain):
    return chain.add("Clip", np.float32(-1), np.float32(1))


OPERATORS = {
    "Conv": lambda chain: chain.conv(5, total=0.3),
    "Conv strided, dilated, padded on one side": lambda chain: chain.conv(6, (3, 2), groups=2, strides=[2, 1], dilations=[1, 2], pads=[0, 2, 1, 0]),
    "BatchNormalization": lambda chain: chain.conv(5).batch_norm(-1, 1),
    "ConvTranspose": lambda chain: chain.add(
        "ConvTranspose", np.random.default_rng(0).normal(0, 0.3, (4, 2, 3, 2)).astype(np.float32), group=2, strides=[2, 1], pads=[1, 0, 0, 1]
    ),
    "AveragePool": lambda chain: chain.add("AveragePool", kernel_shape=[3, 2], pads=[1, 0, 0, 1], count_include_pad=1),
    "AveragePool of pre-activations": lambda chain: chain.conv(5).add("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "MaxPool": lambda chain: chain.add("MaxPool", kernel_shape=[2, 2], pads=[1, 0, 0, 1], strides=[2, 1]),
    "MaxPool of pre-activations": lambda chain: chain.conv(5, pads=PLACES).add("MaxPool", kernel_shape=[2, 2]),
    "GlobalAveragePool": lambda chain: chain.add("GlobalAveragePool"),
    "GlobalMaxPool": lambda chain: chain.conv(5).add("GlobalMaxPool"),
    "GlobalAveragePool and Conv": lambda chain: chain.add("GlobalAveragePool").conv(3, (1, 1), total=0.4),
    "Pad": lambda chain: chain.add("Pad", np.array([0, 0, 1, 0, 0, 0, 0, 2])).conv(3, total=0.2),
    "Pad of channels": lambda chain: chain.add("Pad", np.array([0, 1, 0, 0, 0, 2, 0, 0]), np.float32(0.5)).conv(3, total=0.2),
    "Pad of pre-activations": lambda chain: chain.conv(3, total=0.2).add("Pad", np.array([0, 0, 1, -1, 0, 1, 0, 1])),
    "Pad reflect": lambda chain: chain.add("Pad", np.array([0, 0, 1, 1, 0, 0, 1, 1]), mode="reflect").conv(3, total=0.2),
    "Concat": lambda chain: beside(chain, "Concat", lambda chain: chain.conv(2, pads=PLACES).add("Relu"), axis=1),
    "Add": lambda chain: beside(chain, "Add", lambda chain: chain.conv(4, pads=PLACES, total=0.1)),
    "Add that broadcasts": lambda chain: beside(chain, "Add", lambda chain: chain.add("GlobalAveragePool")),
    "Max": lambda chain: beside(chain, "Max", lambda chain: chain.conv(4, pads=PLACES).add("Relu")),
    "LeakyRelu": lambda chain: chain.conv(4).add("LeakyRelu", alpha=0.2).add("MaxPool", kernel_shape=[2, 2]),
    "ReduceMean": lambda chain: chain.add("ReduceMean", axes=[2, 3], keepdims=1),
    "Transpose": lambda chain: chain.add("Transpose", perm=[0, 1, 3, 2]).conv(3, (2, 3), total=0.2),
    "Slice": lambda chain: chain.add("Slice", np.array([1]), np.array([6]), np.array([2]), np.array([2])).conv(3, (2, 2)),
    "Resize": lambda chain: chain.add("Resize", None, np.float32([1, 1, 2, 2]), mode="nearest").conv(3, total=0.2),
    "Mul by a constant for every element": lambda chain: chain.add("Mul", np.random.default_rng(0).normal(0, 1, (4, 6, 5)).astype(np.float32)).conv(
        3
    ),
    "MatMul": lambda chain: chain.add("MatMul", np.random.default_rng(0).normal(0, 0.4, (5, 4)).astype(np.float32)),
    "Gemm": lambda chain: chain.add("Flatten").gemm(5, total=0.0),
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_of_images(operator):
    chain = signed(OPERATORS[operator](frames()))
    exact(unfolded(chain).readout().model(), chain.images())


@pytest.mark.parametrize("pooling", ("synaptic", "spiking"))
@pytest.mark.parametrize("steps", (None, 12))
def test_pools_in_strict_mode(pooling, steps):
    chain = Chain((3, 2, 6, 5)).add("Reshape", np.array([-1, 2, 6, 5])).conv(4, pads=PLACES).relu1()
    chain.add("AveragePool", kernel_shape=[2, 2], pads=[1, 0, 0, 0], count_include_pad=1).conv(3).relu1().add("MaxPool", kernel_shape=[2, 2])
    model = unfolded(chain).readout().model()
    assert_equals_onnx_runtime(model, chain.images(), tolerance=2e-5 if steps is None else 0.3, pooling=pooling, steps=steps)


@pytest.mark.parametrize(
    "operator",
    (
        lambda chain: chain.conv(5, (3,), pads=[1, 0], total=0.2),
        lambda chain: chain.add("MaxPool", kernel_shape=[2], strides=[2]),
        lambda chain: chain.add("AveragePool", kernel_shape=[3], pads=[1, 1], count_include_pad=1),
        lambda chain: chain.add("GlobalMaxPool"),
        lambda chain: chain.add("ConvTranspose", np.random.default_rng(0).normal(0, 0.3, (4, 2, 3)).astype(np.float32), strides=[2]),
    ),
)
def test_of_series(operator):
    chain = signed(operator(frames(size=(7,))))
    exact(unfolded(chain).readout().model(), chain.images())


def test_a_mean_over_the_images():
    chain = frames().conv(5, total=0.2).add("Relu").add("GlobalAveragePool")
    unfolded(chain).add("ReduceMean", axes=[1], keepdims=0)
    exact(chain.gemm(4).model(), chain.images())


def test_images_of_images():
    """Folded twice: patches of frames."""
    chain = frames(size=(6, 4)).add("Reshape", np.array([-1, 4, 2, 3, 2, 2])).add("Transpose", perm=[0, 2, 4, 1, 3, 5])
    chain.add("Reshape", np.array([-1, 4, 3, 2])).conv(3, (2, 2), total=0.1).add("Relu")
    network = exact(unfolded(chain, 12).readout().model(), chain.images())
    assert network.layers[-2].shape == (12, 2, 1, 3)
