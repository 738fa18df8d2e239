"""The HTML page: the report's numbers, names that stay text, nothing from outside."""

import base64
import hashlib
import re

import pytest

from tests.models import Chain, converted, dataset
from ttfs_convert.figures.report_page import report_page, worst_layer
from ttfs_convert.gates.gate_list import Gate
from ttfs_convert.gates.judge import judged
from ttfs_convert.studies.evaluation import evaluate

HOSTILE = "</script><img src=x onerror=alert(1)>\"'"


@pytest.fixture(scope="module")
def report():
    chain = Chain((4,), seed=2).gemm(5).relu1().readout(3)
    return evaluate(converted(chain.model(), steps=20), dataset(chain.images(12)), threads=1).report


def test_numbers_are_the_reports(report):
    page = report_page(report)
    for layer in report.layers:
        row = re.search(rf'<th scope="row">{re.escape(layer.name)}</th>(.*?)</tr>', page).group(1)
        values = re.findall(r'data-value="(.*?)"', row)
        assert values[:3] == [str(layer.window), str(layer.neurons), "" if layer.mean_error is None else str(layer.mean_error)]
    worst = worst_layer(report)
    assert worst.mean_error == max(layer.mean_error for layer in report.layers if layer.range is not None and layer.mean_error is not None)
    assert worst.kind != "readout"  # whose errors are in the output's own units
    assert all(f"{getattr(report.energy, name).p_proxy:,.0f}</td>" in page for name in ("paper", "synaptic", "event", "event_if_gated"))
    assert page.count("<rect ") == sum(layer.range is not None for layer in report.layers)


def test_gates_stand_on_top(report):
    judged_report = judged(report, [Gate("max-latency", 10), Gate("max-layer-error", 0.9)])
    page = report_page(judged_report)
    assert [gate.outcome for gate in judged_report.gates] == ["failed", "passed"]
    for gate in judged_report.gates:
        assert f'<dd class="{gate.outcome}">{gate.outcome}: ' in page and page.index(f"Gate {gate.gate}") < page.index("<h2>")


def test_provenance_is_on_the_page(report):
    page = report_page(report)
    assert report.model.onnx_sha256 in page and report.data.sha256 in page


def test_names_are_escaped(report):
    layers = tuple(layer.model_copy(update={"name": HOSTILE}) for layer in report.layers)
    model, data = (part.model_copy(update={"name": HOSTILE}) for part in (report.model, report.data))
    page = report_page(report.model_copy(update={"layers": layers, "model": model, "data": data, "notes": (HOSTILE,)}))
    assert "<img" not in page and page.count("</script>") == 1 and page.count("&lt;img src=x") >= len(layers) + 4


def test_only_its_own_style_and_script_are_allowed(report):
    page = report_page(report)
    assert "unsafe-inline" not in page and not re.search(r"https?://|//[a-z]", page) and len(page) < 2_000_000
    for tag in "style", "script":
        content = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL).group(1)
        assert f"{tag}-src 'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'" in page
