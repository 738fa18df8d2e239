"""Analog parts in the engines: what they read, what they give, and that batches and files change nothing."""

import re

import numpy as np
import onnx
import pytest

from tests import mixed
from tests.models import Chain, converted, dataset
from ttfs_convert import evaluate
from ttfs_convert.errors import DataError, ModelError, UsageError
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Analog, Input, Readout
from ttfs_convert.network.store import load, save
from ttfs_convert.network.tensor_order import as_read
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.spike_file import load_spikes

STEPS = 32
NETWORKS = {build.__name__: build() for build in (mixed.topk, mixed.lstm, mixed.two_parts, mixed.around, mixed.interleaved)}


def mixed_network(chain: Chain, **options) -> Network:
    return converted(chain.model(), **{"mode": "exact", "allow_analog": True, "calibrate": dataset(chain.images(40)), "steps": STEPS, **options})


@pytest.fixture(scope="module")
def networks() -> dict[str, Network]:
    return {name: mixed_network(chain) for name, chain in NETWORKS.items()}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("options", ({}, {"rounding": "ceil"}, {"slope": "reference"}), ids=str)
def test_every_step_simulated_gives_the_closed_form(name, options):
    chain = NETWORKS[name]
    network = mixed_network(chain, **options)
    closed, stepped = (simulate(network, chain.images(6), engine) for engine in ("exact", "clock"))
    assert closed.spike_times.keys() == stepped.spike_times.keys()
    for layer, times in closed.spike_times.items():
        assert times.dtype == stepped.spike_times[layer].dtype
        np.testing.assert_array_equal(times, stepped.spike_times[layer])
    for tensor, potentials in closed.readouts.items():
        np.testing.assert_allclose(potentials, stepped.readouts[tensor], rtol=0, atol=1e-5)
    assert next(iter(closed.readouts)) == chain.at and closed.potentials.shape == (6, *network.readouts[0].onnx_shape)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_spike_in_continuous_time_gives_the_closed_form(name, networks):
    chain, network = NETWORKS[name], networks[name].with_steps(None)
    closed, spikewise = (simulate(network, chain.images(6), engine) for engine in ("exact", "event"))
    for layer, tau in closed.spike_times.items():
        np.testing.assert_allclose(spikewise.spike_times[layer], tau, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_part_reads_decoded_spike_times_and_its_results_are_rounded(name, networks):
    """ONNX Runtime's own part, on the potentials that spikes on the grid give, and the rounding rule: the spike times of what is encoded."""
    chain, network = NETWORKS[name], networks[name]
    recording = simulate(network, chain.images(6))
    readouts = {layer.name: layer for layer in network.layers if isinstance(layer, Readout)}
    for part in network.analog:
        for layer in (readouts[each] for each in part.readouts):
            if all(not connection.path for connection in layer.connections):  # it reads spike trains
                (source,) = (connection.source for connection in layer.connections)
                coded = next(each for each in network.layers if each.name == source)
                decoded = coded.lo + (coded.hi - coded.lo) * recording.activations(source)
                np.testing.assert_allclose(recording.readouts[layer.tensor], as_read(decoded, layer), rtol=0, atol=1e-6)
        model = onnx.ModelProto.FromString(part.model.tobytes())
        session = Reference(model, unbatched=network.without_batch)
        session.together = 1
        computed = session({"x": chain.images(6), **recording.readouts})
        for layer in network.layers:
            if isinstance(layer, Input) and layer.source == part.name:
                a = (computed[layer.onnx_name].reshape(6, *layer.shape) - layer.lo) / (layer.hi - layer.lo)
                expected = np.clip(np.ceil(STEPS * (1 - a.astype(np.float64)) - 0.5 - 1e-4), 0, STEPS)
                np.testing.assert_array_equal(recording.spike_times[layer.name], expected)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("engine", ("exact", "clock"))
def test_splitting_a_batch_changes_no_bit(name, engine, networks):
    network, x = networks[name], NETWORKS[name].images(7)
    whole = simulate(network, x, engine)
    parts = [simulate(network, x[rows], engine) for rows in (slice(0, 1), slice(1, 4), slice(4, 7))]
    for layer, times in whole.spike_times.items():
        np.testing.assert_array_equal(times, np.concatenate([part.spike_times[layer] for part in parts]))
    assert whole.potentials.tobytes() == b"".join(part.potentials.tobytes() for part in parts)


@pytest.mark.parametrize("name", NETWORKS)
def test_figures_of_a_run(name, networks):
    chain, network = NETWORKS[name], networks[name]
    x = chain.images(40)
    labels = Reference(chain.model())(x)[chain.at].argmax(1)
    found = evaluate(network, (x, labels), quantised=True, threads=1)
    assert found.report.quantised_ann is not None
    assert (found.report.quantised_ann.agreement, found.report.quantised_ann.spikes_differing) == (1.0, 0.0)
    assert found.layer_errors.not_compared() == [] and found.layer_errors.first_out_of_tolerance() is None
    compared = {layer.name: layer.max_error for layer in found.report.layers}
    for part in network.analog:
        entered = [layer.name for layer in network.layers if isinstance(layer, Input) and layer.source == part.name]
        assert entered and all((compared[each] or 0) > 0 for each in entered)
    assert [part.name for part in found.report.model.analog] == [part.name for part in network.analog]
    assert found.report.energy.analog_macs == sum(part.macs for part in network.analog)
    assert found.report.model.spiking_mac_share == pytest.approx(1 - sum(part.mac_share for part in found.report.model.analog))
    silent = {layer.name: layer.silent for layer in found.report.layers if layer.kind == "analog"}
    assert list(silent.values()) == [None] * len(network.analog)
    checked = evaluate(network, (x, labels), engine="clock", distributions=True, threads=1)
    assert checked.report.engine.differing == 0 and checked.distributions is not None


def test_spike_files_hold_all_potentials(networks, tmp_path):
    chain, network = NETWORKS["topk"], networks["topk"]
    evaluate(network, chain.images(5), spikes=tmp_path / "spikes.npz")
    recording, _ = load_spikes(tmp_path / "spikes.npz")
    ours = simulate(network, chain.images(5))
    assert recording.spike_times.keys() == ours.spike_times.keys() and list(recording.readouts) == list(ours.readouts) == [chain.at, "gemm3_out"]
    np.testing.assert_array_equal(recording.spike_times["topk4_out"], ours.spike_times["topk4_out"])


def test_values_beyond_the_calibrated_range_are_cut_off():
    chain = mixed.topk()
    network = mixed_network(chain, calibrate=dataset(0.2 * chain.images(40)), margin=0.0)
    found = evaluate(network, chain.images(20))
    assert next(layer.saturated for layer in found.report.layers if layer.name == "topk4_out") > 0.1
    assert any("topk4_out" in note and "cut off" in note for note in found.notes)


def test_a_fixed_threshold_is_refused():
    network = mixed_network(mixed.topk(), slope="reference", steps=None)
    with pytest.raises(UsageError, match="analog parts, such as 'topk4'"):
        simulate(network, mixed.topk().images(2), "event", "fixed")


# Files


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_holds_the_parts(name, networks, tmp_path):
    network, x = networks[name], NETWORKS[name].images(4)
    save(network, tmp_path / "snn.npz")
    loaded = load(tmp_path / "snn.npz")
    assert [part.nodes for part in loaded.analog] == [part.nodes for part in network.analog]
    assert simulate(loaded, x).potentials.tobytes() == simulate(network, x).potentials.tobytes()


def with_part(network: Network, **fields) -> Network:
    return network.changed(layers=tuple(layer.changed(**fields) if isinstance(layer, Analog) else layer for layer in network.layers))


def edited(network: Network, edit) -> Network:
    model = onnx.ModelProto.FromString(network.analog[0].model.tobytes())
    edit(model)
    return with_part(network, model=np.frombuffer(model.SerializeToString(), np.uint8))


def elsewhere(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer.add()
    tensor.name, tensor.data_type, tensor.data_location = "weights", onnx.TensorProto.FLOAT, onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def renamed_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = model.graph.node[0].output[0] = "other"


def other_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "other"
    model.graph.node[0].input[0] = "other"


def other_shape(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[1] = "few"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([3]), "few"))


def not_a_number(model: onnx.ModelProto) -> None:
    result = model.graph.output[0].name
    model.graph.node[0].output[0] = "before"
    model.graph.node.append(onnx.helper.make_node("Mul", ["before", "nan"], [result]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full((1, 5), np.nan, np.float32), "nan"))


def no_input(model: onnx.ModelProto) -> None:
    value = model.graph.input.pop()
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((1, 12), np.float32), value.name))


