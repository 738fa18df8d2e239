"""The original with N + 1 levels has the spiking network's levels, neuron by neuron, wherever float32 does not decide a tie."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.models import Chain, converted, dataset
from ttfs_convert.conversion.pipeline import convert
from ttfs_convert.errors import ModelError, UsageError
from ttfs_convert.measurement import quantised_ann as quantised
from ttfs_convert.measurement import quantised_graph
from ttfs_convert.measurement.quantised_ann import QuantisedAnn, QuantisedTally, QuantisedValues, quantised_model, spiked_levels, trace
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Input, Spiking
from ttfs_convert.onnx_model.precision import to_float32
from ttfs_convert.onnx_model.read import load_onnx
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.head_and_tail import Ends
from ttfs_convert.simulation.recording import Recording
from ttfs_convert.studies.comparison import Comparison

EXAMPLE = Path(__file__).parents[2] / "examples" / "fashion_mnist"


def spiking(network: Network, x: np.ndarray) -> tuple[Recording, np.ndarray]:
    """What the network does with `x`, and its first output."""
    ends = Ends(network, 1)
    recording = simulate(network, ends.entries({"x": x}))
    return recording, next(iter(ends.outputs(recording, {"x": x}).values()))


def assert_twins(network: Network, model: onnx.ModelProto, x: np.ndarray, ties: int = 0) -> QuantisedValues:
    """Every level of every layer agrees in all images but, at most, `ties`, and there rounding explains it; outputs agree too."""
    before = model.SerializeToString()
    onnx.checker.check_model(quantised_model(network, model))
    assert model.SerializeToString() == before
    ann = QuantisedAnn(network, model)
    values, (recording, output) = ann({"x": x}, details=True), spiking(network, x)
    found = [trace(network, ann, values, recording, image) for image in range(len(x))]
    assert all(each.at_tie for each in found), found
    equal = [image for image, each in enumerate(found) if each.layer is None]
    assert len(equal) >= len(x) - ties and values.levels.keys() == ann.quantisers.keys()
    for name, levels in values.levels.items():
        np.testing.assert_array_equal(levels[equal], spiked_levels(recording, name, ann.quantisers[name].steps)[equal])
        assert len(np.unique(levels)) > 1, f"{name} is constant: the comparison proves nothing"
    theirs = next(iter(values.outputs.values()))
    np.testing.assert_allclose(output[equal], theirs[equal], rtol=0, atol=2e-5 * np.abs(theirs).max())
    exact = Reference(model)(x)
    assert max(np.abs(exact[name] - values.outputs[name]).max() for name in exact) > 1e-4, "nothing was quantised"
    return values


def in_mode_exact(model: onnx.ModelProto, x: np.ndarray, **options) -> Network:
    return converted(model, **{"mode": "exact", "calibrate": dataset(x), "steps": 20, **options})


def strict_chain(shape=(2, 8, 8)) -> Chain:
    return Chain(shape).conv(4, pads=[1] * 4).relu1().add("AveragePool", kernel_shape=[2, 2], strides=[2, 2]).conv(5).relu1().readout()


# The rule


@pytest.mark.parametrize("steps, rounding", [(1, "nearest"), (7, "nearest"), (7, "ceil"), (50, "nearest"), (300, "ceil")])
def test_levels_and_values_follow_the_rule(steps, rounding):
    chain = Chain((4, 6)).add("Relu").conv(3, (2,)).add("Relu").readout()
    model, x = chain.model(), chain.images(8, -2, 3)
    x[:, 0, 0] = 3
    network = in_mode_exact(model, x, steps=steps, rounding=rounding, input_range=(-2, 3))
    values = assert_twins(network, model, x, ties=1)
    h = {"nearest": 0.5, "ceil": 0.0}[rounding]
    level = np.clip(np.floor(steps * (x.astype(np.float64) + 2) / 5 + h + 1e-4), 0, steps)
    assert level.max() == steps and (level == 0).any()
    np.testing.assert_array_equal(values.levels["x"], level.swapaxes(1, 2))  # a series, channels first, in the order of its neurons
    assert values.levels["x"].dtype == (np.uint8 if steps <= 255 else np.uint16)
    inserted = Reference(quantised_model(network, model), ["x/quantised"])(x)["x/quantised"]
    np.testing.assert_allclose(inserted, -2 + 5 * level / steps, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("steps, rounding", [(1, "nearest"), (16, "nearest"), (16, "ceil"), (255, "nearest"), (1000, "ceil")])
def test_strict_networks(steps, rounding):
    chain = strict_chain()
    assert_twins(converted(chain.model(), steps=steps, rounding=rounding), chain.model(), chain.images(6), ties=2)


def test_layers_with_steps_of_their_own():
    chain = strict_chain()
    network, counts = converted(chain.model(), steps=50), iter([9, 33, 12])
    layers = tuple(layer.model_copy(update={"steps": next(counts)}) if isinstance(layer, (Input, Spiking)) else layer for layer in network.layers)
    values = assert_twins(network.model_copy(update={"layers": layers}), chain.model(), chain.images(6))
    assert [int(levels.max()) for levels in values.levels.values()] == [9, 33, 12]


@pytest.mark.parametrize("kernel", [(2, 2), (3, 2), (4, 4)])
def test_means_that_are_ties_fall_on_the_same_side(kernel, monkeypatch):
    chain = Chain((2, 12, 12)).conv(6).relu1().add("AveragePool", kernel_shape=list(kernel)).conv(3).relu1().readout()
    network, x = converted(chain.model(), steps=10, pooling="spiking"), chain.images(8)
    assert_twins(network, chain.model(), x)
    monkeypatch.setattr(quantised_graph, "TIE", 0.0)
    with pytest.raises(AssertionError):
        assert_twins(network, chain.model(), x, ties=7)


@pytest.mark.parametrize("opset", range(7, onnx.defs.onnx_opset_version() + 1))
def test_opsets(opset):
    chain = Chain((2, 6, 6)).conv(4).add("Relu").conv(3).batch_norm().add("Relu").add("Flatten").gemm(4)
    try:
        model = chain.model(opset=opset)
    except ModelError:
        pytest.skip(f"ONNX Runtime {onnxruntime.__version__} does not run opset {opset}")
    assert_twins(in_mode_exact(model, chain.images(4)), model, chain.images(4))


def residual(chain: Chain) -> Chain:
    skip = chain.conv(4, pads=[1] * 4).add("Relu").at
    return chain.conv(4, pads=[1] * 4).batch_norm(-1).add("Add", skip).add("Relu").readout()


def pool_before_activation(chain: Chain) -> Chain:
    for _ in range(2):
        chain.conv(5, (2, 2)).add("MaxPool", kernel_shape=[2, 2])
    return chain.add("MaxPool", kernel_shape=[2, 2], pads=[1] * 4).add("Relu").readout()


def channels_last(chain: Chain) -> Chain:
    chain.conv(4).batch_norm(-1).add("Transpose", perm=[0, 2, 3, 1]).add("Relu").add("Transpose", perm=[0, 3, 1, 2]).conv(3)
    return chain.add("Relu").add("Transpose", perm=[0, 3, 2, 1]).add("Reshape", np.array([0, -1])).gemm(5).add("Relu").gemm(4)


def odd_order(chain: Chain) -> Chain:
    """Neither channels nor positions last: columns before rows."""
    return chain.conv(4, (2, 3)).add("Transpose", perm=[0, 1, 3, 2]).add("Relu").conv(3).add("Relu").readout()


def encoded_anew(chain: Chain) -> Chain:
    """The maximum of two tensors of different ranges: their values are encoded again, for it alone."""
    first = chain.conv(4).add("Relu").at
    second = chain.conv(4, (1, 1)).add("Clip", np.float32(0.1), np.float32(0.7)).at
    largest, chain.at = chain.add("Max", first).at, first
    return chain.conv(4, (1, 1)).add("Add", largest).add("Add", second).add("Relu").readout()


def mean_read_twice(chain: Chain) -> Chain:
    """A convolution reads the mean itself; a concatenation its spikes."""
    chain.conv(4).add("Relu")
    other = chain.at
    mean = chain.add("AveragePool", kernel_shape=[3, 3], pads=[1] * 4).at
    branch, chain.at = chain.conv(3, (1, 1)).add("Relu").at, mean
    return chain.add("Concat", branch, other, axis=1).conv(4).add("Relu").readout()


def tail_reads_spikes(chain: Chain) -> Chain:
    """The tail multiplies an activation that goes on in the body with the input."""
    inner = chain.conv(2, pads=[1] * 4).add("Relu").at
    scores, chain.at = chain.conv(2, pads=[1] * 4).at, inner
    return chain.add("Mul", "x").add("Sub", scores).add("Sigmoid")


def preprocessed(chain: Chain) -> Chain:
    """What the head computes is encoded."""
    return chain.add("Asinh").add("Clip", np.float32(0), np.float32(1)).conv(4).add("Relu").readout()


GRAPHS = {
    "residual": residual,
    "pool before activation": pool_before_activation,
    "channels last": channels_last,
    "odd order": odd_order,
    "encoded anew": encoded_anew,
    "mean read twice": mean_read_twice,
    "tail reads spikes": tail_reads_spikes,
    "preprocessed": preprocessed,
}


@pytest.mark.parametrize("pooling", ["synaptic", "spiking"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_graphs(graph, pooling):
    chain = GRAPHS[graph](Chain((2, 9, 9), seed=3))
    model, x = chain.model(), chain.images(4)
    assert_twins(in_mode_exact(model, x, pooling=pooling), model, x, ties=1)


@pytest.mark.parametrize("input_range", [(0, 1), None])
def test_analog_input_is_not_quantised_but_where_neurons_encode_it(input_range):
    chain = Chain((3, 8, 8))
    pooled = chain.add("MaxPool", kernel_shape=[3, 3]).conv(4, (1, 1)).at
    chain.at = "x"
    chain.conv(4).add("Add", pooled).add("Relu").readout()
    network = in_mode_exact(chain.model(), chain.images(4), input_range=input_range)
    values = assert_twins(network, chain.model(), chain.images(4))
    assert len(values.levels) == 2 and ("x" in values.levels) == bool(input_range)


def test_outputs_are_what_their_readouts_read():
    """A hidden activation is read from its spikes, the potential of neurons that also fire is not."""
    chain = Chain((2, 7, 7)).conv(3, pads=[1] * 4)
    linear = chain.at
    chain.conv(4)
    hidden = chain.add("Clip", np.float32(0), np.float32(1)).at
    chain.conv(4).add("Relu").readout()
    model, x = chain.model(chain.at, linear, hidden), chain.images(5)
    network = in_mode_exact(model, x)
    values = assert_twins(network, model, x)
    assert list(values.outputs) == [value.name for value in model.graph.output]
    recording, _ = spiking(network, x)
    for readout in network.readouts:
        np.testing.assert_allclose(values.outputs[readout.tensor], recording.readouts[readout.tensor], rtol=0, atol=2e-5)
    assert np.abs(values.outputs[hidden] - Reference(model)(x)[hidden]).max() > 0.01


def test_subgraphs_read_quantised_tensors():
    """An If of the tail reads, in its branch alone, an activation that goes on in the body."""
    chain = Chain((2, 6, 6)).conv(3).add("Relu")
    inner = chain.at
    chain.conv(4).add("ReduceMax", keepdims=0).add("Greater", np.float32(1e9))
    branches = {
        name: helper.make_graph([helper.make_node(operator, [inner], [name])], name, [], [helper.make_empty_tensor_value_info(name)])
        for name, operator in (("then_branch", "Neg"), ("else_branch", "Sqrt"))
    }
    model = chain.add("If", **branches).model()
    network = in_mode_exact(model, chain.images(4))
    assert [layer.kind for layer in network.layers if layer.tensor == inner] == ["spiking", "readout"]
    values, recording = QuantisedAnn(network, model)({"x": chain.images(4)}, details=True), simulate(network, chain.images(4))
    np.testing.assert_allclose(values.readouts[inner], recording.readouts[inner], rtol=0, atol=2e-5)
    np.testing.assert_allclose(values.outputs[chain.at], np.sqrt(recording.readouts[inner]), rtol=0, atol=1e-4)


def test_a_fixed_batch_and_positions_in_the_batch():
    """(n, 5, 6) as 5 n rows of features: channels have ranges of their own all the same."""
    chain = Chain((5, 6)).add("Reshape", np.array([-1, 6]))
    chain.add("MatMul", chain.rng.normal(size=(6, 4)).astype(np.float32)).add("Relu").add("Reshape", np.array([-1, 20])).gemm(3)
    model, x = chain.model(), chain.images(6)
    assert_twins(in_mode_exact(model, x), model, x)
    fixed = strict_chain().model()
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = fixed.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 4
    assert_twins(converted(fixed, steps=20), fixed, strict_chain().images(6))


def test_half_precision_weights_and_names_that_are_taken(tmp_path):
    chain = strict_chain()
    half = chain.model()
    for names in (names for node in half.graph.node for names in (node.input, node.output)):
        names[:] = [name.replace("clip1_out", "x/quantised") for name in names]
    for value in (*half.graph.input, *half.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    for tensor in half.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    network = in_mode_exact(half, chain.images(4))
    to_float32(half, tmp_path)
    assert_twins(network, half, chain.images(4), ties=1)


def test_what_cannot_be_quantised():
    model = strict_chain().model()
    with pytest.raises(UsageError, match="continuous time.*grid"):
        quantised_model(converted(model), model)
    network = converted(model, steps=9)
    layers = tuple(layer.model_copy(update={"tensor": None}) if layer.name == "conv3" else layer for layer in network.layers)
    with pytest.raises(ModelError, match="no tensor for conv3; expected one for every layer that spikes"):
        quantised_model(network.model_copy(update={"layers": layers}), model)


# Tracing and counting


def tally_of(network: Network, x: np.ndarray) -> QuantisedTally:
    comparison = Comparison(network, dataset(x), threads=1)
    return QuantisedTally(network, comparison.model, comparison.output, comparison.rule, comparison.reference)


def test_an_image_has_no_predictions_to_count():
    chain = Chain((2, 6, 6)).conv(3).relu1().conv(2)
    with pytest.raises(UsageError, match=r"shape \(2, 2, 2\) per sample; expected one score per class"):
        tally_of(converted(chain.model(), steps=9), chain.images(4))


@pytest.fixture(scope="module")
def case():
    """A network of which no spike differs: (network, model, x, recording, output)."""
    chain = strict_chain()
    model, x = chain.model(), chain.images(40)
    network = converted(model, steps=20)
    return network, model, x, *spiking(network, x)


def changed(recording: Recording, layer: str, image: int, by: int) -> tuple[Recording, tuple[int, ...]]:
    """A copy in which one neuron of `layer`, not at its window's ends, fires `by` steps later; and which one."""
    times = recording.spike_times[layer].astype(np.int16)
    place = (image, *np.argwhere((times[image] > 2) & (times[image] < 17))[0])
    times[place] += by
    return dataclasses.replace(recording, spike_times={**recording.spike_times, layer: times.astype(np.uint8)}), place


