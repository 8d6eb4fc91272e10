"""A value with its error estimate."""

from __future__ import annotations

from dataclasses import dataclass

from numerics.core.validation import Array
from theory.keywords import with_known_keywords
from theory.notebook import numbers_text, short_repr

from .quadrature import Rule


@with_known_keywords
@dataclass(frozen=True)
class Estimate:
    """Values of compiled expressions with the error estimate of the quadrature.

    Attributes
    ----------
    values, errors : array, shape (number of expressions,)
        ``errors`` bounds the quadrature error (difference of two tensor rules and rounding of the
        sums, or an interval over scramblings).
    rule : Rule
        The finer rule used.
    samples : array, shape (replicates, number of expressions), optional
        Values of every scrambling of a Sobol rule: errors of linear combinations, whose terms may
        cancel, follow from their spread and not from ``errors``.

    Examples
    --------
    >>> import numpy as np
    >>> from numerics import Parameters, State, compile_expressions
    >>> from theory import derive_drift, kgmm
    >>> compiled = compile_expressions(kgmm(2), derive_drift(kgmm(2)).vector)
    >>> found = compiled.estimate(Parameters([0.5, 0.5], 10, 0, 1), State(np.eye(2), np.eye(2)))
    >>> found.values.shape, bool(found.errors.max() < 1e-10)
    ((7,), True)
    """

    values: Array
    errors: Array
    rule: Rule
    samples: Array | None = None

    def __repr__(self) -> str:
        largest = f"{self.errors.max(initial=0.0):.2g}"
        return short_repr(
            self, values=numbers_text(self.values), largest_error=largest, rule=self.rule
        )


@dataclass(frozen=True)
class KnownMoments:
    """Moments of the integrands by every scrambling of a Sobol rule, one row each, and its size."""

    size: int
    moments: Array
