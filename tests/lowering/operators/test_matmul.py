import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import Chain, assert_equals_onnx_runtime, assert_layers_equal_onnx_runtime, converted, exact, unity
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.simulation.engines import simulate

QUICK = settings(derandomize=True, deadline=None, max_examples=20)


@QUICK
@given(
    st.integers(0, 1),
    st.sampled_from((1.0, 0.5, 2.0)),
    st.sampled_from((1.0, -0.5, 0.0)),
    st.sampled_from((None, "row", "one", "matrix")),
    st.integers(0, 1000),
)
def test_gemm_attributes(transposed, alpha, beta, bias, seed):
    rng = np.random.default_rng(seed)
    weights = unity(rng.normal(0, 0.5, (12, 7)), 1, total=1 / alpha)
    shapes = {"row": (7,), "one": (1,), "matrix": (1, 7)}
    biases = [] if bias is None else [rng.normal(0, 0.2, shapes[bias]).astype(np.float32)]
    stored = weights.T.copy() if transposed else weights
    chain = Chain((12,), seed).add("Gemm", stored, *biases, transB=transposed, alpha=alpha, beta=beta)
    chain.relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images(5))


def test_gemm_behind_flattened_channels():
    chain = Chain((3, 6, 5)).conv(4).relu1().add("Flatten").gemm(9).relu1().readout()
    assert assert_layers_equal_onnx_runtime(chain.model(), chain.images()) == 2


@pytest.mark.parametrize("shape", ((12,), (5, 12), (4, 3, 12)))
@pytest.mark.parametrize("bias", (False, True))
def test_matmul_of_any_rank(shape, bias):
    chain = Chain(shape)
    chain.add("MatMul", unity(chain.rng.normal(0, 0.5, (12, 10)), 1))
    if bias:
        chain.add("Add", chain.rng.normal(0, 0.2, 10).astype(np.float32))
    chain.relu1().add("MatMul", unity(chain.rng.normal(0, 0.5, (10, 6)), 1)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())
    assert assert_layers_equal_onnx_runtime(chain.model(), chain.images()) == 2


