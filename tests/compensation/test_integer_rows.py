"""Rounding of weights against the best of all integers, and against rounding one by one."""

import itertools

import numpy as np
import pytest

from ttfs_convert.compensation import integer_rows
from ttfs_convert.compensation.integer_rows import Held, fitted_to_rows, nearest
from ttfs_convert.compensation.ridge import Ridge

WEAK = 1e-4


def rows_and_weights(rows, columns, outputs, seed=0):
    """Inputs that are alike, as those of a convolution are."""
    rng = np.random.default_rng(seed)
    spectrum = 1 / (1 + np.arange(columns) / 3)
    mixed = rng.normal(size=(rows, columns)) @ (spectrum[:, None] * np.linalg.qr(rng.normal(size=(columns, columns)))[0])
    return mixed.astype(np.float32), rng.normal(size=(columns, outputs)).astype(np.float32)


def error(x, w, found):
    """Of each output, less its mean."""
    difference = (x - x.mean(0)).astype(np.float64) @ (found.weights.astype(np.float64) - w)
    return np.square(difference).sum(0)


@pytest.mark.parametrize("bits, columns", ((2, 7), (3, 6)))
def test_close_to_the_best_of_all_integers(bits, columns):
    x, w = rows_and_weights(60, columns, 20)
    largest = 2 ** (bits - 1) - 1
    every = np.array(list(itertools.product(range(-largest, largest + 1), repeat=columns)), np.float64)
    centred = (x - x.mean(0)).astype(np.float64)
    outputs, wanted = centred @ every.T, centred @ w
    squares = np.maximum(np.square(outputs).sum(0), 1e-12)
    best = np.square(wanted).sum(0) - ((np.maximum(outputs.T @ wanted, 0) ** 2) / squares[:, None]).max(0)  # each with its best scale
    found, one_by_one = (error(x, w, each) for each in (fitted_to_rows(w, Ridge(x), WEAK, bits), nearest(w, bits)))
    assert (found >= best - 1e-6).all()
    assert found.sum() < 1.25 * best.sum() and found.sum() < 0.95 * one_by_one.sum()


@pytest.mark.parametrize("bits", (2, 4, 8))
@pytest.mark.parametrize("rows, columns, widest", ((400, 30, 2048), (40, 90, 2048), (40, 90, 25), (400, 90, 40)))
def test_less_error_than_one_by_one_in_every_space_and_in_blocks(bits, rows, columns, widest, monkeypatch):
    monkeypatch.setattr(integer_rows, "WIDEST", widest)
    monkeypatch.setattr(integer_rows, "ROOM", 1000)  # several lots of outputs
    x, w = rows_and_weights(rows, columns, 12, seed=bits)
    found = fitted_to_rows(w, Ridge(x), 1e-3, bits)
    assert error(x, w, found).sum() < 0.6 * error(x, w, nearest(w, bits)).sum()
    assert found.q.dtype == np.int8 and np.abs(found.q.astype(int)).max() <= 2 ** (bits - 1) - 1 and (found.scales > 0).all()


def test_nearest_has_the_scale_of_least_squares():
    w = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32)
    found = nearest(w, 4)
    assert np.abs(found.weights - w).max() <= 1.01 * np.maximum(found.scales / 2, np.abs(w).max(0) - 7 * found.scales).max()
    for factor in (0.97, 1.03):
        other = found.q * (found.scales * factor)
        assert (np.square(other - w).sum(0) > np.square(found.weights - w).sum(0)).all()


def test_outputs_without_weights():
    w = np.zeros((5, 2), np.float32)
    for found in (nearest(w, 4), fitted_to_rows(w, Ridge(rows_and_weights(30, 5, 2)[0]), WEAK, 4)):
        assert not found.q.any() and (found.scales > 0).all()


@pytest.mark.parametrize("bits", (3, 4, 8))
@pytest.mark.parametrize("total", (1.0, 0.0, -0.5))
@pytest.mark.parametrize("widest", (2048, 11))
def test_sums_are_kept(bits, total, widest, monkeypatch):
    """By a whole number of scales: up to float32 rounding of the scale."""
    monkeypatch.setattr(integer_rows, "WIDEST", widest)
    x, w = rows_and_weights(300, 30, 10)
    ones = np.ones((1, 30))
    w = (w.astype(np.float64) - w.mean(0, dtype=np.float64) + total / 30).astype(np.float32)
    held = Held.of(ones, w)
    one_by_one, found = nearest(w, bits, held), fitted_to_rows(w, Ridge(x, ones), 1e-3, bits, held)
    for each in (one_by_one, found):
        np.testing.assert_allclose(each.q.astype(np.float64).sum(0) * each.scales, total, atol=2e-6)
        assert np.abs(each.q.astype(int)).max() <= 2 ** (bits - 1) - 1
    assert error(x, w, found).sum() < error(x, w, one_by_one).sum()


def test_sums_of_parts_are_kept():
    """As of a transposed convolution, whose neurons read different taps."""
    x, w = rows_and_weights(300, 24, 10)
    parts = np.kron(np.eye(4), np.ones(6))
    w = (w.reshape(4, 6, 10) - w.reshape(4, 6, 10).mean(1, keepdims=True) + 1 / 6).reshape(24, 10)
    held = Held.of(parts, w)
    for each in (nearest(w, 5, held), fitted_to_rows(w, Ridge(x, parts), 1e-3, 5, held)):
        np.testing.assert_allclose(parts @ each.q.astype(np.float64) * each.scales, 1, atol=2e-6)
