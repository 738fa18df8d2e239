"""Newcombe's paired interval: published and defining properties, and what gates it decides."""

import numpy as np
import pytest

from ttfs_convert.measurement.accuracy_drift import (
    PairedOutcomes,
    Verdict,
    newcombe_interval,
    samples_needed,
    smallest_gate,
    verdict,
    wilson_interval,
)


def test_wilson_interval_of_a_textbook_case():
    low, high = wilson_interval(81, 263)  # Newcombe 1998, Statistics in Medicine 17, 857-872, table I: 0.2553 to 0.3662
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize(
    "cells,expected",
    [  # (both, first only, second only, neither) -> first - second
        ((36, 12, 2, 0), (0.0569, 0.3404)),
        ((20, 12, 2, 16), (0.0562, 0.3292)),  # without the continuity correction of phi: 0.0618 to 0.3242
        ((18, 14, 0, 18), (0.1441, 0.3963)),
        ((2, 97, 1, 0), (0.8721, 0.9854)),
        ((54, 0, 0, 0), (-0.0664, 0.0664)),
        ((53, 0, 0, 1), (-0.0729, 0.0729)),
        ((27, 0, 0, 27), (-0.0351, 0.0351)),
    ],
)
def test_newcombe_interval_of_the_paper(cells, expected):
    """Newcombe 1998, Statistics in Medicine 17, 2635-2650, table III, method 10."""
    both, first, second, neither = cells
    low, high = newcombe_interval(PairedOutcomes(both=both, snn_only=first, ann_only=second, neither=neither))
    assert (round(low, 4), round(high, 4)) == expected


def test_newcombe_interval_of_a_clinical_trial():
    """Cavo et al. 2012, as worked in Fagerland, Lydersen and Laake, "Statistical Analysis of Contingency Tables" (2017), chapter 8."""
    low, high = newcombe_interval(PairedOutcomes(both=59, snn_only=6, ann_only=16, neither=80))
    assert (round(low, 4), round(high, 4)) == (-0.1186, -0.0046)


def test_interval_contains_the_drift_and_mirrors():
    low, high = newcombe_interval(PairedOutcomes(900, 30, 10, 60))
    assert low < -0.02 < high
    mirrored = newcombe_interval(PairedOutcomes(900, 10, 30, 60))
    np.testing.assert_allclose(mirrored, (-high, -low), atol=1e-12)


def test_interval_approaches_the_normal_one_on_large_samples():
    n, ann, snn = 10**7, 60_000, 50_000
    low, high = newcombe_interval(PairedOutcomes(9 * 10**6, ann, snn, n - 9 * 10**6 - ann - snn))
    width = 1.96 * np.sqrt((ann + snn) / n - ((ann - snn) / n) ** 2) / np.sqrt(n)
    np.testing.assert_allclose([low, high], [-0.001 - width, -0.001 + width], rtol=0.01)


def test_coverage():
    rng = np.random.default_rng(0)
    shares = [0.88, 0.03, 0.02, 0.07]
    covered = 0
    for cells in rng.multinomial(500, shares, size=2000):
        low, high = newcombe_interval(PairedOutcomes(*cells))
        covered += low <= shares[2] - shares[1] <= high
    assert 0.94 <= covered / 2000 <= 0.975


def test_perfect_agreement_still_has_a_width():
    low, high = newcombe_interval(PairedOutcomes(1820, 0, 0, 180))
    assert -0.003 < low < 0 < high < 0.003


def test_no_samples():
    with pytest.raises(ValueError, match="at least one sample"):
        newcombe_interval(PairedOutcomes(0, 0, 0, 0))


@pytest.mark.parametrize(
    "interval,gate,expected",
    [
        ((-0.001, 0.002), 0.005, Verdict.PASSED),
        ((-0.005, 0.002), 0.005, Verdict.PASSED),
        ((-0.006, 0.002), 0.005, Verdict.INCONCLUSIVE),
        ((-0.02, -0.006), 0.005, Verdict.FAILED),
        ((-0.02, -0.005), 0.005, Verdict.INCONCLUSIVE),
        ((-0.001, 0.001), 0.0, Verdict.INCONCLUSIVE),
    ],
)
def test_verdict(interval, gate, expected):
    assert verdict(interval, gate) is expected


def test_what_a_sample_can_decide():
    """At 2 % disagreement 300 images give about +-1.6 points, 10,000 about +-0.28."""
    small, large = (PairedOutcomes(0.90 * n, 0.01 * n, 0.01 * n, 0.08 * n) for n in (300, 10_000))
    assert 0.016 < smallest_gate(small) < 0.0205  # the score interval is wider than the normal one on small samples
    assert smallest_gate(large) == pytest.approx(0.0028, abs=0.0002)


def test_samples_that_would_decide():
    drifting = PairedOutcomes(1800, 20, 8, 172)  # -0.6 pp of 2,000
    for gate, decision in ((0.008, Verdict.PASSED), (0.004, Verdict.FAILED)):
        assert verdict(newcombe_interval(drifting), gate) is Verdict.INCONCLUSIVE
        needed = samples_needed(drifting, gate)
        assert needed > 2000 and verdict(newcombe_interval(drifting.scaled(needed)), gate) is decision
        assert verdict(newcombe_interval(drifting.scaled(0.98 * needed)), gate) is Verdict.INCONCLUSIVE
    assert samples_needed(PairedOutcomes(90, 1, 1, 8), 0.0) is None  # no drift is never proven exactly
