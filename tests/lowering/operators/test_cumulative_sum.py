"""CumSum along any axis against ONNX Runtime: exclusive, reverse, of spikes and of pre-activations."""

import numpy as np
import pytest

from tests.models import Chain, exact

VALUES = {
    "ReLU": lambda chain: chain.add("Relu"),
    "potential": lambda chain: chain,
    "by position": lambda chain: chain.add("Relu").add("Mul", chain.rng.uniform(0.5, 2, (1, *chain.shape)).astype(np.float32)),
    "normed": lambda chain: chain.add("Relu").batch_norm(-1, 1),
    "max-pooled potential": lambda chain: chain.add("MaxPool", kernel_shape=[1] * (len(chain.shape) - 1)),
    "turned": lambda chain: chain.add("Relu").add("Transpose", perm=[0, *range(len(chain.shape), 0, -1)]),
}


def features(shape):
    return Chain(shape).conv(shape[0], (1,) * (len(shape) - 1), total=0.4)


def finished(chain):
    return chain.add("Clip", np.float32(-2), np.float32(2)).readout().model()


@pytest.mark.parametrize("reverse", (0, 1))
@pytest.mark.parametrize("exclusive", (0, 1))
@pytest.mark.parametrize("axis", (1, 2, 3, -1, -2))
@pytest.mark.parametrize("values", VALUES)
def test_any_axis(values, axis, exclusive, reverse):
    chain = VALUES[values](features((4, 3, 5))).add("CumSum", np.array(axis), exclusive=exclusive, reverse=reverse)
    exact(finished(chain), chain.images())


@pytest.mark.parametrize("axis", (np.array(2, np.int32), np.array([-1])))
def test_spellings_of_the_axis(axis):
    chain = features((4, 6)).add("Relu").add("CumSum", axis)
    exact(finished(chain), chain.images())


@pytest.mark.parametrize("exclusive", (0, 1))
@pytest.mark.parametrize("axis", (0, 2))
@pytest.mark.parametrize("values", ("ReLU", "potential"))
def test_an_axis_of_one_element(values, axis, exclusive):
    """The batch of one sample is one; an exclusive sum over it is 0."""
    chain = VALUES[values](features((4, 1, 5)))
    before = chain.at
    chain.add("CumSum", np.array(axis), exclusive=exclusive).add("Add", before)
    exact(finished(chain), chain.images())


@pytest.mark.parametrize("exclusive, reverse", ((0, 0), (1, 1)))
@pytest.mark.parametrize("axis", (0, 1, 3))
def test_of_images_that_are_folded_into_the_batch_axis(axis, exclusive, reverse):
    chain = Chain((3, 2, 4, 5)).add("Reshape", np.array([-1, 2, 4, 5])).conv(3, pads=[1] * 4, total=0.2).add("Relu")
    chain.add("CumSum", np.array(axis), exclusive=exclusive, reverse=reverse).add("Reshape", np.array([1, -1]))
    exact(chain.gemm(3, total=0.0).add("Relu").gemm(2).model(), chain.images())


def test_more_inputs_than_a_probed_matrix_could_have():
    chain = Chain((4, 40, 40)).conv(4, (1, 1), total=0.4).add("Relu").add("CumSum", np.array(3))
    exact(finished(chain), chain.images())
