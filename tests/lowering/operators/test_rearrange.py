"""Operators that move, repeat or leave out elements."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import Chain, assert_equals_onnx_runtime, converted, exact, unity
from ttfs_convert.lowering.graph_walk import UnsupportedModel

QUICK = settings(derandomize=True, deadline=None, max_examples=12)


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
        assert network.layers[-1].onnx_shape == (8,)
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


# What a tensor is for a sample alone counts, wherever its batch axis is


@pytest.mark.parametrize(
    "build",
    (
        lambda chain: chain.add("Flatten", axis=0),
        lambda chain: chain.add("Flatten", axis=-4),
        lambda chain: chain.add("Transpose"),
        lambda chain: chain.add("Transpose", perm=[1, 0, 2, 3]),
        lambda chain: chain.add("Unsqueeze", np.array([0])),
        lambda chain: chain.add("Unsqueeze", np.array([-5])),
        lambda chain: chain.add("Squeeze", np.array([0])),
    ),
)
@pytest.mark.parametrize("behind", (lambda chain: chain, lambda chain: chain.add("Relu")))
def test_a_batch_axis_that_moves_or_goes(build, behind):
    chain = behind(build(features("spikes").add("Relu"))).add("Reshape", np.array([1, -1])).gemm(6, total=0.0).add("Relu").readout()
    exact(chain.model(), chain.images())


@pytest.mark.parametrize(
    "build",
    (
        lambda chain: chain.add("Flatten", axis=2),
        lambda chain: chain.add("Reshape", np.array([-1, 6])),
        lambda chain: chain.add("Reshape", np.array([-1, 1, 4, 6])).conv(2, (2, 2)),
        lambda chain: chain.add("Reshape", np.array([-1, 1, 4, 6])).add("MaxPool", kernel_shape=[2, 2]),
        lambda chain: chain.add("Reshape", np.array([-1, 1, 4, 6])).add("GlobalAveragePool"),
    ),
)
def test_axes_that_stay_in_the_batch_up_to_the_output(build):
    chain = build(features("spikes").add("Relu")).add("Flatten").gemm(4)
    network = exact(chain.model(), chain.images())
    assert not network.readouts[0].batched and network.readouts[0].onnx_shape[-1] == 4


def test_a_sequence_in_front_of_the_batch():
    """As recurrent and attention layers of PyTorch have it: (sequence, batch, features), and back."""
    chain = ranged_rows().add("Transpose", perm=[1, 0, 2]).add("MatMul", normal(6, 5)).add("Relu").add("Add", normal(5))
    chain.add("MatMul", normal(5, 3)).add("Relu").add("Transpose", perm=[1, 0, 2]).readout()
    exact(chain.model(), chain.images())


# In mode exact, over ranges that differ by channel, in front of a reader that shows every element


def features(kind, channels=4):
    """A batch of `channels` x 4 x 6 features: `spikes` with another range in every channel, some negative; or a `potential`."""
    chain = Chain((2, 4, 6)).conv(channels, pads=[1] * 4, total=0.0)
    return chain.add("Relu").batch_norm(-1, 1) if kind == "spikes" else chain


def normal(*shape):
    return np.random.default_rng(0).normal(0, 0.4, shape).astype(np.float32)


def ranged_rows():
    """A batch of four rows of six features."""
    return Chain((4, 6)).add("MatMul", normal(6, 6)).add("Relu")


def conv(chain):
    return chain.conv(3, (2,) * (len(chain.shape) - 1), total=0.0)


def matmul(chain):
    chain.add("Flatten")
    return chain.add("MatMul", unity(chain.rng.normal(0, 0.5, (chain.width(1), 5)), 1, total=0.0))


def read(chain, reader, opset=17):
    """`reader`, an activation that keeps negative values, and the readout. `Chain.width` knows opset 17 only."""
    chain.width = lambda axis: chain.model(opset=opset).graph.output[0].type.tensor_type.shape.dim[axis].dim_value
    ends = {"min": -1.0, "max": 1.0} if opset < 11 else {}  # attributes, and later inputs
    reader(chain).add("Clip", *([] if ends else [np.float32(-1), np.float32(1)]), **ends)
    chain.add("Flatten")
    return chain.add("MatMul", chain.rng.normal(0, 0.5, (chain.width(1), 4)).astype(np.float32))


KINDS = pytest.mark.parametrize("kind", ("spikes", "potential"))


def whole(*values):
    return np.array(values, np.int64)


MOVES = {
    "Slice channels": lambda chain: chain.add("Slice", whole(1), whole(3), whole(1)),
    "Slice positions": lambda chain: chain.add("Slice", whole(1, 0), whole(4, 5), whole(2, 3), whole(1, 2)),
    "Slice backwards": lambda chain: chain.add("Slice", whole(-1), whole(-99), whole(3), whole(-1)),
    "Slice without axes": lambda chain: chain.add("Slice", whole(0, 1), whole(99, 4)),
    "Gather channels": lambda chain: chain.add("Gather", whole(1, 0, -1), axis=1),
    "Gather twice the same": lambda chain: chain.add("Gather", whole(2, 2, -1), axis=1),
    "Gather positions": lambda chain: chain.add("Gather", whole(3, 0, 1), axis=-2),
    "DepthToSpace DCR": lambda chain: chain.add("DepthToSpace", blocksize=2),
    "DepthToSpace CRD": lambda chain: chain.add("DepthToSpace", blocksize=2, mode="CRD"),
    "SpaceToDepth": lambda chain: chain.add("SpaceToDepth", blocksize=2),
    "Resize scales": lambda chain: chain.add("Resize", None, np.float32([1, 1, 2, 1.5]), mode="nearest"),
    "Resize to less": lambda chain: chain.add("Resize", None, np.float32([1, 1, 0.75, 0.5]), mode="nearest"),
    "Tile": lambda chain: chain.add("Tile", whole(1, 2, 1, 2)),
    "Expand": lambda chain: chain.add("Slice", whole(2), whole(3), whole(2)).add("Expand", whole(1, 4, 3, 6)),
    "Expand a new shape": lambda chain: chain.add("Expand", whole(4, 4, 6)),
    "Squeeze": lambda chain: chain.add("Gather", whole(1), axis=2).add("Squeeze", whole(2)).add("Reshape", whole(0, 2, 2, 6)),
    "Unsqueeze": lambda chain: chain.add("Unsqueeze", whole(2, -1)).add("Reshape", whole(0, 2, 8, 6)),
    "Transpose": lambda chain: chain.add("Transpose", perm=[0, 2, 3, 1]),
    "Reshape": lambda chain: chain.add("Reshape", whole(0, 2, -1, 3)),
    "Reshape and allowzero": lambda chain: chain.add("Reshape", whole(-1, 6, 4, 4), allowzero=1),
    "Flatten": lambda chain: chain.add("Flatten").add("Reshape", whole(0, 6, 4, 4)),
    "channel shuffle": lambda chain: shuffle(chain),
    "Focus of YOLOv5": lambda chain: focus(chain),
}


def shuffle(chain):
    return chain.add("Reshape", whole(0, 2, 2, 4, 6)).add("Transpose", perm=[0, 2, 1, 3, 4]).add("Reshape", whole(0, 4, 4, 6))


def focus(chain):
    start, parts = chain.at, []
    for y in (0, 1):
        for x in (0, 1):
            chain.at = start
            parts.append(chain.add("Slice", whole(y, x), whole(99, 99), whole(2, 3), whole(2, 2)).at)
    chain.at = parts[0]
    return chain.add("Concat", *parts[1:], axis=1)


@pytest.mark.parametrize("kind, reader", (("spikes", conv), ("potential", matmul)))
@pytest.mark.parametrize("move", MOVES)
def test_moves(move, kind, reader):
    chain = read(MOVES[move](features(kind)), reader)
    exact(chain.model(), chain.images())


@pytest.mark.parametrize("move", ("Slice channels", "Gather twice the same", "DepthToSpace CRD", "Resize scales", "channel shuffle"))
def test_moves_before_an_activation_and_at_the_output(move):
    chain = MOVES[move](features("potential")).add("Relu")
    exact(MOVES["Slice positions"](chain).model(), chain.images())


@pytest.mark.parametrize("move", ("Slice channels", "DepthToSpace CRD", "Transpose", "channel shuffle"))
def test_moves_of_a_max_pool_of_pre_activations(move):
    chain = MOVES[move](features("potential").add("MaxPool", kernel_shape=[3, 3], pads=[1] * 4)).add("Relu")
    exact(read(chain, conv).model(), chain.images())


@pytest.mark.parametrize("move", ("Slice channels", "Gather twice the same", "DepthToSpace DCR", "Resize scales", "Tile", "Transpose"))
@pytest.mark.parametrize("pool", ("MaxPool", "AveragePool"))
def test_moves_in_front_of_a_pool(move, pool):
    chain = MOVES[move](features("spikes")).add(pool, kernel_shape=[2, 2])
    exact(read(chain, matmul).model(), chain.images())


@pytest.mark.parametrize("move", ("Slice channels", "Gather positions", "SpaceToDepth", "Resize scales", "Transpose", "Reshape"))
def test_strict_mode_takes_moves(move):
    chain = MOVES[move](Chain((2, 4, 6)).conv(4, pads=[1] * 4).relu1()).conv(3, (2, 2)).relu1().add("Flatten").gemm(5).relu1()
    network = assert_equals_onnx_runtime(chain.readout().model(), chain.images())
    assert sum(layer.kind == "spiking" for layer in network.layers) == 3


@pytest.mark.parametrize("move, wired", (("Reshape", False), ("Flatten", False), ("Transpose", True), ("Gather channels", True)))
def test_moves_are_wiring_at_most(move, wired):
    chain = MOVES[move](Chain((2, 4, 6)).conv(4, pads=[1] * 4).relu1()).add("Flatten").gemm(5).relu1().readout()
    network = assert_equals_onnx_runtime(chain.model(), chain.images())
    kinds = [layer.kind for layer in network.layers]
    assert [kind for kind in kinds if kind != "reorder"] == ["input", "spiking", "spiking", "readout"]
    assert kinds.count("reorder") <= wired


@QUICK
@given(
    st.permutations(("Slice channels", "Gather channels", "SpaceToDepth", "Tile", "Slice backwards", "Resize scales", "Transpose")),
    st.integers(2, 4),
    st.sampled_from(("spikes", "potential")),
)
def test_moves_in_a_row(moves, count, kind):
    chain = features(kind, 8).add("Resize", None, np.float32([1, 1, 4, 4]), mode="nearest")
    for move in moves[:count]:
        MOVES[move](chain)
    exact(read(chain, matmul).model(), chain.images(2))


@KINDS
@pytest.mark.parametrize("sizes, opset, unused", ((None, 17, 0), ((2, 4), 17, 1), ((2, 1, 3), 12, 0), ((3, 1, 2), 18, 1)))
def test_split(sizes, opset, kind, unused):
    """Every part goes its own way; the first `unused` ones nowhere."""
    chain, count = features(kind, 6), len(sizes or (3, 3))
    if opset < 13:
        chain.add("Split", axis=1, split=sizes, outputs=count)
    else:
        chain.add("Split", *([] if sizes is None else [whole(*sizes)]), axis=1, outputs=count)
    parts = [chain.at, *(chain.at.replace("_out", f"_extra{k}") for k in range(1, count))][unused:]
    results = []
    chain.width = lambda axis: chain.model(opset=opset).graph.output[0].type.tensor_type.shape.dim[axis].dim_value
    for part in parts:
        chain.at = part
        results.append(chain.conv(2, (2, 2), total=0.0).at)
    chain.at = results[0]
    if results[1:]:
        chain.add("Concat", *results[1:], axis=1)
    exact(read(chain, matmul, opset).model(opset=opset), chain.images())


def test_split_into_equal_parts_by_number():
    chain = features("spikes", 5).add("Split", axis=1, outputs=3, num_outputs=3)
    chain.at = chain.at.replace("_out", "_extra2")  # of 2, 2 and 1 channels
    exact(read(chain, conv, 18).model(opset=18), chain.images())


@KINDS
@pytest.mark.parametrize("index, axis", ((0, 1), (-1, 2), (2, -1)))
def test_gather_a_scalar_drops_the_axis(index, axis, kind):
    chain = features(kind).add("Gather", np.int64(index), axis=axis)
    chain.add("MatMul", chain.rng.normal(0, 0.5, (chain.width(2), 3)).astype(np.float32))
    exact(read(chain, matmul).model(), chain.images())


def test_gather_of_a_matrix_of_indices():
    chain = features("spikes").add("Gather", whole(0, 1, 2, 3, 2, 1).reshape(2, 3), axis=1)
    exact(read(chain, matmul).model(), chain.images())


@QUICK
@given(
    st.sampled_from(("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")),
    st.sampled_from(("round_prefer_floor", "floor", "ceil", "round_prefer_ceil")),
    st.sampled_from(((None, np.float32([1, 1, 2, 1.5])), (None, np.float32([1, 1, 0.5, 0.7])), (None, None, whole(1, 4, 7, 3)))),
)
def test_resize_nearest(positions, rounding, target):
    """With sizes, which hold the batch's too, the model is for one image."""
    attributes = {"coordinate_transformation_mode": positions, "nearest_mode": rounding}
    chain = features("spikes").add("Resize", *target, mode="nearest", **attributes)
    model = read(chain, matmul).model()
    exact(for_one_image(model) if len(target) > 2 else model, chain.images(2))


