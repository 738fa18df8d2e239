import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import Chain, assert_equals_onnx_runtime, converted, unity
from ttfs_convert.errors import ModelError
from ttfs_convert.lowering.graph import UnsupportedModel

QUICK = settings(derandomize=True, deadline=None, max_examples=20)


@QUICK
@given(st.permutations((1, 2, 3)), st.permutations((1, 2, 3)))
def test_transpose_of_spikes_before_a_convolution(first, second):
    chain = Chain((3, 4, 5)).conv(4, (2, 2)).relu1().add("Transpose", perm=[0, *first]).add("Transpose", perm=[0, *second])
    chain.conv(3, (2, 2)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


@pytest.mark.parametrize("perm", ([0, 2, 3, 1], [0, 3, 1, 2], [0, 2, 1, 3]))
def test_transpose_of_potentials_before_the_activation(perm):
    chain = Chain((3, 4, 5)).conv(4, (2, 2)).add("Transpose", perm=perm).relu1().conv(3, (2, 2)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_channels_last_graph_as_keras_exports_it():
    chain = Chain((8, 7, 3)).add("Transpose", perm=[0, 3, 1, 2]).conv(4, pads=[1] * 4).relu1()
    chain.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2]).add("Transpose", perm=[0, 2, 3, 1])
    chain.add("Reshape", np.array([-1, 48])).add("MatMul", unity(chain.rng.normal(0, 0.5, (48, 9)), 1)).relu1()
    chain.add("MatMul", chain.rng.normal(size=(9, 4)).astype(np.float32))
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert [layer.kind for layer in network.layers] == ["input", "spiking", "spiking", "readout"]


def test_channels_last_output():
    chain = Chain((8, 7, 3)).add("Transpose", perm=[0, 3, 1, 2]).conv(4, pads=[1] * 4).relu1()
    chain.conv(5).add("Transpose", perm=[0, 2, 3, 1])
    assert_equals_onnx_runtime(chain.model(), chain.images())


@pytest.mark.parametrize("axis", (1, -3))
def test_flatten(axis):
    chain = Chain((3, 4, 5)).conv(4, (2, 2)).relu1().add("Flatten", axis=axis).gemm(5).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


@pytest.mark.parametrize("shape", ([0, -1], [-1, 48], [0, 4, 12], [0, 0, -1], [-1, 2, 6, 4]))
def test_reshape_of_spikes(shape):
    chain = Chain((3, 4, 5)).conv(4, (2, 2)).relu1().add("Reshape", np.array(shape))
    columns = chain.width(-1)
    chain.add("MatMul", unity(chain.rng.normal(0, 0.5, (columns, 6)), 1)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_reshape_of_potentials_and_of_the_output():
    chain = Chain((3, 4, 5)).conv(4, (2, 2)).add("Reshape", np.array([0, 2, 2, 12])).relu1()
    chain.conv(6, (2, 3)).add("Reshape", np.array([0, 3, 20]))
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_unsqueeze_a_signal_and_squeeze_it_again():
    chain = Chain((20,)).add("Unsqueeze", np.array([1])).conv(4, (5,)).relu1()
    chain.conv(1, (3,)).relu1().add("Squeeze", np.array([1])).readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


@pytest.mark.parametrize("axes", ([2, 3], [-1, -2], None))
def test_squeeze_a_global_average(axes):
    chain = Chain((3, 6, 5)).conv(8).relu1().add("GlobalAveragePool").add("Squeeze", *([] if axes is None else [np.array(axes)]))
    if axes is None:
        network = assert_equals_onnx_runtime(chain.model(), chain.images())
        assert network.readout.onnx_shape == (8,)
    else:
        assert_equals_onnx_runtime(chain.gemm(5).relu1().readout().model(), chain.images())


@pytest.mark.parametrize("axes", ([1], [4], [-1], [1, 2]))
def test_unsqueeze_and_flatten(axes):
    chain = Chain((3, 6, 5)).conv(4).relu1().add("Unsqueeze", np.array(axes)).readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_dropout_and_identity_leave_no_trace():
    chain = Chain((3, 6, 5)).add("Identity").add("Dropout").conv(4).add("Identity").relu1()
    chain.add("Dropout", np.float32(0.5)).readout().add("Identity")
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert len(network.layers) == 3


@pytest.mark.parametrize("build", (
    lambda chain: chain.add("Flatten", axis=0), lambda chain: chain.add("Flatten", axis=-4), lambda chain: chain.add("Transpose"),
    lambda chain: chain.add("Transpose", perm=[1, 0, 2, 3]), lambda chain: chain.add("Unsqueeze", np.array([0])),
    lambda chain: chain.add("Unsqueeze", np.array([-5])), lambda chain: chain.add("Squeeze", np.array([0]))))
def test_what_moves_the_batch_axis_is_refused(build):
    with pytest.raises(UnsupportedModel, match="moves the batch axis") as refusal:
        converted(build(Chain((3, 4, 5)).conv(4, (1, 1)).relu1()).readout().model())
    assert len(refusal.value.nodes) == 1


@pytest.mark.parametrize("build", (
    lambda chain: chain.add("Flatten", axis=2), lambda chain: chain.add("Reshape", np.array([-1, 5])),
    lambda chain: chain.add("Reshape", np.array([-1, 1, 4, 5])).conv(2, (2, 2)),
    lambda chain: chain.add("Reshape", np.array([-1, 1, 4, 5])).add("MaxPool", kernel_shape=[2, 2]),
    lambda chain: chain.add("Reshape", np.array([-1, 1, 4, 5])).add("GlobalAveragePool")))
def test_axes_that_stay_in_the_batch_are_refused(build):
    with pytest.raises(ModelError, match="folded into the batch"):
        converted(build(Chain((3, 4, 5)).conv(4, (1, 1)).relu1()).readout().model())
