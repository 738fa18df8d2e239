"""Intervals of means over samples, held against SciPy's and against every sample's own count."""

import numpy as np
import pytest
from scipy import stats

from tests.models import Chain, converted, dataset
from ttfs_convert.measurement.mean_interval import MANY, interval_of_sum, mean_interval
from ttfs_convert.studies.evaluation import evaluate


@pytest.mark.parametrize("samples", (2, 12, MANY, MANY + 1, 1_000, 10_000, 1_000_000))
def test_a_mean_has_students_interval(samples):
    values = np.random.default_rng(0).normal(size=samples)
    expected = stats.t.interval(0.95, samples - 1, values.mean(), stats.sem(values))
    low, high = mean_interval(values)
    assert high - low == pytest.approx(expected[1] - expected[0], rel=1e-8)
    assert (low, high) == pytest.approx(expected, rel=1e-8)
    assert mean_interval(np.full(3, 2.0)) == (2, 2)


@pytest.mark.parametrize("values", ([1.0], [], [1.0, np.nan], [1.0, np.inf]))
def test_too_little_has_none(values):
    assert mean_interval(np.array(values)) is None


def test_an_interval_of_a_sum():
    assert interval_of_sum(7.0, None, 1) == (7, 7) and interval_of_sum(7.0, 0.0, 9) is None
    assert interval_of_sum(7.0, 3.0, 10) == pytest.approx((7 - 1.959964, 7 + 1.959964))


def test_the_interval_of_event_counts_is_no_narrower_than_that_of_every_samples():
    chain = Chain((2, 5, 5)).conv(3).relu1().conv(2).relu1().readout(3)
    network, x = converted(chain.model(), mode="exact", slope="gated", steps=9), chain.images(16)
    whole = evaluate(network, dataset(x), threads=1).report.energy
    counts = np.array([evaluate(network, dataset(x[i : i + 1]), threads=1).report.energy.event.p_proxy for i in range(16)])
    assert counts.mean() == pytest.approx(whole.event.p_proxy) and counts.std() > 0
    low, high = whole.event_p_proxy_ci95
    half = stats.norm.ppf(0.975) * counts.std(ddof=1) / 4
    assert (low + high) / 2 == pytest.approx(whole.event.p_proxy) and (high - low) / 2 >= half
    assert evaluate(network, dataset(x[:1]), threads=1).report.energy.event_p_proxy_ci95 is None


def test_what_every_neuron_sends_is_a_point():
    chain = Chain((2, 5, 5)).conv(3).relu1().readout(3)
    energy = evaluate(converted(chain.model(), steps=9), dataset(chain.images(1)), threads=1).report.energy
    assert energy.event_p_proxy_ci95 == (energy.event.p_proxy, energy.event.p_proxy)