def for_one_image(model):
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    return model


@pytest.mark.parametrize(
    "move",
    (
        lambda chain: chain.add("GatherElements", np.zeros((1, 4, 4, 6), np.int64) + whole(2, 0, 1, 3)[:, None, None], axis=1),
        lambda chain: chain.add("GatherND", whole(2, 0, 3).reshape(1, 3, 1), batch_dims=1),
        lambda chain: chain.add("ReverseSequence", whole(3), batch_axis=0, time_axis=1),
    ),
)
def test_moves_whose_constants_hold_the_batch(move):
    """In a model for one image."""
    chain = features("spikes")
    exact(for_one_image(read(move(chain), conv).model()), chain.images())


@pytest.mark.parametrize("value, reason", ((0.0, "it adds elements"), (7.0, "it ")))
def test_resize_that_extrapolates_is_refused(value, reason):
    chain = features("spikes").add(
        "Resize",
        np.float32([0, 0, 0, -0.5, 1, 1, 1, 1.5]),
        np.float32([1, 1, 2, 2]),
        mode="nearest",
        coordinate_transformation_mode="tf_crop_and_resize",
        extrapolation_value=value,
    )
    with pytest.raises(UnsupportedModel, match=reason) as refusal:
        converted(read(chain, conv).model(), mode="unchecked")
    assert [node[1] for node in refusal.value.nodes] == ["Resize"]