BROKEN = {
    "no protobuf": (lambda network: with_part(network, model=np.frombuffer(b"\xff\xff", np.uint8)), ModelError, "no ONNX model"),
    "nothing": (lambda network: with_part(network, model=np.zeros(0, np.uint8)), ModelError, "ONNX Runtime cannot run it"),
    "weights elsewhere": (lambda network: edited(network, elsewhere), ModelError, "weights in another file"),
    "another output": (lambda network: edited(network, renamed_output), DataError, "nothing"),
    "another input": (lambda network: edited(network, other_input), DataError, "nothing for the input other"),
    "another shape": (lambda network: edited(network, other_shape), DataError, "shape (2, 3)"),
    "no input": (lambda network: edited(network, no_input), ModelError, "a model without inputs"),
    "no numbers": (lambda network: edited(network, not_a_number), DataError, "values from nan to nan"),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("engine", ("exact", "clock"))
def test_a_broken_part_is_one_error(case, engine, networks):
    edit, error, text = BROKEN[case]
    with pytest.raises(error, match=re.escape(text)):
        simulate(edit(networks["topk"]), NETWORKS["topk"].images(2), engine)


def changed(network: Network, name: str, **fields) -> Network:
    return network.changed(layers=tuple(layer.changed(**fields) if layer.name == name else layer for layer in network.layers))


WRONG = {
    "a readout that is none": ("topk4", {"readouts": ("conv0",)}, "uses unknown"),
    "a source that is none": ("topk4_out", {"source": "conv0"}, "uses unknown"),
    "another window": ("topk4_out", {"window": 0}, "window 0 instead of 2"),
    "currents": ("topk4_out", {"coding": "direct"}, "would not be encoded"),
    "neurons": ("topk4", {"shape": (3,)}, "neurons in an analog part"),
    "no output": ("gemm8", {"inner": True}, "whose only input or readout"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_network_is_checked(case, networks):
    name, fields, problem = WRONG[case]
    with pytest.raises(ValueError, match=problem):
        changed(networks["topk"], name, **fields)


@pytest.mark.parametrize("end", ("head", "tail"))
def test_head_and_tail_are_held_to_the_same(end):
    chain = mixed.behind_spikes().add("Softmax")
    network = converted(chain.model()).changed(**{end: np.frombuffer(b"\xff\xff", np.uint8)})
    with pytest.raises(ModelError, match=f"{end}: no ONNX model"):
        evaluate(network, (chain.images(2), np.zeros(2, np.int64)))
