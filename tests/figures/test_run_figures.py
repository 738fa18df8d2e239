"""Figures of a run: files, texts, numbers, pages, and that the same run draws the same."""

import numpy as np
import pytest

from tests.figures.pictures import assert_figures, texts
from tests.models import Chain, converted, dataset
from ttfs_convert.figures.page import LONGEST_NAME, percent, short, signed
from ttfs_convert.figures.run_figures import write_run
from ttfs_convert.measurement.distributions import POTENTIAL_EDGES
from ttfs_convert.network.populations import Spiking
from ttfs_convert.studies.evaluation import evaluate

FIGURES = "preactivations", "activations", "spike_times", "time_axis"


def small() -> Chain:
    return (
        Chain((2, 6, 6), seed=2)
        .conv(4, pads=[1] * 4)
        .relu1()
        .add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
        .conv(5, (2, 2))
        .relu1()
        .add("Flatten")
        .gemm(9)
        .relu1()
        .readout(3)
    )


def run(chain, folder, images=12, threads=1, mode="strict", **options):
    network, x = converted(chain.model(), steps=20, mode=mode), dataset(chain.images(images))
    return network, drawn_run(network, x, folder, threads=threads, **options)


def drawn_run(network, x, folder, **options):
    evaluation = evaluate(network, x, distributions=True, **options)
    write_run(evaluation, folder)
    return evaluation


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plots") / "figures"
    return folder, *run(small(), folder, batch=5)


def test_files(drawn):
    folder, network, _ = drawn
    assert_figures(folder, *FIGURES)
    about = "network model (mode strict, slope fan_in, 20 steps); data images, N = 12"
    for figure in FIGURES:
        shown = texts(folder / f"{figure}.svg")
        assert about in shown
        assert all(layer.name in shown for layer in network.layers if isinstance(layer, Spiking))
    assert "target N(0, 1/9)" in texts(folder / "preactivations.svg")


def test_titles_tell_layer_errors_and_the_silent_shares(drawn):
    folder, network, evaluation = drawn
    spiking = [layer for layer in evaluation.report.layers if layer.slope]
    assert len(spiking) == sum(isinstance(layer, Spiking) for layer in network.layers) > 0
    for layer in spiking:
        assert f"largest error {layer.max_error:.1e}" in texts(folder / "activations.svg")
        assert f"{layer.name}, window {layer.window}\n" in texts(folder / "spike_times.svg") + "\n"
    shown = texts(folder / "time_axis.svg")
    assert all(f"{percent(layer.silent)} silent" in shown for layer in evaluation.report.layers if layer.silent is not None)


def test_the_counts_are_there_to_be_drawn_again(drawn):
    folder, network, evaluation = drawn
    spiking = [layer for layer in network.layers if isinstance(layer, Spiking)]
    with np.load(folder / "histograms.npz", allow_pickle=False) as counts:
        assert np.array_equal(counts["preactivation_edges"], POTENTIAL_EDGES)
        for layer in spiking:
            neurons = 12 * int(np.prod(layer.shape))
            assert 0 < counts[f"preactivations/{layer.name}"].sum() <= neurons
            assert counts[f"spike_times/{layer.name}"].size == 20 * network.windows
            told = next(each for each in evaluation.report.layers if each.name == layer.name)
            assert counts[f"spike_times/{layer.name}"].sum() == round(neurons * (1 - told.silent))
        assert sum(name.startswith("activations/") for name in counts) >= len(spiking) - 1  # the one in front of the pool may be matched behind


def test_the_same_run_draws_the_same_in_any_batches(drawn, tmp_path):
    folder, *_ = drawn
    run(small(), tmp_path, batch=12)
    for figure in FIGURES:
        for kind in ("png", "svg"):
            assert (tmp_path / f"{figure}.{kind}").read_bytes() == (folder / f"{figure}.{kind}").read_bytes(), figure
    assert (tmp_path / "histograms.npz").read_bytes() == (folder / "histograms.npz").read_bytes()


def test_pre_activations_of_all_networks_have_the_same_axes(tmp_path):
    """Those of another network, trained otherwise, can be held beside them."""
    from ttfs_convert.figures.run_figures import run_figures
    from ttfs_convert.measurement.distributions import Distributions
    from ttfs_convert.simulation.engines import simulate

    limits = set()
    for seed, total in ((1, 1), (4, 3)):
        chain = Chain((6,), seed=seed).gemm(8, total=total).relu1().readout(3)
        network, x = converted(chain.model(), mode="unchecked"), chain.images(5)
        found = Distributions(network)
        found.add(simulate(network, x), {"x": x}, {})
        (panel, *_) = run_figures(found, None, "")["preactivations"].axes
        limits.add((*panel.get_xlim(), *panel.get_ylim()))
    assert limits == {(-3, 3, 0, 2.5)}


