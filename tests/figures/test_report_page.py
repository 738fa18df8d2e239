"""The HTML page: the report's numbers, names that stay text, nothing from outside, and a bound on its size."""

import base64
import hashlib
import re

import numpy as np
import pytest

from tests.figures.page_case import evaluated, residual
from tests.models import Chain
from ttfs_convert.figures import report_page as module
from ttfs_convert.figures.report_page import report_page, worst_layer
from ttfs_convert.gates.judge import judged

HOSTILE = "</script><img src=x onerror=alert(1)>\"'"


@pytest.fixture(scope="module")
def run():
    return evaluated()


@pytest.fixture(scope="module")
def page(run):
    return report_page(*run)


def table_row(page, table, name):
    content = re.search(rf'aria-label="{table}">\s*<table.*?</table>', page, re.DOTALL).group(0)
    return re.search(rf'<th scope="row">(?:<a [^>]*>)?{re.escape(name)}(?:</a>)?</th>(.*?)</tr>', content, re.DOTALL).group(1)


def test_numbers_of_layers_are_the_reports(run, page):
    report, _ = run
    for number, layer in enumerate(report.layers, 1):
        values = re.findall(r'data-value="(.*?)"', table_row(page, "Layers", layer.name))
        expected = (number, layer.window, layer.neurons, layer.mean_error, layer.max_error)
        assert values[:5] == ["" if value is None else str(value) for value in expected]
    worst = worst_layer(report)
    assert worst.mean_error == max(layer.mean_error for layer in report.layers if layer.range is not None and layer.mean_error is not None)
    assert worst.kind != "readout"  # whose errors are in the output's own units
    assert f"<dt>Worst layer</dt><dd>{worst.name}, mean error {worst.mean_error:.4g}" in page


def test_energy_of_layers_sums_up_to_the_networks(run, page):
    report, _ = run
    for cost in report.energy.costs:
        assert sum(layer.joules[cost.table] for layer in report.layers) == pytest.approx(cost.joules["event"].total, rel=1e-9)
    for layer in report.layers:
        assert [float(value) for value in re.findall(r'data-value="(.*?)"', table_row(page, "Energy by layer", layer.name))[2:]] == pytest.approx(
            [1e6 * layer.joules[cost.table] for cost in report.energy.costs]
        )
    assert all(f"{getattr(report.energy, name).p_proxy:,.0f}</td>" in page for name in ("paper", "synaptic", "event", "event_if_gated"))


def test_both_networks_stand_side_by_side(run, page):
    report, _ = run
    texts = re.findall(r"<td>(.*?)</td>", table_row(page, "Original beside spiking network", "Accuracy"))
    drift = report.drift.accuracy_pp
    assert texts == [f"{100 * report.ann.accuracy:.2f} %", f"{100 * report.snn.accuracy:.2f} %", f"{drift:+.2f} pp"]
    assert f"{report.energy.ann_macs:,}</td>" in page


def test_the_verdict_stands_on_top(run, page):
    report, _ = run
    assert [gate.outcome for gate in report.gates] == ["failed", "passed", "inconclusive"]
    assert page.index('<p class="badge failed">failed</p>') < page.index("<h1>")
    for gate in report.gates:
        assert f'<dd class="{gate.outcome}">{gate.outcome}: ' in page and page.index(f"Gate {gate.gate}") < page.index("<h2>")
    passed = report.model_copy(update={"gates": report.gates[1:2]})
    assert '<p class="badge passed">passed</p>' in report_page(passed) and '"badge measured"' in report_page(judged(report, []))


def test_the_diagram_shows_windows_and_the_branch_that_waits(run, page):
    report, details = run
    diagram = re.search(r'<section id="network">.*?</section>', page, re.DOTALL).group(0)
    assert diagram.count('class="box ') == len(details.network.layers)
    waits = re.findall(r'<path class="wait" [^>]*><title>(.*?)</title>', diagram)
    assert len(waits) == 1 and waits[0].endswith("spikes wait for 6 time steps in a delay line")
    for layer in report.layers[1:-1]:
        assert re.search(rf"<title>{re.escape(layer.name)}: .*; {6 * layer.window} to {6 * layer.window + 6} time steps</title>", diagram)


def test_a_spike_stands_where_it_was_sent(run, page):
    _, details = run
    shown = details.spikes[0]
    layer = next(name for name, tau in shown.tau.items() if (tau < 1).any() and name != "x")
    place = int(np.flatnonzero(shown.tau[layer] < 1)[0])
    window = next(each.window for each in details.network.layers if each.name == layer)
    step = round(6 * (window + float(shown.tau[layer][place])))
    assert f"{layer}, neuron {details.neurons[layer][place]}: step {step}, a = {1 - shown.tau[layer][place]:.3g}</title>" in page
    raster = re.search(r'<figure class="raster" data-item="0".*?</figure>', page, re.DOTALL).group(0)
    assert raster.count('class="spike"') == sum(int((tau < 1).sum()) for tau in shown.tau.values())