@pytest.mark.parametrize("layer", ["x", "conv3"])
@pytest.mark.parametrize("by, position, at_tie", [(1, None, False), (1, -3e-4, True), (-1, 3e-4, True), (2, 3e-4, False), (1, 6e-4, False)])
def test_a_divergence_is_found_and_judged_by_its_distance_from_a_tie(case, layer, by, position, at_tie):
    network, model, x, recording, _ = case
    ann = QuantisedAnn(network, model)
    values = ann({"x": x}, details=True)
    assert all(trace(network, ann, values, recording, image).layer is None for image in range(len(x)))
    wrong, place = changed(recording, layer, 3, by)
    positions = values.positions[layer].copy()
    if position is not None:
        positions[place] = np.rint(positions[place]) + position
    found = trace(network, ann, dataclasses.replace(values, positions={**values.positions, layer: positions}), wrong, 3)
    assert (found.layer, found.neurons, found.at_tie) == (layer, 1, at_tie)
    assert trace(network, ann, values, wrong, 2).layer is None


def test_what_a_tie_leads_to_is_not_judged(case):
    network, model, x, recording, _ = case
    ann = QuantisedAnn(network, model)
    values, (wrong, place) = ann({"x": x}, details=True), changed(recording, "conv0", 7, 1)
    values.positions["conv0"][place] = np.rint(values.positions["conv0"][place])
    assert trace(network, ann, values, changed(wrong, "conv3", 7, -2)[0], 7) == quantised.Divergence(7, "conv0", 1, 0.0, True)
    assert not trace(network, ann, values, changed(recording, "conv3", 7, -2)[0], 7).at_tie