def test_resize_to_the_sizes_of_some_axes():
    chain = features("spikes").add("Resize", None, None, whole(8, 9), mode="nearest", axes=[2, 3])
    exact(read(chain, conv, 18).model(opset=18), chain.images())


@pytest.mark.parametrize("opset", (7, 9, 10))
def test_resize_of_old_opsets(opset):
    chain = features("spikes")
    if opset == 7:
        chain.add("Upsample", scales=[1.0, 1.0, 2.0, 3.0], mode="nearest")
    else:
        chain.add("Upsample" if opset == 9 else "Resize", np.float32([1, 1, 2, 3]), mode="nearest")
    exact(read(chain, conv, opset).model(opset=opset), chain.images())


@pytest.mark.parametrize(
    "operator, attributes, opset",
    (("Slice", {"starts": [1, 0], "ends": [3, 3], "axes": [1, 3]}, 9), ("Squeeze", {"axes": [2]}, 11), ("Unsqueeze", {"axes": [1]}, 9)),
)
def test_attributes_of_old_opsets(operator, attributes, opset):
    chain = Chain((3, 1, 8)).conv(4, (1, 1), total=0.0).add("Relu").batch_norm(-1)
    exact(read(chain.add(operator, **attributes), matmul, opset).model(opset=opset), chain.images())