@pytest.mark.parametrize("shape", ((5, 12), (4, 3, 12)))
def test_matmul_shares_its_weights_over_positions_at_the_readout_too(shape):
    chain = Chain(shape)
    chain.add("MatMul", unity(chain.rng.normal(0, 0.5, (12, 10)), 1)).relu1()
    chain.add("MatMul", chain.rng.normal(size=(10, 3)).astype(np.float32))
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_matmul_behind_a_channels_first_convolution():
    chain = Chain((3, 6, 5)).conv(4).relu1().add("Transpose", perm=[0, 2, 3, 1])
    chain.add("MatMul", unity(chain.rng.normal(0, 0.5, (4, 6)), 1)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_matmul_over_the_width_of_a_channels_first_convolution():
    chain = Chain((3, 6, 5)).conv(4).relu1()
    chain.add("MatMul", unity(chain.rng.normal(0, 0.5, (3, 6)), 1)).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def paper_figure_2() -> Chain:
    return Chain((2,)).add("Gemm", np.array([[5], [-10]], np.float32)).relu1().add("Gemm", np.ones((1, 1), np.float32))


def test_figure_2_fires_under_a_fixed_threshold():
    weights, activations = (5, -10), (0.8, 0.4)
    t = np.arange(0, 1001) / 1000
    potential = sum(w * np.maximum(t - (1 - a), 0) for w, a in zip(weights, activations))
    assert t[np.argmax(potential >= 1 - 1e-9)] == 0.4


@pytest.mark.parametrize("steps", (None, 50))
def test_figure_2_is_silent_under_the_dynamic_threshold(steps):
    x = np.array([[0.8, 0.4], [0.8, 0.0]], np.float32)  # without the inhibition it fires at the opening
    network = converted(paper_figure_2().model(), mode="unchecked", steps=steps)
    recording = simulate(network, x)
    hidden = network.layers[1].name
    assert recording.silent(hidden).ravel().tolist() == [True, False]
    assert recording.spike_times[hidden].ravel().tolist() == [steps or 1, 0]
    assert recording.potentials.ravel().tolist() == [0, 1]


def test_positions_folded_into_the_batch_and_back():
    chain = Chain((5, 12)).add("Reshape", np.array([-1, 12])).gemm(10).relu1().add("Reshape", np.array([-1, 5, 10])).readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_an_input_transposed_is_right_for_a_sample_alone():
    chain = Chain((12,)).add("Gemm", np.float32([[0.5, -1, 0.25]]), transA=1)
    assert assert_equals_onnx_runtime(chain.model(), chain.images()).readouts[0].onnx_shape == (12, 3)


def test_a_stack_of_one_matrix_is_that_matrix():
    chain = Chain((12,)).add("Unsqueeze", np.array([1]))
    chain.add("MatMul", unity(chain.rng.normal(0, 0.5, (12, 6)), 1)[None]).relu1().readout()
    assert_equals_onnx_runtime(chain.model(), chain.images())


def test_weights_that_the_network_computes_are_refused():
    chain = Chain((6, 6)).add("MatMul", "x").relu1().readout()
    with pytest.raises(UnsupportedModel, match="two computed tensors"):
        converted(chain.model())


# Mode exact: ranges that differ by channel, constants on either side


def ranged(shape):
    """Features of `shape` with another range, some negative, in every channel (axis 1)."""
    return Chain(shape).add("Mul", np.float32(3)).add("Relu").batch_norm(-1, 1)


def normal(*shape, seed=3):
    return np.random.default_rng(seed).normal(0, 0.5, shape).astype(np.float32)


def signed(chain):
    return chain.add("Clip", np.float32(-1), np.float32(1))


def left(chain, matrix, operator="MatMul", *more, **attributes):
    """`operator` with the constant `matrix` in front of the tensor."""
    value, chain.at = chain.at, chain.constant(matrix)
    return chain.add(operator, value, *more, **attributes)


@QUICK
@given(
    st.integers(0, 1),
    st.sampled_from((1.0, 0.5, -2.0)),
    st.sampled_from((1.0, -0.5, 0.0)),
    st.sampled_from((None, (7,), (1, 7), (1,), (), (1, 1))),
    st.booleans(),
)
def test_gemm_of_ranges(transposed, alpha, beta, bias, spikes):
    chain = ranged((12,)) if spikes else Chain((12,)).gemm(12, total=0.0)
    weights = normal(7, 12) if transposed else normal(12, 7)
    chain.add("Gemm", weights, *([] if bias is None else [normal(*bias, seed=4)]), transB=transposed, alpha=alpha, beta=beta)
    exact(signed(chain).readout().model(), chain.images(5))


@pytest.mark.parametrize("shape, stack", (((4, 6), 0), ((4, 6), 1), ((3, 4, 6), 0), ((3, 4, 6), 1), ((3, 4, 6), 2)))
@pytest.mark.parametrize("side", ("left", "right"))
def test_matmul_from_either_side(shape, stack, side):
    """stack: axes of size 1 in front of the matrix."""
    chain = ranged(shape)
    left(chain, normal(*(1,) * stack, 5, 4)) if side == "left" else chain.add("MatMul", normal(*(1,) * stack, 6, 5))
    exact(signed(chain).readout().model(), chain.images())


@pytest.mark.parametrize("shape", ((12,), (5, 12), (4, 3, 12)))
@pytest.mark.parametrize("activation", ("Relu", None))
def test_matmul_and_a_bias_which_onnx_runtime_folds_into_the_batch(shape, activation):
    """Calibration and comparison have to see every position of a tensor whose first axis is not the batch alone."""
    chain = Chain(shape).add("MatMul", normal(12, 10)).add("Add", normal(10))
    chain = chain.add(activation) if activation else chain
    chain.add("MatMul", normal(10, 6)).add("Add", normal(6)).add("Relu").readout()
    exact(chain.model(), chain.images())


@pytest.mark.parametrize("activation", ("Relu", None))
def test_positions_folded_into_the_batch_have_calibrated_ranges(activation):
    chain = Chain((5, 12)).add("Reshape", np.array([-1, 12])).gemm(10, total=0.0)
    chain = chain.add(activation) if activation else chain
    exact(chain.gemm(6, total=0.0).add("Reshape", np.array([-1, 5, 6])).add("Relu").readout().model(), chain.images())


@pytest.mark.parametrize("side", ("left", "right"))
@pytest.mark.parametrize("spikes", (True, False))
def test_both_sides_in_a_row_as_an_mlp_mixer_has_them(side, spikes):
    chain = ranged((4, 6)) if spikes else Chain((4, 6)).add("MatMul", normal(6, 6, seed=1))
    for one in (side, "left", "right", "left"):
        left(chain, normal(4, 4)) if one == "left" else chain.add("MatMul", normal(6, 6))
        signed(chain)
    exact(chain.readout().model(), chain.images())


@pytest.mark.parametrize("side", ("left", "right"))
def test_as_the_output(side):
    chain = ranged((4, 6))
    left(chain, normal(5, 4)) if side == "left" else chain.add("MatMul", normal(6, 5))
    network = exact(chain.model(), chain.images())
    assert network.layers[-1].onnx_shape == ((5, 6) if side == "left" else (4, 5))


def test_from_the_left_strict_mode_takes_unity_weights():
    chain = left(Chain((4, 6)), unity(normal(5, 4))).relu1()
    network = assert_equals_onnx_runtime(left(chain, unity(normal(3, 5))).relu1().readout().model(), chain.images())
    assert [layer.kind for layer in network.layers if layer.kind != "reorder"] == ["input", "spiking", "spiking", "readout"]


@pytest.mark.parametrize(
    "part",
    (
        lambda chain: chain.add("Slice", np.array([2]), np.array([5]), np.array([1])),
        lambda chain: chain.add("Gather", np.array([0, 0, 3]), axis=1),
        lambda chain: chain.add("Split", axis=1, outputs=2),
    ),
    ids=("slice", "gather", "split"),
)
@pytest.mark.parametrize("shape", ((8,), (6, 4), (6, 3, 4)))
@pytest.mark.parametrize("flat", (True, False))
def test_part_of_a_layer(part, shape, flat, request):
    chain = part(ranged(shape))
    if flat:
        chain.add("Flatten").gemm(5, total=0.0)
    else:
        chain.add("MatMul", normal(chain.width(-1), 5))
    encoded_anew = "gather" in request.node.name and not flat and len(shape) > 1  # into one range for all rows, without a name of a tensor
    exact(signed(chain).readout().model(), chain.images(), not_compared=["matmul4"] if encoded_anew else [])


def test_heads_that_read_parts_of_one_layer():
    chain = ranged((6, 4)).add("Split", axis=2, outputs=2)
    parts, results = (chain.at, chain.at.replace("_out", "_extra1")), []
    for part in parts:
        chain.at = part
        results.append(left(chain.add("MatMul", normal(2, 3)), normal(5, 6)).at)
    exact(signed(chain.add("Add", results[0])).readout().model(), chain.images())


def for_one_image(chain):
    model = chain.model()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    return model


@pytest.mark.parametrize("shape", ([0, 6, 4, 3, 4], [0, 3, 2, 4, 3, 4], [0, 3, 2, 2, 2, 3, 4]))
@pytest.mark.parametrize("side", ("left", "right"))
def test_positions_on_three_axes_and_more(shape, side):
    chain = ranged((6, 4, 12)).add("Reshape", np.array(shape))
    left(chain, normal(5, 3)) if side == "left" else chain.add("MatMul", normal(4, 5))
    network = exact(signed(chain).readout().model(), chain.images())
    assert all(len(layer.shape) <= 3 for layer in network.layers)


@pytest.mark.parametrize("transposed", (0, 1))
def test_gemm_over_positions_of_one_image(transposed):
    """In a model for one image its axis can be left out."""
    chain = ranged((4, 6)).add("Reshape", np.array([4, 6]))
    chain.add("Gemm", normal(7, 6) if transposed else normal(6, 7), normal(4, 7), transB=transposed).add("Reshape", np.array([1, 28]))
    exact(for_one_image(signed(chain).readout()), chain.images())


def test_gemm_of_one_image_transposed():
    chain = ranged((4, 6)).add("Reshape", np.array([4, 6])).add("Gemm", normal(4, 5), normal(6, 5), transA=1)
    chain.add("Reshape", np.array([1, 30]))
    exact(for_one_image(signed(chain).readout()), chain.images())


@pytest.mark.parametrize("left_transposed, right_transposed", ((0, 0), (1, 0), (0, 1), (1, 1)))
def test_gemm_with_the_constant_in_front_of_one_image(left_transposed, right_transposed):
    chain = ranged((4, 6)).add("Reshape", np.array([4, 6]))
    inner = 6 if right_transposed else 4
    left(chain, normal(inner, 5) if left_transposed else normal(5, inner), "Gemm", transA=left_transposed, transB=right_transposed)
    exact(for_one_image(signed(chain.add("Reshape", np.array([1, 5 * (10 - inner)]))).readout()), chain.images())


@pytest.mark.parametrize(
    "build",
    (
        lambda chain: left(chain, normal(5, 1), "Gemm"),
        lambda chain: left(chain, normal(5, 12), "Gemm", transB=1),
        lambda chain: left(chain, normal(12, 5), "Gemm", transA=1, transB=1),
    ),
)
def test_a_constant_in_front_of_the_batch_is_right_for_a_sample_alone(build):
    chain = build(Chain((12,)).gemm(12, total=0.0).add("Relu")).add("Reshape", np.array([1, -1]))
    exact(signed(chain).readout().model(), chain.images())


def test_a_stack_of_one_matrix_puts_an_axis_in_front_of_the_batch():
    """ONNX gives (1, batch, 6)."""
    chain = Chain((12,)).gemm(12, total=0.0).add("Relu").add("MatMul", normal(1, 12, 6)).add("Reshape", np.array([-1, 6]))
    exact(signed(chain).readout().model(), chain.images())


@pytest.mark.parametrize("shape", ((6,), (4, 6), (3, 4, 6)))
@pytest.mark.parametrize("side", ("left", "right"))
@pytest.mark.parametrize("spikes", (True, False))
def test_a_vector_takes_an_axis_away(shape, side, spikes):
    chain = ranged(shape) if spikes else Chain(shape).add("MatMul", normal(6, 6, seed=1))
    left(chain, normal(chain.width(-2))) if side == "left" else chain.add("MatMul", normal(6))
    exact(signed(chain).add("Reshape", np.array([1, -1])).readout().model(), chain.images())


def test_a_vector_at_the_output_leaves_the_batch_alone():
    chain = ranged((6,)).gemm(6).add("Relu").add("MatMul", normal(6))
    assert exact(chain.model(), chain.images()).readouts[0].onnx_shape == ()


@pytest.mark.parametrize("matrices", (normal(3, 4, 5), normal(1, 3, 4, 5)))
@pytest.mark.parametrize("side", ("left", "right"))
def test_one_matrix_for_each_channel(matrices, side):
    chain = ranged((3, 6, 4)) if side == "right" else ranged((3, 5, 6))
    left(chain, matrices) if side == "left" else chain.add("MatMul", matrices)
    network = exact(signed(chain).readout().model(), chain.images())
    step = next(
        step
        for layer in network.layers
        if layer.kind == "spiking"
        for each in layer.connections
        for step in each.path
        if step.kind == "conv" and step.groups > 1
    )
    assert step.groups == 3 and step.weights.size == 60


@pytest.mark.parametrize(
    "shape, stack",
    (
        ((1, 6, 4), (3, 4, 5)),
        ((6, 4), (3, 1, 4, 5)),
        ((2, 1, 6, 4), (2, 3, 4, 5)),
        ((2, 3, 6, 4), (3, 4, 5)),
        ((2, 3, 1, 4), (2, 3, 4, 5)),
        ((4,), (3, 4, 5)),
    ),
)
def test_matrices_for_axes_that_the_tensor_has_and_lacks(shape, stack):
    """As the projections of attention heads: those that it lacks are further outputs."""
    chain = Chain(shape).add("Relu").add("Mul", normal(4, seed=9)).add("MatMul", normal(*stack)).add("Add", normal(5))
    exact(signed(chain).add("Reshape", np.array([1, -1])).readout().model(), chain.images())


def test_a_stack_of_matrices_at_the_readout():
    chain = ranged((2, 12)).add("MatMul", normal(2, 12, 3))
    assert exact(chain.model(), chain.images()).readouts[0].onnx_shape == (2, 2, 3)


# Gemm's C


@pytest.mark.parametrize("beta", (1.0, 0.5, -2.0))
@pytest.mark.parametrize("alpha", (1.0, -0.5))
@pytest.mark.parametrize("c", ("spikes", "potential", "broadcast"))
def test_a_computed_c(alpha, beta, c):
    chain = ranged((6,))
    start = chain.at
    chain.add("MatMul", normal(6, 1 if c == "broadcast" else 7, seed=1))
    added = (chain if c == "potential" else chain.add("Relu")).at
    chain.at = start
    chain.add("Gemm", normal(6, 7), added, alpha=alpha, beta=beta)
    exact(signed(chain).readout().model(), chain.images(5))
    exact(chain.model(), chain.images(5))  # at the output too


def test_products_without_bias_which_onnx_runtime_fuses():
    chain = ranged((6,))
    start, products = chain.at, []
    for seed in range(3):
        chain.at = start
        products.append(chain.add("MatMul", normal(6, 5, seed=seed)).at)
    chain.at = products[0]
    exact(signed(chain.add("Add", products[1]).add("Add", products[2])).model(), chain.images(5))


def test_attention_scores_are_refused():
    chain = ranged((4, 6))
    query, chain.at = chain.at, chain.add("MatMul", normal(6, 6)).at
    keys = chain.add("Transpose", perm=[0, 2, 1]).at
    chain.at = query
    with pytest.raises(UnsupportedModel, match="--mode exact, which takes squares of their sums"):
        converted(chain.add("MatMul", keys).add("Relu").readout().model(), mode="unchecked")
