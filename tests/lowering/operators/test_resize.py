"""Resize and Upsample, linear and cubic, against ONNX Runtime: coordinates, sizes, axes, of spikes and of pre-activations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import Chain, assert_equals_onnx_runtime, converted, exact
from ttfs_convert.lowering.graph_walk import UnsupportedModel

QUICK = settings(derandomize=True, deadline=None, max_examples=40)
VALUES = {
    "ReLU": lambda chain: chain.add("Relu"),
    "potential": lambda chain: chain,
    "by position": lambda chain: chain.add("Relu").add("Mul", chain.rng.uniform(0.5, 2, (1, *chain.shape)).astype(np.float32)),
    "normed": lambda chain: chain.add("Relu").batch_norm(-1, 1),
    "max-pooled potential": lambda chain: chain.add("MaxPool", kernel_shape=[1] * (len(chain.shape) - 1)),
}


def features(shape):
    axes = len(shape) - 1
    return Chain(shape).conv(shape[0], (3,) * axes, pads=[1] * 2 * axes, total=0.4)


def resized(values, shape, attributes, scales=None, sizes=None, opset=18):
    """Network and its images: values, Resize, a clamp and a convolution to two outputs."""
    chain = VALUES[values](features(shape))
    given = (None, scales) if sizes is None else (None, None, sizes)
    chain.add("Resize", *given, **attributes).add("Clip", np.float32(-1.5), np.float32(1.5))
    weights = chain.rng.normal(size=(2, shape[0], *(1,) * (len(shape) - 1))).astype(np.float32)
    return chain.add("Conv", weights).model(opset=opset), chain.images()


@QUICK
@given(
    st.sampled_from(sorted(VALUES)),
    st.sampled_from(("linear", "cubic")),
    st.sampled_from(("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")),
    st.tuples(st.sampled_from((0.5, 1.0, 1.3, 2.0, 3.0)), st.sampled_from((1.0, 2.0, 0.7))),
    st.booleans(),
    st.booleans(),
)
def test_coordinates_and_scales(values, mode, coordinates, scales, exclude, antialias):
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
    if mode == "cubic":
        attributes |= {"cubic_coeff_a": -0.5, "exclude_outside": int(exclude)}
    if antialias and coordinates == "half_pixel":
        attributes["antialias"] = 1
    exact(*resized(values, (2, 5, 6), attributes, np.float32([1, 1, *scales])))


@pytest.mark.parametrize("policy", ("stretch", "not_larger", "not_smaller"))
@pytest.mark.parametrize("sizes", ([13, 5], [3, 12]))
def test_sizes_of_some_axes(sizes, policy):
    exact(*resized("ReLU", (2, 5, 6), {"mode": "linear", "axes": [2, 3], "keep_aspect_ratio_policy": policy}, sizes=np.array(sizes)))


@pytest.mark.parametrize("mode", ("linear", "cubic"))
def test_sizes_of_all_axes_of_opset_13(mode):
    exact(*resized("ReLU", (2, 5, 6), {"mode": mode}, sizes=np.array([1, 2, 9, 7]), opset=13))


@pytest.mark.parametrize("values", sorted(VALUES))
def test_a_series(values):
    """ONNX Runtime interpolates (batch, channels, length) too."""
    exact(*resized(values, (2, 7), {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}, np.float32([1, 1, 2])))


def test_upsample_of_opset_9():
    chain = features((2, 5, 6)).add("Relu").add("Upsample", np.float32([1, 1, 2, 3]), mode="linear")
    weights = chain.rng.normal(size=(2, 2, 3, 3)).astype(np.float32)
    model = chain.add("Conv", weights).add("Relu").add("GlobalAveragePool").model(opset=9)
    exact(model, chain.images())


def test_channels_last():
    """Resize of (batch, height, width, channels), as it stands between Keras' Transposes."""
    chain = features((2, 5, 6)).add("Relu").add("Transpose", perm=[0, 2, 3, 1])
    chain.add("Resize", None, np.float32([1, 2, 2, 1]), mode="linear").add("Transpose", perm=[0, 3, 1, 2]).conv(3).add("Relu").readout()
    network = exact(chain.model(), chain.images())
    assert not any(layer.kind == "reorder" for layer in network.layers)
    (step,) = [step for step in network.layers[2].connections[0].path if step.kind == "sparse"]
    assert step.in_shape == (30, 2) and step.out_shape == (120, 2)


def test_it_costs_no_window_and_keeps_unity():
    """Strict mode: interpolated spikes add up to weights of 1."""
    chain = Chain((2, 5, 6)).conv(3, pads=[1] * 4).relu1().add("Resize", None, np.float32([1, 1, 2, 2]), mode="linear")
    chain.conv(4, pads=[1] * 4).relu1().readout()
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    assert network.windows == 3 and [layer.kind for layer in network.layers] == ["input", "spiking", "spiking", "readout"]


def test_linear_stays_in_its_range_and_cubic_does_not():
    """Joined with a skip connection both are encoded: in the range that follows from the weights."""
    ends = {}
    for mode in ("linear", "cubic"):
        chain = Chain((2, 4, 4)).conv(3, pads=[1] * 4).relu1()
        skip = chain.at
        chain.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).add("Resize", None, np.float32([1, 1, 2, 2]), mode=mode)
        chain.add("Concat", skip, axis=1).conv(3).add("Relu").readout()
        network = exact(chain.model(), chain.images())
        (layer,) = [
            layer
            for layer in network.layers
            if layer.kind == "spiking" and layer.connections[0].path[:1] and layer.connections[0].path[0].kind == "sparse"
        ]
        ends[mode] = layer.lo.min(), layer.hi.max()
    assert ends["linear"] == (0, 1) and ends["cubic"][0] < -0.1 and ends["cubic"][1] > 1.1


def test_a_crop_is_refused():
    chain = (
        features((2, 5, 6))
        .add("Relu")
        .add(
            "Resize",
            np.float32([0, 0, 0.1, 0.1, 1, 1, 0.9, 0.9]),
            np.float32([1, 1, 2, 2]),
            mode="linear",
            coordinate_transformation_mode="tf_crop_and_resize",
        )
        .conv(3)
        .add("Relu")
        .readout()
    )
    with pytest.raises(UnsupportedModel, match="tf_crop_and_resize"):
        converted(chain.model(), mode="unchecked")


@pytest.mark.parametrize("scale, antialias", ((0.5, 0), (2.5, 0), (0.13, 1)))
@pytest.mark.parametrize("coordinates", ("half_pixel", "align_corners"))
def test_long_series_take_few_synapses(scale, antialias, coordinates):
    model, images = resized(
        "ReLU", (2, 700), {"mode": "linear", "coordinate_transformation_mode": coordinates, "antialias": antialias}, np.float32([1, 1, scale])
    )
    network = exact(model, images)
    (step,) = [step for layer in network.layers for each in getattr(layer, "connections", ()) for step in each.path if step.kind == "sparse"]
    assert np.diff(step.indptr).max() <= 2 * max(1, 1 / scale if antialias else 1) + 2
