"""The kinks of a loss as affine forms of the pre-activations, at numeric readout parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import sympy as sp

from numerics.core.validation import Array
from theory import Model


class KinkForms:
    """A(v) and c(v) of the kinks A u + c = 0 of a loss.

    Parameters
    ----------
    model : theory.Model
        With ``loss.kink_forms``.
    """

    def __init__(self, model: Model) -> None:
        assert model.loss.kink_forms is not None
        matrix, offsets = model.loss.kink_forms
        self.kinks, self.units = matrix.shape
        self._entries: Callable[..., list[float]] | None = None
        numbers = [*matrix, *offsets]
        if any(e.free_symbols for e in numbers):
            # cheaper than generated code, which nothing calls in a loop
            self._entries = sp.lambdify([list(model.loss.held)], numbers, "math", cse=True)
        else:
            self._fixed = self._split(np.array(numbers, dtype=float)[None])

    def __call__(self, readout: Array) -> tuple[Array, Array]:
        """A and c at readout parameters of shape (R, q), shapes (R, J, C) and (R, J)."""
        if self._entries is None:
            matrix, offsets = self._fixed
            lead = len(readout)
            # copies of the right layout: compiled code is made anew for every layout it meets
            return np.repeat(matrix, lead, axis=0), np.repeat(offsets, lead, axis=0)
        return self._split(np.array([self._entries(row.tolist()) for row in readout], dtype=float))

    def _split(self, numbers: Array) -> tuple[Array, Array]:
        ends = self.kinks * self.units
        matrix = numbers[:, :ends].reshape(-1, self.kinks, self.units)
        return np.ascontiguousarray(matrix), np.ascontiguousarray(numbers[:, ends:])


@lru_cache(maxsize=64)
def kink_forms(model: Model) -> KinkForms | None:
    """The kinks of a model as affine forms, or None where it has none or some are not affine."""
    if model.loss.is_smooth or model.loss.kink_forms is None:
        return None
    return KinkForms(model)
