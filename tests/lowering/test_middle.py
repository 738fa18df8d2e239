"""What has no spiking form in the middle of a network: which nodes are left to ONNX Runtime, in which parts, and what spikes around them."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from tests import mixed
from tests.models import Chain, alone, converted, dataset, exact
from ttfs_convert.conversion.refusals import CalibrationError
from ttfs_convert.errors import UsageError
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.measurement.operation_counts import spiking_mac_share, synaptic
from ttfs_convert.network.populations import Input, Readout
from ttfs_convert.simulation.head_and_tail import run

PARTS = {  # operators by part
    mixed.topk: [["TopK"]],
    mixed.lstm: [["LSTM"]],
    mixed.curved: [["Asinh"]],
    mixed.two_parts: [["Asinh"], ["TopK"]],
    mixed.around: [["Asinh"]],
    mixed.chosen: [["TopK", "GatherElements"]],
    mixed.labelled: [["ArgMax", "Cast"]],
    mixed.stacked: [["GRU", "Squeeze", "RNN"]],
    mixed.meeting: [["Add", "GRU", "LSTM", "TopK"]],
    mixed.interleaved: [["TopK", "Asinh"], ["Mod"]],
    mixed.with_input: [["Mod"]],
    mixed.looped: [["Loop"]],
    mixed.branching: [["If"]],
}


def mixed_network(chain: Chain, **options):
    return converted(chain.model(), **{"mode": "exact", "allow_analog": True, "calibrate": dataset(chain.images(8)), **options})


@pytest.mark.parametrize("build", PARTS, ids=lambda build: build.__name__)
def test_equals_onnx_runtime_in_continuous_time(build):
    chain = build()
    network = exact(chain.model(), chain.images(8), allow_analog=True)
    found = [[node.operator for node in part.nodes] for part in network.analog]
    assert [sorted(part) for part in found] == [sorted(part) for part in PARTS[build]]
    run = {node.op_type for part in network.analog for node in onnx.ModelProto.FromString(part.model.tobytes()).graph.node}
    assert run >= {operator for part in found for operator in part}


@pytest.mark.parametrize("build", (mixed.topk, mixed.lstm, mixed.looped))
def test_is_refused_without_the_option_which_is_named(build):
    chain = build()
    with pytest.raises(UnsupportedModel, match="--mode exact --allow-analog") as refusal:
        mixed_network(chain, allow_analog=False)
    assert [node[1] for node in refusal.value.nodes] == PARTS[build][0]
    with pytest.raises(UnsupportedModel, match="--mode exact --allow-analog"):
        converted(chain.model())


@pytest.mark.parametrize("mode", ("strict", "unchecked"))
def test_the_papers_modes_take_no_analog_parts(mode):
    with pytest.raises(UsageError, match=f"mode {mode}; expected mode exact"):
        mixed_network(mixed.topk(), mode=mode, calibrate=None)


def test_a_network_that_spikes_is_the_same_with_the_option():
    chain = mixed.ending(mixed.behind_spikes().relu1())
    plain, allowed = (mixed_network(chain, allow_analog=allow) for allow in (False, True))
    assert allowed.analog == () and [layer.name for layer in allowed.layers] == [layer.name for layer in plain.layers]
    assert synaptic(allowed) == synaptic(plain)


def test_what_stands_at_the_end_is_the_tail():
    chain = mixed.behind_spikes().add("TopK", np.array([5]), outputs=2, axis=1)
    assert mixed_network(chain).analog == ()


def test_quantised_operators_are_refused_with_the_option_too():
    chain = mixed.ending(
        mixed.behind_spikes().add("QuantizeLinear", np.float32(0.1), np.uint8(0)).add("DequantizeLinear", np.float32(0.1), np.uint8(0))
    )
    with pytest.raises(UnsupportedModel) as refusal:
        mixed_network(chain)
    assert "allow-analog" not in str(refusal.value)


def test_a_tail_reads_what_a_part_gives_and_not_its_spikes():
    chain = mixed.topk()
    model = chain.model("topk4_out", chain.at, "topk4_extra1")
    network = exact(model, chain.images(8), allow_analog=True)
    assert {layer.tensor: layer.inner for layer in network.layers if isinstance(layer, Readout)} == {"gemm3_out": False, chain.at: False}
    tail = onnx.ModelProto.FromString(network.tail.tobytes())
    assert [node.op_type for node in tail.graph.node] == ["TopK"] and {value.name for value in tail.graph.input} == {"gemm3_out", chain.at}


def test_a_tail_behind_a_later_layer_reads_the_part_too():
    chain = mixed.behind_spikes().add("Asinh")
    gate = chain.at
    chain.gemm(12).add("Relu").readout(12).add("Softmax").add("Mul", gate)
    network = exact(chain.model(), chain.images(8), allow_analog=True)
    assert [layer.inner for layer in network.layers if isinstance(layer, Readout)] == [False, False]


def test_windows_and_latency_count_the_window_that_encodes_anew():
    network = mixed_network(mixed.topk(), steps=20)
    windows = {layer.name: layer.window for layer in network.layers}
    assert windows == {"x": 0, "conv0": 1, "gemm3": 2, "topk4": 2, "topk4_out": 2, "gemm5": 3, "gemm8": 4}
    assert network.latency_steps == 4 * 20 and network.windows == 4
    own = network.with_layer_steps({"topk4_out": 100})
    assert own.latency_steps == 3 * 20 + 100 and network.with_input_steps(7).latency_steps == 3 * 20 + 7


def test_macs_of_a_part_do_not_spike():
    network = mixed_network(mixed.lstm())
    (part,) = network.analog
    assert part.macs == 6 * 4 * 7 * (5 + 7) and network.ann_macs - part.macs == pytest.approx(spiking_mac_share(network) * network.ann_macs)


def test_ranges_are_measured_or_follow_from_the_operator():
    chain = Chain((3, 8)).conv(5, (3,)).relu1().add("Transpose", perm=[2, 0, 1])
    chain = mixed.batch_first(mixed.recurrent(chain)).readout(9).relu1().readout(4)
    entered = {layer.name: layer for layer in mixed_network(chain, margin=0.0).layers}["lstm3_out"]
    assert isinstance(entered, Input) and entered.measured and entered.tensor == "lstm3_out" and entered.source == "lstm3"
    assert -1 < entered.lo.min() < 0 < entered.hi.max() < 1
    without = {layer.name: layer for layer in converted(chain.model(), mode="exact", allow_analog=True).layers}["lstm3_out"]
    assert without.lo.tolist() == [-1] * 7 and without.hi.tolist() == [1] * 7
    with pytest.raises(CalibrationError) as refusal:
        converted(mixed.topk().model(), mode="exact", allow_analog=True)
    assert "topk4_out" in [layer.layer for layer in refusal.value.layers]


def test_a_declared_batch_is_converted_for_one_sample():
    chain = mixed.topk()
    model, x = chain.model(), chain.images(8)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    exact(model, x, allow_analog=True)


def test_a_part_alone_may_read_an_input():
    """Of two inputs one goes through a head, the other one into a part only."""
    chain = Chain((3, 6, 5), mask=(12,)).add("Sign").conv(4).relu1().readout(12)
    chain = mixed.ending(chain.add("Mod", "mask", fmod=1))
    model, x = chain.model(), {"x": chain.images(8) - 0.5, "mask": chain.rng.uniform(0.5, 1, (8, 12)).astype(np.float32)}
    data = replace(dataset(x["x"]), inputs=x)
    network = converted(model, mode="exact", allow_analog=True, calibrate=data, input_range={"x": (-1.0, 1.0)})
    assert [layer.onnx_name for layer in network.inputs] == ["sign0_out"] and network.head is not None
    expected = alone(model, network)(x)[chain.at]
    np.testing.assert_allclose(run(network, x).potentials, expected, rtol=0, atol=2e-5 * np.ptp(expected))