def test_a_tie_does_not_hide_another_branch():
    """Two branches differ, the first one at a tie: the second one is judged too."""
    chain = Chain((2, 6, 6))
    first, chain.at = chain.conv(3).add("Relu").at, "x"
    model, x = chain.conv(3).add("Relu").add("Concat", first, axis=1).readout().model(), chain.images(4)
    network = in_mode_exact(model, x)
    names = [layer.name for layer in network.layers if isinstance(layer, Spiking)]
    ann, (recording, _) = QuantisedAnn(network, model), spiking(network, x)
    values = ann({"x": x}, details=True)
    recording, place = changed(recording, names[0], 1, 1)
    values.positions[names[0]][place] = np.rint(values.positions[names[0]][place])
    assert trace(network, ann, values, recording, 1) == quantised.Divergence(1, names[0], 1, 0.0, True)
    recording, _ = changed(recording, names[1], 1, 1)
    found = trace(network, ann, values, recording, 1)
    assert (found.layer, found.at_tie) == (names[1], False)


def part(recording: Recording, rows: slice | np.ndarray) -> Recording:
    return dataclasses.replace(
        recording,
        spike_times={name: times[rows] for name, times in recording.spike_times.items()},
        readouts={name: values[rows] for name, values in recording.readouts.items()},
    )


