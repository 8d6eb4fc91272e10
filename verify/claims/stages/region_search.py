"""A point where forms have given signs: looked for by making what is missing small.

Draws at random reach what is common.  Where several forms have to have their signs together, or one
is positive far from where states are drawn, the parameters of a point are moved until all signs are
right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from theory import Model
from verify.random_points.exact import Point, random_point

from .moved_numbers import MovedNumbers
from .regions import Signs, compiled

# starts of a search, evaluations of each, and how far inside of a region its points shall be
STARTS, MOST_CALLS, INSIDE = 4, 60, 0.5
# how strongly a search is held to moderate numbers; denominators of what it finds
MODERATE, DENOMINATOR = 1e-3, 10**5


def find_point(
    model: Model,
    rng: np.random.Generator,
    signs: Signs,
    rank: int | None,
    more: Mapping[sp.Symbol, sp.Expr],
) -> Point | None:
    """A point whose Q has the given rank (full when omitted) where forms have given signs."""
    from scipy.optimize import least_squares  # a quarter of a second that few claims need

    names = sorted(set().union(*(c.free_symbols for c in signs)), key=str)
    evaluate = compiled(names, [s * c for c, s in signs.items()])
    for n in range(STARTS):
        start = random_point(model, rng, rank)
        parts = Parts(start, {s: float(v) for s, v in more.items()})
        if not set(names) <= set(parts.numbers(parts.start)):
            return None
        origin = parts.start * (1 + 2 * n)

        def missing(z: np.ndarray, parts: Parts = parts, origin: np.ndarray = origin) -> Any:
            at = parts.numbers(z)
            with np.errstate(all="ignore"):
                values = np.asarray(evaluate(*(at[s] for s in names)), float)
            values = np.nan_to_num(values, nan=-1e6, posinf=1e6, neginf=-1e6)
            return np.append(np.maximum(INSIDE - values, 0.0), MODERATE * (z - origin))

        found = least_squares(missing, origin, max_nfev=MOST_CALLS).x
        point = parts.point(found)
        if point is not None and have_signs(signs, {**point.values, **more}):
            return point
    return None


def find_values(
    signs: Signs, start: Mapping[sp.Symbol, sp.Rational], free: set[sp.Symbol]
) -> dict[sp.Symbol, sp.Rational] | None:
    """Values where forms have given signs, those of free symbols moved from where they start."""
    from scipy.optimize import least_squares  # a quarter of a second that few claims need

    names = sorted(set().union(*(c.free_symbols for c in signs)), key=str)
    moved = [x for x in names if x in free]
    if not moved or not set(names) <= set(start):
        return None
    evaluate = compiled(names, [s * c for c, s in signs.items()])
    at = {x: float(start[x]) for x in names}
    # positive numbers by their logarithms
    positive = np.array([bool(x.is_positive) for x in moved])
    first = np.array([at[x] for x in moved])
    origin = np.where(positive, np.log(np.abs(first)), first)

    def values(z: np.ndarray) -> dict[sp.Symbol, float]:
        return {**at, **dict(zip(moved, np.where(positive, np.exp(z), z), strict=True))}

    def missing(z: np.ndarray) -> np.ndarray:
        here = values(z)
        with np.errstate(all="ignore"):
            forms = np.asarray(evaluate(*(here[s] for s in names)), float)
        forms = np.nan_to_num(forms, nan=-1e6, posinf=1e6, neginf=-1e6)
        return np.append(np.maximum(INSIDE - forms, 0.0), MODERATE * (z - origin))

    found = values(least_squares(missing, origin, max_nfev=MOST_CALLS).x)
    exact = {**start, **{x: _rational(found[x]) for x in moved}}
    return exact if have_signs(signs, exact) else None


def have_signs(signs: Signs, values: Mapping[sp.Symbol, Any]) -> bool:
    """Whether forms have given signs, in exact numbers or many digits."""
    for form, sign in signs.items():
        value = sp.N(form.xreplace(dict(values)), 30)
        if not value.is_Number or not value.is_finite or sign * value <= 0:
            return False
    return True


@dataclass
class Parts:
    """The free parameters of a point as one vector: matrices as they are, positive numbers by their
    logarithms.
    """

    template: Point
    more: Mapping[sp.Symbol, float]

    def __post_init__(self) -> None:
        point, model = self.template, self.template.model
        mixture = model.mixture
        self._matrices = ["along", "across", "readout"]
        if point.rank < model.units:
            self._matrices.append("mixing")
        if all(x.is_Symbol for x in mixture.directions_gram):
            self._matrices.append("gamma")
        self._scalars = [
            name
            for name, symbol in (
                ("precision", mixture.precision),
                ("ridge", model.ridge),
                ("step", model.step),
            )
            if symbol.is_Symbol
        ]
        self._weights = all(p.is_Symbol for p in mixture.weights)
        pieces = [self._free(name, getattr(point, name)) for name in self._matrices]
        pieces.append(np.log([float(getattr(point, name)) for name in self._scalars]))
        if self._weights:
            pieces.append(np.log(np.array(point.weights, float).ravel()))
        self._others = MovedNumbers(point)
        pieces.append(self._others.start)
        self._shapes = [len(p) for p in pieces]
        self.start = np.concatenate(pieces)
        self._exact = {s: float(v) for s, v in point.values.items()} | dict(self.more)

    @staticmethod
    def _free(name: str, matrix: sp.ImmutableDenseMatrix) -> np.ndarray:
        found = np.array(matrix, float).reshape(matrix.shape)
        if name in ("across", "gamma"):  # by a factor, so that it stays positive
            found = np.linalg.cholesky(_of_bands(found))
        return np.asarray(found.ravel())

    def _split(self, z: np.ndarray) -> dict[str, np.ndarray]:
        pieces = iter(np.split(z, np.cumsum(self._shapes)[:-1]))
        found = {}
        for name in self._matrices:
            shape = getattr(self.template, name).shape
            value = next(pieces).reshape(shape)
            if name in ("across", "gamma"):
                roots = _of_bands(value)
                value = roots @ np.swapaxes(roots, 1, 2) + 1e-4 * np.eye(value.shape[1])
                value = value.reshape(shape)
            found[name] = value
        found |= dict(zip(self._scalars, np.exp(np.clip(next(pieces), -9, 20)), strict=True))
        if self._weights:
            raw = np.exp(np.clip(next(pieces), -9, 9))
            found["weights"] = raw / raw.sum()
        found["others"] = next(pieces)
        return found

    def numbers(self, z: np.ndarray) -> dict[sp.Symbol, float]:
        """Floats of all symbols."""
        point, model, s = self.template, self.template.model, self.template.model.symbols
        parts = self._split(z)

        def of(name: str) -> np.ndarray:
            if name in parts:
                return parts[name]
            matrix = getattr(point, name)
            return np.array(matrix, float).reshape(matrix.shape)

        others = self._others.values(parts["others"])
        a, across, gamma = of("mixing"), _of_bands(of("across")), _of_bands(of("gamma"))
        along = of("along").reshape(model.bands, point.rank, -1)
        found = self._exact | others
        overlap, perp = a @ along @ gamma, a @ across @ a.T
        inner = along @ gamma @ np.swapaxes(along, 1, 2)
        pairs: list[tuple[Any, np.ndarray]] = [
            (s.overlap, overlap),
            (s.gram_perp, perp),
            (s.gram, perp + a @ inner @ a.T),
            (model.mixture.directions_gram, gamma),
        ]
        for names, values in pairs:
            found |= dict(zip(names, values.ravel(), strict=True))
        found |= dict(zip(s.readout, of("readout").ravel(), strict=True))
        scalars = {"precision": model.mixture.precision, "ridge": model.ridge, "step": model.step}
        found |= {scalars[name]: parts[name] for name in self._scalars}
        if self._weights:
            found |= dict(zip(model.mixture.weights, parts["weights"], strict=True))
        laws = range(model.components if model.mixture.bands is not None else 1)
        grams = [np.array(model.field_gram_of(l).xreplace(found).tolist(), float) for l in laws]
        size = s.gram_inverse.cols  # of one token, where there are several
        inverses = np.linalg.pinv(np.array(grams)[:, :size, :size])
        return found | dict(zip(s.gram_inverse, inverses.ravel(), strict=True))

    def point(self, z: np.ndarray) -> Point | None:
        """The point in rational numbers."""
        changed: dict[str, Any] = {}
        for name, value in self._split(z).items():
            if name in self._scalars:
                changed[name] = max(_rational(value), sp.Rational(1, DENOMINATOR))
            elif name == "weights":
                first = [max(_rational(x), sp.Rational(1, DENOMINATOR)) for x in value]
                changed[name] = sp.ImmutableDenseMatrix([x / sum(first) for x in first])
            elif name == "others":
                near = {x: _rational(n) for x, n in self._others.values(value).items()}
                exact = self._others.exact(near)
                if exact is None:
                    return None
                changed["others"], weights = exact
                changed.setdefault("weights", weights)
            else:
                changed[name] = sp.ImmutableDenseMatrix(
                    *value.shape, [_rational(x) for x in value.ravel()]
                )
        for name in ("across", "gamma"):
            size = getattr(self.template, name).cols
            whole = changed.get(name, sp.zeros(0, size))
            bands = (whole[g : g + size, :] for g in range(0, whole.rows, size))
            if not all(band.is_positive_definite for band in bands):
                return None
        return replace(self.template, **changed)


def _of_bands(matrix: np.ndarray) -> np.ndarray:
    """Square matrices that stand one below the other, as an array of them."""
    return matrix.reshape(-1, matrix.shape[1], matrix.shape[1])


def _rational(x: Any) -> sp.Rational:
    return sp.Rational(round(float(x) * DENOMINATOR), DENOMINATOR)