@KINDS
@pytest.mark.parametrize("shape", ([0, 0, 4, 6], [0, 4, -1], [0, -1], [-1, 96], [-1, 4, 24], [0, 2, 2, 0, 6], [0, 0, 0, -1]))
def test_reshape_with_0_and_minus_1(shape, kind):
    chain = features(kind).add("Reshape", whole(*shape) if 0 not in shape[3:] else whole(0, 2, 2, 4, 6))
    exact(read(chain, matmul).model(), chain.images())


@KINDS
@pytest.mark.parametrize("perm", ([0, 2, 3, 1], [0, 3, 1, 2], [0, 1, 3, 2], [0, 3, 2, 1]))
def test_a_convolution_along_other_axes_reads_ranges_that_differ_by_position(perm, kind):
    chain = features(kind).add("Transpose", perm=perm)
    exact(read(chain, conv).model(), chain.images())


INPUT_MOVES = pytest.mark.parametrize("move", ("Slice channels", "DepthToSpace CRD", "Tile", "Resize scales", "Transpose"))


@INPUT_MOVES
def test_moves_of_the_input(move):
    chain = read(MOVES[move](Chain((4, 4, 6))), conv)
    exact(chain.model(), chain.images(3, -1, 1), input_range=(-1, 1))


@INPUT_MOVES
def test_moves_of_analog_input(move):
    chain = read(MOVES[move](Chain((4, 4, 6))), conv)
    exact(chain.model(), chain.images(3, -1, 1), input_range=None)


