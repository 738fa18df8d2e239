"""Every gate, in each of its outcomes."""

import numpy as np
import pytest

from tests.gates.reports import layer, measure, report, right
from ttfs_convert.errors import DataError, UsageError
from ttfs_convert.gates.baseline import check_data
from ttfs_convert.gates.gate_list import KINDS, Gate
from ttfs_convert.gates.judge import judged, worst
from ttfs_convert.measurement.accuracy_drift import PairedOutcomes, Verdict, newcombe_interval
from ttfs_convert.report.sample_bits import packed, unpacked
from ttfs_convert.report.schema import Report

PSNR = {"measures": (measure("psnr", title="PSNR"),), "drift": {"psnr_db": -0.2, "psnr_ci95_db": (-0.3, -0.1)}}
RMSE = {"measures": (measure("rmse"),), "drift": {"rmse": 0.2, "rmse_ci95": (0.1, 0.3)}}
TWO = (layer("a", 0.01, (0.008, 0.012)), layer("b", 0.009, (0.002, 0.016)))
EARLIER = report(samples=right(wrong_snn=range(80)))


def one(found: Report, kind, limit, name="", baseline=None):
    (gate,) = judged(found, [Gate(kind, limit, name)], baseline).gates
    return gate


@pytest.mark.parametrize(
    "made, kind, limit, name, outcome",
    (
        ({}, "max-drop", 1.5, "", "passed"),
        ({}, "max-drop", 0.49, "", "failed"),
        ({}, "max-drop", 1.0, "", "inconclusive"),
        ({"drift": {"ci95_pp": None}}, "max-drop", 5, "", "inconclusive"),
        (PSNR, "max-drop", 0.3, "psnr", "passed"),
        (PSNR, "max-drop", 0.09, "", "failed"),
        (PSNR, "max-drop", 0.2, "psnr", "inconclusive"),
        ({**PSNR, "measures": (measure("psnr", lost=1),)}, "max-drop", 0.3, "psnr", "inconclusive"),
        (RMSE, "max-drop", 0.3, "", "passed"),
        (RMSE, "max-drop", 0.05, "rmse", "failed"),
        ({}, "min-agreement", 97, "", "passed"),
        ({}, "min-agreement", 98.8, "", "failed"),
        ({}, "min-agreement", 98, "", "inconclusive"),
        ({}, "max-layer-error", 0.012, "", "passed"),
        ({}, "max-layer-error", 0.007, "", "failed"),
        ({}, "max-layer-error", 0.01, "", "inconclusive"),
        ({"layers": TWO}, "max-layer-error", 0.0125, "", "inconclusive"),  # b alone reaches beyond it
        ({"layers": TWO}, "max-layer-error", 0.016, "", "passed"),
        ({"layers": TWO}, "max-layer-error", 0.0075, "", "failed"),  # a alone
        ({"layers": (layer(ends=None),)}, "max-layer-error", 0.5, "", "inconclusive"),
        ({}, "max-p-proxy", 1100, "", "passed"),
        ({}, "max-p-proxy", 899, "", "failed"),
        ({}, "max-p-proxy", 1000, "", "inconclusive"),
        ({}, "max-latency", 350, "", "passed"),
        ({}, "max-latency", 349, "", "failed"),
    ),
)
def test_an_interval_decides(made, kind, limit, name, outcome):
    found = one(report(**made), kind, limit, name)
    assert (found.outcome, found.gate, found.limit) == (outcome, kind, limit) and found.detail


@pytest.mark.parametrize(
    "made, kind, name, why",
    (
        ({"measures": ()}, "max-drop", "", "no labels and no targets"),
        ({}, "max-drop", "psnr", "no measure 'psnr', only accuracy"),
        ({"drift": {"accuracy_pp": None, "ci95_pp": None}}, "max-drop", "", "no sample has a figure"),
        ({"drift": {"agreement": None, "agreement_ci95": None}}, "min-agreement", "", "no predictions"),
        ({"layers": (layer(mean=None, ends=None), layer("out", range=None))}, "max-layer-error", "", "no layer has a tensor"),
        ({"layers": (layer(mean=float("nan"), ends=None), layer("other"))}, "max-layer-error", "", "nan"),
        ({"p_proxy": None}, "max-p-proxy", "", "continuous time"),
        ({"steps": None}, "max-latency", "", "continuous time"),
        ({}, "max-regression", "", "no baseline"),
    ),
)
def test_missing_data_fails_with_its_reason(made, kind, name, why):
    found = one(report(**made), kind, 100, name)
    assert found.outcome == "failed" and why in found.detail


def test_layers_that_nothing_matches_are_named():
    found = one(report(layers=(layer(), *(layer(name, None, None) for name in "abcd"))), "max-layer-error", 1)
    assert found.outcome == "passed" and "the worst of 1 that are compared; nothing to compare with: a, b, c, ...;" in found.detail


def test_every_kind_is_judged():
    gates = judged(report(), [Gate(kind, 50) for kind in KINDS], report()).gates
    assert [gate.gate for gate in gates] == list(KINDS)