@pytest.mark.parametrize("batch", [1, 7, 40])
@pytest.mark.parametrize("labelled", [True, False])
def test_the_tally_adds_up_whatever_the_batch(case, batch, labelled):
    network, _, x, recording, output = case
    labels, tally = np.arange(len(x)) % 4, tally_of(network, x)
    for first in range(0, len(x), batch):
        rows = slice(first, first + batch)
        tally.add({"x": x[rows]}, part(recording, rows), output[rows], labels[rows] if labelled else None)
    outcome = tally.outcome()
    accuracy = float((output.argmax(1) == labels).mean()) if labelled else None
    assert outcome == quantised.QuantisedOutcome(40, accuracy, 1.0, 0, 0, 0.0, None) and outcome.notes == ()


def test_another_rounding_is_no_twin(case):
    """The wrong h: predictions differ, no tie explains it, and the report says where."""
    network, model, x, recording, output = case
    other = network.model_copy(update={"rounding": "ceil"})
    wrong = Reference(quantised_model(other, model))(x)[model.graph.output[0].name].argmax(1) != output.argmax(1)
    count, order, tally = int(wrong.sum()), np.argsort(wrong, kind="stable"), tally_of(other, x)
    assert 0 < count < 40
    for rows in (order[: 40 - count], order[40 - count :]):  # in the first batch all is well
        tally.add({"x": x[rows]}, part(recording, rows), output[rows])
    outcome = tally.outcome()
    assert (outcome.mismatches, outcome.traced_to_ties, outcome.agreement) == (count, 0, 1 - count / 40)
    assert (outcome.unexplained.layer, outcome.unexplained.image) == ("x", 40 - count) and outcome.spikes_differing > 0.2
    assert outcome.notes == (
        f"{count} predictions differ from the quantised ANN's for other reasons than ties, first that of image {40 - count}, from x on",
    )


