"""Stage (c): a claim against brute-force samples, from the raw definition of what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

from numerics.expectations.certified_digits import DimensionError
from theory import GaussianExpectation, InputError
from theory.expectations.derived import find_expectations
from verify.claims.cases import Case
from verify.claims.language.conventions import DIMENSION
from verify.claims.raw.measurements import Measured, measure
from verify.claims.raw.samples import RawSamples
from verify.random_points.exact import Point
from verify.verdict.tolerance import critical_value

from .digits import gaps
from .slopes import value_and_slopes

# samples a component and point
SAMPLES = 40_000
# probability that one true claim is refuted by stage (c), over all of its entries and points
FAMILY_ERROR = 1e-6
# a deviation of (critical value + POWER) standard errors is found with 95 % probability
POWER = 1.645
# the share of a deviation's probability that its skewness and its tails may change, to first order
NORMAL = 1.0
# rounding of means of numbers of size 1, far below any standard error met
ROUNDING = 1e-11


@dataclass(frozen=True)
class Deviation:
    """Claimed minus measured, of one entry at one point.

    Attributes
    ----------
    value, error : float
        The deviation and its standard error.
    claimed : float
        The value of the claim.
    critical : float
        Standard errors from where it is refuted.
    same : bool
        The claim is what is measured, to the letter: samples cannot tell them apart.
    normal : bool
        So far out as it is refuted, the error of the mean is a normal number.  Where a few samples
        outweigh all others it is not, and its standard error says nothing.
    """

    value: float
    error: float
    claimed: float
    critical: float
    same: bool = False
    normal: bool = True

    @property
    def refuted(self) -> bool:
        return self.normal and not abs(self.value) <= self.bound + self._rounding

    @property
    def bound(self) -> float:
        """The deviation that chance allows."""
        return self.critical * self.error

    @property
    def resolution(self) -> float:
        """The smallest deviation that is found with 95 % probability."""
        if not self.normal:
            return float("inf")
        return (self.critical + POWER) * self.error + self._rounding

    @property
    def strain(self) -> float:
        if not np.isfinite(self.value):
            return np.inf
        return abs(self.value) / (self.bound + self._rounding) if self.normal else 0.0

    @property
    def _rounding(self) -> float:
        return ROUNDING * (1 + abs(self.claimed))


def measured_deviations(
    cases: Sequence[Case], point: Point, rng: np.random.Generator, comparisons: int
) -> list[Deviation]:
    """Draw samples at a point and compare what is claimed of every entry with what they measure."""
    samples = RawSamples(point, rng, SAMPLES)
    measured = [measure(c.target, samples) if c.target else c.raw for c in cases]
    return deviations(measured, [c.claimed for c in cases], samples, comparisons)


def deviations(
    measured: Sequence[Measured | sp.Expr],
    claims: Sequence[sp.Expr],
    samples: RawSamples,
    comparisons: int,
    family_error: float = FAMILY_ERROR,
) -> list[Deviation]:
    """Compare measurements with claims on the same samples.

    The expectations of a claim are averaged over the samples that the measurement uses: what both
    share cancels, and the standard error is that of the difference.

    Parameters
    ----------
    measured : sequence of Measured or Expr
        An expression holds raw expectations (:class:`verify.claims.language.vocabulary.Vocabulary`
        with ``raw``).
    claims : sequence of Expr
    samples : RawSamples
    comparisons : int
        Of the whole claim, over all points: their error rates share ``family_error``.
    """
    critical = critical_value(comparisons, family_error)
    table: dict[GaussianExpectation, np.ndarray] = {}
    return [
        _deviation(left, right, samples, table, critical)
        for left, right in zip(measured, claims, strict=True)
    ]


def _deviation(
    left: Measured | sp.Expr,
    right: sp.Expr,
    samples: RawSamples,
    table: dict[GaussianExpectation, np.ndarray],
    critical: float,
) -> Deviation:
    own = left.means if isinstance(left, Measured) else {}
    found = left.expression if isinstance(left, Measured) else left
    numbers: dict[sp.Symbol, sp.Expr] = dict(samples.point.values)
    numbers[DIMENSION] = sp.Integer(samples.dimension)
    columns: dict[sp.Expr, tuple[int, np.ndarray]] = dict(own)
    for node in dict.fromkeys(n for e in (found, right) for n in find_expectations(e)):
        l = node.law.component - 1
        if node not in table:
            table[node] = samples.batches[l].mean_of(node.integrand)
        columns[node] = (l, table[node])
    at = {x: float(values.mean()) for x, (_, values) in columns.items()}
    measured, measured_slopes = value_and_slopes(found, at, numbers)
    if not np.isfinite(measured):
        raise InputError(
            "quantity", "a complex or infinite mean", "finite numbers", "check where it is defined"
        )
    claimed, slopes = value_and_slopes(right, at, numbers)
    if not np.isfinite(claimed):
        return Deviation(np.nan, 0.0, claimed, critical)
    for x, slope in measured_slopes.items():
        slopes[x] = slopes.get(x, 0.0) - slope
    difference = right - found
    # exact numbers are not raised to others, which may be 1e12
    exact = not any(p.exp.free_symbols and p.base != sp.E for p in difference.atoms(sp.Pow))
    same = not own and exact and at_numbers(difference, numbers) == 0
    influence = [np.zeros(samples.size) for _ in samples.batches]
    for x, slope in slopes.items():
        if slope:
            l, values = columns[x]
            influence[l] = influence[l] + slope * values
    error = float(np.sqrt(sum(v.var() / samples.size for v in influence)))
    normal = is_normal(influence, critical)
    return Deviation(claimed - measured, error, claimed, critical, same, normal)


def is_normal(influence: Sequence[np.ndarray], critical: float) -> bool:
    """Whether a sum of means is normal as far out as ``critical`` standard errors.

    There the first terms of Edgeworth's expansion change the logarithm of its probability by
    skewness times critical^3 / 6 and excess kurtosis times critical^4 / 24.
    """
    centred = [v - v.mean() for v in influence]
    # products in place of powers, which are slow in floating point
    squares = [v * v for v in centred]
    second = sum(s.sum() / len(s) ** 2 for s in squares)
    third = sum((s * v).sum() / len(v) ** 3 for s, v in zip(squares, centred, strict=True))
    fourth = sum((s * s).sum() / len(s) ** 4 for s in squares)
    if second == 0:
        return True
    skewness, kurtosis = abs(third) / second**1.5, fourth / second**2
    return bool(max(skewness * critical**3 / 6, kurtosis * critical**4 / 24) <= NORMAL)


def at_numbers(expression: sp.Expr, numbers: dict[sp.Symbol, sp.Expr]) -> sp.Expr:
    """An expression at exact numbers, with its expectations as they are."""
    nodes = {node: node for node in find_expectations(expression)}
    return expression.xreplace({**numbers, **nodes})


def should_be_seen(cases: Sequence[Case], found: Sequence[Deviation], point: Point) -> bool:
    """Derived and claimed differ here by more than the samples resolve, and yet the samples agree
    with the claim.
    """
    try:
        values = gaps([(c.claimed, c.derived) for c in cases], point, None, cases[0].more)
    except (DimensionError, ArithmeticError):
        return False
    return any(float(abs(g.value)) > 2 * d.resolution for g, d in zip(values, found, strict=True))