def test_the_worst_outcome_wins():
    gates = {each: one(report(), "max-drop", limit) for each, limit in (("passed", 2), ("failed", 0), ("inconclusive", 1))}
    assert worst([]) is worst([gates["passed"]]) is Verdict.PASSED
    assert worst([gates["passed"], gates["inconclusive"]]) is Verdict.INCONCLUSIVE
    assert worst([gates["inconclusive"], gates["failed"], gates["passed"]]) is Verdict.FAILED


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_run_decides_nothing(kind):
    part = report(partial=True, data={"name": "data.npz", "sha256": "cd" * 32, "samples": 400, "wanted": 1000})
    for limit in (0, 100):
        found = one(part, kind, limit, baseline=report())
        assert found.outcome == "inconclusive" and found.detail.startswith("the run was interrupted after 400 of 1,000 samples: ")
    found = one(report(), "max-regression", 100, baseline=part)
    assert found.outcome == "failed" and "the baseline's run was interrupted after 400 samples" in found.detail


def test_a_baseline_is_refused_before_anything_is_run():
    check_data(report(), "data.npz", 1000, "cd" * 32)
    with pytest.raises(UsageError, match=r"other data: data.npz \(1000 samples, cdcdcdcdcdcd\), here new.npz \(10 samples, efefefefefef\)"):
        check_data(report(), "new.npz", 10, "ef" * 32)
    with pytest.raises(UsageError, match="interrupted after 1,000 samples"):
        check_data(report(partial=True), "data.npz", 1000, "cd" * 32)


def test_a_saved_report_has_the_verdict_of_its_run():
    gates = [Gate(kind, limit) for kind, limit in zip(KINDS, (1, 98, 0.01, 1000, 350, 1))]
    now = judged(report(samples=right()), gates, EARLIER)
    assert judged(Report.model_validate_json(now.model_dump_json()), gates, EARLIER) == now


@pytest.mark.parametrize(
    "wrong, limit, outcome", ((range(80), 1.5, "passed"), (range(80), 0.1, "inconclusive"), (range(200), 5, "failed"), (range(50), 0, "passed"))
)
def test_accuracy_is_paired_with_the_baselines(wrong, limit, outcome):
    now = report(samples=right(wrong_snn=wrong), snn={"accuracy": 1 - len(wrong) / 1000})
    found = one(now, "max-regression", limit, baseline=EARLIER)
    before, after = np.arange(1000) >= 80, np.arange(1000) >= len(wrong)
    low, high = newcombe_interval(PairedOutcomes.of_right(before, after))
    assert found.outcome == outcome and "paired by sample" in found.detail
    assert found.value == pytest.approx((len(wrong) - 80) / 10) and found.ci95 == pytest.approx((-100 * high, -100 * low))


@pytest.mark.parametrize(
    "made, name, limit, outcome, value, ends",
    (
        ({"steps": 360}, "latency", 10, "passed", 10, (10, 10)),
        ({"steps": 360}, "latency", 9, "failed", 10, (10, 10)),
        ({"p_proxy": 1300.0, "p_proxy_ends": (1200.0, 1400.0)}, "p-proxy", 450, "passed", 300, (300 - 2**0.5 * 100, 300 + 2**0.5 * 100)),
        ({"drift": {"agreement": 0.9, "agreement_ci95": (0.87, 0.92)}}, "agreement", 1, "failed", 8, (8 - 100 * 0.0223607, 8 + 100 * 0.0308058)),
        ({"layers": (layer(mean=0.011, ends=(0.009, 0.013)),)}, "layer-error", 0.001, "inconclusive", 0.001, (-0.0018284, 0.0038284)),
        ({"samples": None}, "", 0.5, "inconclusive", 0, (-(0.5**0.5), 0.5**0.5)),
    ),
)
def test_other_figures_beside_the_baselines(made, name, limit, outcome, value, ends):
    found = one(report(**made), "max-regression", limit, name, report())
    assert (found.outcome, found.value, found.ci95) == (outcome, pytest.approx(value), pytest.approx(ends, rel=1e-4))


@pytest.mark.parametrize(
    "baseline, name, why",
    (
        (report(data={"name": "other.npz", "sha256": "ef" * 32, "samples": 10}), "", "of other data: other.npz (10 samples, efefefefefef)"),
        (report(measures=(measure("psnr"),)), "", "the baseline has no measure accuracy"),
        (report(), "ssim", "no measure 'ssim'"),
        (report(steps=None), "latency", "the baseline: continuous time"),
    ),
)
def test_a_baseline_that_is_none_fails(baseline, name, why):
    found = one(report(), "max-regression", 50, name, baseline)
    assert found.outcome == "failed" and why in found.detail


def test_another_original_leaves_no_interval_without_samples():
    found = one(report(), "max-regression", 50, baseline=report(ann={"accuracy": 0.95}))
    assert found.outcome == "inconclusive" and "whose original is another" in found.detail


@pytest.mark.parametrize("samples", (1, 8, 13))
def test_bits_of_samples_come_back(samples):
    bits = np.random.default_rng(samples).random(samples) < 0.5
    np.testing.assert_array_equal(unpacked(packed(bits), samples), bits)


@pytest.mark.parametrize("text, message", (("AAAA", "24 bits for 9 samples"), ("A", "no base64"), ("\u00e4", "no base64")))
def test_bits_of_another_length_are_refused(text, message):
    with pytest.raises(DataError, match=message):
        unpacked(text, 9)
