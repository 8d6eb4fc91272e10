"""Numbers that models leave open beside states, as free variables of a search: scales and shares of
bands, parameters of a loss, symbols inside of weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import sympy as sp

from verify.random_points.exact import Point

Range = tuple[float, float]
# how far the variables of a search go: exponents, and arguments of the logistic function, whose
# value has to differ from an end in a few digits
FARTHEST, NEXT_TO_END = 20.0, 9.0


class MovedNumbers:
    """Open numbers of a point by free variables, each as far as its range goes.

    Shares of bands that are symbols keep their sum; what follows from the numbers, as weights
    (p_1, 1 - p_1) do, is worked out anew.
    """

    def __init__(self, point: Point) -> None:
        model, bands = point.model, point.model.mixture.bands
        weights = model.mixture.weights
        inside = set().union(*(p.free_symbols for p in weights if not p.is_Symbol))
        values = dict(point.others) | {x: point.values[x] for x in sorted(inside, key=str)}
        given = {} if bands is None else dict.fromkeys(bands.fractions)
        self.shares = [x for x in given if x.is_Symbol and x in values]
        if any(x.free_symbols and not x.is_Symbol for x in given):
            self.shares = []  # formulas of each other: held as they are
        held = set().union(*(x.free_symbols for x in (*given, *model.mixture.directions_gram)))
        ranges = {p.symbol: (p.low, p.high) for p in model.loss.free_parameters}
        self.ranges: dict[sp.Symbol, Range] = {
            x: _where_positive(weights, x, values, _floats(x, ranges.get(x)))
            for x in values
            if x not in held
        }
        first = [
            _to_free(float(value), self.ranges[x])
            for x, value in values.items()
            if x in self.ranges
        ]
        self._total = sum(values[x] for x in self.shares)
        first += [np.log(float(values[x] / self._total)) for x in self.shares]
        self.start = np.array(first, float)
        self._point, self._values = point, values

    def values(self, z: np.ndarray) -> dict[sp.Symbol, float]:
        """Floats at some free variables."""
        moved = zip(self.ranges.items(), z, strict=False)
        found = {x: _from_free(t, ends) for (x, ends), t in moved}
        raw = np.exp(np.clip(z[len(self.ranges) :], -9, 9))
        parts = raw / raw.sum() * float(self._total) if self.shares else raw
        return found | dict(zip(self.shares, parts, strict=True))

    def exact(
        self, numbers: Mapping[sp.Symbol, sp.Rational]
    ) -> tuple[tuple[tuple[sp.Symbol, sp.Rational], ...], sp.ImmutableDenseMatrix] | None:
        """``others`` and weights of a point by rational numbers near those of a search; None where
        they are none of the model.
        """
        point, weights = self._point, self._point.model.mixture.weights
        for x, (low, high) in self.ranges.items():
            if not low < numbers[x] < high:
                return None
        changed = {x: numbers[x] for x in self.ranges}
        raw = [numbers[x] for x in self.shares]
        if not all(x > 0 for x in raw):
            return None
        changed |= {
            x: n / sp.Add(*raw) * self._total for x, n in zip(self.shares, raw, strict=True)
        }
        others = tuple((x, changed.get(x, value)) for x, value in point.others)
        if all(p.is_Symbol or p.is_number for p in weights):
            return others, point.weights
        own = {p: x for p, x in zip(weights, point.weights, strict=True) if p.is_Symbol}
        values = own | self._values | changed
        found = [values[p] if p.is_Symbol else p.xreplace(values) for p in weights]
        if not all(p.is_positive for p in found) or sp.Add(*found) != 1:
            return None
        return others, sp.ImmutableDenseMatrix(len(found), 1, found)


def _floats(x: sp.Symbol, ends: Sequence[sp.Expr] | None) -> Range:
    low, high = (-np.inf, np.inf) if ends is None else map(float, ends)
    return (max(low, 0.0) if x.is_positive else low), high


def _where_positive(
    weights: Sequence[sp.Expr], x: sp.Symbol, values: Mapping[sp.Symbol, sp.Expr], ends: Range
) -> Range:
    """Where weights that are linear in a symbol are positive, the others having their numbers."""
    low, high = ends
    for weight in weights:
        line = weight.xreplace({s: v for s, v in values.items() if s != x})
        slope = line.diff(x)
        if slope.is_Rational and slope != 0:
            root = float(-line.xreplace({x: sp.Integer(0)}) / slope)
            low, high = (max(low, root), high) if slope > 0 else (low, min(high, root))
    return low, high


def _to_free(value: float, ends: Range) -> float:
    low, high = ends
    if np.isfinite(low) and np.isfinite(high):
        return float(np.log((value - low) / (high - value)))
    if np.isfinite(low):
        return float(np.log(value - low))
    return float(-np.log(high - value)) if np.isfinite(high) else value


def _from_free(z: float, ends: Range) -> float:
    low, high = ends
    bounded = np.clip(z, -FARTHEST, FARTHEST)
    if np.isfinite(low) and np.isfinite(high):
        return float(low + (high - low) / (1 + np.exp(-np.clip(z, -NEXT_TO_END, NEXT_TO_END))))
    if np.isfinite(low):
        return float(low + np.exp(bounded))
    return float(high - np.exp(-bounded)) if np.isfinite(high) else float(z)