@pytest.mark.parametrize(
    "build",
    (
        lambda chain: chain.add("Slice", whole(0), whole(1), whole(0)),
        lambda chain: chain.add("Gather", whole(0, 0), axis=0),
        lambda chain: chain.add("Gather", np.int64(0), axis=0),
        lambda chain: chain.add("Tile", whole(2, 1, 1, 1)),
        lambda chain: chain.add("Slice", whole(-1), whole(-99), whole(0), whole(-1)),
        lambda chain: chain.add("Resize", None, np.float32([2, 1, 1, 1]), mode="nearest"),
        lambda chain: chain.add("Expand", whole(2, 1, 1, 1, 1)),
    ),
)
def test_what_moves_elements_between_images_is_right_for_each_alone(build):
    chain = build(Chain((4, 4, 6)).conv(4, (1, 1)).add("Relu")).add("Flatten").add("Reshape", whole(1, -1)).gemm(2).add("Relu").readout()
    exact(chain.model(), chain.images())


@pytest.mark.parametrize(
    "build",
    (
        lambda chain, number: chain.add("Gather", number, axis=1),
        lambda chain, number: chain.add("Slice", number, whole(9), whole(1)),
        lambda chain, number: chain.add("Slice", whole(0), whole(9), whole(1)).add("Slice", number, whole(9), whole(2)),
    ),
)
def test_parameters_that_depend_on_the_data_are_refused(build):
    chain = Chain((1, 4, 6)).add("ReduceMax", axes=[0, 1, 2, 3], keepdims=0).add("Mul", np.float32(0)).add("Cast", to=7)
    chain.add("Unsqueeze", whole(0))
    number, chain.at = chain.at, "x"
    build(chain.conv(1, (1, 1)).add("Relu"), number).add("Conv", np.ones((2, 1, 1, 1), np.float32)).add("Relu")
    with pytest.raises(UnsupportedModel):
        converted(chain.model(), mode="unchecked")
