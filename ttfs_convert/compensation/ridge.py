"""Ridge regression towards no change, by whichever of inputs and rows are fewer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

CHUNK = 8192  # rows whose products are summed in single precision; sums of chunks are kept in double
RESOLUTION = 1e-7  # of the mean square of a column: what single precision can tell from no variance


class Ridge:
    """Changes dW (k, m) and d (m,) that bring rows @ dW + d closest to residuals: least squares + strength * scale * |dW|^2, scale being
    the mean variance of a column.

    rows: (r, k) float32. unchanged: (c, k), or None: combinations of dW, by column, that have to stay 0. With r >= k
    the normal equations of the k columns are solved, else, as for a fully connected layer wider than there are samples, those of the r rows.
    """

    def __init__(self, rows: np.ndarray, unchanged: np.ndarray | None = None):
        self._mean = rows.mean(0, dtype=np.float64)
        self._rows, self._middle = rows, self._mean.astype(np.float32)
        self._basis = None if unchanged is None else orthonormal(unchanged)
        self._by_column = len(rows) >= rows.shape[1]
        if self._by_column:
            gram = self._free(self._free(products(rows, rows, self._middle)).T)
        else:
            self._rows = self._free((rows - self._middle).T).T
            gram = (self._rows @ self._rows.T).astype(np.float64)
        values, self._vectors = np.linalg.eigh(gram)
        self._values = np.maximum(values, 0)
        self._scale = float(self._values.sum()) / rows.shape[1]
        self._least = RESOLUTION * len(rows) * float(np.square(self._mean).mean()) + 1e-12

    def curvature(self, columns: np.ndarray | slice = slice(None)) -> np.ndarray:
        """(c, c) float64: products of these columns, less their means, without what may not change."""
        if self._by_column:
            own = self._vectors[columns]
            return (own * self._values) @ own.T
        rows = self._rows[:, columns]
        return products(rows, rows)

    def importance(self) -> np.ndarray:
        """(k,): the curvature's diagonal."""
        if self._by_column:
            return np.square(self._vectors) @ self._values
        return np.square(self._rows, dtype=np.float64).sum(0)

    def outputs(self, weights: np.ndarray, columns: np.ndarray | slice = slice(None)) -> np.ndarray:
        """(r, m) float32: these columns, less their means, @ weights (c, m)."""
        found = self._rows[:, columns] @ weights.astype(np.float32)
        return found - found.mean(0, dtype=np.float64).astype(np.float32) if self._by_column else found

    def read_from(self, outputs: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """(c, m) float64: these columns, less their means, .T @ outputs (r, m), whose means are 0."""
        return products(self._rows[:, columns], outputs)

    def damping(self, strength: float) -> float:
        """What stands on the diagonal beside the rows' products."""
        return strength * self._scale + self._least

    def _free(self, columns: np.ndarray) -> np.ndarray:
        """(k, m): without what may not change."""
        return columns if self._basis is None else columns - self._basis @ (self._basis.T @ columns)

    def against(self, residuals: np.ndarray) -> Callable[[float], tuple[np.ndarray, np.ndarray]]:
        """What gives, for a strength, dW (k, m) float32 and d (m,) float64. residuals: (r, m) float32."""
        mean = residuals.mean(0, dtype=np.float64)
        middle = mean.astype(np.float32)
        turned = self._vectors.T @ (self._free(products(self._rows, residuals, self._middle, middle)) if self._by_column else residuals - middle)

        def changes(strength: float) -> tuple[np.ndarray, np.ndarray]:
            part = self._vectors @ (turned / (self._values + self.damping(strength))[:, None])
            weights = (part if self._by_column else self._rows.T @ part).astype(np.float32)
            return weights, mean - self._mean @ weights

        return changes


def products(rows: np.ndarray, others: np.ndarray, middle: np.ndarray | float = 0.0, their_middle: np.ndarray | float = 0.0) -> np.ndarray:
    """(rows - middle).T @ (others - their_middle), float64, of (r, k) and (r, m); where both are the same, `middle` is that of both."""
    total = np.zeros((rows.shape[1], others.shape[1]))
    for first in range(0, len(others), CHUNK):
        part = rows[first : first + CHUNK] - middle
        total += part.T @ (part if others is rows else others[first : first + CHUNK] - their_middle)
    return total


def orthonormal(combinations: np.ndarray) -> np.ndarray:
    """A basis (k, c or fewer) of what `combinations` (c, k) span."""
    left, sizes, _ = np.linalg.svd(combinations.T.astype(np.float64), full_matrices=False)
    return left[:, sizes > 1e-9 * sizes[0]]
