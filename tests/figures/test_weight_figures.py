"""Figures of weight sums: what they say of a network and of a model."""

import numpy as np
import pytest

from tests.figures.pictures import assert_figures, texts
from tests.models import Chain, converted, save
from ttfs_convert.figures.weight_figures import weight_sum_figures, write_weight_sums
from ttfs_convert.studies.inspection import inspect_model

FIGURES = "weight_sums", "weight_sum_deviations"


def chain() -> Chain:
    return Chain((2, 6, 6), seed=1).conv(3, total=1.25).relu1().add("Flatten").gemm(7).relu1().readout(3)


def test_a_network_s_layers_with_what_is_asked_of_them(tmp_path):
    network = converted(chain().model(), mode="unchecked")
    write_weight_sums(network, tmp_path / "new")
    assert_figures(tmp_path / "new", *FIGURES)
    names = [layer.name for layer in network.layers[1:]]
    for figure in FIGURES:
        shown = texts(tmp_path / "new" / f"{figure}.svg")
        assert all(name in shown for name in names) and "network model (mode unchecked, slope fan_in, continuous time)" in shown
    shown = texts(tmp_path / "new" / "weight_sums.svg")
    assert "max |Σ w − 1| = 2.5e-01" in shown and "3 channels" in shown and "7 neurons" in shown and "exempt: readout" in shown
    assert f"{names[-1]} (readout)" in texts(tmp_path / "new" / "weight_sum_deviations.svg")


def test_a_model_s_layers_as_mode_strict_sees_them(tmp_path):
    write_weight_sums(inspect_model(save(chain().add("Relu").model(), tmp_path)), tmp_path)
    (tmp_path / "model.onnx").unlink()
    assert_figures(tmp_path, *FIGURES)
    assert "model model, as mode strict sees it" in texts(tmp_path / "weight_sums.svg")


def bars(figure, panel):
    """(values, edges) of a panel's histogram."""
    (patch,) = (patch for patch in figure.axes[panel].patches if hasattr(patch, "get_data"))
    return patch.get_data().values, patch.get_data().edges


def test_histograms_hold_every_sum_and_the_bin_in_the_middle_is_1():
    network = converted(chain().model(), mode="unchecked")
    spread = np.array([0.5, 1, 1, 1.001, 1.45, 1.5], np.float32)
    layer = network.layers[1].model_copy(update={"weight_sums": spread})
    figure = weight_sum_figures([layer], "")["weight_sums"]
    values, edges = bars(figure, 0)
    assert values.sum() == pytest.approx(100) and (edges[0], edges[-1]) == (0.5, 1.5)
    assert values[20] == pytest.approx(50) and edges[20] < 1 < edges[21] and values[0] == pytest.approx(100 / 6)


def test_deviations_show_quartiles_and_zeros():
    layer = converted(chain().model(), mode="unchecked").layers[1]
    layer = layer.model_copy(update={"weight_sums": np.array([1, 1 + 2**-10, 1 - 2**-8, 1 + 2**-6, 3], np.float32)})
    axes = weight_sum_figures([layer], "")["weight_sum_deviations"].axes[0]
    lines = {line.get_label(): line.get_xdata() for line in axes.lines}
    assert list(lines["smallest to largest"]) == [1e-9, 2] and list(lines["middle half"]) == [2**-10, 2**-6]
    assert list(lines["median"]) == [2**-8] and list(lines["tolerance of mode strict, 0.0001"]) == [1e-4, 1e-4]
    assert axes.get_xlim()[0] < 1e-9 and axes.get_xlim()[1] > 2


def test_without_neurons_nothing_is_drawn(tmp_path):
    network = converted(chain().model(), mode="unchecked")
    assert weight_sum_figures(network.layers[:1], "") == {}