def test_many_layers_take_several_pages(tmp_path, monkeypatch):
    monkeypatch.setattr("ttfs_convert.figures.page.ROWS", 1)
    monkeypatch.setattr("ttfs_convert.figures.run_figures.ROWS", 4)
    chain = Chain((6,), seed=1)
    for _ in range(6):
        chain = chain.gemm(5).relu1()
    network, _ = run(chain.readout(3), tmp_path)
    assert_figures(tmp_path, *FIGURES, *(f"{name}-2" for name in FIGURES))
    names = [layer.name for layer in network.layers if isinstance(layer, Spiking)]
    for figure, layers in (("preactivations", names), ("activations", names), ("spike_times", ["x", *names]), ("time_axis", ["x", *names])):
        for page, expected in (("", layers[:4]), ("-2", layers[4:])):
            shown = texts(tmp_path / f"{figure}{page}.svg")
            lines = [line.split(",")[0] for line in shown.splitlines()]
            assert [name for name in layers if name in lines] == expected and f"page {len(page) or 1} of 2" in shown


def test_a_direct_input_sends_no_spikes(tmp_path):
    chain = Chain((6,), seed=1).gemm(4).relu1().readout(2)
    network = converted(chain.model(), mode="exact", input_range=None)
    drawn_run(network, dataset(chain.images(4, -2, 2)), tmp_path, threads=1)
    assert_figures(tmp_path, *FIGURES)
    assert "x" not in texts(tmp_path / "time_axis.svg").splitlines() and "gemm0" in texts(tmp_path / "time_axis.svg")
    shown = texts(tmp_path / "preactivations.svg")
    assert "target N(0, 1/9)" not in shown and "0 to 1: fires inside its window" in shown  # the target is that of slope fan_in


def test_without_a_layer_that_fires_only_encoders_are_drawn(tmp_path):
    run(Chain((6,), seed=1).readout(2), tmp_path)
    assert {path.stem for path in tmp_path.glob("*.png")} == {"spike_times", "time_axis"}


def test_a_fixed_threshold_shows_spikes_outside_their_windows(tmp_path):
    _, evaluation = run(small(), tmp_path, mode="unchecked", engine="clock", threshold="fixed")
    assert_figures(tmp_path, *FIGURES)
    shown = texts(tmp_path / "time_axis.svg")
    assert "early" in shown and "late" in shown and "missing" in shown and "engine clock, fixed threshold" in shown
    timing = next(layer.spike_times for layer in evaluation.report.layers if layer.spike_times and layer.spike_times.premature)
    assert f"{percent(timing.premature / timing.neurons)} early" in texts(tmp_path / "spike_times.svg")


def test_neurons_that_never_fire(tmp_path):
    """Layers without any spike before the window's end leave their panels empty, and nothing divides by zero."""
    chain = Chain((6,), seed=1).gemm(4).add("Add", np.full(4, -50, np.float32)).relu1().readout(2)
    run(chain, tmp_path)
    assert "100 % silent" in texts(tmp_path / "time_axis.svg") and "100 % beyond" in texts(tmp_path / "preactivations.svg")


@pytest.mark.parametrize(
    "name, shown", (("a/$x$_{b}", "a/$x$_{b}"), ("<&>\x00\x1b", "<&>\\x00\\x1b"), ("n" * 30, "…" + "n" * 23), ("n" * 24, "n" * 24))
)
def test_names_of_any_kind_are_shown_as_they_are(name, shown):
    assert short(name) == shown and len(short(name)) <= LONGEST_NAME


def test_odd_names_in_a_file(tmp_path):
    network, x = converted(small().model(), steps=20), dataset(small().images(3))
    odd = dict(zip([layer.name for layer in network.layers], ("in$put$", "a$b$", "<&>\x07", "図", "e" * 60, "g/h")))
    layers = []
    for layer in network.layers:
        update = {"name": odd.get(layer.name, layer.name)}
        if hasattr(layer, "connections"):
            update["connections"] = tuple(each.model_copy(update={"source": odd[each.source]}) for each in layer.connections)
        if getattr(layer, "source", None) is not None:
            update["source"] = odd[layer.source]
        layers.append(layer.model_copy(update=update))
    drawn_run(network.model_copy(update={"layers": tuple(layers)}), x, tmp_path, threads=1)
    assert_figures(tmp_path, *FIGURES)
    shown = texts(tmp_path / "time_axis.svg").splitlines()
    assert {"in$put$", "a$b$", "<&>\\x07", "図", "…" + "e" * 23} <= set(shown)


def test_numbers_in_words():
    assert [percent(share) for share in (0, 0.0001, 0.004, 0.0099, 0.00999, 0.5, 1)] == ["0 %", "< 0.1 %", "0.4 %", "1.0 %", "1 %", "50 %", "100 %"]
    assert signed(-0.06, ".2f") == "−0.06" and signed(2, ".4g") == "2"
