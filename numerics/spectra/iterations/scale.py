"""The scale of a matrix: iterations work near one, where squares of residuals are numbers."""

from __future__ import annotations

import numpy as np

from numerics.core.validation import Array

# Norms within these bounds are left alone.  Squares beyond 1e154 overflow and below 1e-154 vanish,
# and ARPACK takes whatever is below 1e-11 for converged.
SMALLEST, LARGEST = 1e-6, 1e100


def unit_of(norm: float) -> float:
    """A power of two of the size of ``norm``; 1 where none is needed, as for a norm of 0."""
    if norm == 0 or not np.isfinite(norm) or SMALLEST <= norm <= LARGEST:
        return 1.0
    return float(2.0 ** np.floor(np.log2(norm)))


class Scale:
    """Divides products with a matrix by a unit that the first of them gives.

    Parameters
    ----------
    unit : float
        The unit, where it is known; 0 before the first product.
    """

    def __init__(self, unit: float = 0.0) -> None:
        self.unit = unit

    def applied(self, product: Array) -> Array:
        """``product / unit``."""
        if self.unit == 0:
            self.unit = unit_of(float(np.abs(product).max(initial=0.0)))
        return product if self.unit == 1 else product / self.unit


def column_norms(columns: Array) -> Array:
    """Euclidean norms of columns, whose squares may overflow or vanish; shape (columns,)."""
    size = np.abs(columns).max(axis=0, initial=0.0)
    safe = np.where((size > 0) & np.isfinite(size), size, 1.0)
    return np.asarray(safe * np.linalg.norm(columns / safe, axis=0))