def test_labels_that_changed_are_pictures_or_values(run):
    report, details = run
    page = report_page(report, details)
    changed = re.search(r'<section id="changed">.*?</section>', page, re.DOTALL).group(0)
    assert details.changed.count == round(report.data.samples * (1 - report.drift.agreement)) > 0
    assert changed.count('<img src="data:image/png;base64,') == details.changed.count and f"{details.changed.count} of 60" in changed
    first = details.changed.samples[0]
    assert f"#{first.row}: {first.truth}<br>{first.ann} → " in changed
    rows = evaluated(Chain((12,), seed=3).gemm(9).relu1().readout(3), steps=2)
    changed = re.search(r'<section id="changed">.*?</section>', report_page(*rows), re.DOTALL).group(0)
    values = rows[1].changed.samples[0].values
    assert "<img" not in changed and f"<td>{', '.join(f'{value:.4g}' for value in values[:8])}, …</td>" in changed


def test_a_layer_has_its_distributions(run, page):
    report, details = run
    for index, layer in enumerate(report.layers[:2]):
        panel = re.search(rf'<article id="layer-{index}".*?</article>', page, re.DOTALL).group(0)
        timing = details.distributions.timing.layers[layer.name]
        shares = [float(share) for share in re.findall(r"of the window: (.*?) % of the neurons", panel)]
        assert sum(shares) == pytest.approx(100 * timing.histogram.sum() / timing.neurons, rel=0.02)
    assert "decoded" in panel and "Potentials as the window opens: mean" in panel


def test_provenance_is_on_the_page(run, page):
    report, _ = run
    assert report.model.onnx_sha256 in page and report.data.sha256 in page
    assert report.tool.version in page and f"numpy {np.__version__}" in page


def test_names_are_escaped(run):
    report, details = run
    layers = tuple(layer.model_copy(update={"name": HOSTILE}) for layer in report.layers)
    model, data = (part.model_copy(update={"name": HOSTILE}) for part in (report.model, report.data))
    tool = report.tool.model_copy(update={"command": HOSTILE})
    hostile = report.model_copy(update={"layers": layers, "model": model, "data": data, "notes": (HOSTILE,), "tool": tool})
    pages = report_page(hostile), report_page(hostile, details, extra=HOSTILE)
    for page in pages:
        assert "<img src=x" not in page and page.count("</script>") == 1 and page.count("&lt;img src=x") >= len(layers) + 5


def test_names_in_pictures_are_escaped(run):
    _, details = run
    network = details.network
    layers = [layer.model_copy(update={"name": HOSTILE}) if not number else layer for number, layer in enumerate(network.layers)]
    first = network.layers[0].name
    for number, layer in enumerate(layers):
        if hasattr(layer, "connections"):
            connections = (each.model_copy(update={"source": HOSTILE if each.source == first else each.source}) for each in layer.connections)
            layers[number] = layer.model_copy(update={"connections": tuple(connections)})
    found = evaluated_network(network.model_copy(update={"layers": tuple(layers)}))
    page = report_page(*found)
    assert "<img src=x" not in page and f"{HOSTILE}: input".replace("<", "&lt;").replace(">", "&gt;")[:20] in page


def evaluated_network(network):
    from ttfs_convert.studies.evaluation import evaluate

    found = evaluate(network, residual().images(20), threads=1, details=True)
    return found.report, found.details


def test_only_its_own_style_and_script_are_allowed(page):
    assert "unsafe-inline" not in page and "default-src 'none'" in page and not re.search(r"https?://|[\"'(]//[a-z]| style=| on[a-z]+=", page)
    for tag in "style", "script":
        content = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL).group(1)
        assert f"{tag}-src 'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'" in page


def test_a_section_of_a_task_keeps_its_markup(run):
    from markupsafe import Markup

    assert '<section id="own"><p>1 &lt; 2</p></section>' in report_page(*run, extra=Markup('<section id="own"><p>1 &lt; 2</p></section>'))


def test_continuous_time_and_analog_inputs(run):
    page = report_page(*evaluated(steps=None, images=20))
    assert "time runs to the right, in windows" in page and "step " not in re.search(r'<section id="raster">.*?</section>', page, re.DOTALL).group(0)
    chain = Chain((6,), seed=1).gemm(4).relu1().readout(3)
    page = report_page(*evaluated(chain, images=20, steps=5, mode="exact"))
    assert 'class="box input"' in page


def test_a_large_network_leaves_out_and_says_so(run, page, monkeypatch):
    report, details = run
    assert len(page.encode()) < module.LARGEST and "Left out, to" not in page
    monkeypatch.setattr(module, "LARGEST", len(page.encode()) - 1)
    smaller = report_page(report, details)
    assert len(smaller.encode()) < module.LARGEST and "Left out, to keep the page under 2 MB" in smaller and "the spikes of " in smaller
    many = report.model_copy(update={"layers": report.layers * 2000})
    monkeypatch.undo()
    page = report_page(many)
    assert len(page.encode()) < 2_000_000 and "all layers behind the first" in page
