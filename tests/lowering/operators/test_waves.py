"""Sine and cosine: a population for each way from one extreme to the next, as far as x is known, or seen, to reach."""

import numpy as np
import pytest

from tests.lowering.operators.test_curves import end, start
from tests.models import Chain, converted, dataset, exact
from ttfs_convert.conversion.refusals import CalibrationError
from ttfs_convert.lowering.graph_walk import UnsupportedModel
from ttfs_convert.measurement.operation_counts import spiking_mac_share
from ttfs_convert.network.activations.half_wave import HalfWave
from ttfs_convert.network.network import Network
from ttfs_convert.network.populations import Spiking
from ttfs_convert.onnx_model.reference import Reference
from ttfs_convert.simulation.engines import simulate
from ttfs_convert.simulation.shared_potentials import shared_potentials


def waves(network: Network) -> list[Spiking]:
    return [layer for layer in network.layers if isinstance(layer, Spiking) and isinstance(layer.activation, HalfWave)]


@pytest.mark.parametrize("operator, factor, shift", (("Sin", 0.5, 0), ("Cos", 0.5, 0), ("Sin", 3, 1), ("Cos", 9, 40), ("Sin", 9, -4)))
def test_equals_onnx_runtime(operator, factor, shift):
    chain = start(factor, shift).add(operator)
    x = chain.images(8)
    network = exact(end(chain).model(), x)
    before = Reference(chain.model(), ["conv0_out"])(x)["conv0_out"] * factor + shift
    assert len(waves(network)) >= np.ptp(before) / np.pi
    assert spiking_mac_share(network) == 1 and network.windows == 3  # one window, as any activation


@pytest.mark.parametrize("operator", ("Sin", "Cos"))
def test_engines_agree(operator):
    chain = start(6).add(operator)
    x = chain.images(4)
    network = converted(end(chain).model(), mode="exact", calibrate=dataset(chain.images(8)), steps=32)
    assert len(waves(network)) > 4
    closed, stepped = simulate(network, x), simulate(network, x, "clock")
    for name, steps in closed.spike_times.items():
        np.testing.assert_array_equal(stepped.spike_times[name], steps)
    tau, spikewise = simulate(network.with_steps(None), x), simulate(network.with_steps(None), x, "event")
    for name, times in tau.spike_times.items():
        np.testing.assert_allclose(spikewise.spike_times[name], times, rtol=0, atol=1e-5)


def test_rounding_is_half_a_step_of_one_half_wave():
    """Wherever x lies, the other populations are silent or have fired at once: the sum is off by half a step of 2, whatever their number."""
    steps, width = 50, 64
    chain = Chain((width,))
    ramp = np.linspace(-20, 20, width).astype(np.float32)
    chain.add("Gemm", np.zeros((width, width), np.float32), ramp).add("Sin").add("Gemm", np.eye(width, dtype=np.float32))
    network = converted(chain.model(), mode="exact", calibrate=dataset(chain.images(4)), steps=steps)
    assert len(waves(network)) >= 13
    error = np.abs(simulate(network, chain.images(1)).potentials[0] - np.sin(ramp))
    assert error.max() <= 1 / steps + 1e-3 and error.max() > 0.5 / steps


def test_what_x_is_known_to_be_needs_no_data():
    chain = start(9).add("Clip", np.float32(-2), np.float32(7)).add("Sin").conv(3, (2, 2)).relu1().readout()
    network = converted(chain.model(), mode="exact")
    assert len(waves(network)) == 4  # extremes at -pi/2, pi/2 and 3 pi/2
    with pytest.raises(CalibrationError) as refusal:
        converted(end(start(9).add("Sin")).model(), mode="exact")
    assert any(layer.layer.startswith("sin") for layer in refusal.value.layers)


def test_values_beyond_what_data_shows_stay_at_an_extreme():
    """Calibrated on a fifth of the inputs' range: the last half waves end where the next extreme is, and nothing is wilder than a sine."""
    chain = start(6).add("Sin")
    output = chain.at
    network = converted(end(chain).model(output), mode="exact", calibrate=dataset(0.2 * chain.images(8)))
    found = simulate(network, chain.images(8)).readouts[output]
    assert np.abs(found).max() <= 1 + 1e-5


def test_too_many_turns_are_refused_or_analog():
    chain = end(start(60).add("Sin"))
    data = dataset(chain.images(6))
    with pytest.raises(UnsupportedModel, match=r"where it turns \d+ times.*--allow-analog"):
        converted(chain.model(), mode="exact", calibrate=data)
    network = converted(chain.model(), mode="exact", calibrate=data, allow_analog=True)
    assert [node.operator for part in network.analog for node in part.nodes] == ["Sin"] and not waves(network)


def test_potentials_are_worked_out_once():
    chain = start(6).add("Sin")
    network = converted(end(chain).model(), mode="exact", calibrate=dataset(chain.images(8)))
    names = [layer.name for layer in waves(network)]
    same = shared_potentials(network)
    assert set(same) == set(names[1:]) and {first for first, _ in same.values()} == {names[0]}
    assert {layer.part for layer in waves(network) if same.get(layer.name, ("", 1.0))[1] < 0} == {"mirrored"}


@pytest.mark.parametrize("mode", ("strict", "unchecked"))
def test_the_paper_has_no_such_thresholds(mode):
    chain = Chain((3, 6, 6)).conv(4).relu1().add("Sin").conv(3, (2, 2)).relu1().readout()
    with pytest.raises(UnsupportedModel, match="its threshold would have a shape"):
        converted(chain.model(), mode=mode)