@pytest.mark.parametrize("total, explained", [(1 + 8e-5, True), (1.05, False)])
def test_slopes_within_the_tolerance_of_strict_mode_move_ties(total, explained):
    chain = Chain((2, 8, 8)).conv(4, total=total).relu1().readout()
    network, model, x = converted(chain.model(), mode="unchecked", steps=1000), chain.model(), chain.images(4)
    ann, (recording, _) = QuantisedAnn(network, model), spiking(network, x)
    values = ann({"x": x}, details=True)
    found = [trace(network, ann, values, recording, image) for image in range(4)]
    assert max(each.distance for each in found) > 0.02 and {each.layer for each in found} <= {"conv0", None}
    assert all(each.at_tie == explained for each in found if each.layer)


def test_equal_spikes_do_not_excuse_other_potentials_or_outputs(case):
    network, _, x, recording, output = case
    readouts = {name: np.roll(values, 1, axis=1) for name, values in recording.readouts.items()}
    for spikes, where in ((dataclasses.replace(recording, readouts=readouts), network.readouts[0].name), (recording, None)):
        tally = tally_of(network, x)
        tally.add({"x": x}, spikes, np.roll(output, 1, axis=1))
        outcome = tally.outcome()
        assert outcome.mismatches > 0 == outcome.traced_to_ties and outcome.unexplained.layer == where


def test_equal_scores_are_a_tie():
    """Two classes that always score the same, but for a last bit."""
    chain = strict_chain()
    model, x = chain.model(), chain.images(40)
    tensor = next(each for each in model.graph.initializer if each.name == model.graph.node[-1].input[1])
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[:, [0, 0, 1, 2]], tensor.name))
    network = converted(model, steps=20)
    recording, output = spiking(network, x)
    tally = tally_of(network, x)
    tally.add({"x": x}, recording, output + np.array([0, 1e-6, 0, 0], np.float32))
    outcome = tally.outcome()
    assert outcome.mismatches == outcome.traced_to_ties > 0 and outcome.unexplained is None


@pytest.mark.parametrize("options", [{"rounding": "ceil"}, {"steps": 16, "pooling": "spiking"}])
def test_the_trained_example(options):
    with np.load(EXAMPLE / "images.npz") as archive:
        x, labels = archive["x"][:100, None].astype(np.float32) / 255, archive["y"][:100]
    network, model = convert(EXAMPLE / "model.onnx", **options), load_onnx(EXAMPLE / "model.onnx")
    recording, tally = simulate(network, x), tally_of(network, x)
    tally.add({model.graph.input[0].name: x}, recording, recording.potentials, labels)
    outcome = tally.outcome()
    assert outcome.agreement >= 0.99 and outcome.mismatches == outcome.traced_to_ties and outcome.accuracy > 0.85
    assert outcome.spikes_differing < 1e-3
