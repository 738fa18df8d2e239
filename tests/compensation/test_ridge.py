"""Ridge regression against its normal equations, written out."""

import numpy as np
import pytest

from ttfs_convert.compensation.ridge import Ridge


def problem(rows, columns, outputs, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 1, (rows, columns)).astype(np.float32), rng.normal(size=(rows, outputs)).astype(np.float32)


def by_the_book(x, y, strength, unchanged=None):
    """With the constraints as Lagrange multipliers."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    centred, target = x - x.mean(0), y - y.mean(0)
    scale = (centred**2).sum() / x.shape[1]
    if unchanged is not None:  # the scale is that of what may change
        basis = np.linalg.qr(unchanged.T)[0]
        scale = ((centred - centred @ basis @ basis.T) ** 2).sum() / x.shape[1]
    size = x.shape[1]
    held = np.zeros((0, size)) if unchanged is None else unchanged
    system = np.block([[centred.T @ centred + strength * scale * np.eye(size), held.T], [held, np.zeros((len(held),) * 2)]])
    weights = np.linalg.solve(system, np.concatenate([centred.T @ target, np.zeros((len(held), y.shape[1]))]))[:size]
    return weights, y.mean(0) - x.mean(0) @ weights


@pytest.mark.parametrize("rows, columns", [(300, 7), (12, 40)], ids=["columns", "samples"])
@pytest.mark.parametrize("held", [0, 2])
def test_solutions_of_both_spaces(rows, columns, held):
    x, y = problem(rows, columns, 3)
    unchanged = np.random.default_rng(1).uniform(0, 1, (held, columns)) if held else None
    changes = Ridge(x, unchanged).against(y)
    for strength in (1e-3, 0.1):
        for found, expected in zip(changes(strength), by_the_book(x, y, strength, unchanged)):
            np.testing.assert_allclose(found, expected, atol=2e-4)
        if held:
            assert np.abs(unchanged @ changes(strength)[0]).max() < 1e-5


def test_combinations_that_repeat_hold_once():
    x, y = problem(200, 6, 2)
    once, twice = (Ridge(x, np.ones((count, 6))).against(y)(0.01)[0] for count in (1, 3))
    np.testing.assert_allclose(once, twice, atol=1e-6)


def test_inputs_that_never_vary_change_nothing():
    x, y = problem(50, 4, 2)
    x[:] = 0.25
    weights, charge = Ridge(x).against(y)(1e-4)
    np.testing.assert_allclose(weights, 0, atol=1e-3)
    np.testing.assert_allclose(charge, y.mean(0), atol=1e-3)
